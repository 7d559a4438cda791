"""Spatially consistent drops: random fields over space, so that users close together see similar channels."""

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import matmul


@struct.dataclass
class RandomField:
    """Independent standard normal fields over space, each a sum of plane waves.

    Attributes:
      wavevector: `[num, waves, 3]` [rad/m].
      phase: `[num, waves]` [rad].
    """

    wavevector: Array
    phase: Array


def random_field(
    key: Array, num: int, correlation_m: ArrayLike, kernel: str = "exponential", waves: int = 64
) -> RandomField:
    """Draw fields of zero mean and unit variance whose correlation depends on the distance d alone.

    The correlation is the characteristic function of the wavevector's distribution: normal wavevectors give
    the Gaussian kernel; a multivariate Cauchy (a normal over an independent normal) the exponential one.

    Args:
      key: random key.
      num: number of independent fields.
      correlation_m: correlation distance d_c [m].
      kernel: "exponential", exp(-d/d_c), or "gaussian", exp(-d^2/(2 d_c^2)).
      waves: waves per field; a field is normal in the limit of many.

    Returns:
      `RandomField`; evaluate with `field_values`.

    Raises:
      ConfigError: unknown kernel.

    Source: spatial consistency as in 3GPP TR 38.901, 7.6.3, by sums of sinusoids (Jaeckel et al., 2018).
    """
    if kernel not in ("exponential", "gaussian"):
        raise ConfigError(f"kernel={kernel!r} is unknown: use 'exponential' or 'gaussian'")
    key_wave, key_mix, key_phase = jax.random.split(key, 3)
    wavevector = jax.random.normal(key_wave, (num, waves, 3)) / correlation_m
    if kernel == "exponential":
        mix = jnp.abs(jax.random.normal(key_mix, (num, waves, 1)))
        # A wave much shorter than any distance of interest adds noise alone: bound it where float32 has phase left.
        wavevector = wavevector / jnp.maximum(mix, 1e-4)
    return RandomField(wavevector, jax.random.uniform(key_phase, (num, waves), maxval=2 * jnp.pi))


def field_values(field: RandomField, position_m: Array) -> Array:
    """The fields at positions `[..., 3]` [m]: sqrt(2/waves) sum_q cos(k_q.x + phase_q), `[..., num]`."""
    num, waves = field.phase.shape
    turn = matmul(position_m, field.wavevector.reshape(num * waves, 3).T)
    turn = turn.reshape(*position_m.shape[:-1], num, waves)
    phase = field.phase.reshape((1,) * (position_m.ndim - 1) + (num, waves))
    return (2 / waves) ** 0.5 * jnp.sum(jnp.cos(turn + phase), axis=-1)


def uniform_values(field: RandomField, position_m: Array) -> Array:
    """The fields mapped to a uniform distribution on 0..1 by the normal distribution function, `[..., num]`."""
    return jax.scipy.stats.norm.cdf(field_values(field, position_m))
