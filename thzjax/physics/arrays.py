"""Antenna and surface arrays: steering vectors and path matrices."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import as_complex, as_real, cis


def linear_phases(direction_cosine: ArrayLike, num: int, spacing: ArrayLike = 0.5) -> Array:
    """Phase of a plane wave along a line of elements: 2 pi spacing u n, n = 0..num-1.

    Args:
      direction_cosine: u, the wave's direction cosine along the line, `[...]`.
      num: number of elements.
      spacing: element spacing [wavelengths].

    Returns:
      Phases [rad], `[..., num]`.
    """
    u = as_real(direction_cosine)
    index = jnp.arange(num, dtype=u.dtype)
    return (2 * jnp.pi * spacing * u)[..., None] * index


def ula_steering(
    angle_rad: ArrayLike,
    num: int,
    spacing: float = 0.5,
    convention: str = "broadside",
    unit_norm: bool = True,
    freq_ratio: float = 1.0,
) -> Array:
    """Transmit steering vector of a uniform linear array: a_m = exp(-j 2 pi d r m sin(angle)) [/ sqrt(num)].

    This is the a of a^H: the row that multiplies the transmitted vector is conj(a).

    Args:
      angle_rad: direction [rad], `[...]`, from broadside (or from the array axis, see `convention`).
      num: number of elements, m = 0..num-1.
      spacing: d, element spacing in carrier wavelengths.
      convention: "broadside" uses sin(angle); "axis" uses cos(angle), paper A's literal (5), in which +40 and
        -40 degrees are one vector.
      unit_norm: divide by sqrt(num).
      freq_ratio: r = f/f_c; other than 1 it makes beam squint.

    Returns:
      Complex `[..., num]`.

    Raises:
      ConfigError: unknown convention.

    Source: paper A, eq. (5), with the angle measured from broadside.
    """
    angle_rad = as_real(angle_rad)
    if convention == "broadside":
        u = jnp.sin(angle_rad)
    elif convention == "axis":
        u = jnp.cos(angle_rad)
    else:
        raise ConfigError(f"convention={convention!r} is unknown: use 'broadside' or 'axis'")
    a = cis(-linear_phases(u, num, spacing * freq_ratio))
    return a / num**0.5 if unit_norm else a


def planar_response(
    cosine_rows: ArrayLike,
    cosine_cols: ArrayLike,
    shape: tuple[int, int],
    spacing: tuple[float, float] = (0.5, 0.5),
    unit_norm: bool = False,
    freq_ratio: float = 1.0,
    origin: str = "corner",
) -> Array:
    """Response of a planar array to a plane wave given by its direction cosines along rows and columns.

    v[row*cols + col] = exp(j 2 pi r (d_r row u_r + d_c col u_c)); see `upa_steering`.
    """
    rows, cols = shape
    phase_rows = linear_phases(cosine_rows, rows, spacing[0] * freq_ratio)
    phase_cols = linear_phases(cosine_cols, cols, spacing[1] * freq_ratio)
    if origin == "centre":
        phase_rows = phase_rows - jnp.mean(phase_rows, axis=-1, keepdims=True)
        phase_cols = phase_cols - jnp.mean(phase_cols, axis=-1, keepdims=True)
    elif origin != "corner":
        raise ConfigError(f"origin={origin!r} is unknown: use 'corner' or 'centre'")
    phase = phase_rows[..., :, None] + phase_cols[..., None, :]
    v = cis(phase.reshape(*phase.shape[:-2], rows * cols))
    return v / (rows * cols) ** 0.5 if unit_norm else v


def upa_steering(
    azimuth_rad: ArrayLike,
    elevation_rad: ArrayLike,
    shape: tuple[int, int],
    spacing: tuple[float, float] = (0.5, 0.5),
    unit_norm: bool = False,
    freq_ratio: float = 1.0,
    origin: str = "corner",
) -> Array:
    """Arrival response of a uniform planar array in its own y-z plane, rows along y, columns along z.

    v[row*cols + col] = exp(j 2 pi r (d_r row cos(el) sin(az) + d_c col sin(el))).

    By reciprocity the departure row of the same array is v^T, that is a = conj(v) in a^H.

    Args:
      azimuth_rad: azimuth [rad] from the array normal (local x), `[...]`.
      elevation_rad: elevation [rad] towards local z, `[...]`.
      shape: (rows, cols).
      spacing: (d_r, d_c) in carrier wavelengths.
      unit_norm: divide by sqrt(rows*cols).
      freq_ratio: r = f/f_c.
      origin: phase reference, "corner" (element 0) or "centre".

    Returns:
      Complex `[..., rows*cols]`.

    Raises:
      ConfigError: unknown origin.

    Source: the standard form of paper A, eq. (6), which has one index for two axes.
    """
    azimuth_rad, elevation_rad = as_real(azimuth_rad), as_real(elevation_rad)
    cosine_rows = jnp.cos(elevation_rad) * jnp.sin(azimuth_rad)
    cosine_cols = jnp.sin(elevation_rad) + jnp.zeros_like(cosine_rows)
    return planar_response(cosine_rows, cosine_cols, shape, spacing, unit_norm, freq_ratio, origin)


def path_matrix(
    amplitude: ArrayLike,
    arrival: Array,
    departure: Array,
    gain_t: ArrayLike = 1.0,
    gain_r: ArrayLike = 1.0,
) -> Array:
    """Channel of one path: amplitude sqrt(gain_t gain_r) arrival departure^H.

    Args:
      amplitude: complex path amplitude, `[...]` (see `propagation.path_amplitude`).
      arrival: receive response, `[..., Nr]`.
      departure: transmit steering vector a (conjugated here), `[..., Nt]`.
      gain_t: transmit antenna power gain (linear), `[...]`.
      gain_r: receive antenna power gain (linear), `[...]`.

    Returns:
      Complex `[..., Nr, Nt]`.

    Source: paper A, eq. (4), whose gains stand unrooted and are read as amplitudes there.
    """
    scale = as_complex(amplitude) * as_complex(jnp.sqrt(as_real(gain_t) * as_real(gain_r)))
    return scale[..., None, None] * arrival[..., :, None] * jnp.conj(departure)[..., None, :]
