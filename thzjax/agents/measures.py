"""What the off-policy learners' critics predict, and what it is worth.

The replay knows no price: it holds what was measured, rates and slack. A critic predicts the discounted sums of the
weighted rates, and of each constraint's slack by itself; whoever chooses an action weighs them by the multipliers of
the moment. So a price that has risen judges old transitions and old predictions at once. The rates are summed, at the
weights of the moment they are learned from: those settle at 1, and observations that sort the users do not tell which
user's rate is which. A critic of the whole Lagrangian has to unlearn with every
step of the multipliers: on a probe with one binding constraint DDPG's policy then kept swinging about the optimum of
0.3 with a deviation of 0.05 to 0.11 (4 seeds); so priced, with 0.01.
"""

import jax.numpy as jnp
from jax import Array

from thzjax.agents.normaliser import Moments
from thzjax.agents.primal_dual import Duals, PrimalDualConfig, priced


def measures_of(duals: Duals, rates: Array, slack: dict[str, Array], config: PrimalDualConfig) -> Array:
    """sum_k l_k r_k, and the priced slack of every constraint, by name: `[..., 1 + constraints]`."""
    weighted = jnp.sum(duals.rate_weights * rates, axis=-1)
    value = priced(slack, config)
    return jnp.stack([weighted, *(value[name] for name in sorted(duals.slack_weights))], axis=-1)


def prices_of(duals: Duals) -> Array:
    """What the Lagrangian pays for each of `measures_of`, `[1 + constraints]`."""
    weights = [duals.slack_weights[name] for name in sorted(duals.slack_weights)]
    return jnp.stack([jnp.ones((), duals.rate_weights.dtype), *weights])


def unit_of(moments: Moments, normalise: bool) -> tuple[Array, Array]:
    """(m, s) `[C]` by which measures are normalised, (r - m)/s; 0 and 1 where they are not."""
    if not normalise:
        return jnp.zeros_like(moments.mean), jnp.ones_like(moments.var)
    # Rates are in bit/s/Hz and slack in parts of a limit: a deviation below a thousandth is not to be blown up.
    return moments.mean, jnp.sqrt(jnp.maximum(moments.var, 1e-6))


def td_target(
    reward: Array, next_value: Array, terminated: Array, gamma: float | Array, mean: Array, std: Array
) -> Array:
    """What a critic should say, in the normalised unit q = (Q - m/(1 - gamma))/s, `[B, C]`.

    Q = r + gamma (1 - terminated) Q' turns into

        q = (r - m)/s + gamma q',  and q' = -m/((1 - gamma) s) where the episode has ended,

    so that no shift or scale changes which action is best, also where episodes end. A time limit is no end: Q' is
    then that of the observation before the reset.

    Args:
      reward, next_value: r in its own unit and q' in the normalised one, `[B, C]`.
      terminated: bool `[B]`.
      gamma: discount in [0, 1).
      mean, std: m and s, `[C]`.
    """
    ended = -mean / ((1 - gamma) * std)
    return (reward - mean) / std + gamma * jnp.where(terminated[:, None], ended, next_value)


def in_own_unit(q: Array, gamma: float | Array, mean: Array, std: Array) -> Array:
    """Normalised predictions `[..., C]` as discounted sums of what is measured: Q = m/(1 - gamma) + s q."""
    return mean / (1 - gamma) + std * q
