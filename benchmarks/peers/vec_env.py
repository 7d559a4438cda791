"""Paper A's environment as stable-baselines3 takes it: natively in NumPy, and through `thzjax.gym`.

The same numbers in both: structured actions in [-1, 1] times `SCALE`, the sum rate less `PENALTY` for each limit
exceeded by its own size. Ends of episodes are told as terminations: PPO is run without a discount, where nothing beyond
them counts, and is so spared to value every last observation by itself.
"""

from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.numpy_environment import NumpyEnvironment, paper_a
from thzjax.gym import IsacVectorEnv

SCALE, PENALTY = 3.0, 10.0


class Vectorised(VecEnv):
    """What both have in common: one batch, no environment to be asked for by itself."""

    def __init__(self, num_envs: int, seen: int, actions: int) -> None:
        observation = gymnasium.spaces.Box(-np.inf, np.inf, (seen,), np.float32)
        super().__init__(num_envs, observation, gymnasium.spaces.Box(-1.0, 1.0, (actions,), np.float32))
        self.infos: list[dict[str, Any]] = [{} for _ in range(num_envs)]
        self.chosen = np.zeros((num_envs, actions), np.float32)

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self.chosen = actions

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Every environment is the batch."""
        del indices
        return [None if attr_name == "render_mode" else getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Of all."""
        del indices
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **options: Any) -> list[Any]:
        """No environment has methods of its own."""
        raise AttributeError(f"{method_name}: the environments are one batch")

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """None is."""
        del wrapper_class, indices
        return [False] * self.num_envs


class NumpyVecEnv(Vectorised):
    """`NumpyEnvironment`, all of whose episodes end together."""

    def __init__(self, num_envs: int, horizon: int, seed: int = 0) -> None:
        self.env: NumpyEnvironment = paper_a(num_envs, horizon, seed)
        super().__init__(num_envs, self.env.reset().shape[-1], self.env.actions)
        self.over, self.going = np.ones(num_envs, bool), np.zeros(num_envs, bool)

    def reset(self) -> np.ndarray:
        """New drops."""
        return self.env.reset()

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """A design in every environment."""
        obs, reward, over, slack = self.env.step(SCALE * self.chosen)
        for value in slack.values():
            reward = reward - PENALTY * np.maximum(-value, 0)
        return obs, reward.astype(np.float32), self.over if over else self.going, self.infos


class GymVecEnv(Vectorised):
    """`thzjax.gym.IsacVectorEnv`."""

    def __init__(self, num_envs: int, horizon: int) -> None:
        self.env = IsacVectorEnv(
            num_envs, "paper-a", horizon=horizon, meet_constraints=False, penalty=PENALTY, action_scale=SCALE
        )
        seen, chosen = self.env.single_observation_space.shape, self.env.single_action_space.shape
        super().__init__(num_envs, seen[0], chosen[0])

    def reset(self) -> np.ndarray:
        """New drops."""
        return np.array(self.env.reset()[0])

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """A design in every environment; copies, as torch wants arrays that can be written."""
        obs, reward, terminated, truncated, _ = self.env.step(self.chosen)
        return np.array(obs), np.array(reward), terminated | truncated, self.infos


ENVIRONMENTS = {"NumPy": NumpyVecEnv, "thzjax.gym": GymVecEnv}
