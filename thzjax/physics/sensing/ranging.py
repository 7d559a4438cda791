"""Bounds on a target's range and radial velocity from a wideband waveform."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from thzjax.numeric import as_reals
from thzjax.units import SPEED_OF_LIGHT


def _variance(values: Array, weights: ArrayLike | None) -> Array:
    """Weighted variance over the last axis, `[..., n]` -> `[...]`; counted from the middle, for float32."""
    share = jnp.ones_like(values) if weights is None else jnp.asarray(weights, values.dtype)
    share = share / jnp.sum(share, axis=-1, keepdims=True)
    offset = values - jnp.sum(share * values, axis=-1, keepdims=True)
    return jnp.sum(share * offset**2, axis=-1)


def range_crb(snr: ArrayLike, offset_hz: Array, weights: ArrayLike | None = None) -> Array:
    """Bound on the variance of a range estimate: (c/2)^2/(8 pi^2 snr var(f)).

    var(f) is the power-weighted variance of the subcarriers, the mean square bandwidth: B^2/12 for a flat band.
    The echo's complex amplitude is unknown.

    Args:
      snr: sum of |echo sample|^2 over noise per complex sample, linear, `[...]`.
      offset_hz: subcarrier frequencies [Hz], from anywhere, `[..., F]`.
      weights: power of every subcarrier, up to scale, `[..., F]`; default equal.

    Returns:
      [m^2], `[...]`.

    Source: Kay, 1993, ch. 3 (time delay); two-way range R = c tau/2.
    """
    snr, offset_hz = as_reals(snr, offset_hz)
    spread = jnp.sqrt(_variance(offset_hz, weights))
    return (SPEED_OF_LIGHT / (2 * spread)) ** 2 / (8 * jnp.pi**2 * snr)


def velocity_crb(snr: ArrayLike, freq_hz: ArrayLike, times_s: Array, weights: ArrayLike | None = None) -> Array:
    """Bound on the variance of a radial velocity estimate: (c/(2 f))^2/(8 pi^2 snr var(t)).

    var(t) is the power-weighted variance of the symbols' times, T^2/12 for a steady dwell. With delay and Doppler
    both unknown and power that factors over time and frequency the two bounds do not disturb each other.

    Args:
      snr: as in `range_crb`, `[...]`.
      freq_hz: carrier f [Hz], `[...]`.
      times_s: times of the symbols [s], `[..., L]`.
      weights: power of every symbol, up to scale, `[..., L]`; default equal.

    Returns:
      [m^2/s^2], `[...]`.

    Source: Kay, 1993, ch. 15 (frequency); Doppler 2 v f/c.
    """
    snr, freq_hz, times_s = as_reals(snr, freq_hz, times_s)
    spread = jnp.sqrt(_variance(times_s, weights))
    return (SPEED_OF_LIGHT / freq_hz / (2 * spread)) ** 2 / (8 * jnp.pi**2 * snr)
