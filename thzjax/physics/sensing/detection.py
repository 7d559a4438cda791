"""Detection of an echo in noise: Marcum's Q function and the detection probability of Swerling targets."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import i0e, i1e
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import as_reals, row

# The Rice density beyond 12 deviations from the nearer end of a tail is 5e-32 of that at its end; 96 Gauss-Legendre
# nodes over that length leave 1e-14 for a and b up to 40.
_TAIL = 12.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)


@jax.custom_jvp
def _tail(a_squared: Array, b: Array) -> Array:
    """Q1(sqrt(a_squared), b): smooth in the square, as Q1 is even in a."""
    a = jnp.sqrt(a_squared)
    upper = b >= a
    start = jnp.where(upper, b, jnp.maximum(b - _TAIL, 0))
    length = jnp.where(upper, _TAIL, b - start)
    nodes, weights = row((_NODES + 1) / 2, a), row(_WEIGHTS / 2, a)
    x = start[..., None] + length[..., None] * nodes
    density = x * jnp.exp(-((x - a[..., None]) ** 2) / 2) * i0e(a[..., None] * x)
    tail = length * jnp.sum(weights * density, axis=-1)
    return jnp.clip(jnp.where(upper, tail, 1 - tail), 0, 1)


@_tail.defjvp
def _tail_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    a_squared, b = primals
    positive = a_squared > 0
    a = jnp.where(positive, jnp.sqrt(jnp.where(positive, a_squared, 1)), 0)
    bell = jnp.exp(-((a - b) ** 2) / 2)
    product = a * b
    # exp(-x) I1(x)/x tends to 1/2.
    small = product < 1e-6
    ratio = jnp.where(small, 0.5, i1e(product) / jnp.where(small, 1, product))
    slope = b**2 / 2 * bell * ratio * tangents[0] - b * bell * i0e(product) * tangents[1]
    return _tail(a_squared, b), slope


@jax.jit
def marcum_q(a: ArrayLike, b: ArrayLike) -> Array:
    """Marcum's Q function of order 1: the integral from b of x exp(-(x^2 + a^2)/2) I0(a x), `[...]`.

    By quadrature of the smaller tail, so that both Q and 1 - Q are exact where they are small; derivatives in
    closed form.

    Args:
      a: >= 0, `[...]`.
      b: >= 0, `[...]`.

    Source: Marcum, 1960.
    """
    a, b = jnp.broadcast_arrays(*as_reals(a, b))
    return _tail(a**2, b)


def detection_probability(snr: ArrayLike, false_alarm: ArrayLike, model: str = "swerling0") -> Array:
    """Probability that an envelope detector of given false-alarm rate sees the echo.

    "swerling0" (steady): Q1(sqrt(2 snr), sqrt(-2 ln Pfa)); "swerling1" (fluctuating from dwell to dwell, the
    mean SNR given): Pfa^(1/(1 + snr)).

    Args:
      snr: after coherent integration (`radar_snr`), linear, `[...]`.
      false_alarm: Pfa in (0, 1), `[...]`.
      model: "swerling0" or "swerling1".

    Returns:
      `[...]`.

    Raises:
      ConfigError: unknown model.

    Source: Richards, Fundamentals of Radar Signal Processing, ch. 6.
    """
    snr, false_alarm = as_reals(snr, false_alarm)
    if model == "swerling0":
        return _tail(*jnp.broadcast_arrays(2 * snr, jnp.sqrt(-2 * jnp.log(false_alarm))))
    if model == "swerling1":
        return jnp.exp(jnp.log(false_alarm) / (1 + snr))
    raise ConfigError(f"model={model!r} is unknown: use 'swerling0' or 'swerling1'")
