"""Liu et al., Fig. 11: capacity over training with several antennas, DPPO beside A3C."""

from thzjax.figures import liu_fig10
from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import ending, of_seeds, settled_at
from thzjax.figures.pictures import over_training
from thzjax.figures.workshop import Workshop

REGIMES = ("paper's configuration", "structured actions")


def collect(shop: Workshop) -> Data:
    """Feasible rate on the validation channels; the runs are Fig. 10's."""
    return liu_fig10.trained(shop, "validation/rate_feasible")


def draw(data: Data) -> dict[str, object]:
    """One picture for each regime."""
    return {
        regime: over_training(
            data[regime], "feasible sum rate [bit/s/Hz]", "training episodes", data[f"{regime}, classical"]
        )
        for regime in REGIMES
    }


def judge(data: Data) -> list[Finding]:
    """Order of the ends, steadiness towards the end, and when each has settled."""
    findings = []
    for regime in REGIMES:
        dppo, a3c = data[regime]["dppo"], data[regime]["a3c"]
        findings.append(of_seeds("DPPO ends above A3C", regime, ending(dppo) - ending(a3c)))
        left = 90 - settled_at(dppo)
        findings.append(of_seeds("DPPO has settled after 90 episodes", regime, left, unit="episodes to spare"))
        earlier = settled_at(a3c) - settled_at(dppo)
        findings.append(of_seeds("DPPO settles before A3C", regime, earlier, unit="episodes"))
        half = dppo.values.shape[1] // 2
        calmer = a3c.values[:, half:].std(axis=1) - dppo.values[:, half:].std(axis=1)
        findings.append(of_seeds("DPPO varies less in the second half of training", regime, calmer))
    return findings


FIGURE = Figure(
    "liu-fig11",
    "Liu et al., Fig. 11",
    "DPPO converges after 90 episodes, is more stable than A3C and quicker.",
    "paper-a-mimo",
    collect,
    draw,
    judge,
    minutes=0.1,
)
