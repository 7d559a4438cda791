# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A constraint of your own
#
# Somebody else's receiver stands 30 degrees off broadside, beside a direction to which paper A's base station is to
# send power, and may be sent no more than 2 mW. No preset knows such a constraint. Here it is added, as one function
# of a design, and everything that designs or judges takes it into account: searches respect it, learners price it,
# tables count who breaks it. `docs/extending.md` has the rest: designs, channel models, systems, maps.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import thzjax
from thzjax import plotting
from thzjax.experiment.files import read_records
from thzjax.physics import beampattern
from thzjax.plotting.style import BLUE, GREEN, GREY, INK, VERMILLION
from thzjax.systems.irs_constraints import CONSTRAINTS
from thzjax.systems.scenario import build, preset
from thzjax.units import linear_to_db

DIRECTION_DEG, LIMIT_W = 30.0, 2e-3
CHANNELS = 256
system, params = build(preset("paper-a"))

# %% [markdown]
# ## Before
#
# What do known designs send there?

# %%
THREE = ("mrt/focused", "wmmse_sum/focused", "gradient")


def towards_w(beamformer, azimuth_deg):
    """Power sent to directions [W], `[..., A]`."""
    R = beampattern.transmit_covariance(beamformer)
    return beampattern.beam_pattern(R, jnp.deg2rad(jnp.asarray(azimuth_deg)))


def sent_w(result, azimuth_deg):
    """Power that each design, scaled to the beam pattern, sends to directions [W], by method `[channels, A]`."""
    sent = {}
    for row, design in zip(result.rows, result.designs, strict=True):
        feasible = system.meet(params, None, design)  # this system's scaling looks at no channel
        sent[row["method"]] = np.asarray(towards_w(feasible.beamformer, azimuth_deg))
    return sent


before = thzjax.evaluate(preset="paper-a", channels=CHANNELS, methods=THREE)
for method, power_w in sent_w(before, [DIRECTION_DEG]).items():
    mean_mw, share = 1e3 * power_w.mean(), np.mean(power_w > LIMIT_W)
    print(f"{method}: {mean_mw:.1f} mW on average, too much on {100 * share:.0f} % of the channels")

# %% [markdown]
# ## The constraint
#
# A slack is dimensionless and at least 0 where the constraint holds: 1 - value/limit. It is a pure function of
# batched arrays, so it is compiled, differentiated and vectorised with everything else. A name in `CONSTRAINTS` is
# all it takes.


# %%
def protected_slack(system, params, channels, design):
    """1 - P(30 degrees)/(2 mW)."""
    return 1 - towards_w(design.beamformer, [DIRECTION_DEG])[..., 0] / LIMIT_W


CONSTRAINTS["protected"] = protected_slack
careful = {"constraints": ("antenna_power", "beam_pattern", "protected")}

# %% [markdown]
# ## Learners that are told
#
# PPO by primal-dual gets a multiplier for it: the price of the receiver's disturbance, found in training. Its usual
# form holds the *mean* slack, as paper A has it; of the kind `per_realisation` it holds the mean *violation*, close
# to 0. A violation is small where most channels have none, so its multiplier takes larger steps, and the run is
# longer.

# %%
FOLDER = Path(tempfile.mkdtemp())


def careful_ppo(kind, steps, **options):
    """PPO under the constraint, with multipliers of a kind."""
    options = careful | {f"learner.primal_dual.{name}": value for name, value in {"kind": kind, **options}.items()}
    return thzjax.train("paper-a", agent="ppo", steps=steps, overrides=options, out=FOLDER / kind)


runs = {
    "on average": careful_ppo("ergodic", 400_000),
    "everywhere": careful_ppo("per_realisation", 1_200_000, step_mu=0.5),
}

# %% [markdown]
# The multipliers of the first: the one that was there, and the one that is new.

# %%
plotting.multipliers(read_records(runs["on average"].folder / "metrics.jsonl"), ["beam_pattern", "protected"])

# %% [markdown]
# ## After
#
# Who breaks it, as designed and after scaling to the beam pattern, and what is left of the rate. Scaling mends the
# beam pattern but not this constraint, as nobody said how, and a channel with a broken constraint counts as 0 in the
# feasible rate.

# %%
after = {
    name: thzjax.evaluate(run, CHANNELS, methods=THREE if name == "on average" else ()) for name, run in runs.items()
}
print(after["on average"])
for name, result in after.items():
    (row,) = (row for row in result.rows if row["method"] == "ppo")
    lost = row["violation_rate_feasible"]
    print(f"ppo, {name}: {row['rate_feasible']:.2f} bit/s/Hz, broken on {100 * lost:.0f} % of the channels")

# %% [markdown]
# Mean power over directions, with the limit as a mark.

# %%
azimuth_deg = np.arange(-90, 91, 1.0)
told = sent_w(after["on average"], azimuth_deg)
lines = {
    "gradient, not told": (sent_w(before, azimuth_deg)["gradient"], GREY, "--"),
    "gradient": (told["gradient"], BLUE, "-"),
    "ppo, on average": (told["ppo"], GREEN, "--"),
    "ppo, everywhere": (sent_w(after["everywhere"], azimuth_deg)["ppo"], GREEN, "-"),
    "mrt": (told["mrt"], VERMILLION, "-"),
}
figure, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
for name, (power_w, colour, dashes) in lines.items():
    ax.plot(azimuth_deg, 30 + linear_to_db(power_w.mean(axis=0)), color=colour, linestyle=dashes, label=name)
ax.plot(DIRECTION_DEG, 30 + 10 * np.log10(LIMIT_W), "v", color=INK, label="protected receiver's limit")
ax.set(xlabel="azimuth [deg]", ylabel="mean power sent [dBm]", xlim=(-90, 90), ylim=(-12, 8))
ax.grid(alpha=0.3)
_ = figure.legend(loc="outside lower center", ncols=3)

# %%
was, now = ({row["method"]: row["rate_feasible"] for row in result.rows} for result in (before, after["on average"]))
for method in ("gradient", "wmmse_sum", "mrt"):
    print(f"{method}: {was[method]:.2f} bit/s/Hz before, {now[method]:.2f} after")

# %% [markdown]
# What the protection costs is the difference for `gradient`, which gives up little. Closed forms that know nothing of
# the constraint lose nearly all channels. A multiplier on the mean is not enough where every channel counts: it is
# satisfied with half of them on either side of the limit. One on the violation is, and its policy keeps away from the
# limit.

# %%
del CONSTRAINTS["protected"]  # for whatever runs next in this kernel
