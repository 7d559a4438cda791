"""Links: effective channels, SINR, rates and efficiency. A channel row multiplies the transmitted vector: y = H x."""

import math

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from thzjax.linalg import log_det_one_plus, whiten
from thzjax.numeric import abs2, as_complex, as_reals, hermitian, matmul


def cascaded_channel(direct: Array, surface_to_user: Array, reflection: Array, bs_to_surface: Array) -> Array:
    """Effective MISO channel: direct + (surface_to_user diag(reflection)) bs_to_surface.

    Args:
      direct: BS to users, `[..., K, M]`.
      surface_to_user: `[..., K, N]`.
      reflection: the surface's diagonal, `[..., N]`.
      bs_to_surface: `[..., N, M]`.

    Returns:
      H, complex `[..., K, M]`.

    Source: paper A, eq. (2), with channels stored as the matrices that multiply the transmitted vector.
    """
    return direct + matmul(surface_to_user * reflection[..., None, :], bs_to_surface)


def cascaded_channel_mimo(direct: Array, surface_to_user: Array, reflection: Array, bs_to_surface: Array) -> Array:
    """Effective MIMO channel: direct + (surface_to_user diag(reflection)) bs_to_surface.

    Args:
      direct: `[..., K, R, M]`.
      surface_to_user: `[..., K, R, N]`.
      reflection: `[..., N]`.
      bs_to_surface: `[..., N, M]`.

    Returns:
      H, complex `[..., K, R, M]`.

    Source: paper A, eq. (42), with channels stored as the matrices that multiply the transmitted vector.
    """
    users, antennas, elements = surface_to_user.shape[-3:]
    # One product for all users' antennas: their rows follow each other.
    rows = (surface_to_user * reflection[..., None, None, :]).reshape(
        *jnp.broadcast_shapes(surface_to_user.shape[:-3], reflection.shape[:-1]), users * antennas, elements
    )
    reflected = matmul(rows, bs_to_surface)
    return direct + reflected.reshape(*reflected.shape[:-2], users, antennas, reflected.shape[-1])


def coupled_channel(direct: Array, surface_to_user: Array, psi: Array, S: Array, bs_to_surface: Array) -> Array:
    """Effective MISO channel over a surface whose elements couple: direct + h (diag(psi)^-1 - S)^-1 G.

    Args:
      direct: `[..., K, M]`.
      surface_to_user: h, `[..., K, N]`.
      psi: `[..., N]`.
      S: scattering matrix of the surface, `[..., N, N]` (see `surface.coupled_reflection`).
      bs_to_surface: G, `[..., N, M]`.

    Returns:
      H, complex `[..., K, M]`.
    """
    eye = jnp.eye(psi.shape[-1], dtype=psi.dtype)
    eye = eye.reshape((1,) * (psi.ndim - 1) + eye.shape)
    arriving = jnp.linalg.solve(eye - psi[..., None] * S, psi[..., None] * bs_to_surface)
    return direct + matmul(surface_to_user, arriving)


def received_powers(H: Array, W: Array) -> Array:
    """|H_k w_s|^2: power of stream s at user k [W], `[..., K, S]`."""
    return abs2(matmul(H, W))


def sinr(H: Array, W: Array, noise_w: ArrayLike) -> Array:
    """Signal to interference and noise: |H_k w_k|^2/(sum_{i != k} |H_k w_i|^2 + noise).

    Args:
      H: effective channel, `[..., K, M]`.
      W: beamformer, `[..., M, S]`, S >= K; streams K.. (a sensing stream) disturb every user.
      noise_w: noise power [W], broadcasting against `[..., K]`.

    Returns:
      SINR, linear, `[..., K]`.

    Source: paper A, eq. (13); paper B, eq. (5).
    """
    power = received_powers(H, W)
    users = H.shape[-2]
    own = np.arange(users)[:, None] == np.arange(W.shape[-1])
    own = jnp.asarray(own.reshape((1,) * (power.ndim - 2) + own.shape))
    # Masked sums, not total minus own: the difference loses the interference of a strong user in float32.
    signal = jnp.sum(jnp.where(own, power, 0), axis=-1)
    interference = jnp.sum(jnp.where(own, 0, power), axis=-1)
    return signal / (interference + jnp.asarray(noise_w, dtype=power.dtype))


def rates(H: Array, W: Array, noise_w: ArrayLike) -> Array:
    """User rates log2(1 + SINR) [bit/s/Hz], `[..., K]`; arguments as in `sinr`. Source: paper A, eq. (21)."""
    return jnp.log1p(sinr(H, W, noise_w)) / math.log(2.0)


def sum_rate(H: Array, W: Array, noise_w: ArrayLike) -> Array:
    """Sum of the user rates [bit/s/Hz], `[...]`; arguments as in `sinr`. Source: paper A, eq. (23)."""
    return jnp.sum(rates(H, W, noise_w), axis=-1)


def mimo_rates(H: Array, W: Array, noise_w: ArrayLike) -> Array:
    """User rates by log-determinant: log2 det(I + H_k W_k W_k^H H_k^H Q_k^-1).

    Q_k = noise I + sum_{l != k} H_k W_l W_l^H H_k^H is the other users' interference.

    Args:
      H: `[..., K, R, M]`.
      W: `[..., K, M, D]`, D streams a user.
      noise_w: noise power per receive antenna [W], broadcasting against `[..., K]`.

    Returns:
      `[..., K]` [bit/s/Hz].

    Source: the standard form; paper A, eqs. (42)-(43), drops the interference and writes a scalar SINR.
    """
    users, antennas = H.shape[-3:-1]
    streams = W.shape[-1]
    # [..., K, R, K D]: what every user's streams are at every user, over the noise's root.
    received = matmul(H, side_by_side(W)[..., None, :, :])
    real = received.real.dtype
    noise_w = jnp.broadcast_to(jnp.asarray(noise_w, real), received.shape[:-2])
    received = received / as_complex(jnp.sqrt(noise_w))[..., None, None]
    received = received.reshape(*received.shape[:-1], users, streams)
    own = jnp.eye(users, dtype=bool).reshape((1,) * (received.ndim - 4) + (users, 1, users, 1))
    others = jnp.where(own, 0, received).reshape(*received.shape[:-2], users * streams)
    wanted = jnp.sum(jnp.where(own, received, 0), axis=-2)
    eye = jnp.eye(antennas, dtype=others.dtype).reshape((1,) * (others.ndim - 2) + (antennas, antennas))
    white = whiten(eye + matmul(others, hermitian(others)), wanted)
    # The smaller of the two equal determinants, D x D or R x R.
    gram = matmul(hermitian(white), white) if streams <= antennas else matmul(white, hermitian(white))
    return log_det_one_plus(gram) / math.log(2.0)


def by_user(W: Array, users: int, axis: int = -3) -> Array:
    """Columns side by side as one matrix for each user: `[..., M, K D]` -> `[..., K, M, D]`, K at `axis`.

    `axis` is -3, or -2 for `[..., M, K, D]`.
    """
    apart = W.reshape(*W.shape[:-1], users, W.shape[-1] // users)
    return jnp.moveaxis(apart, -2, axis)


def side_by_side(W: Array) -> Array:
    """Each user's beams as columns of one matrix, user after user: `[..., K, M, D]` -> `[..., M, K D]`."""
    users, antennas, streams = W.shape[-3:]
    return jnp.moveaxis(W, -3, -2).reshape(*W.shape[:-3], antennas, users * streams)


def ofdm_sum_rate(H: Array, W: Array, noise_w: ArrayLike) -> Array:
    """Sum rate averaged over subcarriers.

    Args:
      H: `[..., F, K, M]`.
      W: one beamformer for all subcarriers `[..., M, S]` (frequency-flat, as analogue hardware has it), or one for
        each `[..., F, M, S]` (as many axes as H).
      noise_w: noise power of a subcarrier [W], broadcasting against `[..., F, K]`.

    Returns:
      `[...]` [bit/s/Hz].
    """
    if W.ndim < H.ndim:
        W = W[..., None, :, :]
    return jnp.mean(sum_rate(H, W, noise_w), axis=-1)


def energy_efficiency(
    sum_rate: ArrayLike,
    bandwidth_hz: ArrayLike,
    radiated_w: ArrayLike,
    circuit_w: ArrayLike,
    amplifier_efficiency: ArrayLike = 1.0,
) -> Array:
    """Bits per joule: bandwidth sum_rate/(radiated/efficiency + circuit).

    Args:
      sum_rate: [bit/s/Hz], `[...]`.
      bandwidth_hz: [Hz].
      radiated_w: power radiated by base station and active elements [W], `[...]`.
      circuit_w: everything that is consumed without being radiated [W], `[...]`.
      amplifier_efficiency: radiated over consumed power of the amplifiers, in (0, 1].

    Returns:
      `[...]` [bit/J].
    """
    sum_rate, bandwidth_hz, radiated_w, circuit_w, amplifier_efficiency = as_reals(
        sum_rate, bandwidth_hz, radiated_w, circuit_w, amplifier_efficiency
    )
    return bandwidth_hz * sum_rate / (radiated_w / amplifier_efficiency + circuit_w)


def per_antenna_power(W: Array) -> Array:
    """Power each antenna radiates, sum_s |W_ms|^2 [W], `[..., M]`. Source: paper A, eq. (22)."""
    return jnp.sum(abs2(W), axis=-1)
