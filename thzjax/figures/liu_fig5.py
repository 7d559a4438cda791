"""Liu et al., Fig. 5: capacity against transmit power for several numbers of users."""

import itertools

from thzjax.figures.frame import Curve, Data, Figure, Finding
from thzjax.figures.judging import above, flat, flattens, grows
from thzjax.figures.pictures import along_axis
from thzjax.figures.workshop import Workshop

USERS = (2, 4, 6)
POWERS_W = ("0.005", "0.01", "0.02", "0.04")
REGIMES = {"paper's configuration": {"configuration": "paper"}, "structured actions": {}}
STEPS = {"paper's configuration": 60_000, "structured actions": 60_000}
METHODS = ("wmmse_sum/focused", "gradient/joint")


def collect(shop: Workshop) -> Data:
    """PPO trained at every power and number of users; the best classical designs beside it."""
    powers = [float(power) for power in POWERS_W]
    data = {}
    for regime, options in REGIMES.items():
        data[regime] = {}
        for users in USERS:
            runs = shop.train(
                "paper-a", "ppo", STEPS[regime], (f"num_users={users}",), (f"power_w={','.join(POWERS_W)}",), **options
            )
            data[regime][f"ppo, K = {users}"] = shop.learned(runs, powers)
    data["classical"] = {}
    for users in USERS:
        curves = shop.along(shop.scenario("paper-a", f"num_users={users}"), "power_w", POWERS_W, METHODS)
        data["classical"] |= {f"{n}, K = {users}": c for n, c in curves.items() if not n.endswith("anchor")}
    return data


def draw(data: Data) -> dict[str, object]:
    """One picture for each regime, with the gradient search beside it."""
    reference = {n: c for n, c in data["classical"].items() if n.startswith("gradient")}
    return {regime: along_axis(dict(data[regime]) | reference, "transmit power [W]") for regime in REGIMES}


def judge(data: Data) -> list[Finding]:
    """Growth, flattening, order of user counts, and whether the gap between them changes with power."""
    findings = []
    panels = {regime: {users: data[regime][f"ppo, K = {users}"] for users in USERS} for regime in REGIMES}
    panels["gradient search"] = {users: data["classical"][f"gradient, joint, K = {users}"] for users in USERS}
    for regime, curves in panels.items():
        learned = regime in REGIMES
        for users, curve in curves.items():
            findings.append(grows(f"rate grows with power at K = {users}", regime, curve, learned))
            findings.append(flattens(f"growth per watt slows at K = {users}", regime, curve, learned))
        for few, many in itertools.pairwise(USERS):
            statement = f"{many} users reach more than {few}"
            findings.append(above(statement, regime, curves[many], curves[few], learned=learned))
            fewer, more = curves[few], curves[many]
            gap = Curve(fewer.x, more.values - fewer.values, fewer.missed | more.missed)
            statement = f"the gap between {few} and {many} users changes by less than a fifth with power"
            findings.append(flat(statement, regime, gap, 0.2, learned))
    return findings


FIGURE = Figure(
    "liu-fig5",
    "Liu et al., Fig. 5",
    "Capacity grows with transmit power and flattens; more users reach more; the gap between numbers of users hardly "
    "changes.",
    "paper-a",
    collect,
    draw,
    judge,
    "From about 10 mW the threshold on the beam pattern limits the rate, not the power.",
    minutes=4.5,
)
