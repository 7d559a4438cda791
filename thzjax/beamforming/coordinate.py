"""Coordinate search: one element, or one beam, at a time is set to the best of a few options."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from thzjax.beamforming.score import better_of, finished
from thzjax.numeric import as_complex
from thzjax.systems.base import Design, System

INFEASIBLE = 100.0
"""What a search takes off the rate of an infeasible design: all of them stand below every feasible one."""
CONTINUOUS_LEVELS = 8
"""Phases a search tries on a surface that has no levels of its own."""


def phase_levels(system: System, amplitudes: tuple[float, ...] = (1.0,)) -> np.ndarray:
    """Reflections that a search tries for an element: every level at every amplitude, complex `[L]`.

    Amplitudes other than 1 are for amplifying elements; the projection gives passive ones back their 1.
    """
    levels = 2**system.spec.phase_bits if system.spec.phase_bits else CONTINUOUS_LEVELS
    phase = np.exp(2j * np.pi * np.arange(levels) / levels)
    return (np.asarray(amplitudes)[:, None] * phase).ravel()


def search_elements(
    system: System, params: Any, channels: Any, design: Design, options: np.ndarray
) -> tuple[Design, Array]:
    """(design, rank) after every element in turn took the option of the best rank (`_search`), all others fixed."""
    psi = design.reflection
    largest = jnp.abs(system.snap(params, channels, jnp.zeros(psi.shape, psi.real.dtype)))
    options = jnp.asarray(options, psi.dtype)

    def with_option(design: Design, n: Array, option: Array) -> Design:
        here = _at(n, design.reflection, -1)
        return design.replace(reflection=jnp.where(here, option * as_complex(largest), design.reflection))

    return _search(system, params, channels, design, with_option, psi.shape[-1], options)


def search_beams(system: System, params: Any, channels: Any, design: Design, codebook: Array) -> tuple[Design, Array]:
    """(design, rank) after every stream in turn took the best beam of a codebook `[..., M, C]`, all else fixed.

    But for a common scale: the whole power is always used.
    """

    def with_beam(design: Design, s: Array, c: Array) -> Design:
        beam = jnp.take(codebook, c, axis=-1)[..., None]
        W = jnp.where(_at(s, design.beamformer, -1), beam, design.beamformer)
        return design.replace(beamformer=system.fit_power(params, W))

    options = jnp.arange(codebook.shape[-1])
    return _search(system, params, channels, design, with_beam, design.beamformer.shape[-1], options)


def _at(index: Array, like: Array, axis: int) -> Array:
    """True at one index of an axis, shaped to broadcast against `like`."""
    shape = [1] * like.ndim
    shape[axis] = like.shape[axis]
    return (jnp.arange(like.shape[axis]) == index).reshape(shape)


def _search(
    system: System,
    params: Any,
    channels: Any,
    design: Design,
    change: Callable[[Design, Array, Array], Design],
    length: int,
    options: Array,
) -> tuple[Design, Array]:
    """Coordinate after coordinate, the option of the best rank.

    The rank is the sum rate of the design as judged where it is feasible; elsewhere rate - `INFEASIBLE` (1 + worst
    violation), so that what helps any user counts before all constraints hold.

    The designs stay as they were put together: what the projection scales down for one option does not stay scaled for
    the next. One option after another: all at once would hold as many whole designs.
    """

    def judged(design: Design) -> tuple[Design, Array]:
        met, value = finished(system, params, channels, design)
        # Below every feasible design, a step is worth taking that helps any user or constraint, not the worst alone.
        rate = jnp.sum(system.outcome(params, channels, met).rates, axis=-1)
        return design, jnp.where(value >= 0, value, rate - INFEASIBLE * (1 + jnp.minimum(-value, 1)))

    def coordinate(best: tuple[Design, Array], n: Array) -> tuple[tuple[Design, Array], None]:
        def option(best: tuple[Design, Array], choice: Array) -> tuple[tuple[Design, Array], None]:
            return better_of(best, judged(change(best[0], n, choice))), None

        return lax.scan(option, best, options)[0], None

    return lax.scan(coordinate, judged(design), jnp.arange(length))[0]
