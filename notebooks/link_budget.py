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
# # A first link budget at 0.55 THz
#
# Before anything is optimised: what does a terahertz link lose on its way, and what must make up for it? This
# notebook follows the signal of one user of the preset `paper-a` from the base station over the surface, term by
# term, checks the sum against the simulator, and then asks what the air does to it. `thzjax show paper-a` draws the
# same for a drop and a design.

# %%
# %matplotlib inline
import dataclasses

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from thzjax import plotting
from thzjax.beamforming.anchors import alone_powers
from thzjax.physics import absorption
from thzjax.plotting.style import BLUE, GREY, INK
from thzjax.systems.budget import absorption_db, spreading_db
from thzjax.systems.medium import STANDARD_AIR
from thzjax.systems.scenario import build, preset
from thzjax.systems.views import link_budgets, view
from thzjax.units import linear_to_db, per_m_to_db_per_km

scenario = preset("paper-a")
system, params = build(scenario)

# %% [markdown]
# The warning is the first lesson: paper A's absorption is far from what the standard atmosphere absorbs at its
# carrier. The last two sections come back to it.
#
# ## One hop
#
# Spreading alone, between isotropic antennas:

# %%
for dist_m in (1.0, 5.0, 10.0):
    print(f"{dist_m:4.0f} m: {float(spreading_db(scenario.freq_hz, dist_m)):.1f} dB")

# %% [markdown]
# ## The scene
#
# The base station, a linear array along y, sees the users only through something that takes 33 dB (dashed); the
# surface faces both. A number on a path is its spreading, absorption and blockage, without any antenna's gain.

# %%
users_m = jnp.array([[2.5, -1.0, 0.0], [3.5, 1.2, 0.0], [5.0, -0.5, 0.0], [5.5, 1.0, 0.0]])
nodes, links, area_m = view(system).layout(system, params, users_m)
plotting.scenario_map(nodes, links, area_m)

# %% [markdown]
# ## Term by term
#
# What user 2 gets if everything serves it alone: all the power on a matched beam, every element's phase aligned. Look
# at the two spreading terms, which multiply where a direct path has one, and at what pays for them: directive
# antennas, and the elements in phase, which count twice, once gathering and once sending.


# %%
def terms(names, values_db):
    """(name, value [dB]) of every term."""
    return [(name, float(value)) for name, value in zip(names, values_db, strict=True)]


user_m = users_m[1]
budgets = jax.jit(link_budgets, static_argnums=0)(system, params, user_m)
over = budgets["over the surface"]
plotting.budget_waterfall(terms(over.names, over.gains_db), terms(over.noise_names, over.noises_db))

# %%
for name, budget in budgets.items():
    snr = 10 ** (float(budget.snr_db) / 10)
    print(f"{name}: SNR {float(budget.snr_db):.1f} dB, at most {np.log2(1 + snr):.2f} bit/s/Hz")

# %% [markdown]
# ## The simulator agrees
#
# The budget leaves out scattered rays and phase levels. Without them the simulator's channel, with the surface
# aligned and the beam matched by `alone_powers`, must have the same SNR.

# %%
bare, bare_params = build(dataclasses.replace(scenario, num_users=1, num_rays=0, phase_bits=0))
channels = bare.sample(jax.random.key(0), bare_params, user_m[None])
signal_w, noise_w = alone_powers(bare, bare_params, channels)
budget_db, simulated_db = float(over.snr_db), float(linear_to_db(signal_w / noise_w)[0])
print(f"budget {budget_db:.2f} dB, simulator {simulated_db:.2f} dB")

# %% [markdown]
# ## What the air takes
#
# Line by line after ITU-R P.676 in standard air, with the bands shaded in which the path over the surface loses no
# more than 1 dB. The diamond is the absorption that paper A reckons with: it stands far below the air at that
# frequency, which is beside the water line at 557 GHz.

# %%
length_m = {(link.start, link.end): link.length_m for link in links}
path_m = length_m["BS", "surface"] + length_m["surface", "user 2"]
freq_hz = np.linspace(200e9, 700e9, 2001)
k_abs = absorption.p676_attenuation(freq_hz, *STANDARD_AIR)
limit_per_m = np.log(10) / 10 / path_m
plotting.absorption_spectrum(
    freq_hz,
    {"ITU-R P.676, standard air": per_m_to_db_per_km(np.asarray(k_abs))},
    absorption.transmission_windows(freq_hz, k_abs, limit_per_m),
    (per_m_to_db_per_km(limit_per_m), f"1 dB over {path_m:.1f} m"),
    (scenario.freq_hz, per_m_to_db_per_km(scenario.k_abs)),
)

# %%
models = {"paper A's constant": scenario.k_abs, "ITU-R P.676": absorption.p676_attenuation(550e9, *STANDARD_AIR)}
lost_db = {name: -float(absorption_db(path_m, k)) for name, k in models.items()}
for name, loss in lost_db.items():
    print(f"{name}: {loss:.2f} dB over {path_m:.1f} m at 550 GHz")

# %% [markdown]
# ## The same link at other carriers
#
# Physical parameters are arguments, so a sweep is a `vmap` over them. Gains in dBi stay as they are while the carrier
# moves, so only spreading and air change.


# %%
def snr_db(freq_hz, k_abs):
    """SNR of the user over the surface at another carrier [dB]."""
    there = params.replace(freq_hz=freq_hz, k_abs=k_abs)
    return link_budgets(system, there, user_m)["over the surface"].snr_db


along = jax.jit(jax.vmap(snr_db))
humid_db, dry_db = along(jnp.asarray(freq_hz), k_abs), along(jnp.asarray(freq_hz), jnp.zeros_like(k_abs))
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.plot(freq_hz / 1e9, dry_db, color=GREY, linestyle="--", label="no absorption")
ax.plot(freq_hz / 1e9, humid_db, color=BLUE, label="ITU-R P.676, standard air")
ax.plot(scenario.freq_hz / 1e9, budget_db, "D", color=INK, label="the preset as it is")
ax.set(xlabel="carrier [GHz]", ylabel="SNR of one user [dB]", xlim=(200, 700), ylim=(-20, 45))
ax.grid(alpha=0.3)
_ = ax.legend(loc="lower left")

# %% [markdown]
# Over a few metres the windows cost little; near a line the link is gone. Results at 0.55 THz with a constant
# absorption are those of a link in a window, wherever the carrier is said to be. `absorption="p676"` in a scenario,
# or `--set absorption=p676` on the command line, puts the air back, and `freq_hz` moves the carrier.
