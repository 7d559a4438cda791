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
# # Paper B's rank-one trap
#
# Paper B lets a base station of 64 antennas serve 4 users over a surface, and its channel from the base station to
# the surface is a line of sight alone. That channel has rank one, and then the antennas cannot tell the users apart,
# whatever the surface does. This notebook shows the trap in numbers, what it does to every design and to the least
# SINR that can be asked for, and how scattered rays open it. The preset `paper-b-literal` is the paper's channel,
# `paper-b` has 5 rays.

# %%
# %matplotlib inline
import dataclasses

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from thzjax import plotting
from thzjax.beamforming import get_design
from thzjax.errors import ConfigError
from thzjax.experiment.compare import HELD_OUT_SEED
from thzjax.experiment.sweep import curves, sweep
from thzjax.plotting.style import BLUE, GREEN, GREY, INK, VERMILLION
from thzjax.systems.scenario import build, preset

CHANNELS = 64
SCENARIOS = {"line of sight alone": preset("paper-b-literal"), "with 5 rays": preset("paper-b")}
SYSTEMS = {name: build(scenario) for name, scenario in SCENARIOS.items()}
KEYS = jax.random.split(jax.random.key(0), CHANNELS)
DROPS = {name: jax.vmap(lambda key, s=s, p=p: s.sample(key, p))(KEYS) for name, (s, p) in SYSTEMS.items()}

# %% [markdown]
# ## One dimension
#
# Singular values of the base station's channel to the surface, and what they do to the users: how parallel are the
# rows of their effective channels, under random phases of the surface? Where every entry is 1, a beam that reaches
# one user reaches all in the same proportion.

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained", width_ratios=(1.2, 1, 1))
for (name, drops), colour in zip(DROPS.items(), (VERMILLION, BLUE), strict=True):
    values = np.linalg.svd(np.asarray(drops.bs_to_surface), compute_uv=False)
    mean_db = 20 * np.log10(np.maximum(values / values[:, :1], 1e-6)).mean(axis=0)
    axes[0].plot(np.arange(1, 9), mean_db[:8], "o-", color=colour, label=name)
axes[0].set(xlabel="singular value", ylabel="over the first [dB]", ylim=(-80, 5))
axes[0].legend(loc="lower center", fontsize=8)
axes[0].grid(alpha=0.3)
for ax, (name, (system, params)) in zip(axes[1:], SYSTEMS.items(), strict=True):
    psi = jax.vmap(lambda key, ch, s=system, p=params: s.random_design(key, p, ch).reflection)(KEYS, DROPS[name])
    H = np.asarray(system.effective_channel(DROPS[name], psi))
    unit = H / np.linalg.norm(H, axis=-1, keepdims=True)
    parallel = np.abs(unit @ unit.conj().swapaxes(-1, -2)).mean(axis=0)
    image = ax.imshow(parallel, vmin=0, vmax=1, cmap="cividis")
    for i, j in np.ndindex(parallel.shape):
        ax.text(j, i, f"{parallel[i, j]:.2f}", ha="center", va="center", color="w" if parallel[i, j] < 0.6 else "k")
    ax.set(title=name, xlabel="user", ylabel="user")
    ax.set_xticks(range(4), labels=range(1, 5))
    ax.set_yticks(range(4), labels=range(1, 5))
_ = figure.colorbar(image, ax=axes[1:], label="mean |cosine| between rows")

# %% [markdown]
# Zero forcing has nothing to force with, and the library says so:

# %%
system, params = SYSTEMS["line of sight alone"]
try:
    get_design("zf", "focused")(system, params, DROPS["line of sight alone"], jax.random.key(0))
except ConfigError as refusal:
    print(refusal)

# %% [markdown]
# ## A sum that cannot pass one
#
# With parallel rows, user k receives from beam j the power g_k p_j, p_j the power of beam j in the one direction
# there is, and so
#
#     SINR_k/(1 + SINR_k) = g_k p_k/(sum_j g_k p_j + noise_k) <= p_k/sum_j p_j:   sum_k SINR_k/(1 + SINR_k) <= 1.
#
# In general the sum is at most the rank. Each dot is a channel with a random design, or with one that tries hard.


# %%
def total(name, method, surface):
    """sum_k SINR_k/(1 + SINR_k) of a design on every channel."""
    system, params = SYSTEMS[name]

    @jax.jit
    def solve(drops):
        design = get_design(method, surface)(system, params, drops, jax.random.key(1))
        design = system.meet(params, drops, system.project(params, drops, design))
        sinr = system.sinr(params, drops, design)
        return jnp.sum(sinr / (1 + sinr), axis=-1)

    return np.asarray(solve(DROPS[name]))


METHODS = (("random", "random"), ("mrt", "focused"), ("rzf", "focused"), ("wmmse_sum", "focused"))
figure, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
scatter = np.random.default_rng(0).uniform(-0.12, 0.12, CHANNELS)
for (name, colour), side in zip(
    (("line of sight alone", VERMILLION), ("with 5 rays", BLUE)), (-0.18, 0.18), strict=True
):
    totals = np.array([total(name, *method) for method in METHODS])
    for x, values in enumerate(totals):
        ax.plot(x + side + scatter, values, ".", color=colour, markersize=4, label=name if x == 0 else None)
    print(f"{name}: at most {totals.max():.4f}")
ax.axhline(1, color=INK, linestyle="--", linewidth=1, label="limit of rank one")
ax.set_xticks(range(len(METHODS)), labels=[method for method, _ in METHODS])
ax.set(xlabel="design", ylabel="sum of SINR/(1 + SINR)", ylim=(0, 4))
ax.grid(axis="y", alpha=0.3)
_ = figure.legend(loc="outside lower center", ncols=3)

# %% [markdown]
# ## What may be asked of it
#
# If all K users are to have the same SINR, the sum gives SINR <= r/(K - r) for a channel of rank r < K: with K = 4
# and one path -4.8 dB. A scenario that asks for more can only fail on every channel, so it is refused before anything
# runs:

# %%
try:
    build(dataclasses.replace(preset("paper-b-literal"), min_sinr_db=0.0))
except ConfigError as refusal:
    print(refusal)

# %%
users = np.arange(2, 13)
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for rank, colour, marker in ((1, VERMILLION, "o"), (2, GREEN, "^"), (3, BLUE, "s")):
    beyond = users[users > rank]
    ax.plot(beyond, 10 * np.log10(rank / (beyond - rank)), marker + "-", color=colour, label=f"rank {rank}")
ax.axhline(preset("paper-b").min_sinr_db, color=GREY, linestyle=":", label="least SINR of the preset paper-b")
ax.set(xlabel="users K", ylabel="largest SINR in common [dB]")
ax.grid(alpha=0.3)
ax.legend()
print(f"K = 4, rank 1: {10 * np.log10(1 / 3):.1f} dB")

# %% [markdown]
# ## The way out
#
# Scattered rays between base station and surface. The sum rate of the same design against their number, with nothing
# asked for a single user, so that only the channel limits it; the grey lines are one user alone, and a bound that no
# design can pass.

# %%
RAYS = ("0", "1", "3", "5")
anyone = tuple(name for name in preset("paper-b").constraints if name != "min_sinr")
asked = dataclasses.replace(preset("paper-b"), constraints=anyone)
rows = sweep(asked, "num_rays_bs", RAYS, 32, HELD_OUT_SEED, lambda text: None, ("wmmse_sum/focused",))
drawn, anchors = curves(rows, RAYS)
plotting.sweep_curves(np.array([int(n) for n in RAYS]), None, drawn, "scattered rays to the surface", anchors=anchors)

# %%
rates = drawn["wmmse_sum, focused"]["mean"]
for rays, rate, alone in zip(RAYS, rates, anchors["one user alone"], strict=True):
    print(f"{rays} rays: 4 users {rate:.2f} bit/s/Hz, one user alone {alone:.2f}")

# %% [markdown]
# Without rays, 4 users together have no more than one of them would have alone: serving them in turn is as good.
# Results for several users on a pure line of sight, and constraints on their SINR above -4.8 dB, are not about this
# channel, whatever learns on it. The default `paper-b` has 5 rays, and 0 dB for every user is within reach.
