"""Mobarak et al., Fig. 3: sum rate against the base station's power."""

from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import above, grows
from thzjax.figures.pictures import along_axis
from thzjax.figures.workshop import Workshop

POWERS_DBM = ("30", "35", "40", "45")
AGENTS = ("ddpg", "ppo", "sac")
REGIME = "structured actions"
STEPS = 30_000
METHODS = ("greedy/joint", "random/random", "alternating/joint", "gradient/joint")


def collect(shop: Workshop) -> Data:
    """Each learner trained at every power, and classical designs."""
    powers = [float(power) for power in POWERS_DBM]
    data = {REGIME: {}}
    for agent in AGENTS:
        runs = shop.train("paper-b", agent, STEPS, sweep=(f"p_bs_dbm={','.join(POWERS_DBM)}",))
        data[REGIME][agent] = shop.learned(runs, powers)
    data["classical"] = shop.along(shop.scenario("paper-b"), "p_bs_dbm", POWERS_DBM, METHODS)
    return data


def draw(data: Data) -> dict[str, object]:
    """Learners and classical designs."""
    return {"": along_axis(dict(data[REGIME]) | dict(data["classical"]), "power of the base station [dBm]")}


def judge(data: Data) -> list[Finding]:
    """Growth, the paper's order at every power together, and the three that it finds alike at 30 dBm."""
    learned, classical = data[REGIME], data["classical"]
    greedy, chance = classical["greedy, joint"], classical["random, random"]
    return [
        *(grows(f"{agent.upper()}'s rate grows with power", REGIME, learned[agent]) for agent in AGENTS),
        above("DDPG is above greedy", REGIME, learned["ddpg"], greedy),
        above("greedy is above SAC", REGIME, greedy, learned["sac"]),
        above("greedy is above PPO", REGIME, greedy, learned["ppo"]),
        above("SAC is above random", REGIME, learned["sac"], chance),
        above("PPO is above random", REGIME, learned["ppo"], chance),
    ]


FIGURE = Figure(
    "mobarak-fig3",
    "Mobarak et al., Fig. 3",
    "DDPG is highest at every power, then greedy, then SAC and PPO, then random; at 30 dBm PPO, SAC and random are "
    "alike.",
    "paper-b",
    collect,
    draw,
    judge,
    "A channel without a feasible design counts as 0: most of random's do.",
)
