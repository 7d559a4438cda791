"""Advantage estimates over a rollout; the leading axis is time."""

import jax
import jax.numpy as jnp
from jax import Array, lax


def generalised_advantages(
    reward: Array,
    value: Array,
    value_next: Array,
    terminated: Array,
    truncated: Array,
    gamma: float,
    lam: float,
) -> Array:
    """Generalised advantage estimates: A_t = delta_t + gamma lam (1 - done_t) A_{t+1}.

    delta_t = r_t + gamma (1 - terminated_t) v(s'_t) - v(s_t), where s'_t is the observation after step t *before*
    any reset: a time limit (truncation) still bootstraps, a true end does not; neither leaks into the next
    episode.

    Args:
      reward, value, value_next: `[T, ...]`; `value_next` is v of the step's final observation.
      terminated, truncated: bool `[T, ...]`.
      gamma, lam: discount and trace decay in [0, 1].

    Returns:
      `[T, ...]`.

    Source: Schulman et al., 2016; with lam = 1 it is the L-step form of paper A, eq. (44), to the rollout's end.
    """
    delta = reward + gamma * jnp.where(terminated, 0, value_next) - value
    carry_on = jnp.where(terminated | truncated, 0, gamma * lam).astype(delta.dtype)

    def backwards(later: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
        delta_t, carry_t = x
        advantage = delta_t + carry_t * later
        return advantage, advantage

    _, advantage = lax.scan(backwards, jnp.zeros_like(delta[0]), (delta, carry_on), reverse=True)
    return jax.lax.stop_gradient(advantage)
