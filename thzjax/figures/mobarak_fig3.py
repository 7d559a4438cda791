"""Mobarak et al., Fig. 3: sum rate against the base station's power."""

from thzjax.figures import mobarak_fig2
from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import above, alike, grows
from thzjax.figures.mobarak_fig2 import AGENTS, FAIR, RAW, REGIMES
from thzjax.figures.pictures import along_axis
from thzjax.figures.workshop import Workshop

POWERS_DBM = ("30", "35", "40", "45")
STEPS = {RAW: mobarak_fig2.STEPS[RAW], FAIR: 8_000}
METHODS = ("greedy/joint", "random/random", "alternating/joint", "gradient/joint")
LINE_OF_SIGHT = "pure line of sight"


def collect(shop: Workshop) -> Data:
    """Each learner trained at every power, and classical designs.

    In the paper's configuration a run takes minutes: the quick budget has the 40 dBm of Fig. 2 alone.
    """
    data = {}
    for regime, options in REGIMES.items():
        powers = ("40",) if regime == RAW and shop.budget.name == "quick" else POWERS_DBM
        sweep = (f"p_bs_dbm={','.join(powers)}",) if len(powers) > 1 else ()
        data[regime] = {}
        for agent in AGENTS:
            overrides = mobarak_fig2.OVERRIDES.get((regime, agent), ())
            runs = shop.train("paper-b", agent, STEPS[regime], overrides, sweep, **options)
            data[regime][agent] = shop.learned(runs, [float(power) for power in powers])
    data["classical"] = shop.along(shop.scenario("paper-b"), "p_bs_dbm", POWERS_DBM, METHODS)
    data[LINE_OF_SIGHT] = shop.along(shop.scenario("paper-b-literal"), "p_bs_dbm", POWERS_DBM, METHODS)
    return data


def draw(data: Data) -> dict[str, object]:
    """Learners of each regime beside the classical designs."""
    label = "power of the base station [dBm]"
    pictures = {regime: along_axis(dict(data[regime]) | dict(data["classical"]), label) for regime in REGIMES}
    return pictures | {LINE_OF_SIGHT: along_axis(data[LINE_OF_SIGHT], label)}


def judge(data: Data) -> list[Finding]:
    """Growth, the paper's order at every power together, and the three that it finds alike at 30 dBm."""
    greedy, chance = (data["classical"][name] for name in ("greedy, joint", "random, random"))
    findings = []
    for regime in REGIMES:
        learned = data[regime]
        findings += [grows(f"{agent.upper()}'s rate grows with power", regime, learned[agent]) for agent in AGENTS]
        findings.append(above("DDPG is above greedy", regime, learned["ddpg"], greedy))
        for agent in AGENTS[1:]:
            findings.append(above(f"greedy is above {agent.upper()}", regime, greedy, learned[agent]))
            findings.append(above(f"{agent.upper()} is above random", regime, learned[agent], chance))
            if learned[agent].x[0] == chance.x[0]:
                statement = f"at 30 dBm {agent.upper()} and random are within 0.5 of each other"
                findings.append(alike(statement, regime, learned[agent], chance, 0, 0.5))
    best = data[LINE_OF_SIGHT]["gradient, joint"]
    return [*findings, grows("the search's rate grows with power", LINE_OF_SIGHT, best, False)]


FIGURE = Figure(
    "mobarak-fig3",
    "Mobarak et al., Fig. 3",
    "DDPG is highest at every power, then greedy, then SAC and PPO, then random; at 30 dBm PPO, SAC and random are "
    "alike.",
    "paper-b",
    collect,
    draw,
    judge,
    "A channel without a feasible design counts as 0: most of random's do, and so do most of what the paper's raw "
    "actions learn in this many steps. The quick budget has them at 40 dBm alone. Pure line of "
    "sight, as the text has it without its rays (preset `paper-b-literal`), is a channel of "
    "rank one: no power buys four users more than it has at the least one.",
    minutes=8.5,
)
