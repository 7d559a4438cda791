"""Antenna and surface arrays: steering vectors and path matrices."""

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import as_complex, as_real, as_reals, cis, row, trailing
from thzjax.units import SPEED_OF_LIGHT


def linear_phases(direction_cosine: ArrayLike, num: int, spacing: ArrayLike = 0.5) -> Array:
    """Phase of a plane wave along a line of elements: 2 pi spacing u n, n = 0..num-1.

    Args:
      direction_cosine: u, the wave's direction cosine along the line, `[...]`.
      num: number of elements.
      spacing: element spacing [wavelengths].

    Returns:
      Phases [rad], `[..., num]`.
    """
    turn = 2 * jnp.pi * spacing * as_real(direction_cosine)
    return turn[..., None] * row(jnp.arange(num), turn)


def ula_steering(
    angle_rad: ArrayLike,
    num: int,
    spacing: float = 0.5,
    convention: str = "broadside",
    unit_norm: bool = True,
    freq_ratio: ArrayLike = 1.0,
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
      freq_ratio: r = f/f_c, `[...]`; other than 1 it makes beam squint.

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
    freq_ratio: ArrayLike = 1.0,
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
    # Rejected: the product of both axes' phasors. Fewer sines, but XLA computes them again for each element.
    phase = phase_rows[..., :, None] + phase_cols[..., None, :]
    v = cis(phase.reshape(*phase.shape[:-2], rows * cols))
    return v / (rows * cols) ** 0.5 if unit_norm else v


def axis_responses(
    cosine_rows: ArrayLike, cosine_cols: ArrayLike, shape: tuple[int, int], spacing: tuple[float, float] = (0.5, 0.5)
) -> tuple[Array, Array]:
    """(along rows `[..., rows]`, along columns `[..., cols]`) of `planar_response`, which is their outer product."""
    rows, cols = shape
    return cis(linear_phases(cosine_rows, rows, spacing[0])), cis(linear_phases(cosine_cols, cols, spacing[1]))


def upa_steering(
    azimuth_rad: ArrayLike,
    elevation_rad: ArrayLike,
    shape: tuple[int, int],
    spacing: tuple[float, float] = (0.5, 0.5),
    unit_norm: bool = False,
    freq_ratio: ArrayLike = 1.0,
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
      freq_ratio: r = f/f_c, `[...]`; other than 1 it makes beam squint.
      origin: phase reference, "corner" (element 0) or "centre".

    Returns:
      Complex `[..., rows*cols]`.

    Raises:
      ConfigError: unknown origin.

    Source: the standard form of paper A, eq. (6), which has one index for two axes.
    """
    azimuth_rad, elevation_rad = as_real(azimuth_rad), as_real(elevation_rad)
    cosine_rows = jnp.cos(elevation_rad) * jnp.sin(azimuth_rad)
    cosine_cols = jnp.broadcast_to(jnp.sin(elevation_rad), cosine_rows.shape)
    return planar_response(cosine_rows, cosine_cols, shape, spacing, unit_norm, freq_ratio, origin)


def upa_phase_slopes(
    azimuth_rad: ArrayLike,
    elevation_rad: ArrayLike,
    shape: tuple[int, int],
    spacing: tuple[float, float] = (0.5, 0.5),
    freq_ratio: ArrayLike = 1.0,
    origin: str = "corner",
) -> Array:
    """(1, dphase/daz, dphase/del) of `upa_steering`'s elements, real `[..., 3, rows*cols]`: dv = j dphase v.

    With a 1 in front, v times it is v and its derivatives up to the j: sums over elements need no more. Arguments
    as in `upa_steering`.
    """
    azimuth_rad, elevation_rad = jnp.broadcast_arrays(*as_reals(azimuth_rad, elevation_rad))
    rows, cols = shape
    offset = ((rows - 1) / 2, (cols - 1) / 2) if origin == "centre" else (0.0, 0.0)
    row_number, col_number = np.divmod(np.arange(rows * cols), cols)
    floor = 4 * jnp.finfo(azimuth_rad.dtype).eps
    cos_el, sin_el = jnp.cos(elevation_rad), jnp.sin(elevation_rad)

    def turns(spacing: float, *cosines: Array) -> Array:
        # At 90 degrees a cosine is the angle's rounding, and no information: 0.
        cosines = [jnp.where(jnp.abs(x) > floor, x, 0) for x in cosines]
        return jnp.stack([2 * jnp.pi * spacing * freq_ratio * x for x in cosines], axis=-1)[..., None]

    none = jnp.zeros_like(cos_el)
    by_rows = turns(spacing[0], none, cos_el * jnp.cos(azimuth_rad), -sin_el * jnp.sin(azimuth_rad))
    by_cols = turns(spacing[1], none, none, cos_el)
    one = jnp.asarray([1, 0, 0], by_rows.dtype).reshape((1,) * azimuth_rad.ndim + (3, 1))
    # One expression over [3, N]: stacking three arrays of N costs more than the arithmetic.
    at_row, at_col = row(row_number - offset[0], by_rows, 0), row(col_number - offset[1], by_cols, 0)
    return one + by_rows * at_row + by_cols * at_col


def upa_steering_derivatives(
    azimuth_rad: ArrayLike,
    elevation_rad: ArrayLike,
    shape: tuple[int, int],
    spacing: tuple[float, float] = (0.5, 0.5),
    unit_norm: bool = False,
    freq_ratio: ArrayLike = 1.0,
    origin: str = "corner",
) -> tuple[Array, Array, Array]:
    """`upa_steering` and its derivatives by the angles: (v, dv/daz, dv/del), each `[..., rows*cols]`.

    dv = j dphase v with phase = 2 pi r (d_r row cos(el) sin(az) + d_c col sin(el)). Arguments as there.
    """
    azimuth_rad, elevation_rad = jnp.broadcast_arrays(*as_reals(azimuth_rad, elevation_rad))
    v = upa_steering(azimuth_rad, elevation_rad, shape, spacing, unit_norm, freq_ratio, origin)
    slopes = upa_phase_slopes(azimuth_rad, elevation_rad, shape, spacing, freq_ratio, origin)
    by_azimuth, by_elevation = (
        lax.complex(-s * jnp.imag(v), s * jnp.real(v)) for s in (slopes[..., 1, :], slopes[..., 2, :])
    )
    return v, by_azimuth, by_elevation


def direction_vector(azimuth_rad: ArrayLike, elevation_rad: ArrayLike) -> Array:
    """Unit vector (cos(el) cos(az), cos(el) sin(az), sin(el)) from an array whose normal is x, `[..., 3]`."""
    azimuth_rad, elevation_rad = jnp.broadcast_arrays(*as_reals(azimuth_rad, elevation_rad))
    flat = jnp.cos(elevation_rad)
    return jnp.stack([flat * jnp.cos(azimuth_rad), flat * jnp.sin(azimuth_rad), jnp.sin(elevation_rad)], axis=-1)


def spherical_coordinates(position_m: ArrayLike) -> Array:
    """(distance [m], azimuth [rad], elevation [rad]) of positions, `[..., 3]`: the inverse of `direction_vector`.

    Args:
      position_m: (x, y, z) from the array, whose normal is x, `[..., 3]` [m]; not the origin, which has no direction,
        and for a gradient not the z axis, which has no azimuth.
    """
    position_m = as_real(position_m)
    x, y, z = position_m[..., 0], position_m[..., 1], position_m[..., 2]
    flat = jnp.sqrt(x**2 + y**2)
    return jnp.stack([jnp.sqrt(flat**2 + z**2), jnp.arctan2(y, x), jnp.arctan2(z, flat)], axis=-1)


def upa_positions(shape: tuple[int, int], spacing_m: tuple[float, float], origin: str = "corner") -> Array:
    """Element positions of a planar array in its own y-z plane, index row*cols + col, `[rows*cols, 3]` [m].

    Args:
      shape: (rows, cols): rows along y, columns along z.
      spacing_m: (d_r, d_c) [m].
      origin: "corner" (element 0 at 0) or "centre".

    Raises:
      ConfigError: unknown origin.
    """
    rows, cols = shape
    if origin not in ("corner", "centre"):
        raise ConfigError(f"origin={origin!r} is unknown: use 'corner' or 'centre'")
    y, z = (np.arange(n) - ((n - 1) / 2 if origin == "centre" else 0) for n in (rows, cols))
    y, z = np.repeat(y * spacing_m[0], cols), np.tile(z * spacing_m[1], rows)
    return jnp.asarray(np.stack([np.zeros_like(y), y, z], axis=-1), dtype=float)


def _inner3(a: Array, b: Array) -> Array:
    """Inner product of vectors in space, `[..., 3]`, written out.

    No reduction: jaxlib 0.10.2, where somebody has it after all, gets some of products wrong (jax issue 39103).
    """
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def array_response(
    element_positions_m: Array, azimuth_rad: ArrayLike, elevation_rad: ArrayLike, freq_hz: ArrayLike
) -> Array:
    """Arrival response of elements anywhere to a plane wave: v_n = exp(j 2 pi f (p_n - p_0).u/c).

    Args:
      element_positions_m: p, `[..., N, 3]` [m].
      azimuth_rad, elevation_rad: direction of the source, `[...]` (see `direction_vector`).
      freq_hz: f [Hz], `[...]`.

    Returns:
      Complex `[..., N]`, 1 at element 0; the departure row is its transpose.
    """
    p, azimuth_rad, elevation_rad, freq_hz = as_reals(element_positions_m, azimuth_rad, elevation_rad, freq_hz)
    u = direction_vector(azimuth_rad, elevation_rad)
    ahead = _inner3(p - p[..., :1, :], u[..., None, :])
    return cis(trailing(2 * jnp.pi / SPEED_OF_LIGHT * freq_hz) * ahead)


def near_field_steering(element_positions_m: Array, source_position_m: Array, freq_hz: ArrayLike) -> Array:
    """Arrival response to a spherical wave: exp(-j 2 pi f (r_n - r_0)/c), r_n the distance to element n.

    Its far limit is `array_response`, that is `upa_steering` for a planar array and conj(`ula_steering`) for a
    linear one.

    Args:
      element_positions_m: p, `[..., N, 3]` [m].
      source_position_m: s, `[..., 3]` [m].
      freq_hz: f [Hz], `[...]`.

    Returns:
      Complex `[..., N]`, 1 at element 0; the departure row is its transpose.

    Source: the spherical-wave model, e.g. Friedlander, 2019.
    """
    p, s, freq_hz = as_reals(element_positions_m, source_position_m, freq_hz)
    first = p[..., :1, :]
    s = s[..., None, :]
    distance, distance_0 = jnp.linalg.norm(s - p, axis=-1), jnp.linalg.norm(s - first, axis=-1)
    # r_n - r_0 = (r_n^2 - r_0^2)/(r_n + r_0), with the squares' difference in factors: two distances of metres leave
    # float32 no digit of a wavelength.
    difference = _inner3(p - first, (p - s) + (first - s)) / (distance + distance_0)
    return cis(-trailing(2 * jnp.pi / SPEED_OF_LIGHT * freq_hz) * difference)


def fraunhofer_distance(aperture_m: ArrayLike, freq_hz: ArrayLike) -> Array:
    """Distance 2 D^2 f/c [m] beyond which a wave is plane to within pi/8 over an aperture of D [m], `[...]`."""
    aperture_m, freq_hz = as_reals(aperture_m, freq_hz)
    return 2 * aperture_m**2 * freq_hz / SPEED_OF_LIGHT


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
