"""Small numeric helpers that keep dtypes honest under strict promotion."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.errors import ConfigError


def as_real(x: ArrayLike) -> Array:
    """`x` as a floating-point array; integers take JAX's default float."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


def as_complex(x: ArrayLike) -> Array:
    """`x` as a complex array of matching precision."""
    x = jnp.asarray(x)
    return x if jnp.iscomplexobj(x) else lax.complex(as_real(x), jnp.zeros_like(as_real(x)))


def cis(phase_rad: ArrayLike) -> Array:
    """exp(j phase) from a real phase [rad], complex of matching precision."""
    phase_rad = as_real(phase_rad)
    return lax.complex(jnp.cos(phase_rad), jnp.sin(phase_rad))


def abs2(x: Array) -> Array:
    """|x|^2, real, without the square root that `abs` takes (and whose gradient is NaN at 0)."""
    return jnp.real(x) ** 2 + jnp.imag(x) ** 2


def hermitian(x: Array) -> Array:
    """Conjugate transpose of the last two axes."""
    return jnp.conj(jnp.swapaxes(x, -1, -2))


def matmul(a: Array, b: Array) -> Array:
    """Matrix product at full precision: the default on recent GPUs is TF32 and on TPU bfloat16."""
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def angle_or_zero(x: Array) -> Array:
    """arg(x) [rad], and 0 with a zero gradient at x = 0, where the gradient of `angle` is NaN."""
    zero = abs2(x) == 0
    return jnp.angle(jnp.where(zero, jnp.ones_like(x), x))


def unit_phasor(x: Array) -> Array:
    """x/|x|, and 1 at x = 0. A root and a division: several times cheaper than exp(j arg(x))."""
    norm2 = abs2(x)
    zero = norm2 <= jnp.finfo(norm2.dtype).tiny
    return jnp.where(zero, jnp.ones_like(x), x) / as_complex(jnp.sqrt(jnp.where(zero, 1, norm2)))


def as_reals(*values: ArrayLike) -> tuple[Array, ...]:
    """The values as real arrays of one common precision; Python numbers adapt to the arrays beside them."""
    dtype = jnp.result_type(*values)
    if not jnp.issubdtype(dtype, jnp.floating):
        dtype = jnp.result_type(float)
    return tuple(jnp.asarray(value, dtype) for value in values)


def row(x: ArrayLike, like: Array, extra: int = 1) -> Array:
    """The vector `x[n]` in the precision of the real `like[...]`, shaped `[1, .., 1, n]` to follow its axes.

    Written out, so that it also works where rank promotion raises.
    """
    x = jnp.asarray(x, like.dtype)
    return x.reshape((1,) * (like.ndim + extra - 1) + x.shape)


def refuse_unless(allowed: Array, value: Array, message: str) -> Array:
    """`value`, NaN where it is not allowed; on the host (not traced) an error instead.

    Raises:
      ConfigError: a concrete value is not allowed.
    """
    if not isinstance(allowed, jax.core.Tracer) and not bool(jnp.all(allowed)):
        worst = np.ravel(np.asarray(value))[np.argmin(np.ravel(np.asarray(allowed)))]
        raise ConfigError(f"{message}, not {worst:g}")
    return jnp.where(allowed, value, jnp.nan)


def trailing(x: Array, axes: int = 1) -> Array:
    """`x[...]` with that many axes of 1 behind, to go before the physics; a scalar fits anything and stays one."""
    return x.reshape(x.shape + (1,) * axes) if x.ndim else x
