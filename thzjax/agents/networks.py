"""Flax modules. Pure `init`/`apply` on parameter pytrees, so that they vmap over users, seeds and devices."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array


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
            x = nn.tanh(nn.Dense(width, kernel_init=nn.initializers.orthogonal(2**0.5))(x))
        # Near zero at the start: the untrained policy is the action map's zero action.
        mean = nn.Dense(self.size, kernel_init=nn.initializers.orthogonal(0.01))(x)
        log_std = self.param("log_std", nn.initializers.constant(self.log_std), (self.size,))
        return mean, jnp.broadcast_to(log_std, mean.shape)


class ValueNetwork(nn.Module):
    """State value, `[..., F]` -> `[...]`."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        """Value of an observation."""
        x = obs
        for width in self.hidden:
            x = nn.tanh(nn.Dense(width, kernel_init=nn.initializers.orthogonal(2**0.5))(x))
        return nn.Dense(1, kernel_init=nn.initializers.orthogonal(1.0))(x)[..., 0]


class PaperActor(nn.Module):
    """Paper A's actor for one user: 30 ReLU units, tanh mean and softplus deviation. Source: Section VI."""

    size: int
    units: int = 30

    @nn.compact
    def __call__(self, obs: Array) -> tuple[Array, Array]:
        """`[..., 2M]` -> (mean in (-1, 1), deviation > 0), both `[..., A]`."""
        x = nn.relu(nn.Dense(self.units)(obs))
        # A floor keeps the truncated density finite where the softplus has all but vanished.
        return nn.tanh(nn.Dense(self.size)(x)), nn.softplus(nn.Dense(self.size)(x)) + 1e-2


class PaperCritic(nn.Module):
    """Paper A's critic for one user: 20 ReLU units, a value head and one Q head per element. Source: Section VI."""

    elements: int
    levels: int
    units: int = 20

    @nn.compact
    def __call__(self, obs: Array) -> tuple[Array, Array]:
        """`[..., 2M]` -> (value `[...]`, Q `[..., N, levels]`)."""
        x = nn.relu(nn.Dense(self.units)(obs))
        q = nn.Dense(self.elements * self.levels)(x)
        return nn.Dense(1)(x)[..., 0], q.reshape(*q.shape[:-1], self.elements, self.levels)
