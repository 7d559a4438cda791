"""stable-baselines3 and sbx at the same sizes, as calls that train a little more; both have one interface."""

import importlib
from collections.abc import Callable

from stable_baselines3.common.vec_env import VecEnv

from benchmarks.peers.sizes import BATCH, CAPACITY, ENVS, EPOCHS, FILL, GAMMA, HIDDEN, STEPS

PACKAGES = {"sb3": "stable_baselines3", "sbx": "sbx"}


def ppo(peer: str, env: VecEnv) -> Callable[[], None]:
    """One rollout and its epochs; without a discount, where no last observation need be valued."""
    learner = importlib.import_module(PACKAGES[peer]).PPO(
        "MlpPolicy", env, n_steps=STEPS, batch_size=BATCH, n_epochs=EPOCHS, gamma=0.0,
        policy_kwargs={"net_arch": list(HIDDEN)}, device="cpu", seed=0,
    )  # fmt: skip
    return lambda: learner.learn(ENVS * STEPS, log_interval=None, reset_num_timesteps=False)


def off_policy(
    peer: str, agent: str, env: VecEnv, hidden: tuple[int, ...], batch: int, at_once: int
) -> tuple[Callable[[int], None], Callable[[int], None]]:
    """(training for so many steps with as many updates, so many updates by themselves), the replay filled.

    Updates are asked for `at_once` at a time: sbx compiles them as one program.
    """
    learner = getattr(importlib.import_module(PACKAGES[peer]), agent.upper())(
        "MlpPolicy", env, batch_size=batch, buffer_size=CAPACITY, learning_starts=FILL, train_freq=1,
        gradient_steps=ENVS, gamma=GAMMA, policy_kwargs={"net_arch": list(hidden)}, device="cpu", seed=0,
    )  # fmt: skip
    learner.learn(FILL, log_interval=None)

    def train(steps: int) -> None:
        learner.learn(steps, log_interval=None, reset_num_timesteps=False)

    def update(updates: int) -> None:
        for _ in range(updates // at_once):
            learner.train(gradient_steps=at_once, batch_size=batch)

    return train, update
