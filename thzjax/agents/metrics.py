"""How every learner's update ends: the multipliers move on the batch, and its metrics are taken."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from thzjax.agents.base import mean_over, sum_over
from thzjax.agents.primal_dual import Duals, PrimalDualConfig, priced, update_duals
from thzjax.systems.base import satisfied


def settle(
    duals: Duals,
    info: dict[str, Any],
    config: PrimalDualConfig,
    done: Array | None = None,
    axes: tuple[str, ...] = (),
) -> tuple[Duals, dict[str, Array]]:
    """(multipliers after a batch, its metrics), which every learner reports under the same names.

    Args:
      duals: multipliers that the batch was collected under.
      info: of the environment's steps: `rates [..., K]`, `slack` by constraint and, where `done` is given,
        `episode_return`, `[...]` each.
      config: how the multipliers move.
      done: bool `[...]`, which steps ended an episode; none where each is one.
      axes: named axes that the batch is spread over. Episodes are counted over all of it, and a return is the mean over
        all episodes, however many of them each worker saw end.
    """
    rates, slack = info["rates"], info["slack"]
    steps = tuple(range(rates.ndim - 1))
    satisfied_share = jnp.mean(satisfied(slack).astype(rates.dtype))
    means = (jnp.mean(rates, axis=steps), jax.tree.map(jnp.mean, (slack, priced(slack, config))), satisfied_share)
    mean_rates, (mean_slack, mean_priced), satisfied_share = mean_over(means, axes)
    duals = update_duals(duals, mean_rates, mean_priced, config)
    if done is None:
        episodes, episode_return = sum_over(jnp.asarray(rates[..., 0].size), axes), jnp.sum(mean_rates)
    else:
        ended = (jnp.sum(done), jnp.sum(jnp.where(done, info["episode_return"], 0)))
        episodes, total_return = sum_over(ended, axes)
        episode_return = total_return / jnp.maximum(episodes, 1).astype(rates.dtype)
    metrics = {
        "sum_rate": jnp.sum(mean_rates),
        "episodes": episodes,
        "episode_return": episode_return,
        "violation_rate": 1 - satisfied_share,
        "x_sum": jnp.sum(duals.x),
        "lambda_mean": jnp.mean(duals.lam),
    }
    metrics |= {f"slack/{name}": value for name, value in mean_slack.items()}
    return duals, metrics | {f"mu/{name}": value for name, value in duals.mu.items()}
