"""Every learner by name: its hyper-parameters, how it is made, and the policy that fits an environment."""

from collections.abc import Callable
from typing import Any, NamedTuple

from thzjax.agents.a2c import A2CConfig, make_a2c
from thzjax.agents.a3c import A3CConfig, make_a3c
from thzjax.agents.apg import APGConfig, make_apg
from thzjax.agents.base import Agent
from thzjax.agents.ddpg import DDPGConfig, make_ddpg
from thzjax.agents.equivariant import equivariant_policy
from thzjax.agents.policies import GaussianPolicy, PaperPolicy
from thzjax.agents.ppo import PPOConfig, make_ppo
from thzjax.agents.reinforce import ReinforceConfig, make_reinforce
from thzjax.agents.sac import SACConfig, make_sac
from thzjax.agents.td3 import TD3Config, make_td3
from thzjax.agents.unfolded import UnfoldedConfig, UnfoldedPolicy
from thzjax.agents.unfolded_random import StochasticUnfolded, Traced
from thzjax.envs.actions import Paper, Whole
from thzjax.envs.entities import EntityObservation
from thzjax.envs.environment import Environment
from thzjax.envs.maps import BUILT_IN, MAPS
from thzjax.errors import ConfigError

LearnerConfig = PPOConfig | A2CConfig | A3CConfig | ReinforceConfig | DDPGConfig | TD3Config | SACConfig | APGConfig


class Kind(NamedTuple):
    """A learner.

    Attributes:
      config: class of its hyper-parameters.
      make: `(env, policy, config, total_updates, axes) -> Agent`.
      policies: the run configuration's `policy` values that it can learn.
    """

    config: type
    make: Callable[..., Agent]
    policies: tuple[str, ...]


STOCHASTIC = ("structured", "paper", "residual", "equivariant", "unfolded")
REAL = ("structured", "residual", "paper")
"""Policies of real numbers alone; paper A's decision process chooses discrete phases, paper B's does not."""
ALIASES = {"dppo": "ppo"}
"""Learners that are another one, run with as many workers as users: paper A's DPPO, with its chief (Section IV)."""
AGENTS: dict[str, Kind] = {
    "ppo": Kind(PPOConfig, make_ppo, STOCHASTIC),
    "dppo": Kind(PPOConfig, make_ppo, STOCHASTIC),
    "a2c": Kind(A2CConfig, make_a2c, STOCHASTIC),
    "a3c": Kind(A3CConfig, make_a3c, STOCHASTIC),
    "reinforce": Kind(ReinforceConfig, make_reinforce, STOCHASTIC),
    "ddpg": Kind(DDPGConfig, make_ddpg, REAL),
    "td3": Kind(TD3Config, make_td3, REAL),
    "sac": Kind(SACConfig, make_sac, REAL),
    "apg": Kind(APGConfig, make_apg, ("unfolded", "structured", "residual", "equivariant")),
}
"""Every learner by name; one added here is trained and judged as the others are."""


def policies_of(agent: str) -> tuple[str, ...]:
    """What an agent can learn: the policies of its kind, and every pair of maps that was added to `envs.maps.MAPS`."""
    return AGENTS[agent].policies + tuple(name for name in MAPS if name not in BUILT_IN)


# On 256 channels of `paper-b`, trained from the first start alone: 21.1 bit/s/Hz with one start (95.3 % of the channels
# feasible), 22.0 with two (97.3 %), 22.3 with three (98.4 %); trained from a start at random: 22.5 with three (98.4 %),
# 22.7 with the fourth (99.2 %), which is one fixed draw.
UNFOLDED_HYBRID = UnfoldedConfig(
    layers=8, starts=("focused_sum", "focused", "focused_weakest", "random"), second_order=False
)


def unfolded_config(env: Environment) -> UnfoldedConfig:
    """Sizes of the unfolded policy that suit a system."""
    return UNFOLDED_HYBRID if env.system.spec.sensing_streams else UnfoldedConfig()


def make_policy(env: Environment, config: LearnerConfig) -> Any:
    """The policy that learns this environment's action map with these hyper-parameters."""
    spec = env.system.spec
    if isinstance(env.actions, Traced):
        return StochasticUnfolded(env.system, unfolded_config(env))
    if isinstance(env.actions, Whole):
        return UnfoldedPolicy(env.system, config.unfolded)
    if isinstance(env.observations, EntityObservation):
        if getattr(config, "normalise_obs", False):
            raise ConfigError(
                "normalise_obs=true keeps moments of every user and element: policy 'equivariant' has none"
            )
        return equivariant_policy(env, tuple(config.hidden), config.log_std)
    if isinstance(env.actions, Paper):
        beams = spec.antennas * spec.user_streams
        return PaperPolicy(spec.users, beams, spec.elements, 2**spec.phase_bits, shared=spec.user_antennas > 1)
    if hasattr(config, "policy"):
        return config.policy(env)
    return GaussianPolicy(env.actions.zeros(spec).shape[0], tuple(config.hidden), config.log_std)
