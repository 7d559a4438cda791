"""Mobarak et al., Fig. 2: average reward of DDPG, PPO and SAC over training."""

from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import ending, of_seeds
from thzjax.figures.pictures import over_training
from thzjax.figures.workshop import Workshop

AGENTS = ("ddpg", "ppo", "sac")
REGIME = "structured actions"
STEPS = 60_000
METHODS = ("greedy/joint", "alternating/joint")


def collect(shop: Workshop) -> Data:
    """Feasible rate on the validation channels over environment steps, which all three count alike."""
    panel = {}
    for agent in AGENTS:
        runs = shop.train("paper-b", agent, STEPS)
        panel[agent] = next(iter(shop.traces(runs, "validation/rate_feasible", "env_steps").values()))
    curves = shop.along(shop.scenario("paper-b"), "p_bs_dbm", ("40",), METHODS)
    return {REGIME: panel, "classical": {name: c for name, c in curves.items() if not name.endswith("anchor")}}


def draw(data: Data) -> dict[str, object]:
    """One picture."""
    return {"": over_training(data[REGIME], "feasible sum rate [bit/s/Hz]", "environment steps", data["classical"])}


def judge(data: Data) -> list[Finding]:
    """Whether each learns anything, and which ends highest."""
    ends = {agent: ending(trace) for agent, trace in data[REGIME].items()}
    learnt = {agent: ends[agent] - trace.values[:, 0] for agent, trace in data[REGIME].items()}
    return [
        *(of_seeds(f"{agent.upper()} ends above where it began", REGIME, learnt[agent]) for agent in AGENTS),
        *(of_seeds(f"DDPG ends above {agent.upper()}", REGIME, ends["ddpg"] - ends[agent]) for agent in AGENTS[1:]),
    ]


FIGURE = Figure(
    "mobarak-fig2",
    "Mobarak et al., Fig. 2",
    "DDPG, PPO and SAC converge, DDPG to the highest reward.",
    "paper-b",
    collect,
    draw,
    judge,
    "Judged on fresh channels with structured actions; the paper's values of the channel did not survive in its public "
    "copy, so that levels cannot be compared, only orders.",
)
