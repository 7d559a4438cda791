"""Channels that change and channels that are only estimated: time correlation, motion, imperfect knowledge."""

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.numeric import as_complex, as_real, as_reals, norm_or_zero, standard_normal
from thzjax.units import SPEED_OF_LIGHT

_SWITCH = 25.0
_NODES = 32
# Hankel's expansion: a_k(0) = ((-1)^k 1^2 3^2 .. (2k-1)^2)/(k! 8^k); the last one used is 1e-14 at x = 25.
_HANKEL = [1.0]
for _k in range(1, 14):
    _HANKEL.append(-_HANKEL[-1] * (2 * _k - 1) ** 2 / (_k * 8))


def bessel_j0(x: ArrayLike) -> Array:
    """Bessel function of the first kind and order zero, J0(x), `[...]`.

    Below 25 the mean of cos(x sin(t)) over 64 equal steps of the circle, exact to rounding as the error is
    2 J_64(x); above, Hankel's asymptotic expansion.

    Source: Abramowitz and Stegun, 9.1.18 and 9.2.5.
    """
    x = jnp.abs(as_real(x))
    below = x < _SWITCH  # not minimum and maximum: at a tie each has half a gradient
    small = jnp.where(below, x, _SWITCH)
    sines = jnp.sin(jnp.pi / _NODES * (jnp.arange(_NODES, dtype=x.dtype) + 0.5))
    near = jnp.mean(jnp.cos(small[..., None] * sines.reshape((1,) * x.ndim + (_NODES,))), axis=-1)
    large = jnp.where(below, _SWITCH, x)
    inverse = 1 / large
    p = sum((-1) ** (k // 2) * _HANKEL[k] * inverse**k for k in range(0, 14, 2))
    q = sum((-1) ** (k // 2) * _HANKEL[k] * inverse**k for k in range(1, 14, 2))
    turn = large - jnp.pi / 4
    far = jnp.sqrt(2 / (jnp.pi * large)) * (p * jnp.cos(turn) - q * jnp.sin(turn))
    return jnp.where(below, near, far)


def doppler_correlation(speed_m_s: ArrayLike, freq_hz: ArrayLike, interval_s: ArrayLike) -> Array:
    """Correlation of scattered fading after an interval T: rho = J0(2 pi f_D T), f_D = v f/c, `[...]`.

    Source: Clarke, 1968 (Jakes' spectrum).
    """
    speed_m_s, freq_hz, interval_s = as_reals(speed_m_s, freq_hz, interval_s)
    return bessel_j0(2 * jnp.pi / SPEED_OF_LIGHT * freq_hz * speed_m_s * interval_s)


def _complex_normal(key: Array, like: Array) -> Array:
    real, imag = 0.5**0.5 * standard_normal(key, (2, *like.shape), like.real.dtype)
    return lax.complex(real, imag)


def gauss_markov(key: Array, h: Array, rho: ArrayLike, power: ArrayLike = 1.0) -> Array:
    """Scattered channel one step later: h' = rho h + sqrt(1 - rho^2) w, w ~ CN(0, power).

    Stationary when the entries of h have that power. It is for the scattered part of a channel: a line of
    sight moves with its user (`move_in_disc`) and does not fade.

    Args:
      key: random key.
      h: complex `[...]`.
      rho: correlation, broadcasting against h (see `doppler_correlation`).
      power: E |w|^2, broadcasting against h.

    Returns:
      Complex, of h's shape.

    Source: the first-order Gauss-Markov model of Clarke's fading.
    """
    rho, power = (jnp.asarray(x, h.real.dtype) for x in (rho, power))
    fresh = jnp.sqrt(jnp.maximum(1 - rho**2, 0) * power)
    return as_complex(rho) * h + as_complex(fresh) * _complex_normal(key, h)


def estimated_channel(key: Array, H: Array, error: ArrayLike) -> Array:
    """What an estimator reports of a channel: H + e, e ~ CN(0, error mean|H|^2).

    Args:
      key: random key.
      H: complex `[..., a, b]`.
      error: normalised mean square error (0: perfect knowledge), `[...]`.

    Returns:
      Complex `[..., a, b]`.
    """
    # Relative to the largest entry: the squares of channel-sized numbers underflow float32.
    largest = jnp.max(jnp.abs(H), axis=(-2, -1), keepdims=True)
    largest = jnp.where(largest > 0, largest, 1)
    flat = (H / as_complex(largest)).reshape(*H.shape[:-2], -1)
    rms = largest * norm_or_zero(flat, keepdims=True)[..., None] / flat.shape[-1] ** 0.5
    deviation = jnp.sqrt(jnp.asarray(error, rms.dtype))[..., None, None] * rms
    return H + as_complex(deviation) * _complex_normal(key, H)


def move_in_disc(
    position_m: Array, velocity_m_s: Array, interval_s: ArrayLike, centre_m: Array, radius_m: ArrayLike
) -> tuple[Array, Array]:
    """Straight motion in the x-y plane for one interval, reflected at the edge of a disc.

    Args:
      position_m, velocity_m_s: `[..., 3]`; steps are shorter than the radius.
      interval_s: [s].
      centre_m: of the disc, `[..., 3]` [m].
      radius_m: of the disc [m].

    Returns:
      (position, velocity), `[..., 3]` each; the speed is kept.
    """
    interval_s, radius_m = (jnp.asarray(x, position_m.dtype) for x in (interval_s, radius_m))
    moved = position_m + velocity_m_s * interval_s
    offset = moved - centre_m
    flat = jnp.concatenate([offset[..., :2], jnp.zeros_like(offset[..., 2:])], axis=-1)
    distance = norm_or_zero(flat, keepdims=True)
    outside = distance > radius_m
    outward = flat / jnp.where(distance > 0, distance, 1)
    # The way beyond the edge is walked back along the radius.
    moved = jnp.where(outside, moved - 2 * (distance - radius_m) * outward, moved)
    along = jnp.sum(velocity_m_s * outward, axis=-1, keepdims=True)
    return moved, jnp.where(outside & (along > 0), velocity_m_s - 2 * along * outward, velocity_m_s)
