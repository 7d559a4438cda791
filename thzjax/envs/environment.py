"""One stateless environment over any system: an episode is one channel drop.

Nothing a design does changes the next channel: the decision process is a bandit with side information, spread
over `horizon` steps. Discounting adds little; the paper's 50-step episodes are kept as its configuration.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

from thzjax.errors import ConfigError
from thzjax.systems.base import Design, System, satisfied
from thzjax.systems.common import random_phases

STARTS = ("random", "identity")


@struct.dataclass
class State:
    """What an episode carries.

    Attributes:
      channels: this episode's drop.
      estimate: the drop as the designer sees it; none where that is the drop itself.
      context: what the action and observation maps derive once from it.
      obs: the present observation.
      reflection: the surface's present phases, `[N]`.
      beamformer: the present beams `[M, S]`, where the observation map sees them; else none.
      step: steps taken, int32.
      episode_return: sum of rewards so far.
    """

    channels: Any
    estimate: Any
    context: Any
    obs: Any
    reflection: Array
    step: Array
    episode_return: Array
    beamformer: Array | None = None

    @property
    def seen(self) -> Any:
        """The channels the designer knows."""
        return self.channels if self.estimate is None else self.estimate


class Step(NamedTuple):
    """Result of a step. After the last step of an episode `obs` and `state` are already the next episode's."""

    obs: Any
    state: State
    reward: Array
    terminated: Array
    truncated: Array
    info: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Environment:
    """Environment over a system; static and hashable. Vmapped by the caller.

    Attributes:
      system: what is simulated.
      actions: action map (`envs.actions`).
      observations: observation map (`envs.observations`).
      horizon: steps per episode, all on one drop.
      start: what stands when an episode begins, where that is seen or acts: "random", uniform phases; or "identity",
        psi of ones and W of the first columns of an identity matrix, scaled to the power budget (paper B). Beams start
        so in both.
      delayed_phases: phases chosen at t act at t + 1 (paper A) instead of at once.
      meet_constraints: scale every design so that the constraints hold on every single channel.
      stop_when_satisfied: an episode also ends (terminated, not truncated) with the first design that meets every
        constraint: paper B's rule. With a discount and a positive reward it teaches to stay infeasible.
      drops: (key, params) -> the channels of an episode; none for those that the system samples.
    """

    system: System
    actions: Callable[..., Design]
    observations: Callable[..., Any]
    horizon: int = 1
    start: str = "random"
    delayed_phases: bool = False
    meet_constraints: bool = False
    stop_when_satisfied: bool = False
    drops: Callable[[Array, Any], Any] | None = None

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise ConfigError(f"horizon={self.horizon} must be at least 1")
        if self.start not in STARTS:
            raise ConfigError(f"start={self.start!r} is unknown: use one of {', '.join(STARTS)}")
        if self.stop_when_satisfied and not self.system.constraints:
            raise ConfigError("stop_when_satisfied needs constraints: the system has 0")

    def reset(self, key: Array, params: Any) -> tuple[Any, State]:
        """A new episode on a new drop, with what `start` says on the surface."""
        key_channel, key_phase = jax.random.split(key)
        channels = (self.drops or self.system.sample)(key_channel, params)
        phase = random_phases(key_phase, channels, self.system.spec.elements)
        if self.start == "identity":
            phase = jnp.zeros_like(phase)
        reflection = self.system.snap(params, channels, phase)
        estimate = None
        if self.system.estimated:
            estimate = self.system.observe(jax.random.fold_in(key, 2), params, channels)
        state = self.begin(params, channels, reflection, estimate)
        return state.obs, state

    def begin(self, params: Any, channels: Any, reflection: Array, estimate: Any = None) -> State:
        """An episode on a given channel, from given phases; the designer sees the estimate, if there is one."""
        seen = channels if estimate is None else estimate
        context = self.actions.context(self.system, params, seen)
        beamformer = None
        if self.sees_beams:
            spec = self.system.spec
            beamformer = self.system.fit_power(params, jnp.eye(spec.antennas, spec.streams, dtype=reflection.dtype))
        obs = self._observe(params, seen, context, reflection, beamformer)
        zero = jnp.zeros((), channels.direct.real.dtype)
        return State(channels, estimate, context, obs, reflection, jnp.zeros((), jnp.int32), zero, beamformer)

    @property
    def sees_beams(self) -> bool:
        """Whether what is seen depends on the beams that stand, so that an episode's decisions refine each other."""
        return getattr(self.observations, "sees_beams", False)

    def _observe(self, params: Any, seen: Any, context: Any, reflection: Array, beamformer: Array | None) -> Any:
        beams = () if beamformer is None else (beamformer,)
        return self.observations(self.system, params, seen, context, reflection, *beams)

    def design(self, params: Any, state: State, action: Any) -> tuple[Design, Array]:
        """The design that acts now, and the phases that stand afterwards."""
        channels, reflection = state.seen, state.reflection
        chosen = self.actions(self.system, params, channels, state.context, action)
        acting = chosen.replace(reflection=reflection) if self.delayed_phases else chosen
        if self.delayed_phases or not getattr(self.actions, "within_hardware", False):
            acting = self.system.project(params, channels, acting)
        if self.meet_constraints:
            acting = self.system.meet(params, channels, acting)
        return acting, chosen.reflection

    def stand(self, params: Any, state: State, design: Design, reflection: Array) -> State:
        """The state in which a design stands, as the next decision sees it."""
        obs, beamformer = state.obs, design.beamformer if self.sees_beams else None
        if self.observations.sees_phases or self.sees_beams:
            obs = self._observe(params, state.seen, state.context, reflection, beamformer)
        return state.replace(obs=obs, reflection=reflection, beamformer=beamformer)

    def step(self, key: Array, state: State, action: Any, params: Any) -> Step:
        """One design on the episode's channel; the reward is its sum rate [bit/s/Hz].

        Returns `Step`; `info` holds `rates [K]`, `slack` by constraint, `final_observation` (the observation
        that follows, before any reset) and `episode_return` (up to and with this step).
        """
        ahead = self.advance(state, action, params)
        fresh = self.reset(key, params)
        over = ahead.terminated | ahead.truncated
        held = ahead.obs, ahead.state
        obs, following = jax.tree.map(lambda new, old: jnp.where(over, new, old), fresh, held)
        return ahead._replace(obs=obs, state=following)

    def advance(self, state: State, action: Any, params: Any) -> Step:
        """A step that begins no new episode: `obs` and `state` are this one's even after its last step."""
        design, reflection = self.design(params, state, action)
        outcome = self.system.outcome(params, state.channels, design)
        reward = jnp.sum(outcome.rates)
        step = state.step + 1
        following = self.stand(params, state, design, reflection)
        truncated = step >= self.horizon
        terminated = satisfied(outcome.slack) if self.stop_when_satisfied else jnp.zeros_like(truncated)
        following = following.replace(step=step, episode_return=state.episode_return + reward)
        info = {
            "rates": outcome.rates,
            "slack": outcome.slack,
            "final_observation": following.obs,
            "episode_return": following.episode_return,
        }
        return Step(following.obs, following, reward, terminated, truncated, info)
