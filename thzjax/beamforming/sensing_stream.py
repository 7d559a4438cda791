"""The stream that senses: where it points, and how much of the power it needs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from thzjax.numeric import as_complex, matmul
from thzjax.physics.sensing import crb
from thzjax.physics.sensing.scene import departure_row
from thzjax.systems.base import Design, System

SHARES = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 24)])
"""Where the bound is looked at first; it is convex in the share."""
FINE = 16
BISECTIONS = 8
LARGEST_SHARE = 1 - 1e-6
"""The users keep the rest: a share of 1, and by rounding more, would leave them the root of nothing."""
MARGIN = 1e-3
"""The bound is brought this much under its limit, so that rounding does not lift it over."""


def sensing_direction(system: Any, params: Any, channels: Any, reflection: Array) -> Array:
    """Unit vector that lights the target most under a reflection: the conjugate of its row v^T Psi G, `[..., M]`."""
    row = departure_row(system.scene(params, channels)) * reflection
    row = matmul(row[..., None, :], channels.bs_to_surface)[..., 0, :]
    largest = jnp.max(jnp.abs(row), axis=-1, keepdims=True)
    row = row / as_complex(jnp.where(largest > 0, largest, 1))
    norm = jnp.linalg.norm(row, axis=-1, keepdims=True)
    return jnp.conj(row) / as_complex(jnp.where(norm > 0, norm, 1))


def with_sensing_stream(system: System, params: Any, channels: Any, reflection: Array, beamformer: Array) -> Array:
    """The users' beamformer `[..., M, K]` at its power, with a sensing stream that takes as little of it as it can.

    The stream points along `sensing_direction`. With a share t of the power the information is (1 - t) J_users +
    t J_stream, as it is linear in W W^H, and the bound's trace is convex in it: the least t that meets the limit is
    found on a grid and by bisection. Where none does, the one of least bound is taken. A system without such a stream
    gets its beamformer back; without a limit the stream is silent.

    Returns:
      `[..., M, S]` of the power of `beamformer`.
    """
    if not system.spec.sensing_streams:
        return beamformer
    direction = sensing_direction(system, params, channels, reflection)
    power = jnp.sum(jnp.real(beamformer) ** 2 + jnp.imag(beamformer) ** 2, axis=(-2, -1))
    stream = (as_complex(jnp.sqrt(power))[..., None] * direction)[..., None]
    if "crb" in system.constraints:
        share = _least_share(system, params, channels, reflection, beamformer, stream)
    else:
        share = jnp.zeros_like(power)
    share = jnp.minimum(share, LARGEST_SHARE)
    users = beamformer * as_complex(jnp.sqrt(1 - share))[..., None, None]
    return jnp.concatenate([users, stream * as_complex(jnp.sqrt(share))[..., None, None]], axis=-1)


def _least_share(system: Any, params: Any, channels: Any, reflection: Array, beamformer: Array, stream: Array) -> Array:
    """Least share in [0, 1] with which the bound is met; of least bound where there is none, `[...]`."""
    J_users = system.fisher_information(params, channels, Design(beamformer, reflection))
    J_stream = system.fisher_information(params, channels, Design(stream, reflection))
    limit = params.max_crb_rad2 * (1 - MARGIN)

    def trace(share: Array) -> Array:
        t = share[..., None, None]
        bound = crb((1 - t) * J_users + t * J_stream)
        return bound[..., 0, 0] + bound[..., 1, 1]

    real = J_users.dtype
    batch = J_users.shape[:-2]

    def look(shares: Array) -> tuple[Array, Array]:
        """(index of the first share that meets the limit, else of least bound; whether one meets it)."""
        traces = jnp.moveaxis(jax.vmap(trace)(jnp.moveaxis(shares, -1, 0)), 0, -1)
        held = traces <= limit
        any_held = jnp.any(held, axis=-1)
        return jnp.where(any_held, jnp.argmax(held, axis=-1), jnp.argmin(traces, axis=-1)), any_held

    def at(shares: Array, index: Array) -> Array:
        return jnp.take_along_axis(shares, jnp.clip(index, 0, shares.shape[-1] - 1)[..., None], axis=-1)[..., 0]

    coarse = jnp.broadcast_to(jnp.asarray(SHARES, real), (*batch, len(SHARES)))
    index, met = look(coarse)
    low, high = at(coarse, index - 1), at(coarse, jnp.where(met, index, index + 1))
    # The bound is least, or first met, between two neighbours.
    steps = jnp.linspace(0, 1, FINE, dtype=real).reshape((1,) * len(batch) + (FINE,))
    fine = low[..., None] + (high - low)[..., None] * steps
    index, met = look(fine)
    high = at(fine, index)
    low = jnp.where(met, at(fine, index - 1), high)

    def halve(bounds: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        low, high = bounds
        middle = (low + high) / 2
        met = trace(middle) <= limit
        return (jnp.where(met, low, middle), jnp.where(met, middle, high)), None

    (_, high), _ = jax.lax.scan(halve, (low, high), None, length=BISECTIONS)
    return high
