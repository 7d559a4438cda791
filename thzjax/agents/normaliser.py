"""Running moments, and the policy that sees observations normalised by them."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array, lax

from thzjax.agents.base import central_moments, sum_over
from thzjax.agents.policies import Params, Policy, Transition

BOUND = 10.0
"""Largest normalised number, so that one that hardly ever moves cannot explode when it does."""


@struct.dataclass
class Moments:
    """Running mean and variance of observations; leaves like one observation.

    Attributes:
      mean, var: of all that was seen; 0 and 1 before anything was.
      count: how many were seen, `[]`, in floating point, as gradients are taken past it.
    """

    mean: Any
    var: Any
    count: Array


def init_moments(obs: Any) -> Moments:
    """Mean 0 and variance 1 of observations like `obs`, forgotten at the first batch."""
    return Moments(jax.tree.map(jnp.zeros_like, obs), jax.tree.map(jnp.ones_like, obs), jnp.zeros(()))


def add_moments(moments: Moments, obs: Any, axes: int = 1, over: tuple[str, ...] = ()) -> Moments:
    """Moments with a batch added, `obs [..., *observation]` with `axes` leading axes and more of it over named ones.

    With n seen before, b in the batch and the difference d of the means: mean += d b/(n + b), and
    var = (n var + b var_b + d^2 n b/(n + b))/(n + b). Source: Chan, Golub and LeVeque, 1983.
    """
    num = sum_over(jnp.asarray(math.prod(jax.tree.leaves(obs)[0].shape[:axes]), moments.count.dtype), over)
    total = moments.count + num

    def merged(mean: Array, var: Array, mean_new: Array, var_new: Array) -> tuple[Array, Array]:
        seen, added = (moments.count / total).astype(mean.dtype), (num / total).astype(mean.dtype)
        change = mean_new - mean
        return mean + change * added, seen * var + added * var_new + change**2 * seen * added

    pairs = jax.tree.map(merged, moments.mean, moments.var, *central_moments(obs, tuple(range(axes)), over))
    mean, var = jax.tree.transpose(jax.tree.structure(obs), jax.tree.structure((0, 0)), pairs)
    return Moments(mean, var, total)


def normalised(moments: Moments, obs: Any) -> Any:
    """(obs - mean)/deviation, clipped to `BOUND`, of leaves `[..., *observation]`; no gradient reaches the moments."""
    moments = lax.stop_gradient(moments)

    def one(mean: Array, var: Array, x: Array) -> Array:
        mean, var = jnp.broadcast_to(mean, x.shape), jnp.broadcast_to(var, x.shape)
        # A number that never varies has var = 0 and becomes 0.
        return jnp.clip((x - mean) / jnp.sqrt(var + 1e-8), -BOUND, BOUND)

    return jax.tree.map(one, moments.mean, moments.var, obs)


def observed(weights: Params, obs: Any, axes: int, over: tuple[str, ...] = ()) -> Params:
    """The parameters once their moments, if they carry any, have seen a batch; arguments as in `add_moments`."""
    if "moments" not in weights:
        return weights
    return weights | {"moments": add_moments(weights["moments"], obs, axes, over)}


@dataclasses.dataclass(frozen=True)
class NormalisedPolicy:
    """A policy that sees `normalised` observations; its `params` carry the "moments".

    Attributes:
      policy: sees normalised observations.
    """

    policy: Policy

    def _seen(self, params: Params, obs: Any) -> Any:
        return normalised(params["moments"], obs)

    def init(self, key: Array, obs: Any) -> Params:
        """The policy's parameters, and the moments before anything was seen."""
        return self.policy.init(key, obs) | {"moments": init_moments(obs)}

    def value(self, params: Params, obs: Any) -> Array:
        """State value, `[...]`."""
        return self.policy.value(params, self._seen(params, obs))

    def sample(self, params: Params, obs: Any, key: Array) -> tuple[Any, Array]:
        """A random action and its log density."""
        return self.policy.sample(params, self._seen(params, obs), key)

    def log_prob_entropy(self, params: Params, obs: Any, action: Any) -> tuple[Array, Array]:
        """Log density of an action, and the policy's entropy, `[...]`."""
        return self.policy.log_prob_entropy(params, self._seen(params, obs), action)

    def mode(self, params: Params, obs: Any) -> Any:
        """The action used after training."""
        return self.policy.mode(params, self._seen(params, obs))

    def auxiliary_loss(self, params: Params, batch: Transition, gamma: float) -> Array:
        """The policy's own extra loss."""
        seen = batch._replace(obs=self._seen(params, batch.obs), next_obs=self._seen(params, batch.next_obs))
        return self.policy.auxiliary_loss(params, seen, gamma)
