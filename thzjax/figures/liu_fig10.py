"""Liu et al., Fig. 10: reward over training with several antennas, DPPO beside A3C and WMMSE."""

from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import ending, of_seeds, settled_at
from thzjax.figures.pictures import over_training
from thzjax.figures.workshop import Workshop

STEPS = 100_000
REGIMES = {
    "paper's configuration": ({"configuration": "paper"}, "wmmse_sum/random"),
    "structured actions": ({}, "wmmse_sum/focused"),
    "structured actions, WMMSE with random phases": ({}, "wmmse_sum/random"),
}
"""How DPPO and A3C act, and what stands beside them. The last shows what makes the paper's picture."""
REFERENCE = ("gradient/joint",)


def trained(shop: Workshop, field: str) -> Data:
    """A number over training of DPPO and A3C on the same channels, by regime; WMMSE beside each."""
    data = {}
    for regime, (options, wmmse) in REGIMES.items():
        data[regime] = {}
        for agent in ("dppo", "a3c"):
            runs = shop.train("paper-a-mimo", agent, STEPS, **options)
            data[regime][agent] = next(iter(shop.traces(runs, field).values()))
        data[f"{regime}, classical"] = shop.beside(runs, (wmmse, *REFERENCE))
    return data


def collect(shop: Workshop) -> Data:
    """Mean rate of the training batches: an episode's return per step, so that horizons compare."""
    return trained(shop, "sum_rate")


def draw(data: Data) -> dict[str, object]:
    """One picture for each regime."""
    return {
        regime: over_training(
            data[regime], "reward per step [bit/s/Hz]", "training episodes", data[f"{regime}, classical"]
        )
        for regime in REGIMES
    }


def judge(data: Data) -> list[Finding]:
    """Order of the ends, and when DPPO has settled."""
    findings = []
    for regime, (_, wmmse) in REGIMES.items():
        ends = {agent: ending(trace) for agent, trace in data[regime].items()}
        findings.append(of_seeds("DPPO ends above A3C", regime, ends["dppo"] - ends["a3c"]))
        name = wmmse.replace("/", ", ")
        lead = ends["dppo"] - data[f"{regime}, classical"][name].values.mean()
        findings.append(of_seeds(f"DPPO ends above {name} surface", regime, lead))
        left = 800 - settled_at(data[regime]["dppo"])
        findings.append(of_seeds("DPPO has settled after 800 episodes", regime, left, unit="episodes to spare"))
    return findings


FIGURE = Figure(
    "liu-fig10",
    "Liu et al., Fig. 10",
    "With several antennas DPPO converges after 800 episodes to a higher reward than A3C and WMMSE.",
    "paper-a-mimo",
    collect,
    draw,
    judge,
    "WMMSE has random phases beside the paper's configuration and focused ones in the fair comparison; the third "
    "picture shows what makes the paper's: learners with structured actions beside WMMSE with random phases. Rewards "
    "of training are of designs with exploration noise, which may exceed the pattern's threshold; WMMSE's do not.",
    minutes=3.5,
)
