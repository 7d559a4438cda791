"""Reflecting surfaces: how an element's phase sets its reflection."""

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import as_complex, as_real, cis


def practical_amplitude(
    phase_rad: ArrayLike,
    min_amplitude: ArrayLike = 0.2,
    horizontal_rad: ArrayLike = 0.43 * math.pi,
    steepness: ArrayLike = 1.6,
) -> Array:
    """Amplitude of a lossy element: (1 - g) ((sin(phase - horizontal) + 1)/2)^steepness + g.

    Args:
      phase_rad: phase shift [rad], `[...]`.
      min_amplitude: g, the least amplitude, in [0, 1].
      horizontal_rad: horizontal shift of the curve [rad].
      steepness: exponent, at least 0.

    Returns:
      Amplitude in [g, 1], `[...]`. (An ideal element has amplitude 1.)

    Source: paper A, eq. (3); default constants from Abeywickrama et al., 2020.
    """
    base = (jnp.sin(as_real(phase_rad) - horizontal_rad) + 1) / 2
    # Rounding may put sin a hair below -1, and x^steepness has a NaN gradient at 0 for steepness < 1.
    tiny = jnp.finfo(base.dtype).tiny
    return (1 - min_amplitude) * jnp.maximum(base, tiny) ** steepness + min_amplitude


def level_step(bits: int, levels: str = "standard") -> float:
    """Phase between neighbouring levels [rad]: 2 pi/2^bits ("standard") or 2 pi/(2^bits - 1) ("paper").

    Raises:
      ConfigError: fewer than 1 bit, or unknown `levels`.
    """
    if bits < 1:
        raise ConfigError(f"phase bits={bits} must be at least 1")
    if levels == "standard":
        return 2 * math.pi / 2**bits
    if levels == "paper":
        return 2 * math.pi / (2**bits - 1)
    raise ConfigError(f"phase levels={levels!r} is unknown: use 'standard' or 'paper'")


def quantised_phase(index: ArrayLike, bits: int, levels: str = "standard") -> Array:
    """Phase of a discrete level: 2 pi index/2^bits.

    Args:
      index: level 0..2^bits - 1, `[...]`.
      bits: phase resolution.
      levels: "standard", or "paper" for 2 pi index/(2^bits - 1), whose first and last levels coincide.

    Returns:
      Phase [rad], `[...]`.

    Raises:
      ConfigError: fewer than 1 bit, or unknown `levels`.

    Source: paper A, eq. (30).
    """
    return as_real(index) * level_step(bits, levels)


def nearest_level(phase_rad: ArrayLike, bits: int, levels: str = "standard") -> Array:
    """Index of the discrete level whose phase is nearest on the circle, `[...]`, int32.

    The two coinciding levels of `levels="paper"` are told apart by nothing; the lower index is given.
    """
    step = level_step(bits, levels)
    distinct = round(2 * math.pi / step)
    return jnp.mod(jnp.round(as_real(phase_rad) / step).astype(jnp.int32), distinct)


def reflection(amplitude: ArrayLike, phase_rad: ArrayLike) -> Array:
    """Reflection coefficients amplitude exp(j phase): the diagonal of the surface's matrix.

    Args:
      amplitude: `[..., N]` or broadcasting against the phase.
      phase_rad: `[..., N]` [rad].

    Returns:
      Complex `[..., N]`. The N x N matrix is never built.

    Source: paper A, text after eq. (2).
    """
    phase_rad = as_real(phase_rad)
    return as_complex(as_real(amplitude).astype(phase_rad.dtype)) * cis(phase_rad)
