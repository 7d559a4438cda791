"""Free-space and reflected paths: complex amplitudes of one hop, and Rician fading."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.numeric import as_complex, as_real, as_reals, cis
from thzjax.units import FREE_SPACE_IMPEDANCE, SPEED_OF_LIGHT


def _byte_pieces(x: Array) -> tuple[Array, Array, Array]:
    """Split float32 into three float32 of at most 8 significant bits that add up to it exactly."""
    mask = jnp.int32(-(1 << 16))
    pieces = []
    for _ in range(2):
        piece = lax.bitcast_convert_type(lax.bitcast_convert_type(x, jnp.int32) & mask, jnp.float32)
        pieces.append(piece)
        x = x - piece
    return pieces[0], pieces[1], x


@jax.custom_jvp
def fractional_cycles(freq_hz: Array, dist_m: Array) -> Array:
    """f l / c in wavelengths, less a whole number of them, `[...]`.

    The count is 1e4..1e6, of which float32 keeps one or two digits after the point. With both factors split
    into 8-bit pieces every partial product is exact, and so is its remainder modulo c; c itself needs 29 bits,
    so the remainder is taken modulo its float32 neighbour and the difference put back.
    """
    if freq_hz.dtype != jnp.float32:
        cycles = freq_hz * dist_m / SPEED_OF_LIGHT
        return cycles - jnp.round(cycles)
    c_near = np.float32(SPEED_OF_LIGHT)
    excess = np.float32((SPEED_OF_LIGHT - float(c_near)) / SPEED_OF_LIGHT)
    total = jnp.zeros(jnp.broadcast_shapes(freq_hz.shape, dist_m.shape), jnp.float32)
    for f_piece in _byte_pieces(freq_hz):
        for d_piece in _byte_pieces(dist_m):
            product = f_piece * d_piece
            rest = lax.rem(product, jnp.full_like(product, c_near))
            whole = jnp.round((product - rest) / c_near)
            total = total + (rest / c_near - excess * whole)
            total = total - jnp.round(total)
    return total


@fractional_cycles.defjvp
def _cycles_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    freq_hz, dist_m = primals
    dot_freq, dot_dist = tangents
    # Scaled before multiplying, so that float32 meets neither 1e14 nor 1e-9.
    tangent = (freq_hz / SPEED_OF_LIGHT) * dot_dist + dist_m * (dot_freq / SPEED_OF_LIGHT)
    return fractional_cycles(freq_hz, dist_m), tangent


@jax.custom_jvp
def fractional_product(a: Array, b: Array) -> Array:
    """a b less a whole number, `[...]`: turns of a phase that float32 would round away."""
    if a.dtype != jnp.float32:
        product = a * b
        return product - jnp.round(product)
    total = jnp.zeros(jnp.broadcast_shapes(a.shape, b.shape), jnp.float32)
    for a_piece in _byte_pieces(a):
        for b_piece in _byte_pieces(b):
            product = a_piece * b_piece
            total = total + (product - jnp.round(product))
            total = total - jnp.round(total)
    return total


@fractional_product.defjvp
def _product_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (a, b), (dot_a, dot_b) = primals, tangents
    return fractional_product(a, b), a * dot_b + b * dot_a


def path_magnitude(freq_hz: ArrayLike, dist_m: ArrayLike, k_abs: ArrayLike) -> Array:
    """Magnitude of `path_amplitude`: c/(4 pi f l) exp(-k l/2), real `[...]`; arguments as there."""
    freq_hz, dist_m, k_abs = as_reals(freq_hz, dist_m, k_abs)
    return SPEED_OF_LIGHT / (4 * jnp.pi) / freq_hz / dist_m * jnp.exp(-k_abs * dist_m / 2)


def path_amplitude(freq_hz: ArrayLike, dist_m: ArrayLike, k_abs: ArrayLike) -> Array:
    """Complex amplitude of a line-of-sight path: c/(4 pi f l) exp(-k l/2) exp(-j 2 pi f l/c).

    Args:
      freq_hz: carrier f [Hz], `[...]`.
      dist_m: path length l [m], `[...]`, greater than 0.
      k_abs: power absorption coefficient k [1/m], `[...]`.

    Returns:
      Complex amplitude, `[...]`. The phase is reduced by whole wavelengths first: in float32 it is within
      1e-4 rad of float64 (of the same rounded inputs) up to 100 m and 1 THz.

    Source: paper A, eqs. (7)-(8): the product of the losses is |alpha|^2, so alpha is its root. Eq. (9) takes
    that product as alpha itself.
    """
    freq_hz, dist_m, k_abs = as_reals(freq_hz, dist_m, k_abs)
    return as_complex(path_magnitude(freq_hz, dist_m, k_abs)) * cis(-2 * jnp.pi * fractional_cycles(freq_hz, dist_m))


def fresnel_reflection(z_ohm: ArrayLike, incidence_rad: ArrayLike) -> Array:
    """Fresnel reflection: (Z cos(i) - Z0 cos(t))/(Z cos(i) + Z0 cos(t)), cos(t) = sqrt(1 - (Z sin(i)/Z0)^2).

    Args:
      z_ohm: wave impedance Z of the material [ohm], real or complex, `[...]`.
      incidence_rad: angle of incidence i [rad], `[...]`.

    Returns:
      Complex reflection coefficient, `[...]`.

    Source: paper A, eq. (10).
    """
    z = as_complex(z_ohm) / FREE_SPACE_IMPEDANCE
    incidence_rad = as_real(incidence_rad)
    cos_i = as_complex(jnp.cos(incidence_rad))
    cos_t = jnp.sqrt(1 - (z * as_complex(jnp.sin(incidence_rad))) ** 2)
    return (z * cos_i - cos_t) / (z * cos_i + cos_t)


def rayleigh_roughness(freq_hz: ArrayLike, sigma_m: ArrayLike, incidence_rad: ArrayLike) -> Array:
    """Rayleigh roughness factor: exp(-(1/2) (4 pi f sigma cos(i)/c)^2).

    Args:
      freq_hz: carrier f [Hz], `[...]`.
      sigma_m: standard deviation of the surface height [m], `[...]`.
      incidence_rad: angle of incidence i [rad], `[...]`.

    Returns:
      Amplitude factor in (0, 1], `[...]`.

    Source: paper A, eq. (11).
    """
    wavenumber = 4 * jnp.pi / SPEED_OF_LIGHT * as_real(freq_hz)
    return jnp.exp(-0.5 * (wavenumber * as_real(sigma_m) * jnp.cos(as_real(incidence_rad))) ** 2)


def reflection_coefficient(z_ohm: ArrayLike, incidence_rad: ArrayLike, freq_hz: ArrayLike, sigma_m: ArrayLike) -> Array:
    """Amplitude reflection coefficient of a rough surface: Fresnel times Rayleigh, `[...]`, complex.

    Source: paper A, text after eq. (9).
    """
    roughness = rayleigh_roughness(freq_hz, sigma_m, incidence_rad)
    return fresnel_reflection(z_ohm, incidence_rad) * as_complex(roughness)


def reflected_path_amplitude(freq_hz: ArrayLike, total_dist_m: ArrayLike, k_abs: ArrayLike, gamma: ArrayLike) -> Array:
    """Complex amplitude of a reflected path: gamma times `path_amplitude` over the total length.

    Args:
      freq_hz: carrier [Hz], `[...]`.
      total_dist_m: whole length of the path [m], `[...]`.
      k_abs: power absorption coefficient [1/m], `[...]`.
      gamma: amplitude reflection coefficient, `[...]`; for two bounces, the product of theirs.

    Returns:
      Complex amplitude, `[...]`.

    Source: paper A, eq. (9b), which squares the coefficient and then loses it.
    """
    return as_complex(gamma) * path_amplitude(freq_hz, total_dist_m, k_abs)


def rician(los: Array, nlos: Array, factor: ArrayLike) -> Array:
    """Rician mixture: sqrt(F/(1+F)) los + sqrt(1/(1+F)) nlos.

    Args:
      los: line-of-sight channel, complex, `[...]`.
      nlos: scattered channel, complex, `[...]`.
      factor: F, linear, broadcasting against them.

    Returns:
      Complex `[...]`.

    Source: paper A, eq. (4).
    """
    factor = as_real(factor)
    weight_los = as_complex(jnp.sqrt(factor / (1 + factor)))
    weight_nlos = as_complex(jnp.sqrt(1 / (1 + factor)))
    return weight_los * los + weight_nlos * nlos
