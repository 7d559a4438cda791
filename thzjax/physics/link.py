"""Links: effective channels, SINR and rates. A channel row multiplies the transmitted vector: y = H x."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from thzjax.numeric import abs2, matmul


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
    own = jnp.arange(users)[:, None] == jnp.arange(W.shape[-1])
    # Masked sums, not total minus own: the difference loses the interference of a strong user in float32.
    signal = jnp.sum(jnp.where(own, power, 0), axis=-1)
    interference = jnp.sum(jnp.where(own, 0, power), axis=-1)
    return signal / (interference + jnp.asarray(noise_w, dtype=power.dtype))


def rates(H: Array, W: Array, noise_w: ArrayLike) -> Array:
    """User rates log2(1 + SINR) [bit/s/Hz], `[..., K]`; arguments as in `sinr`. Source: paper A, eq. (21)."""
    return jnp.log1p(sinr(H, W, noise_w)) / jnp.log(2.0)


def sum_rate(H: Array, W: Array, noise_w: ArrayLike) -> Array:
    """Sum of the user rates [bit/s/Hz], `[...]`; arguments as in `sinr`. Source: paper A, eq. (23)."""
    return jnp.sum(rates(H, W, noise_w), axis=-1)


def per_antenna_power(W: Array) -> Array:
    """Power each antenna radiates, sum_s |W_ms|^2 [W], `[..., M]`. Source: paper A, eq. (22)."""
    return jnp.sum(abs2(W), axis=-1)
