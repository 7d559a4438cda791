"""An equivariant network: users, surface elements and directions of departure as sets that exchange messages.

One set of weights serves any number of users K, elements N and antennas M: every entity of a kind goes through the same
small network, and what it is told by the others is pooled. Users in another order give the same numbers in that order.
A plain network, with no solver inside; `agents.unfolded` is the policy that has one.

Source: equivariant layers of pooled messages (Zaheer et al., 2017); graph networks for beams and surfaces (Jiang, Cheng
and Yu, 2021).
"""

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from thzjax.agents.policies import Params, Transition
from thzjax.envs.actions import Structured
from thzjax.envs.entities import Entities
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError

PER_ELEMENT = ("phase", "gain")
"""Parts of the action with a number for every element, the last ones of an action."""
DITHER = 0.5
"""Share of a level's width that training blurs phases over."""


def _dense(width: int, like: Array, scale: float = 1.0, **kwargs: Any) -> nn.Dense:
    # Not `orthogonal`: some sixty decompositions made `init` compile for longer than an update.
    kernel = nn.initializers.variance_scaling(scale**2, "fan_in", "normal")
    return nn.Dense(width, kernel_init=kernel, param_dtype=like.dtype, **kwargs)


def _mean(x: Array, axis: int) -> Array:
    """Mean, and 0 of an empty set."""
    return jnp.sum(x, axis=axis) / max(x.shape[axis], 1)


def _pooled(x: Array, axis: int) -> Array:
    """Mean and largest over a set of hidden numbers; 0 of an empty one."""
    if not x.shape[axis]:
        return jnp.concatenate([jnp.sum(x, axis=axis)] * 2, axis=-1)
    return jnp.concatenate([jnp.mean(x, axis=axis), jnp.max(x, axis=axis)], axis=-1)


class Exchange(nn.Module):
    """Messages between two sets: m_kx = silu(A link_kx + B h_k + C e_x), pooled over either.

    Attributes:
      width: of a message.
    """

    width: int

    @nn.compact
    def __call__(self, users: Array, others: Array, links: Array) -> tuple[Array, Array]:
        """`[..., K, W]`, `[..., X, W]`, `[..., K, X, F]` -> what users and others hear, `[..., K or X, 2W]`."""
        # One weight matrix on all three, without laying the hidden numbers out over the links.
        message = _dense(self.width, links, use_bias=False)(links)
        message = message + _dense(self.width, users)(users)[..., :, None, :]
        message = nn.silu(message + _dense(self.width, others, use_bias=False)(others)[..., None, :, :])
        return _pooled(message, -2), _pooled(message, -3)


class Update(nn.Module):
    """What an entity makes of what it heard: x + silu(A [x, heard] + B whole) C.

    Attributes:
      width: of an entity's hidden numbers.
    """

    width: int

    @nn.compact
    def __call__(self, x: Array, heard: Array, whole: Array) -> Array:
        """`[..., X, W]`, `[..., X, H]`, `[..., G]` -> `[..., X, W]`."""
        y = _dense(self.width, x)(jnp.concatenate([x, heard], axis=-1))
        y = nn.silu(y + _dense(self.width, whole, use_bias=False)(whole)[..., None, :])
        return x + _dense(self.width, x)(y)


class Trunk(nn.Module):
    """Rounds of messages.

    Attributes:
      hidden: width of every round, all alike.
    """

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, obs: Entities) -> tuple[Array, Array, Array | None, Array]:
        """Users `[..., K, W]`, elements `[..., N, W]`, directions `[..., D, W]` or none, and the whole `[..., G]`."""
        width = self.hidden[0]

        def first(x: Array) -> Array:
            return nn.silu(_dense(width, x)(x))

        users, elements = first(obs.users), first(obs.elements)
        directions = None if obs.directions is None else first(obs.directions)
        whole = jnp.concatenate([obs.whole, _pooled(users, -2)], axis=-1)
        for _ in self.hidden:
            by_pair, to_pair = Exchange(width)(users, users, obs.pairs)
            by_element, to_elements = Exchange(width)(users, elements, obs.reach)
            heard = [by_pair, to_pair, by_element]
            if directions is not None:
                by_direction, to_directions = Exchange(width)(users, directions, obs.spread)
                heard.append(by_direction)
                directions = Update(width)(directions, to_directions, whole)
            users = Update(width)(users, jnp.concatenate(heard, axis=-1), whole)
            elements = Update(width)(elements, to_elements, whole)
            whole = jnp.concatenate([obs.whole, _pooled(users, -2), _mean(elements, -2)], axis=-1)
        return users, elements, directions, whole


class EquivariantActor(nn.Module):
    """Mean and log deviation of a structured action.

    Attributes:
      hidden: width of every round of messages.
      kinds: which parts the action has, in order (`Structured.sizes`).
      log_std: of every part at the start.
    """

    hidden: tuple[int, ...]
    kinds: tuple[str, ...]
    log_std: tuple[float, ...]

    @nn.compact
    def __call__(self, obs: Entities) -> tuple[Array, Array]:
        """(mean `[..., A]`, log deviation `[..., A]`)."""
        users, elements, directions, whole = Trunk(self.hidden)(obs)

        def head(x: Array, size: int, name: str) -> Array:
            # Near zero at the start: the untrained policy is the action map's zero action.
            return _dense(size, x, 0.01, name=name)(x)

        of_user = head(users, 2, "user")
        if directions is None:
            weights = head(users, 2, "weight")[..., 1:, :]
        else:
            link = _dense(self.hidden[0], users)(users)[..., :, None, :]
            link = link + _dense(self.hidden[0], directions)(directions)[..., None, :, :]
            link = nn.silu(link + _dense(self.hidden[0], obs.spread)(obs.spread))
            weights = head(link, 2, "weight")
            weights = weights.reshape(*weights.shape[:-3], -1, 2)
        of_whole = head(nn.silu(_dense(self.hidden[0], whole)(whole)), 5, "whole")
        of_element = head(elements, 2, "element")
        parts = {
            "log_power": of_user[..., 0],
            "log_weight": of_user[..., 1],
            "real": weights[..., 0],
            "imag": weights[..., 1],
            "level": of_whole[..., :1],
            "light": of_whole[..., 1:3],
            "amplitude": of_whole[..., 3:],
            "phase": of_element[..., 0],
            "gain": of_element[..., 1],
        }
        start = jnp.asarray(self.log_std, users.dtype)
        log_std = self.param("log_std", lambda _: start)
        mean = [parts[kind] for kind in self.kinds]
        spread = [jnp.broadcast_to(log_std[i], x.shape) for i, x in enumerate(mean)]
        return jnp.concatenate(mean, axis=-1), jnp.concatenate(spread, axis=-1)


class EquivariantValue(nn.Module):
    """State value, `[...]`."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, obs: Entities) -> Array:
        """Value of an observation."""
        _, _, _, whole = Trunk(self.hidden)(obs)
        x = nn.silu(_dense(self.hidden[0], whole)(whole))
        return _dense(1, x, 1.0)(x)[..., 0]


@dataclasses.dataclass(frozen=True)
class EquivariantPolicy:
    """Diagonal Gaussian over the flat action of `Structured(elements=True)`, by networks that serve any K, N and M.

    A part of the action has one learned deviation for all its numbers, so no parameter counts users or elements.
    On 512 held-out channels of `paper-a` 400 updates of `apg` with 128 channels each lift the feasible rate from 2.90
    to 3.95 bit/s/Hz; the same weights, which never saw another size, from 4.27 to 6.35 at K = 6 and N = 36, and from
    2.17 to 2.35 at K = 2 and N = 9.

    Attributes:
      kinds: parts of the action, in order.
      hidden: width of every round of messages, all alike.
      log_std: log deviation at the start.
      element_log_std: the same of the numbers that each element has for itself.
      blur: width of the noise that `relaxed` lays on the elements' phases, in units of the action.
    """

    kinds: tuple[str, ...]
    hidden: tuple[int, ...] = (32, 32)
    log_std: float = -1.2
    element_log_std: float = -1.2
    blur: float = 0.0

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) != max(self.hidden) or self.hidden[0] < 1:
            raise ConfigError(f"hidden={self.hidden}: an equivariant network needs layers of one width, at least 1")

    def _modules(self) -> tuple[EquivariantActor, EquivariantValue]:
        start = tuple(self.element_log_std if kind in PER_ELEMENT else self.log_std for kind in self.kinds)
        return EquivariantActor(self.hidden, self.kinds, start), EquivariantValue(self.hidden)

    def _distribution(self, params: Params, obs: Entities) -> Any:
        import distrax  # 1.3 s to import, so only where a learner runs

        mean, log_std = self._modules()[0].apply(params["actor"], obs)
        return distrax.MultivariateNormalDiag(mean, jnp.exp(log_std))

    def init(self, key: Array, obs: Entities) -> Params:
        """Parameters for observations like `obs`."""
        key_actor, key_critic = jax.random.split(key)
        actor, critic = self._modules()
        return {"actor": actor.init(key_actor, obs), "critic": critic.init(key_critic, obs)}

    def value(self, params: Params, obs: Entities) -> Array:
        """State value, `[...]`."""
        return self._modules()[1].apply(params["critic"], obs)

    def sample(self, params: Params, obs: Entities, key: Array) -> tuple[Array, Array]:
        """A random action and its log density."""
        return self._distribution(params, obs).sample_and_log_prob(seed=key)

    def log_prob_entropy(self, params: Params, obs: Entities, action: Array) -> tuple[Array, Array]:
        """Log density of an action, and the policy's entropy, `[...]`."""
        distribution = self._distribution(params, obs)
        return distribution.log_prob(action), distribution.entropy()

    def mode(self, params: Params, obs: Entities) -> Array:
        """The action used after training: the mean."""
        return self._modules()[0].apply(params["actor"], obs)[0]

    def relaxed(self, params: Params, obs: Entities, key: Array) -> Array:
        """As `mode`, with the elements' phases blurred as levels round them: what a continuous surface learns from."""
        mean = self.mode(params, obs)
        elements = obs.elements.shape[-2]
        tail = sum(elements for kind in self.kinds[self.kinds.index("phase") :])
        start = mean.shape[-1] - tail
        noise = self.blur * jax.random.uniform(key, (*mean.shape[:-1], elements), mean.dtype, -0.5, 0.5)
        blurred = mean[..., start : start + elements] + noise
        return jnp.concatenate([mean[..., :start], blurred, mean[..., start + elements :]], axis=-1)

    def auxiliary_loss(self, params: Params, batch: Transition, gamma: float) -> Array:
        """None beside the value loss."""
        del params, batch, gamma
        return jnp.zeros(())


def equivariant_policy(
    env: Environment, hidden: tuple[int, ...] = (32, 32), log_std: float = -1.2, element_log_std: float = -1.2
) -> EquivariantPolicy:
    """The policy of an environment with `Structured(elements=True)` and `EntityObservation`.

    Raises:
      ConfigError: another action map.
    """
    if not (isinstance(env.actions, Structured) and env.actions.elements):
        raise ConfigError("the equivariant policy acts by Structured(elements=True)")
    spec = env.system.spec
    # A lone user has no weight, but others will: which parts there are must not depend on K or N.
    sizes = env.actions.sizes(spec)
    kinds = tuple(kind for kind in sizes if sizes[kind] or kind in ("real", "imag", "phase"))
    level = 2 * math.pi / 2**spec.phase_bits if spec.phase_bits else 0.0
    blur = DITHER * level / env.actions.element_scale
    return EquivariantPolicy(kinds, tuple(hidden), log_std, element_log_std, blur)
