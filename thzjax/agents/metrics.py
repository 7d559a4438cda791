"""How every learner's update ends: the multipliers move on the batch, and its metrics are taken."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from thzjax.agents.primal_dual import Duals, PrimalDualConfig, priced, update_duals
from thzjax.systems.base import satisfied


def settle(
    duals: Duals, info: dict[str, Any], config: PrimalDualConfig, done: Array | None = None
) -> tuple[Duals, dict[str, Array]]:
    """(multipliers after a batch, its metrics), which every learner reports under the same names.

    Args:
      duals: multipliers that the batch was collected under.
      info: of the environment's steps: `rates [..., K]`, `slack` by constraint and, where `done` is given,
        `episode_return`, `[...]` each.
      config: how the multipliers move.
      done: bool `[...]`, which steps ended an episode; none where each is one.
    """
    rates, slack = info["rates"], info["slack"]
    steps = tuple(range(rates.ndim - 1))
    mean_rates = jnp.mean(rates, axis=steps)
    duals = update_duals(duals, mean_rates, jax.tree.map(jnp.mean, priced(slack, config)), config)
    if done is None:
        episodes, episode_return = jnp.asarray(rates[..., 0].size), jnp.sum(mean_rates)
    else:
        episodes = jnp.sum(done)
        finished = jnp.maximum(episodes, 1).astype(rates.dtype)
        episode_return = jnp.sum(jnp.where(done, info["episode_return"], 0)) / finished
    metrics = {
        "sum_rate": jnp.sum(mean_rates),
        "episodes": episodes,
        "episode_return": episode_return,
        "violation_rate": 1 - jnp.mean(satisfied(slack).astype(rates.dtype)),
        "x_sum": jnp.sum(duals.x),
        "lambda_mean": jnp.mean(duals.lam),
    }
    metrics |= {f"slack/{name}": jnp.mean(value) for name, value in slack.items()}
    return duals, metrics | {f"mu/{name}": value for name, value in duals.mu.items()}
