"""Mobarak et al., Fig. 2: average reward of DDPG, PPO and SAC over training."""

from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import ending, of_seeds
from thzjax.figures.pictures import over_training
from thzjax.figures.workshop import Workshop

AGENTS = ("ddpg", "ppo", "sac")
REGIMES = {"paper's configuration": {"configuration": "paper"}, "structured actions": {}}
STEPS = {"paper's configuration": 12_288, "structured actions": 40_000}
FIELDS = {"paper's configuration": "sum_rate", "structured actions": "validation/rate_feasible"}
"""What is judged: beside the paper's raw actions hardly any design is feasible, so there the reward itself."""
RAW, FAIR = REGIMES
OVERRIDES = {(RAW, "ppo"): ("updates_per_record=2",)}
"""An update of PPO's takes 2048 steps: recorded like the others', and as many of them."""
METHODS = ("greedy/joint", "alternating/joint", "gradient/joint")


def collect(shop: Workshop) -> Data:
    """Rewards in training and feasible rates on the validation channels, over environment steps."""
    data = {}
    for regime, options in REGIMES.items():
        data[regime], data[f"{regime}, feasible"] = {}, {}
        for agent in AGENTS:
            runs = shop.train("paper-b", agent, STEPS[regime], OVERRIDES.get((regime, agent), ()), **options)
            data[regime][agent] = next(iter(shop.traces(runs, FIELDS[regime], "env_steps").values()))
            feasible = next(iter(shop.traces(runs, "validation/rate_feasible", "env_steps").values()))
            data[f"{regime}, feasible"][agent] = feasible
    data["classical"] = shop.beside(runs, METHODS)
    return data


def draw(data: Data) -> dict[str, object]:
    """The reward in the paper's configuration, as the paper draws it; and feasible rates of both."""
    upright, across = "feasible sum rate [bit/s/Hz]", "environment steps"
    return {
        f"{RAW}, average reward": over_training(data[RAW], "reward per step [bit/s/Hz]", across),
        f"{RAW}, feasible": over_training(data[f"{RAW}, feasible"], upright, across, data["classical"]),
        FAIR: over_training(data[FAIR], upright, across, data["classical"]),
    }


def judge(data: Data) -> list[Finding]:
    """Whether each learns anything, and which ends highest."""
    findings = []
    for regime in REGIMES:
        ends = {agent: ending(trace) for agent, trace in data[regime].items()}
        for agent in AGENTS:
            learnt = ends[agent] - data[regime][agent].values[:, 0]
            findings.append(of_seeds(f"{agent.upper()} ends above where it began", regime, learnt))
        for agent in AGENTS[1:]:
            findings.append(of_seeds(f"DDPG ends above {agent.upper()}", regime, ends["ddpg"] - ends[agent]))
    return findings


FIGURE = Figure(
    "mobarak-fig2",
    "Mobarak et al., Fig. 2",
    "DDPG, PPO and SAC converge, DDPG to the highest reward.",
    "paper-b",
    collect,
    draw,
    judge,
    "In the paper's configuration the reward in training is judged, as the paper draws it; with structured actions the "
    "feasible rate on fresh channels. The paper's values of the channel did not survive in its public copy, so that "
    "levels cannot be compared, only orders. PPO still rises where the quick budget ends, so its place is that of few "
    "samples: in a longer try it had 0.92 after 32 768 steps, DDPG 1.27 and SAC 0.72 after 20 480. With structured "
    "actions they begin at a sound design, and the quick budget's steps are too few to better it: docs/learners.md has "
    "200 000.",
    minutes=7.0,
)
