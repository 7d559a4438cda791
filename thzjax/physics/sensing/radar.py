"""Radar: target responses, paper A's received signal, echo amplitudes and fluctuation."""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import as_complex, as_reals, cis, matmul, trailing
from thzjax.physics.channels import ray_channel
from thzjax.physics.propagation import fractional_cycles
from thzjax.units import SPEED_OF_LIGHT


def target_response(gains: Array, receive: Array, transmit: Array) -> Array:
    """Response matrix of targets: sum_t gain_t receive_t transmit_t^H.

    Args:
      gains: complex, `[..., T]`.
      receive: `[..., T, Mr]`.
      transmit: `[..., T, Mt]` (conjugated here).

    Returns:
      Complex `[..., Mr, Mt]`.

    Source: paper A, eq. (15), over targets; the paper sums over users while naming three targets.
    """
    return ray_channel(gains, receive, transmit)


def radar_channel(H1: Array, reflection: Array, B: Array, A: Array, reciprocal: bool = False) -> Array:
    """From the base station's antennas back to them, over the surface and directly: H1^H V B V^H H1 + A.

    Args:
      H1: base station to surface, `[..., N, M]`.
      reflection: the diagonal of V, `[..., N]`.
      B: target response seen from the surface, `[..., N, N]` (`target_response`).
      A: target response seen from the base station, `[..., M, M]`; one per user for (41).
      reciprocal: H1^T V B V H1 + A, the way back as physics has it.

    Returns:
      Complex `[..., M, M]`.

    Source: paper A, eqs. (14) and (41).
    """
    if reciprocal:
        forward = reflection[..., None] * H1
        back = jnp.swapaxes(forward, -1, -2)
    else:
        forward = jnp.conj(reflection)[..., None] * H1
        back = jnp.conj(jnp.swapaxes(forward, -1, -2))
    return matmul(matmul(back, B), forward) + A


def radar_signal(key: Array, radar: Array, X: Array, noise_w: ArrayLike) -> Array:
    """Signal at the base station's radar receiver: y = radar X + n, n ~ CN(0, noise).

    Args:
      key: random key.
      radar: `[..., M, M]` (`radar_channel`).
      X: transmitted samples, `[..., M, L]`.
      noise_w: noise per antenna and sample [W], `[...]`.

    Returns:
      Complex `[..., M, L]`.

    Source: paper A, eq. (14); eq. (41) with a leading user axis.
    """
    return add_noise(key, matmul(radar, X), noise_w)


def add_noise(key: Array, signal: Array, noise_w: ArrayLike) -> Array:
    """signal `[..., a, b]` + CN(0, noise), noise `[...]` [W]."""
    real, imag = jax.random.normal(key, (2, *signal.shape), signal.real.dtype)
    deviation = jnp.sqrt(jnp.asarray(noise_w, real.dtype) / 2)
    return signal + trailing(as_complex(deviation), 2) * lax.complex(real, imag)


def radar_amplitude(
    freq_hz: ArrayLike, dist_m: ArrayLike, k_abs: ArrayLike, rcs_m2: ArrayLike, gain: ArrayLike = 1.0
) -> Array:
    """Echo amplitude: beta = sqrt(gain lambda^2 rcs/((4 pi)^3 d^4)) exp(-k d) exp(-j 4 pi f d/c).

    Args:
      freq_hz: f [Hz], `[...]`.
      dist_m: distance d of the target [m], `[...]`.
      k_abs: power absorption coefficient k [1/m], `[...]`.
      rcs_m2: radar cross section [m^2], `[...]`.
      gain: power gain out times in (linear), `[...]`.

    Returns:
      Complex `[...]`; the phase is reduced by whole wavelengths first.

    Source: the radar equation (Skolnik); paper B's echo. A Swerling 1 target is this times the root of
    `swerling_gain`.
    """
    freq_hz, dist_m, k_abs, rcs_m2, gain = as_reals(freq_hz, dist_m, k_abs, rcs_m2, gain)
    spreading = SPEED_OF_LIGHT / freq_hz * jnp.sqrt(gain * rcs_m2 / (4 * math.pi) ** 3) / dist_m**2
    phase = -2 * jnp.pi * fractional_cycles(freq_hz, 2 * dist_m)
    return as_complex(spreading * jnp.exp(-k_abs * dist_m)) * cis(phase)


def swerling_gain(key: Array, shape: tuple[int, ...], model: str) -> Array:
    """Fluctuation of a target's power: ones ("swerling0") or exponential of mean 1 ("swerling1"), `shape`.

    One draw per dwell. Raises ConfigError for another model. Source: Swerling, 1960.
    """
    if model == "swerling0":
        return jnp.ones(shape)
    if model == "swerling1":
        return jax.random.exponential(key, shape)
    raise ConfigError(f"model={model!r} is unknown: use 'swerling0' or 'swerling1'")
