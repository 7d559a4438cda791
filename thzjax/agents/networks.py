"""Flax modules. Pure `init`/`apply` on parameter pytrees, so that they vmap over users, seeds and devices.

Parameters take the precision of the observation they are made for.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from thzjax.agents.initialisers import orthogonal


class GaussianActor(nn.Module):
    """Mean and log deviation of a diagonal Gaussian; the deviation does not depend on the observation.

    Attributes:
      hidden: widths of the hidden layers (tanh).
      size: numbers in an action.
      log_std: deviation at the start.
    """

    hidden: tuple[int, ...]
    size: int
    log_std: float

    @nn.compact
    def __call__(self, obs: Array) -> tuple[Array, Array]:
        """`[..., F]` -> (mean `[..., A]`, log deviation `[..., A]`)."""
        x = obs
        for width in self.hidden:
            x = nn.tanh(nn.Dense(width, kernel_init=orthogonal(2**0.5), param_dtype=obs.dtype)(x))
        # Near zero at the start: the untrained policy is the action map's zero action.
        mean = nn.Dense(self.size, kernel_init=orthogonal(0.01), param_dtype=obs.dtype)(x)
        log_std = self.param("log_std", nn.initializers.constant(self.log_std), (self.size,), obs.dtype)
        return mean, jnp.broadcast_to(log_std, mean.shape)


class MixedActor(nn.Module):
    """A diagonal Gaussian and independent choices from one trunk.

    Attributes:
      hidden: widths of the hidden layers (tanh).
      size: numbers of the Gaussian part.
      choices, levels: how many choices, and among how many levels each.
      log_std: deviation at the start.
    """

    hidden: tuple[int, ...]
    size: int
    choices: int
    levels: int
    log_std: float

    @nn.compact
    def __call__(self, obs: Array) -> tuple[Array, Array, Array]:
        """`[..., F]` -> (mean `[..., A]`, log deviation `[..., A]`, logits `[..., N, levels]`)."""
        x = obs
        for width in self.hidden:
            x = nn.tanh(nn.Dense(width, kernel_init=orthogonal(2**0.5), param_dtype=obs.dtype)(x))
        # Near zero at the start: beams of zero mean, and levels that are all but equally likely.
        small = orthogonal(0.01)
        mean = nn.Dense(self.size, kernel_init=small, param_dtype=obs.dtype)(x)
        logits = nn.Dense(self.choices * self.levels, kernel_init=small, param_dtype=obs.dtype)(x)
        log_std = self.param("log_std", nn.initializers.constant(self.log_std), (self.size,), obs.dtype)
        logits = logits.reshape(*logits.shape[:-1], self.choices, self.levels)
        return mean, jnp.broadcast_to(log_std, mean.shape), logits


class ValueNetwork(nn.Module):
    """State value, `[..., F]` -> `[...]`."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        """Value of an observation."""
        x = obs
        for width in self.hidden:
            x = nn.tanh(nn.Dense(width, kernel_init=orthogonal(2**0.5), param_dtype=obs.dtype)(x))
        return nn.Dense(1, kernel_init=orthogonal(1.0), param_dtype=obs.dtype)(x)[..., 0]


class PaperActor(nn.Module):
    """Paper A's actor for one user: 30 ReLU units, tanh mean and softplus deviation. Source: Section VI."""

    size: int
    units: int = 30

    @nn.compact
    def __call__(self, obs: Array) -> tuple[Array, Array]:
        """`[..., 2M]` -> (mean in (-1, 1), deviation > 0), both `[..., A]`."""
        x = nn.relu(nn.Dense(self.units, param_dtype=obs.dtype)(obs))
        # A floor keeps the truncated density finite where the softplus has all but vanished.
        return nn.tanh(nn.Dense(self.size, param_dtype=obs.dtype)(x)), nn.softplus(
            nn.Dense(self.size, param_dtype=obs.dtype)(x)
        ) + 1e-2


class PaperCritic(nn.Module):
    """Paper A's critic for one user: 20 ReLU units, a value head and one Q head per element. Source: Section VI."""

    elements: int
    levels: int
    units: int = 20

    @nn.compact
    def __call__(self, obs: Array) -> tuple[Array, Array]:
        """`[..., 2M]` -> (value `[...]`, Q `[..., N, levels]`)."""
        x = nn.relu(nn.Dense(self.units, param_dtype=obs.dtype)(obs))
        q = nn.Dense(self.elements * self.levels, param_dtype=obs.dtype)(x)
        return nn.Dense(1, param_dtype=obs.dtype)(x)[..., 0], q.reshape(*q.shape[:-1], self.elements, self.levels)
