"""Learners and the parts they share: networks, policies, advantages, primal-dual constraint handling."""

from typing import TYPE_CHECKING

from thzjax.lazy import lazy

__all__ = [
    "AGENTS",
    "A2CConfig",
    "A3CConfig",
    "APGConfig",
    "Agent",
    "DDPGConfig",
    "Kind",
    "OffPolicyConfig",
    "OnPolicyConfig",
    "PPOConfig",
    "PrimalDualConfig",
    "ReinforceConfig",
    "SACConfig",
    "TD3Config",
    "UnfoldedConfig",
    "make_policy",
    "policies_of",
]

if TYPE_CHECKING:
    from thzjax.agents.a2c import A2CConfig
    from thzjax.agents.a3c import A3CConfig
    from thzjax.agents.apg import APGConfig
    from thzjax.agents.base import Agent
    from thzjax.agents.ddpg import DDPGConfig
    from thzjax.agents.off_policy import OffPolicyConfig
    from thzjax.agents.on_policy import OnPolicyConfig
    from thzjax.agents.ppo import PPOConfig
    from thzjax.agents.primal_dual import PrimalDualConfig
    from thzjax.agents.registry import AGENTS, Kind, make_policy, policies_of
    from thzjax.agents.reinforce import ReinforceConfig
    from thzjax.agents.sac import SACConfig
    from thzjax.agents.td3 import TD3Config
    from thzjax.agents.unfolded import UnfoldedConfig
else:
    __getattr__, __dir__ = lazy(
        __name__,
        {
            "A2CConfig": "a2c",
            "A3CConfig": "a3c",
            "APGConfig": "apg",
            "Agent": "base",
            "DDPGConfig": "ddpg",
            "OffPolicyConfig": "off_policy",
            "OnPolicyConfig": "on_policy",
            "PPOConfig": "ppo",
            "PrimalDualConfig": "primal_dual",
            "ReinforceConfig": "reinforce",
            "SACConfig": "sac",
            "TD3Config": "td3",
            "UnfoldedConfig": "unfolded",
        }
        | dict.fromkeys(("AGENTS", "Kind", "make_policy", "policies_of"), "registry"),
    )
