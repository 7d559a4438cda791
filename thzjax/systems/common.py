"""What systems share in drawing channels and designs, and in looking at them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from thzjax.numeric import abs2, matmul
from thzjax.physics.fading import estimated_channel


class Uniforms:
    """Hands out pieces of one bulk draw of uniforms in [0, 1): many small draws cost more than a channel."""

    def __init__(self, key: Array, total: int) -> None:
        self._values = jax.random.uniform(key, (total,))
        self._used = 0

    def __call__(self, shape: tuple[int, ...]) -> Array:
        size = int(np.prod(shape))
        piece = self._values[self._used : self._used + size].reshape(shape)
        self._used += size
        return piece


def estimated_links(key: Array, channels: Any, error: Array) -> Any:
    """The channels with an estimation error on each link, relative to that link's own mean power."""
    names = ("direct", "bs_to_surface", "surface_to_user")
    links = {name: getattr(channels, name) for name in names}
    keys = jax.random.split(key, len(links))
    seen = {
        name: estimated_channel(k, H, error) if H.size else H for k, (name, H) in zip(keys, links.items(), strict=True)
    }
    return channels.replace(**seen)


def gaussian_beams(key: Array, channels: Any, streams: int) -> Array:
    """A beamformer of independent standard Gaussian entries, complex `[..., M, S]`."""
    shape = (2, *channels.bs_to_surface.shape[:-2], channels.bs_to_surface.shape[-1], streams)
    real, imag = jax.random.normal(key, shape, dtype=channels.direct.real.dtype)
    return jax.lax.complex(real, imag)


def random_phases(key: Array, channels: Any, elements: int) -> Array:
    """Uniform phases for every element, `[..., N]` [rad]."""
    shape = (*channels.bs_to_surface.shape[:-2], elements)
    return jax.random.uniform(key, shape, channels.direct.real.dtype, 0, 2 * jnp.pi)


def reflected_eirp(row: Array, bs_to_surface: Array, design: Any, element_gain: Array) -> Array:
    """What a surface sends on of every stream: element_gain |row diag(psi) G W|^2, EIRP [W].

    Args:
      row: departure rows towards some directions, `[..., N]`.
      bs_to_surface: G of one channel, `[N, M]`.
      design: beamformer `[M, S]` and reflection `[N]`.
      element_gain: power gain of an element (linear).

    Returns:
      `[S, ...]`.
    """
    leaving = matmul(bs_to_surface, design.beamformer) * design.reflection[:, None]
    field = matmul(row.reshape(-1, row.shape[-1]), leaving)
    return jnp.moveaxis((element_gain * abs2(field)).reshape(*row.shape[:-1], -1), -1, 0)
