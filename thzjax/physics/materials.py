"""Electrical properties of building materials, for reflections off walls, ceilings and furniture."""

import math

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import as_real, refuse_unless, row
from thzjax.units import FREE_SPACE_IMPEDANCE, SPEED_OF_LIGHT

VACUUM_PERMITTIVITY = 1 / (FREE_SPACE_IMPEDANCE * SPEED_OF_LIGHT)
"""eps0 [F/m]."""

MATERIALS: dict[str, tuple[tuple[float, float, float, float, float, float], ...]] = {
    "concrete": ((5.24, 0, 0.0462, 0.7822, 1, 100), (5.17, 0, 0.0145, 1.09, 110, 330)),
    "brick": ((3.91, 0, 0.0238, 0.16, 1, 40), (4.15, 0, 0.0006, 1.5712, 110, 330)),
    "plasterboard": ((2.73, 0, 0.0085, 0.9395, 1, 100), (2.65, 0, 0.0002, 1.598, 100, 400)),
    "wood": ((1.99, 0, 0.0047, 1.0718, 0.001, 100), (2.1183, 0, 0.0055, 1.1113, 100, 400)),
    "glass": (
        (6.31, 0, 0.0036, 1.3394, 0.1, 100),
        (6.5767, 0, 0.0012, 1.4697, 100, 400),
        (5.79, 0, 0.0004, 1.658, 220, 450),
    ),
    "ceiling_board": (
        (1.48, 0, 0.0011, 1.075, 1, 100),
        (1.52, 0, 0.0029, 1.029, 220, 450),
        (1.2567, 0, 0.00013, 1.454, 100, 400),
    ),
    "chipboard": ((2.58, 0, 0.0217, 0.78, 1, 100), (2.16, 0, 0.0023, 1.359, 100, 200)),
    "plywood": ((2.71, 0, 0.33, 0, 1, 40), (2.17, 0, 0.0063, 1.045, 100, 400)),
    "marble": ((7.074, 0, 0.0055, 0.9262, 1, 60), (8.62, 0, 0.0027, 1.15, 100, 400)),
    "floorboard": ((3.66, 0, 0.0044, 1.3515, 50, 100), (3.1575, 0, 0.001675, 1.32775, 100, 400)),
    "clear_acrylic": ((2.58, 0, 0.0001, 1.6524, 110, 330),),
    "vinyl_tile": ((3.62, 0, 0.0051, 0.8422, 1, 40),),
    "carpet_tile": ((2.08, 0, 0.0009, 0.82, 1, 40),),
    "metal": ((1.0, 0, 1e7, 0, 1, 100),),
}
"""Rows (a, b, c, d, lowest GHz, highest GHz): relative permittivity a f^b and conductivity c f^d [S/m], f in GHz; the
first row that holds a frequency counts.

Source: Recommendation ITU-R P.2040-4 (09/2025), table 3, the indoor materials, in the values on which independent
transcriptions agree; where it has several rows for about one range, the widest."""


def _rows(material: str) -> np.ndarray:
    if material not in MATERIALS:
        raise ConfigError(f"material {material!r} is unknown: use one of {', '.join(MATERIALS)}")
    return np.asarray(MATERIALS[material], np.float64)


def relative_permittivity(material: str, freq_hz: ArrayLike, extrapolate: bool = False) -> Array:
    """Complex relative permittivity: a f^b - j c f^d/(2 pi f_hz eps0), f in GHz.

    Args:
      material: name from `MATERIALS`.
      freq_hz: frequency [Hz], `[...]`.
      extrapolate: outside the measured ranges, use the nearest one's row instead of refusing.

    Returns:
      Complex `[...]` (imaginary part <= 0: loss); NaN outside the ranges where the frequency is traced.

    Raises:
      ConfigError: unknown material, or a frequency outside its measured ranges without `extrapolate`.

    Source: Recommendation ITU-R P.2040-4, section 3 and table 3.
    """
    rows = _rows(material)
    freq_hz = as_real(freq_hz)
    # Ratio to the nearest edge of each row's range, 1 inside: the first nearest row is taken. Half-open by an ulp or
    # two, so that an edge given in Hz is inside.
    low, high = (row(edges * 1e9, freq_hz) for edges in rows[:, 4:].T)
    away = jnp.maximum(jnp.maximum(low / freq_hz[..., None], freq_hz[..., None] / high), 1)
    nearest = jnp.argmin(away, axis=-1)
    if not extrapolate:
        ranges = " and ".join(f"{low:g} to {high:g} GHz" for low, high in rows[:, 4:].tolist())
        within = jnp.min(away, axis=-1) <= 1 + 4 * jnp.finfo(freq_hz.dtype).eps
        message = f"{material} is measured from {ranges} (extrapolate=True goes beyond)"
        freq_hz = refuse_unless(within, freq_hz, message)
    a, b, c, d = (jnp.asarray(column, freq_hz.dtype)[nearest] for column in rows[:, :4].T)
    freq = freq_hz * 1e-9
    loss = c * freq**d / (2e9 * math.pi * VACUUM_PERMITTIVITY * freq)
    return lax.complex(a * freq**b, -loss)


def wave_impedance(material: str, freq_hz: ArrayLike, extrapolate: bool = False) -> Array:
    """Wave impedance Z0/sqrt(eps) [ohm], complex `[...]`, for `propagation.fresnel_reflection`.

    Arguments and errors as in `relative_permittivity`.
    """
    return FREE_SPACE_IMPEDANCE / jnp.sqrt(relative_permittivity(material, freq_hz, extrapolate))
