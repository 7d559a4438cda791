"""Molecular absorption: power absorption coefficients k_abs [1/m]."""

from jax import Array
from jax.typing import ArrayLike

from thzjax.numeric import as_real


def constant_absorption(k: ArrayLike) -> Array:
    """Absorption that does not depend on frequency or weather.

    Args:
      k: power absorption coefficient [1/m], `[...]`; the power falls by exp(-k l) over l metres.

    Returns:
      k_abs [1/m], `[...]`.

    Source: paper A, Section VI, gives 6.7141e-4 at 0.55 THz, about 1100 times below ITU-R P.676-13 there
    (0.741 1/m beside the 557 GHz water line).
    """
    return as_real(k)
