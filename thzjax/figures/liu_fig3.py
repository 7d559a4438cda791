"""Liu et al., Fig. 3: reward against episodes at four pairs of learning rates."""

from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import ending, of_seeds, reached_at, settled_at
from thzjax.figures.pictures import over_training
from thzjax.figures.workshop import Workshop

RATES = ("1e-2", "1e-3", "1e-4", "1e-5")
REGIMES = {"paper's configuration": {"configuration": "paper"}, "structured actions": {}}
STEPS = {"paper's configuration": 400_000, "structured actions": 400_000}


def collect(shop: Workshop) -> Data:
    """Training return of PPO at each rate, the critic's twice as high."""
    critic = ",".join(f"{2 * float(rate):g}" for rate in RATES)
    data = {}
    for regime, options in REGIMES.items():
        runs = shop.train(
            "paper-a", "ppo", STEPS[regime], sweep=(f"actor_rate={','.join(RATES)}", f"critic_rate={critic}"), **options
        )
        traces = shop.traces(runs, "episode_return")
        data[regime] = {f"rate {rate}": trace for rate, trace in zip(RATES, traces.values(), strict=True)}
    return data


def draw(data: Data) -> dict[str, object]:
    """One picture for each regime."""
    return {
        regime: over_training(panel, "reward: return per episode [bit/s/Hz]", "training episodes")
        for regime, panel in data.items()
    }


def judge(data: Data) -> list[Finding]:
    """Against the rate 1e-3, seed by seed."""
    findings = []
    for regime, panel in data.items():
        ends = {rate: ending(panel[f"rate {rate}"]) for rate in RATES}
        findings += [
            of_seeds(f"the actor rate 1e-3 ends above {rate}", regime, ends["1e-3"] - ends[rate])
            for rate in ("1e-2", "1e-5")
        ]
        level = 0.95 * ends["1e-3"]
        later = reached_at(panel["rate 1e-4"], level) - reached_at(panel["rate 1e-3"], level)
        statement = "1e-4 takes longer to 95 % of the end of 1e-3, if it ever gets there"
        findings.append(of_seeds(statement, regime, later, unit="episodes or more"))
        left = 1200 - settled_at(panel["rate 1e-3"])
        findings.append(of_seeds("1e-3 has settled after 1200 episodes", regime, left, unit="episodes to spare"))
    return findings


FIGURE = Figure(
    "liu-fig3",
    "Liu et al., Fig. 3",
    "Actor and critic rates of 1e-3 and 2e-3 converge to the highest reward after about 1200 episodes; ten times more "
    "and a hundred times less stay low; ten times less is slow.",
    "paper-a",
    collect,
    draw,
    judge,
    "The paper gives no number of environments; here 16 (its configuration) or 2048 (structured) learn side by side, "
    "and episodes count all of them.",
)
