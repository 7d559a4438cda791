"""The off-policy learners' networks, which see normalised observations."""

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from thzjax.agents.initialisers import orthogonal
from thzjax.agents.normaliser import init_moments, normalised


class Tower(nn.Module):
    """Dense layers with ReLU, `[..., F]` -> `[..., size]`.

    Attributes:
      hidden: widths of the hidden layers.
      size: outputs.
      last: gain of the last layer's orthogonal start.
      layer_norm: normalise each hidden layer before its ReLU.
    """

    hidden: tuple[int, ...]
    size: int
    last: float
    layer_norm: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Outputs."""
        for width in self.hidden:
            x = nn.Dense(width, kernel_init=orthogonal(2**0.5), param_dtype=x.dtype)(x)
            x = nn.relu(nn.LayerNorm(param_dtype=x.dtype)(x) if self.layer_norm else x)
        return nn.Dense(self.size, kernel_init=orthogonal(self.last), param_dtype=x.dtype)(x)


@dataclasses.dataclass(frozen=True)
class ActorCritic:
    """An actor on actions u in [-1, 1]^A, critics on (observation, u), and the observation's moments.

    `params` is {"actor", "critic", "moments"}: the actor's tower under "network", every critic's leaves
    `[Q, ...]`, and `normaliser.Moments`. The environment is given action_scale*u.

    Attributes:
      size: A, numbers in an action.
      measures: C, numbers that a critic predicts.
      critics: Q, how many critics are learned side by side.
      hidden, layer_norm, action_scale: see `off_policy.OffPolicyConfig`.
    """

    size: int
    measures: int
    critics: int = 1
    hidden: tuple[int, ...] = (64, 64)
    layer_norm: bool = False
    action_scale: float = 2.0

    outputs_per_number: ClassVar[int] = 1

    def _actor(self) -> Tower:
        # Near zero at the start: the untrained policy is the action map's zero action.
        return Tower(self.hidden, self.outputs_per_number * self.size, 0.01, self.layer_norm)

    def _critic(self) -> Tower:
        return Tower(self.hidden, self.measures, 1.0, self.layer_norm)

    def init(self, key: Array, obs: Array) -> dict[str, Any]:
        """Parameters for observations like `obs [F]`."""
        key_actor, key_critic = jax.random.split(key)
        pair = jnp.concatenate([obs, jnp.zeros((self.size,), obs.dtype)])
        return {
            "actor": {"network": self._actor().init(key_actor, obs)},
            "critic": jax.vmap(lambda k: self._critic().init(k, pair))(jax.random.split(key_critic, self.critics)),
            "moments": init_moments(obs),
        }

    def outputs(self, params: Any, obs: Array) -> Array:
        """What the actor's network says, `[..., F]` -> `[..., outputs_per_number*A]`."""
        return self._actor().apply(params["actor"]["network"], normalised(params["moments"], obs))

    def predictions(self, params: Any, obs: Array, action: Array) -> Array:
        """Every critic's normalised prediction of every measure, `[..., F]` and u `[..., A]` -> `[Q, ..., C]`."""
        pair = jnp.concatenate([normalised(params["moments"], obs), action], axis=-1)
        return jax.vmap(self._critic().apply, in_axes=(0, None))(params["critic"], pair)


def least(predictions: Array, prices: Array) -> Array:
    """The measures of whichever critic values them least, `[Q, B, C]` at prices `[C]` -> `[B, C]`.

    Source: the lower of two critics is Fujimoto et al., 2018, (10); the comparison is of the priced sums.
    """
    lowest = jnp.argmin(predictions @ prices, axis=0)
    return jnp.take_along_axis(predictions, lowest[None, :, None], axis=0)[0]
