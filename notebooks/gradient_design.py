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
# # Designing by gradient, through the simulator
#
# Everything from a drop's channels to rates and slacks is one differentiable function. So a design needs no algorithm
# of its own: climb the gradient of what you want. This notebook does that with a dozen lines of `optax` and lets the
# library's designs judge the result, then differentiates by something else: by physical parameters, and by the place
# where the surface hangs.

# %%
# %matplotlib inline
import functools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from thzjax.beamforming import focused, get_design, mrt
from thzjax.experiment.statistics import mean_interval
from thzjax.numeric import cis
from thzjax.plotting.style import BLUE, GREEN, GREY, VERMILLION
from thzjax.systems.base import Design
from thzjax.systems.scenario import build, preset

system, params = build(preset("paper-a"))
smooth = system.continuous  # a phase that jumps between levels has no slope
CHANNELS = 64
channels = jax.vmap(lambda key: system.sample(key, params))(jax.random.split(jax.random.key(0), CHANNELS))

# %% [markdown]
# ## What is climbed
#
# A design is a beamformer and a phase for each element. `project` clips each antenna to its power, `meet` scales the
# design to the beam-pattern limit in closed form, and both are differentiated through: whatever the variables are,
# what is judged is feasible.


# %%
def design_of(x):
    """The design that real variables stand for."""
    unit = jnp.sqrt(params.power_w / system.num_antennas)
    return Design(unit * jax.lax.complex(x["re"], x["im"]), cis(x["phase"]))


def rate(x, channels):
    """Sum rate of the design after projection and scaling [bit/s/Hz], `[...]`."""
    design = smooth.meet(params, channels, smooth.project(params, channels, design_of(x)))
    return jnp.sum(smooth.outcome(params, channels, design).rates, axis=-1)


def variables(W, phase):
    """The real variables of a design."""
    W = W * jnp.sqrt(system.num_antennas / params.power_w)
    return {"re": jnp.real(W), "im": jnp.imag(W), "phase": phase}


def matched(phase):
    """Maximum-ratio beams for the surface's phases, as variables."""
    W = mrt(system.effective_channel(channels, cis(phase)))
    return variables(system.fit_power(params, W), phase)


# %% [markdown]
# Is the gradient right? The slope along a random direction, beside a difference of two values of the function (in
# float32, so some digits agree). Not at the start itself: there the strongest antenna has exactly the power that it
# may have, and the clip has a kink.

# %%
start = matched(focused(channels))
total = jax.jit(lambda x: jnp.sum(rate(x, channels)))


def moved(x, way, step):
    """The variables a step along a way."""
    return jax.tree.map(lambda v, w: v + step * w, x, way)


ways = [
    jax.tree.map(lambda v, k=key: jax.random.normal(k, v.shape), start) for key in jax.random.split(jax.random.key(1))
]
aside = moved(start, ways[0], 0.1)
slope = sum(jnp.vdot(g, w) for g, w in zip(*map(jax.tree.leaves, (jax.grad(total)(aside), ways[1])), strict=True))
difference = (total(moved(aside, ways[1], 1e-3)) - total(moved(aside, ways[1], -1e-3))) / 2e-3
print(f"slope by differentiation {slope:.2f}, by differences {difference:.2f}")

# %% [markdown]
# ## Climbing
#
# Adam from three starts: surface focused on the strongest user, surface at random, everything at random. All channels
# climb at once, each on its own, as the sum over channels falls apart into one problem each.


# %%
@jax.jit
def climb(x):
    """The variables after an ascent, and the rate on every channel along the way, `[steps, channels]`."""
    optimiser = optax.adam(optax.cosine_decay_schedule(0.05, STEPS))

    def one(carry, _):
        x, state = carry
        (_, now), gradient = jax.value_and_grad(loss, has_aux=True)(x)
        updates, state = optimiser.update(gradient, state)
        return (optax.apply_updates(x, updates), state), now

    def loss(x):
        now = rate(x, channels)
        return -jnp.sum(now), now

    (x, _), rates = jax.lax.scan(one, (x, optimiser.init(x)), length=STEPS)
    return x, rates


STEPS = 300
keys = jax.random.split(jax.random.key(2), 3)
anyhow = 2 * jnp.pi * jax.random.uniform(keys[0], (CHANNELS, system.spec.elements))
shape = (CHANNELS, system.num_antennas, system.num_users)
noise = jax.lax.complex(*jax.random.normal(keys[1], (2, *shape)))
starts = {
    "focused surface": start,
    "random surface": matched(anyhow),
    "everything random": variables(system.fit_power(params, noise), anyhow),
}
climbed = {name: climb(x) for name, x in starts.items()}

# %% [markdown]
# What the library does on the same channels with the same continuous phases: alternating optimisation, and
# `gradient`, which climbs from many starts and keeps the best.


# %%
@functools.partial(jax.jit, static_argnums=0)
def solved(method):
    """Feasible rate of a registered design on every channel."""
    design = get_design(method, "joint")(smooth, params, channels, jax.random.key(3))
    design = smooth.meet(params, channels, smooth.project(params, channels, design))
    return jnp.sum(smooth.outcome(params, channels, design).rates, axis=-1)


library = {method: float(jnp.mean(solved(method))) for method in ("alternating", "gradient")}

figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for (name, (_, rates)), colour in zip(climbed.items(), (BLUE, GREEN, VERMILLION), strict=True):
    low, high = np.array([mean_interval(np.asarray(row, float)) for row in rates]).T
    mean = np.mean(rates, axis=1)
    ax.plot(mean, color=colour, label=name)
    ax.fill_between(np.arange(STEPS), low, high, color=colour, alpha=0.15, linewidth=0)
for (method, value), dashes in zip(library.items(), ("--", ":"), strict=True):
    ax.axhline(value, color=GREY, linestyle=dashes, label=method)
ax.set(xlabel="gradient steps", ylabel="feasible sum rate [bit/s/Hz]", xlim=(0, STEPS), ylim=(0, None))
ax.grid(alpha=0.3)
_ = ax.legend(loc="lower right")

# %%
last = np.stack([np.asarray(rates[-1]) for _, rates in climbed.values()])
for name, value in zip(climbed, last.mean(axis=1), strict=True):
    print(f"{name}: {value:.2f} bit/s/Hz")
print(f"best of the three on each channel: {last.max(axis=0).mean():.2f}")
print(", ".join(f"{method}: {value:.2f}" for method, value in library.items()))

# %% [markdown]
# The problem is not convex: where one ends depends on where one began. Several starts and the best of them is the
# cure, and the reason why `gradient` is called a reference here, not an optimum.
#
# ## What is a decibel worth?
#
# Channels are drawn from the parameters by functions that are differentiable as well. So the mean rate has a slope by
# every physical parameter at once, from one backward pass. The design is held; as it is a (local) optimum, following
# the parameter with the design would change the slope only in second order.

# %%
best = climbed["focused surface"][0]


def drops(params):
    """The same drops under other parameters."""
    return jax.vmap(lambda key: system.sample(key, params))(jax.random.split(jax.random.key(0), CHANNELS))


@jax.jit
@jax.grad
def slopes(params):
    """Slope of the mean rate of the designs that were found by every parameter."""
    there = drops(params)
    design = smooth.meet(params, there, smooth.project(params, there, design_of(best)))
    return jnp.mean(jnp.sum(smooth.outcome(params, there, design).rates, axis=-1))


by = slopes(params)
names = {
    "element_gain": "gain of an element",
    "user_gain": "gain of a user's antenna",
    "power_w": "transmit power",
    "noise_w": "receiver noise",
    "pattern_threshold": "beam-pattern limit",
    "blockage": "blocked links",
}
per_db = {text: float(getattr(by, name) * getattr(params, name)) * np.log(10) / 10 for name, text in names.items()}
figure, ax = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
ax.barh(list(per_db), per_db.values(), color=[BLUE if value > 0 else VERMILLION for value in per_db.values()])
ax.axvline(0, color=GREY, linewidth=0.8)
ax.invert_yaxis()
ax.set(xlabel="bit/s/Hz for 1 dB more", ylabel="")
ax.grid(axis="x", alpha=0.3)

# %%
for text, value in per_db.items():
    print(f"{text}: {value:+.3f} bit/s/Hz for 1 dB more")

# %% [markdown]
# An element's gain counts on both of its hops. More power is worth nothing: these designs use what the beam-pattern
# limit leaves, not what the amplifiers could give, and so a looser limit is worth something. Less noise helps as it
# does everywhere.
#
# ## Where should the surface hang?
#
# The same by its place along the wall, with the design made anew at each place by a closed form (surface focused on
# the strongest user, maximum-ratio beams), which is differentiated through as well. Short lines are the slopes.


# %%
@jax.jit
@jax.vmap
@jax.value_and_grad
def at(x_m):
    """Mean rate with the surface's centre at x [m]."""
    moved = params.replace(surface_position_m=params.surface_position_m.at[0].set(x_m))
    there = drops(moved)
    psi = smooth.snap(moved, there, focused(there))
    W = smooth.fit_power(moved, mrt(smooth.effective_channel(there, psi)))
    design = smooth.meet(moved, there, smooth.project(moved, there, Design(W, psi)))
    return jnp.mean(jnp.sum(smooth.outcome(moved, there, design).rates, axis=-1))


x_m = np.linspace(-1, 9, 101)
value, slope = (np.asarray(a) for a in at(jnp.asarray(x_m)))
figure, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
ax.plot(x_m, value, color=BLUE, label="mean rate")
for i in range(5, len(x_m), 10):
    reach = np.array([-0.35, 0.35])
    ax.plot(
        x_m[i] + reach,
        value[i] + slope[i] * reach,
        color=VERMILLION,
        label="slope by differentiation" if i == 5 else None,
    )
ax.axvline(float(params.surface_position_m[0]), color=GREY, linestyle=":", label="the preset")
ax.set(xlabel="surface along the wall, x [m]", ylabel="feasible sum rate [bit/s/Hz]")
ax.grid(alpha=0.3)
_ = ax.legend()

# %%
print(f"highest at x = {x_m[np.argmax(value)]:.1f} m: {value.max():.2f} bit/s/Hz")
