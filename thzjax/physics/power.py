"""Fitting a beamformer `[..., M, S]` to a power budget."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from thzjax.numeric import as_complex, as_real, trailing
from thzjax.physics.link import per_antenna_power


def scale_total(W: Array, power_w: ArrayLike) -> Array:
    """W scaled by one scalar so that its total power is exactly `power_w` [W], `[..., M, S]`."""
    return _scale(W, jnp.sum(per_antenna_power(W), axis=-1), as_real(power_w))


def scale_per_antenna(W: Array, power_w: ArrayLike) -> Array:
    """W scaled by one scalar so that its strongest antenna has exactly P/M [W], `[..., M, S]`.

    One scalar keeps the directions and so ZF's nulls, which clipping rows would bend. Source: paper A, (22).
    """
    return _scale(W, jnp.max(per_antenna_power(W), axis=-1), as_real(power_w) / W.shape[-2])


def _scale(W: Array, power: Array, target: Array) -> Array:
    factor = jnp.sqrt(target.astype(power.dtype) / jnp.where(power > 0, power, 1))
    return W * as_complex(jnp.broadcast_to(factor, power.shape))[..., None, None]


def clip_rows(W: Array, power_w: ArrayLike) -> Array:
    """Each antenna's row with more than P/M [W] scaled to it: the Euclidean projection onto (22) of paper A.

    `W[..., M, S]`, `power_w[...]` -> `[..., M, S]`.
    """
    power = per_antenna_power(W)
    limit = trailing(as_real(power_w).astype(power.dtype) / W.shape[-2])
    over = power > limit
    factor = jnp.where(over, jnp.sqrt(limit / jnp.where(over, power, 1)), 1)
    return W * as_complex(factor)[..., None]
