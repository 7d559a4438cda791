"""Liu et al., Fig. 8: capacity against the threshold on the beam-pattern error."""

from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import grows
from thzjax.figures.pictures import along_axis
from thzjax.figures.workshop import Workshop

THRESHOLDS = ("2", "4", "6", "8", "10")
REGIMES = {"paper's configuration": {"configuration": "paper"}, "structured actions": {}}
STEPS = {"paper's configuration": 120_000, "structured actions": 120_000}
METHODS = ("wmmse_sum/focused", "gradient/joint", "zf/focused")


def collect(shop: Workshop) -> Data:
    """PPO trained at every threshold, and classical designs."""
    thresholds = [float(threshold) for threshold in THRESHOLDS]
    data = {}
    for regime, options in REGIMES.items():
        sweep = (f"pattern_threshold={','.join(THRESHOLDS)}",)
        runs = shop.train("paper-a", "ppo", STEPS[regime], sweep=sweep, **options)
        data[regime] = {"ppo": shop.learned(runs, thresholds)}
    data["classical"] = shop.along(shop.scenario("paper-a"), "pattern_threshold", THRESHOLDS, METHODS)
    return data


def draw(data: Data) -> dict[str, object]:
    """Both versions of PPO and the classical designs."""
    learned = {f"ppo, {regime}": data[regime]["ppo"] for regime in REGIMES}
    return {"": along_axis(learned | dict(data["classical"]), "threshold on the beam-pattern error")}


def judge(data: Data) -> list[Finding]:
    """Growth of each."""
    findings = [grows("PPO's rate grows with the threshold", regime, data[regime]["ppo"]) for regime in REGIMES]
    reference = data["classical"]["gradient, joint"]
    return [*findings, grows("the search's rate grows with the threshold", "gradient search", reference, False)]


FIGURE = Figure(
    "liu-fig8",
    "Liu et al., Fig. 8",
    "Capacity grows as the threshold on the beam-pattern error is raised from 2 to 10.",
    "paper-a",
    collect,
    draw,
    judge,
    minutes=2.0,
)
