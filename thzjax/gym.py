"""The systems as Gymnasium environments, one at a time or thousands at once (extra `gym`).

What is simulated and how a step counts are those of `thzjax.envs`; these classes hold its state and random key, as its
interface expects. Learners of this library need none of it. Importing the module registers `thzjax/Isac-v0`:

    gymnasium.make("thzjax.gym:thzjax/Isac-v0", preset="paper-a")
    gymnasium.make_vec("thzjax.gym:thzjax/Isac-v0", 1024, "vector_entry_point", preset="paper-b")
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thzjax.envs.environment import Environment, State, Step
from thzjax.envs.maps import BUILT_IN, MAPS
from thzjax.errors import ConfigError
from thzjax.experiment.overrides import apply_overrides
from thzjax.systems.base import holds
from thzjax.systems.scenario import build
from thzjax.systems.scenario import preset as find

try:
    import gymnasium
    from gymnasium.vector import AutoresetMode, VectorEnv
except ImportError as error:
    raise ConfigError('gymnasium is missing: pip install "thzjax[gym]"') from error

__all__ = ["IsacEnv", "IsacVectorEnv"]

FLAT = ("structured", "residual")
"""Of the built-in maps those whose actions and observations are flat vectors of real numbers."""


class _Compiled:
    """The functions of a batch of environments, compiled, and the spaces of one."""

    def __init__(
        self,
        preset: str,
        overrides: Sequence[str],
        actions: str,
        horizon: int,
        meet_constraints: bool,
        penalty: float,
        action_scale: float,
    ) -> None:
        usable = [name for name in MAPS if name in FLAT or name not in BUILT_IN]
        if actions not in usable:
            raise ConfigError(f"actions={actions!r} is unknown: use one of {', '.join(usable)}")
        if penalty < 0 or action_scale <= 0:
            raise ConfigError(
                f"penalty={penalty:g} must not be negative, action_scale={action_scale:g} must be positive"
            )
        self.scenario = apply_overrides(find(preset), tuple(overrides))
        system, params = build(self.scenario)
        action_map, observations = MAPS[actions]
        env = Environment(system, action_map, observations, horizon=horizon, meet_constraints=meet_constraints)
        self.env, self.params = env, params

        def step(key: jax.Array, state: State, action: jax.Array) -> Step:
            ahead = env.step(key, state, action_scale * action, params)
            reward, feasible, info = ahead.reward, jnp.ones((), bool), {}
            for name, slack in ahead.info["slack"].items():
                reward = reward - penalty * jnp.maximum(-slack, 0)
                feasible = feasible & holds(slack)
                info[f"slack/{name}"] = slack
            info |= {"rates": ahead.info["rates"], "feasible": feasible, "final_obs": ahead.info["final_observation"]}
            return ahead._replace(reward=reward, info=info)

        self.reset = jax.jit(jax.vmap(lambda key: env.reset(key, params)))
        self.step = jax.jit(jax.vmap(step))
        size = len(action_map.zeros(system.spec))
        seen = jax.eval_shape(self.reset, jax.random.split(jax.random.key(0), 1))[0].shape[1:]
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (size,), np.float32)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, seen, np.float32)


class IsacEnv(gymnasium.Env):
    """One environment over any preset: a channel drop an episode, a design a step.

    Reward: sum rate [bit/s/Hz] - penalty sum_c max(0, -slack_c); `info` holds `rates [K]`, `feasible` and each slack.
    An episode is truncated after `horizon` steps and never terminated. Of many, `IsacVectorEnv` is the fast form.

    Args:
      preset: scenario, as `thzjax info` lists them.
      overrides: options of the scenario, such as ("pattern_threshold=3",).
      actions: "structured", "residual", or a pair of flat maps of one's own, by its name in `thzjax.envs.MAPS`.
      horizon: steps on one drop; 1 gives most drops for the samples, but Gymnasium's checker refuses it.
      meet_constraints: scale every design so that the constraints that scaling can meet hold on every drop.
      penalty: price of a violation, in bit/s/Hz for each limit exceeded by its own size.
      action_scale: actions in [-1, 1] times this are the action map's; 0 is a sound design.
      render_mode: "rgb_array" for a picture of the last step's rates and slack, or None.

    Raises:
      ConfigError: the scenario or an option cannot work.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012 (as Gymnasium has it)

    def __init__(
        self,
        preset: str = "paper-a",
        overrides: Sequence[str] = (),
        actions: str = "structured",
        horizon: int = 10,
        meet_constraints: bool = True,
        penalty: float = 10.0,
        action_scale: float = 3.0,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ConfigError(f"render_mode={render_mode!r} is unknown: use 'rgb_array' or None")
        self._compiled = _Compiled(preset, overrides, actions, horizon, meet_constraints, penalty, action_scale)
        self.action_space = self._compiled.action_space
        self.observation_space = self._compiled.observation_space
        self.render_mode = render_mode
        self._key = self._state = self._last = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """A new drop; the seed fixes it and all that follow."""
        super().reset(seed=seed, options=options)
        if seed is not None or self._key is None:
            self._key = jax.random.key(self.np_random.integers(2**31))
        obs, self._state = self._compiled.reset(self._next_key()[None])
        self._last = None
        return np.asarray(obs)[0], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One design; after the last step of an episode the observation is still that episode's."""
        if self._state is None:
            raise ConfigError("call reset() before step()")
        action = jnp.asarray(action, jnp.float32)[None]
        ahead = self._compiled.step(self._next_key()[None], self._state, action)
        self._state = ahead.state
        self._last = {name: np.asarray(value)[0] for name, value in ahead.info.items()}
        info = dict(self._last)
        obs = info.pop("final_obs")
        return obs, float(ahead.reward[0]), bool(ahead.terminated[0]), bool(ahead.truncated[0]), info

    def render(self) -> np.ndarray | None:
        """Rates by user and slack by constraint of the last step, `[height, width, 3]`; None without a render mode."""
        if self.render_mode is None:
            return None
        from thzjax.plotting.designs import rates_and_slack
        from thzjax.plotting.style import to_rgb

        last = self._last or {"rates": np.zeros(self._compiled.env.system.spec.users)}
        slack = {name.removeprefix("slack/"): float(x) for name, x in last.items() if name.startswith("slack/")}
        return to_rgb(rates_and_slack(last["rates"], slack))

    def _next_key(self) -> jax.Array:
        self._key, key = jax.random.split(self._key)
        return key


class IsacVectorEnv(VectorEnv):
    """`num_envs` environments in one compiled program; arguments and numbers as of `IsacEnv`.

    An environment whose episode ends begins the next one in the same step (`AutoresetMode.SAME_STEP`): the observation
    is the new drop's, `info["final_obs"]` the old one's.

    Args:
      num_envs: how many.
      preset, overrides, actions, horizon, meet_constraints, penalty, action_scale: as of `IsacEnv`.
      arrays: what is returned: "numpy", or "jax" for arrays that stay on their device and that other libraries take
        without a copy, as `torch.from_dlpack` does. Actions may be any array with `__dlpack__`, either way.

    Raises:
      ConfigError: the scenario or an option cannot work.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012 (as Gymnasium has it)

    def __init__(
        self,
        num_envs: int,
        preset: str = "paper-a",
        overrides: Sequence[str] = (),
        actions: str = "structured",
        horizon: int = 10,
        meet_constraints: bool = True,
        penalty: float = 10.0,
        action_scale: float = 3.0,
        arrays: str = "numpy",
    ) -> None:
        if num_envs < 1:
            raise ConfigError(f"num_envs={num_envs} must be at least 1")
        if arrays not in ("numpy", "jax"):
            raise ConfigError(f"arrays={arrays!r} is unknown: use 'numpy' or 'jax'")
        self._arrays = arrays
        self._compiled = _Compiled(preset, overrides, actions, horizon, meet_constraints, penalty, action_scale)
        self.num_envs = num_envs
        self.single_action_space = self._compiled.action_space
        self.single_observation_space = self._compiled.observation_space
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, num_envs)
        self._key = self._state = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """A new drop in every environment; the seed fixes them and all that follow."""
        super().reset(seed=seed, options=options)
        if seed is not None or self._key is None:
            self._key = jax.random.key(self.np_random.integers(2**31))
        obs, self._state = self._compiled.reset(self._next_keys())
        return (obs if self._arrays == "jax" else np.asarray(obs)), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """A design in every environment, `[num_envs, A]`."""
        if self._state is None:
            raise ConfigError("call reset() before step()")
        ahead = self._compiled.step(self._next_keys(), self._state, _taken(actions))
        self._state = ahead.state
        if self._arrays == "jax":
            # Whether any episode is over is not asked here: the answer would have to come from the device first.
            info = ahead.info | {"_final_obs": ahead.truncated}
            return ahead.obs, ahead.reward, ahead.terminated, ahead.truncated, info
        over = np.asarray(ahead.truncated)
        info = {name: np.asarray(value) for name, value in ahead.info.items() if name != "final_obs" or over.any()}
        if over.any():
            info["_final_obs"] = over
        return np.asarray(ahead.obs), np.asarray(ahead.reward), np.asarray(ahead.terminated), over, info

    def _next_keys(self) -> jax.Array:
        self._key, key = jax.random.split(self._key)
        return jax.random.split(key, self.num_envs)


def _taken(actions: Any) -> jax.Array:
    """Actions in float32; another library's tensor without a copy."""
    if hasattr(actions, "__dlpack__") and not isinstance(actions, (np.ndarray, np.generic, jax.Array)):
        actions = jnp.from_dlpack(actions)
    return jnp.asarray(actions, jnp.float32)


gymnasium.register("thzjax/Isac-v0", "thzjax.gym:IsacEnv", vector_entry_point="thzjax.gym:IsacVectorEnv")
