"""Closed-form beamformers for a channel `[..., K, M]`, and the scalings that fit them to a power budget."""

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.linalg import solve_hermitian
from thzjax.numeric import abs2, as_complex, as_real, hermitian, matmul


def _largest_part(x: Array, axis: int | tuple[int, ...]) -> Array:
    """Largest real or imaginary part, 1 where all are 0, axes kept: a scale that needs no root."""
    largest = jnp.max(jnp.maximum(jnp.abs(jnp.real(x)), jnp.abs(jnp.imag(x))), axis=axis, keepdims=True)
    return jnp.where(largest > 0, largest, 1)


def unit_columns(W: Array) -> Array:
    """Each column scaled to unit norm, `[..., M, S]`; a column of zeros stays zero."""
    # Scaled by the largest entry first: the squares of channel-sized numbers underflow float32.
    W = W * as_complex(1 / _largest_part(W, -2))
    norm2 = jnp.sum(abs2(W), axis=-2, keepdims=True)
    return W * as_complex(lax.rsqrt(jnp.where(norm2 > 0, norm2, 1)))


def mrt(H: Array) -> Array:
    """Maximum-ratio transmission: the columns of H^H at unit norm.

    `H[..., K, M]` -> `[..., M, K]`. Source: the matched filter; a baseline of paper A, Fig. 4.
    """
    return unit_columns(hermitian(H))


def _relative(H: Array) -> tuple[Array, Array]:
    """H over its root-mean-square row norm, and that norm squared `[...]`: Gram matrices near 1 in float32."""
    scale = _largest_part(H, (-2, -1))[..., 0, 0]
    H = H * as_complex(1 / scale)[..., None, None]
    mean2 = jnp.sum(abs2(H), axis=(-2, -1)) / H.shape[-2]
    mean2 = jnp.where(mean2 > 0, mean2, 1)
    return H / as_complex(jnp.sqrt(mean2))[..., None, None], mean2 * scale**2


def zf(H: Array) -> Array:
    """Zero forcing: the columns of H^H (H H^H)^-1 at unit norm, so that H W is diagonal.

    `H[..., K, M]`, K <= M and full row rank -> `[..., M, K]`. Near a singular H the result follows rounding.

    Source: a baseline of paper A, Fig. 4.
    """
    # The columns are normalised at the end, so each user's row may be scaled first: that conditions the Gram.
    H = hermitian(unit_columns(hermitian(H)))
    W = hermitian(solve_hermitian(matmul(H, hermitian(H)), H))
    # The Gram squares the condition number; one Newton step on H W = I wins the lost digits back.
    return unit_columns(2 * W - matmul(W, matmul(H, W)))


def rzf(H: Array, noise_w: ArrayLike, power_w: ArrayLike) -> Array:
    """Regularised zero forcing: the columns of H^H (H H^H + (K noise/P) I)^-1 at unit norm.

    Args:
      H: `[..., K, M]`.
      noise_w: noise power [W], `[...]`.
      power_w: total transmit power P [W], `[...]`.

    Returns:
      `[..., M, K]`.

    Source: Peel, Hochwald and Swindlehurst, 2005.
    """
    users = H.shape[-2]
    H, scale = _relative(H)
    ridge = users * as_real(noise_w).astype(scale.dtype) / as_real(power_w).astype(scale.dtype) / scale
    return regularised(H, ridge)


def regularised(H: Array, ridge: Array, weights: Array | None = None) -> Array:
    """H^H (H H^H + ridge I)^-1 at unit norm; `weights[..., K]` instead of I give users their own ridge.

    The closed form of `rzf`, for a channel whose scale the caller has chosen. `ridge[...]` is in units of
    |H|^2.
    """
    users = H.shape[-2]
    gram = matmul(H, hermitian(H))
    diagonal = ridge[..., None] if weights is None else ridge[..., None] * weights
    eye = jnp.broadcast_to(jnp.eye(users, dtype=H.dtype), gram.shape)
    loading = as_complex(diagonal)[..., None] * eye
    return unit_columns(hermitian(solve_hermitian(gram + loading, H)))
