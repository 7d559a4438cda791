"""Detection of an echo in noise: Marcum's Q function and the detection probability of Swerling targets."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import i0e
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import as_reals, row

# The Rice density beyond 12 deviations from the nearer end of a tail is 5e-32 of that at its end; 96 Gauss-Legendre
# nodes over that length leave 1e-14 for a and b up to 40.
_TAIL = 12.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)


@jax.jit
def marcum_q(a: ArrayLike, b: ArrayLike) -> Array:
    """Marcum's Q function of order 1: the integral from b of x exp(-(x^2 + a^2)/2) I0(a x), `[...]`.

    By quadrature of the smaller tail, so that both Q and 1 - Q are exact where they are small.

    Args:
      a: >= 0, `[...]`.
      b: >= 0, `[...]`.

    Source: Marcum, 1960.
    """
    a, b = jnp.broadcast_arrays(*as_reals(a, b))
    upper = b >= a
    start = jnp.where(upper, b, jnp.maximum(b - _TAIL, 0))
    length = jnp.where(upper, _TAIL, b - start)
    nodes, weights = row((_NODES + 1) / 2, a), row(_WEIGHTS / 2, a)
    x = start[..., None] + length[..., None] * nodes
    density = x * jnp.exp(-((x - a[..., None]) ** 2) / 2) * i0e(a[..., None] * x)
    tail = length * jnp.sum(weights * density, axis=-1)
    return jnp.where(upper, tail, 1 - tail)


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
        # The root's gradient at 0 is infinite and Q1's is 0.
        a = jnp.sqrt(2 * jnp.maximum(snr, jnp.finfo(snr.dtype).tiny))
        return marcum_q(a, jnp.sqrt(-2 * jnp.log(false_alarm)))
    if model == "swerling1":
        return jnp.exp(jnp.log(false_alarm) / (1 + snr))
    raise ConfigError(f"model={model!r} is unknown: use 'swerling0' or 'swerling1'")
