"""Reflecting surfaces: what an element's setting makes of a wave; passive, lossy, quantised, active, coupled."""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import abs2, angle_or_zero, as_complex, as_real, as_reals, cis, matmul, trailing
from thzjax.units import SPEED_OF_LIGHT


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


def nearest_phasor(direction: Array, bits: int, levels: str = "standard") -> Array:
    """exp(j phase) of the discrete phase nearest to a complex number's, `[..., N]`: `nearest_level` without angles.

    Args:
      direction: complex `[..., N]` of any modulus; 0 counts as phase 0.
      bits, levels: as in `quantised_phase`.

    A number between two levels is turned back half a step, and then through one half circle, quarter, eighth .. after
    the other, as long as it stays on the positive side: b turns by constants instead of an arc tangent, a sine and a
    cosine.

    Raises:
      ConfigError: fewer than 1 bit, or unknown `levels`.
    """
    step = level_step(bits, levels)
    if levels != "standard":
        phase = nearest_level(angle_or_zero(direction), bits, levels)
        return cis(quantised_phase(phase, bits, levels).astype(direction.real.dtype))
    real = direction.real.dtype

    def turned(x: Array, y: Array, angle: float) -> tuple[Array, Array]:
        c, s = (jnp.asarray(part, real) for part in (math.cos(angle), math.sin(angle)))
        return c * x - s * y, s * x + c * y

    x, y = turned(jnp.real(direction), jnp.imag(direction), step / 2)
    below = y < 0
    x, y = jnp.where(below, -x, x), jnp.where(below, -y, y)
    phasor = jnp.where(below, -jnp.ones((), real), jnp.ones((), real)), jnp.zeros_like(x)
    for bit in range(1, bits):
        angle = math.pi / 2**bit
        ahead_x, ahead_y = turned(x, y, -angle)
        beyond = ahead_y > 0
        x, y = jnp.where(beyond, ahead_x, x), jnp.where(beyond, ahead_y, y)
        phasor = tuple(jnp.where(beyond, new, old) for new, old in zip(turned(*phasor, angle), phasor, strict=True))
    return lax.complex(*phasor)


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


def hybrid_reflection(amplitude: ArrayLike, phase_rad: ArrayLike, active: ArrayLike, max_amplitude: ArrayLike) -> Array:
    """Reflection of a surface some of whose elements amplify: active ones within 0..a_max, passive ones exactly 1.

    Args:
      amplitude: wanted amplitude of the active elements, `[..., N]`.
      phase_rad: `[..., N]` [rad].
      active: which elements amplify, bool or 0/1, `[..., N]`.
      max_amplitude: a_max, `[...]` (an amplitude: 5 is 14 dB).

    Returns:
      psi, complex `[..., N]`.

    Source: paper B, the hybrid surface's constraints on |psi|.
    """
    amplitude, phase_rad, max_amplitude = as_reals(amplitude, phase_rad, max_amplitude)
    active = jnp.asarray(active, bool)
    limited = jnp.clip(amplitude, 0, trailing(max_amplitude))
    return reflection(jnp.where(active, limited, 1), phase_rad)


def _amplified(psi: Array, active: ArrayLike) -> Array:
    """|psi|^2 of the active elements and 0 for the passive ones, `[..., N]`."""
    power = abs2(psi)
    return power * jnp.asarray(active, power.dtype)


def user_noise(
    surface_to_user: Array, psi: Array, active: ArrayLike, noise_w: ArrayLike, noise_v_w: ArrayLike
) -> Array:
    """Noise of each user, its own and the amplified: sigma^2 + sigma_v^2 sum_active |h_kn psi_n|^2.

    Args:
      surface_to_user: h, `[..., K, N]`.
      psi: reflection, `[..., N]`.
      active: `[..., N]`.
      noise_w: sigma^2 [W], broadcasting against `[..., K]`.
      noise_v_w: sigma_v^2, the amplifiers' noise [W], `[...]`.

    Returns:
      `[..., K]` [W], the `noise_w` of `link.sinr`.

    Source: paper B, eq. (5), the noise in its SINR.
    """
    reaching = jnp.sum(abs2(surface_to_user) * _amplified(psi, active)[..., None, :], axis=-1)
    noise_w, noise_v_w = (jnp.asarray(x, reaching.dtype) for x in (noise_w, noise_v_w))
    return noise_w + trailing(noise_v_w) * reaching


def amplifier_power(psi: Array, active: ArrayLike, G: Array, W: Array, noise_v_w: ArrayLike) -> Array:
    """Power the active elements radiate: sum_active |psi_n|^2 (||(G W)_n||^2 + sigma_v^2).

    Args:
      psi: `[..., N]`.
      active: `[..., N]`.
      G: base station to surface, `[..., N, M]`.
      W: beamformer, `[..., M, S]` [sqrt(W)].
      noise_v_w: sigma_v^2 [W], `[...]`.

    Returns:
      `[...]` [W].

    Source: paper B, constraint (15d).
    """
    arriving = jnp.sum(abs2(matmul(G, W)), axis=-1)
    noise_v_w = jnp.asarray(noise_v_w, arriving.dtype)
    return jnp.sum(_amplified(psi, active) * (arriving + trailing(noise_v_w)), axis=-1)


def target_noise(psi: Array, active: ArrayLike, gain: ArrayLike, noise_v_w: ArrayLike) -> Array:
    """Amplified noise that reaches the target: sigma_v^2 |gain|^2 sum_active |psi_n|^2.

    Args:
      psi: `[..., N]`.
      active: `[..., N]`.
      gain: amplitude lambda/(4 pi d) sqrt(g_surface) exp(-k d/2), `[...]` (its phase does not matter).
      noise_v_w: sigma_v^2 [W], `[...]`.

    Returns:
      `[...]` [W].

    Source: paper B, constraint (15e).
    """
    amplified = jnp.sum(_amplified(psi, active), axis=-1)
    return jnp.asarray(noise_v_w, amplified.dtype) * abs2(jnp.asarray(gain)) * amplified


def phase_errors(key: Array, psi: Array, deviation_rad: ArrayLike, kind: str = "gaussian") -> Array:
    """Reflection with independent phase errors on every element: psi exp(j error).

    Args:
      key: random key.
      psi: `[..., N]`.
      deviation_rad: standard deviation of the errors [rad], `[...]`.
      kind: "gaussian", or "uniform" in +-sqrt(3) deviations.

    Returns:
      Complex `[..., N]`.

    Raises:
      ConfigError: unknown kind.
    """
    real = psi.real.dtype
    if kind == "gaussian":
        unit = jax.random.normal(key, psi.shape, real)
    elif kind == "uniform":
        unit = jax.random.uniform(key, psi.shape, real, minval=-(3**0.5), maxval=3**0.5)
    else:
        raise ConfigError(f"kind={kind!r} is unknown: use 'gaussian' or 'uniform'")
    return psi * cis(trailing(jnp.asarray(deviation_rad, real)) * unit)


def isotropic_scattering(element_positions_m: Array, freq_hz: ArrayLike) -> Array:
    """Scattering matrix of a surface of isotropic, minimum-scattering elements: S = (Z - I)(Z + I)^-1.

    Z is normalised to an element's own resistance: Z_nn = 1, Z_nm = j exp(-j k d)/(k d), k = 2 pi f/c, d their
    distance. S is symmetric (reciprocal) and takes no power out of nothing (I - S^H S >= 0).

    Args:
      element_positions_m: `[N, 3]` [m].
      freq_hz: f [Hz].

    Returns:
      Complex `[N, N]`, for `coupled_reflection`.

    Source: Ivrlač and Nossek, 2010, for the impedance; the standard impedance-to-scattering map.
    """
    position, freq_hz = as_reals(element_positions_m, freq_hz)
    num = position.shape[-2]
    other = ~jnp.eye(num, dtype=bool)
    offset = position[:, None, :] - position[None, :, :]
    distance = jnp.sqrt(jnp.where(other, jnp.sum(offset**2, axis=-1), 1))
    turn = 2 * jnp.pi / SPEED_OF_LIGHT * freq_hz * distance
    mutual = lax.complex(jnp.sin(turn), jnp.cos(turn)) / as_complex(turn)
    eye = jnp.eye(num, dtype=mutual.dtype)
    Z = jnp.where(other, mutual, eye)
    # The two factors commute, so the inverse may stand on the left.
    return jnp.linalg.solve(Z + eye, Z - eye)


def coupled_reflection(psi: Array, S: Array) -> Array:
    """Reflection matrix of a surface whose elements couple: (diag(psi)^-1 - S)^-1 = (I - diag(psi) S)^-1 diag(psi).

    Args:
      psi: `[..., N]`; zeros are allowed.
      S: scattering matrix, `[..., N, N]`; zeros everywhere give diag(psi).

    Returns:
      Complex `[..., N, N]`.

    Source: Shen, Clerckx and Murch, 2022, for the surface as a multiport with a scattering matrix.
    """
    eye = jnp.broadcast_to(jnp.eye(psi.shape[-1], dtype=psi.dtype), (*psi.shape, psi.shape[-1]))
    return jnp.linalg.solve(eye - psi[..., None] * S, psi[..., None] * eye)
