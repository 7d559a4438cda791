"""The probe problem in working precision, and every learner on it at sizes that compile in seconds."""

import dataclasses
import functools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
from flax import struct

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))
from probe import Probe, ProbeObservation

from thzjax.agents.a2c import A2CConfig, make_a2c
from thzjax.agents.a3c import A3CConfig, make_a3c
from thzjax.agents.apg import APGConfig, make_apg
from thzjax.agents.ddpg import DDPGConfig, make_ddpg
from thzjax.agents.policies import GaussianPolicy
from thzjax.agents.ppo import PPOConfig, make_ppo
from thzjax.agents.reinforce import ReinforceConfig, make_reinforce
from thzjax.agents.sac import SACConfig, make_sac
from thzjax.agents.td3 import TD3Config, make_td3
from thzjax.envs.environment import Environment
from thzjax.parallel import make_parallel, share
from thzjax.systems.base import Design

WORKERS, UPDATES = 4, 20


@struct.dataclass
class Channels:
    """What an episode shows, a number in [-1, 1], and channels that only tell shapes and precision."""

    direct: jax.Array
    bs_to_surface: jax.Array
    signal: jax.Array


@dataclasses.dataclass(frozen=True)
class Problem(Probe):
    """One user whose best p is half the signal, and a limit on p that binds."""

    follow: bool = True
    limit: float | None = 0.1

    def sample(self, key, params):
        signal = jax.random.uniform(key, (1,), minval=-1, maxval=1)
        like = jax.lax.complex(signal, 0 * signal)[None]
        return Channels(like, like, signal)


@dataclasses.dataclass(frozen=True)
class Action:
    """The action is p."""

    def zeros(self, spec):
        return jnp.zeros((1,))

    def context(self, system, params, channels):
        return ()

    def __call__(self, system, params, channels, context, action):
        p = jax.lax.complex(action, jnp.zeros_like(action))
        return Design(p[None], jnp.ones_like(p))


ENV = Environment(Problem(), Action(), ProbeObservation(), horizon=3)
ON_POLICY = {"num_envs": 32, "rollout": 2, "gamma": 0.5, "hidden": (8,), "normalise_obs": True}
OFF_POLICY = {
    "num_envs": 8, "batch": 16, "capacity": 64, "warmup": 30, "gradient_steps": 2, "gamma": 0.5, "hidden": (8,),
}  # fmt: skip
LEARNERS = {
    "ppo": (make_ppo, PPOConfig(**ON_POLICY, minibatches=2)),
    "ppo_kl": (make_ppo, PPOConfig(**ON_POLICY, minibatches=2, objective="kl", kl_target=1e-3)),
    "ppo_zeroth": (make_ppo, PPOConfig(**ON_POLICY, minibatches=1, gradient="zeroth", zeroth_directions=2)),
    "a2c": (make_a2c, A2CConfig(**ON_POLICY)),
    "a3c": (make_a3c, A3CConfig(**ON_POLICY, workers=2)),
    "reinforce": (make_reinforce, ReinforceConfig(**ON_POLICY)),
    "ddpg": (make_ddpg, DDPGConfig(**OFF_POLICY)),
    "td3": (make_td3, TD3Config(**OFF_POLICY)),
    "sac": (make_sac, SACConfig(**OFF_POLICY)),
    "apg": (make_apg, APGConfig(num_envs=32, hidden=(8,))),
}
EVERYDAY = ("ppo", "a3c", "ddpg")


def learner(name, workers=WORKERS, devices=1, **changes):
    """A learner of so many workers; of one, not mapped at all."""
    make, config = LEARNERS[name]
    config = share(dataclasses.replace(config, **changes), workers)
    policy = config.policy(ENV) if hasattr(config, "policy") else GaussianPolicy(1, config.hidden)
    worker = functools.partial(make, ENV, policy, config, UPDATES)
    return worker() if workers == 1 else make_parallel(lambda axes: worker(axes=axes), workers, devices)


def chunk(agent, updates=UPDATES):
    """(state, None) -> (state, metrics of every update)."""
    return lambda state, _: jax.lax.scan(lambda s, _: agent.update(s, None), state, None, length=updates)
