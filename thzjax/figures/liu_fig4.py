"""Liu et al., Fig. 4: capacity against episodes, PPO and A2C beside ZF and MRT."""

import numpy as np

from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import between, ending, of_seeds, settled_at
from thzjax.figures.pictures import over_training
from thzjax.figures.workshop import Workshop

RANDOM, FOCUSED = ("zf/random", "mrt/random"), ("zf/focused", "mrt/focused")
REGIMES = {
    "paper's configuration": ({"configuration": "paper"}, RANDOM),
    "structured actions": ({}, FOCUSED),
    "structured actions, closed forms with random phases": ({}, RANDOM),
}
"""How PPO and A2C act, and what stands beside them. The last shows what makes the paper's picture."""
STEPS = 400_000
AT_ITS_WORD = "the paper's text at its word"
REFERENCE = ("wmmse_sum/focused", "gradient/joint")


def collect(shop: Workshop) -> Data:
    """Feasible rate on the validation channels over training, and classical designs on the same."""
    data = {}
    for regime, (options, classical) in REGIMES.items():
        data[regime] = {}
        for agent in ("ppo", "a2c"):
            runs = shop.train("paper-a", agent, STEPS, **options)
            data[regime][agent] = next(iter(shop.traces(runs, "validation/rate_feasible").values()))
        data[f"{regime}, classical"] = shop.beside(runs, classical + REFERENCE)
    literal = shop.train("paper-a-literal", "ppo", STEPS, configuration="paper")
    data[AT_ITS_WORD] = {"ppo": next(iter(shop.traces(literal, "validation/rate_feasible").values()))}
    return data


def draw(data: Data) -> dict[str, object]:
    """One picture for each regime, classical designs as lines."""
    return {
        regime: over_training(
            data[regime], "feasible sum rate [bit/s/Hz]", "training episodes", data[f"{regime}, classical"]
        )
        for regime in REGIMES
    }


def judge(data: Data) -> list[Finding]:
    """PPO against A2C seed by seed, and both against the classical designs' means."""
    findings = []
    for regime in REGIMES:
        ends = {agent: ending(trace) for agent, trace in data[regime].items()}
        lead = ends["ppo"] - ends["a2c"]
        findings.append(of_seeds("PPO ends above A2C", regime, lead))
        findings.append(of_seeds("PPO ends above A2C by 0.4 or more", regime, lead, 0.4))
        for name, curve in data[f"{regime}, classical"].items():
            if name.startswith(("zf", "mrt")):
                lower = np.minimum(ends["ppo"], ends["a2c"])
                findings.append(of_seeds(f"both end above {name} surface", regime, lower - curve.values.mean()))
                findings.append(between(f"{name} surface is between 0.5 and 1.5", regime, curve, 0.5, 1.5))
        left = 200 - settled_at(data[regime]["ppo"])
        findings.append(of_seeds("PPO has settled after 200 episodes", regime, left, unit="episodes to spare"))
    reached = ending(data[AT_ITS_WORD]["ppo"])
    findings.append(of_seeds("PPO ends above 1 bit/s/Hz, as the paper draws it", AT_ITS_WORD, reached, 1.0))
    return findings


FIGURE = Figure(
    "liu-fig4",
    "Liu et al., Fig. 4",
    "Primal-dual PPO ends about 0.5 above A2C, both above ZF and MRT, which stay near 1; PPO has converged after 200 "
    "episodes.",
    "paper-a",
    collect,
    draw,
    judge,
    "ZF and MRT have random phases beside the paper's configuration and focused ones in the fair comparison; the third "
    "picture shows what makes the paper's: learners with structured actions beside closed forms with random phases. "
    "Episodes of one environment and of many side by side are not the same measure of time. The text at its word "
    "(preset `paper-a-literal`) takes the printed amplitudes, norms and distances as they stand.",
)
