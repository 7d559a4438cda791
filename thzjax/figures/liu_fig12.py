"""Liu et al., Fig. 12: beam patterns of the four users with several antennas, by DPPO."""

from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import above
from thzjax.figures.liu_fig6 import TARGETS_DEG, elsewhere, towards
from thzjax.figures.liu_fig10 import STEPS
from thzjax.figures.pictures import radiated
from thzjax.figures.workshop import Workshop
from thzjax.systems.scenario import preset

PRESET = "paper-a-mimo"
REGIMES = {"paper's configuration": {"configuration": "paper"}, "structured actions": {}}


def collect(shop: Workshop) -> Data:
    """What each user's streams radiate; the runs are Fig. 10's."""
    learned = {regime: shop.train(PRESET, "dppo", STEPS, **options) for regime, options in REGIMES.items()}
    curves = shop.patterns(preset(PRESET), ("wmmse_sum/focused",), learned)
    return {
        regime: {name.removeprefix(f"{regime}, "): curve for name, curve in curves.items() if name.startswith(regime)}
        for regime in REGIMES
    }


def draw(data: Data) -> dict[str, object]:
    """One picture for each regime: every user's own streams."""
    return {
        regime: radiated({name: curve for name, curve in panel.items() if name != regime}, preset(PRESET), bands=False)
        for regime, panel in data.items()
    }


def judge(data: Data) -> list[Finding]:
    """Each user's power towards each target against its power elsewhere; whether users differ."""
    findings = []
    for regime, panel in data.items():
        users = {name: curve for name, curve in panel.items() if name != regime}
        for name, curve in users.items():
            for target in TARGETS_DEG:
                statement = f"{name} radiates more towards {target} deg than outside the desired beams"
                findings.append(above(statement, regime, towards(curve, target), elsewhere(curve)))
        powers = {name: curve.values.mean() for name, curve in users.items()}
        most, least = max(powers, key=powers.get), min(powers, key=powers.get)
        statement = f"users' amplitudes differ ({most} above {least})"
        total = {name: towards(users[name], 0) for name in (most, least)}
        findings.append(above(statement, regime, total[most], total[least]))
    return [Finding(**(vars(finding) | {"unit": "p_ref"})) for finding in findings]


FIGURE = Figure(
    "liu-fig12",
    "Liu et al., Fig. 12",
    "Each of the four users' beam patterns points at the targets; their amplitudes differ.",
    PRESET,
    collect,
    draw,
    judge,
    "Scaled so that the pattern of all users together meets the threshold.",
    minutes=0.3,
)
