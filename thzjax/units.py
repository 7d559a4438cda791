"""Physical constants and unit conversions. Inside the library everything is SI, linear and in radians."""

import math
from typing import TypeVar

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from thzjax.numeric import as_real

SPEED_OF_LIGHT = 299_792_458.0
"""c [m/s], exact."""
FREE_SPACE_IMPEDANCE = 376.730313412
"""Z0 [ohm], CODATA 2022."""
THERMAL_NOISE_DBM_HZ = -174.0
"""Thermal noise density at room temperature [dBm/Hz], the rounded value link budgets use."""

_Num = TypeVar("_Num", float, Array)


def db_to_linear(x: ArrayLike) -> Array:
    """Power ratio 10^(x/10) of `x` [dB]."""
    return 10.0 ** (as_real(x) / 10)


def linear_to_db(x: ArrayLike) -> Array:
    """10 log10(x) [dB] of a power ratio."""
    return 10 * jnp.log10(as_real(x))


def dbm_to_watt(x: ArrayLike) -> Array:
    """Power [W] of `x` [dBm]."""
    return 10.0 ** ((as_real(x) - 30) / 10)


def watt_to_dbm(x: ArrayLike) -> Array:
    """Power [dBm] of `x` [W]."""
    return 10 * jnp.log10(as_real(x)) + 30


def db_per_km_to_per_m(x: _Num) -> _Num:
    """Attenuation [dB/km] as a power absorption coefficient [1/m]: x ln(10)/1e4."""
    return x * (math.log(10) / 1e4)


def per_m_to_db_per_km(x: _Num) -> _Num:
    """Power absorption coefficient [1/m] as attenuation [dB/km]: x 1e4/ln(10)."""
    return x * (1e4 / math.log(10))


def thermal_noise_w(bandwidth_hz: float, noise_figure_db: float) -> float:
    """Receiver noise [W] = 10^((-174 - 30 + NF)/10) B: on the host, for configurations."""
    return 10 ** ((THERMAL_NOISE_DBM_HZ - 30 + noise_figure_db) / 10) * bandwidth_hz
