"""What a run is: a scenario, a learner and how long it trains. Resolved once, written to the run folder."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thzjax.agents.apg import APGConfig
from thzjax.agents.base import Agent
from thzjax.agents.ppo import PPOConfig
from thzjax.agents.primal_dual import PrimalDualConfig
from thzjax.agents.registry import AGENTS, ALIASES, REAL, UNFOLDED_HYBRID, LearnerConfig, make_policy, policies_of
from thzjax.agents.unfolded_random import Traced
from thzjax.envs.actions import PaperB, Whole
from thzjax.envs.environment import Environment
from thzjax.envs.maps import MAPS, Maps
from thzjax.envs.observations import PaperBObservation, WholeObservation
from thzjax.errors import ConfigError
from thzjax.experiment.files import read_json
from thzjax.experiment.overrides import apply_overrides, from_json, to_json
from thzjax.parallel import make_parallel, share
from thzjax.systems.base import System
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.limits import short
from thzjax.systems.scenario import Scenario, preset

CONFIGURATION_NAMES = ("default", "paper")
ONE_ANTENNA = ("equivariant", "unfolded")
HANDLERS = ("primal_dual", "projection", "penalty")
QUICK_STEPS = {"apg": 20_000}
"""Steps of `--quick`, where they are not `QUICK`."""
QUICK = 200_000
MOST = 2**24
"""Of whatever a run counts or holds at once, but for its steps."""


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's numbers.

    Attributes:
      preset: the preset the scenario came from.
      agent: learner, from `agents.registry.AGENTS`.
      policy: what it learns: "structured" (a few numbers in the form of good designs), "residual" (corrections of a
        classical design), "paper" (paper A's networks and raw action), "equivariant" (a network for any number of
        users and elements, with a phase for each), "unfolded" (layers of an optimiser), or a name of one's own in
        `envs.maps.MAPS`.
      handler: "primal_dual" (constraints hold on average), "projection" (on every channel, by scaling, as far as that
        goes) or "penalty" (a fixed price on what violates).
      horizon: steps per episode.
      workers: how many share the environments, each with random numbers of its own (`thzjax.parallel`). On how many
        devices they run decides nothing and is no part of this; 1 is the learner by itself.
      seed: fixes everything random in the run.
      steps: environment steps, rounded up to whole logged chunks.
      validation_channels: fixed channels on which the learning curve is drawn.
      validation_seed: draws them; like the seed of the held-out channels it is independent of `seed`.
      updates_per_record: updates in one compiled chunk and one line of metrics.
      records_per_checkpoint: chunks between checkpoints.
      stop_when_satisfied: an episode ends when all constraints hold (paper B's rule).
      data, data_sha256: a file of channels to train on in place of drawn ones (`experiment.recorded`), and what it was.
      scenario: the link.
      learner: the learner's hyper-parameters.
    """

    preset: str = "paper-a"
    agent: str = "ppo"
    policy: str = "structured"
    handler: str = "primal_dual"
    horizon: int = 1
    workers: int = 1
    seed: int = 0
    steps: int = 2_000_000
    validation_channels: int = 512
    validation_seed: int = 1
    updates_per_record: int = 8
    records_per_checkpoint: int = 8
    stop_when_satisfied: bool = False
    data: str | None = None
    data_sha256: str | None = None
    scenario: Scenario = IrsScenario()
    learner: LearnerConfig = PPOConfig()

    def __post_init__(self) -> None:
        preset(self.preset)  # it names folders: nothing but a known name will do
        if self.agent not in AGENTS:
            raise ConfigError(f"agent {self.agent!r} is unknown: use one of {', '.join(AGENTS)}")
        kind = AGENTS[self.agent]
        if self.policy not in (able := policies_of(self.agent)):
            raise ConfigError(f"{self.agent} cannot learn policy {self.policy!r}: use one of {', '.join(able)}")
        if type(self.learner) is not kind.config:
            raise ConfigError(f"{self.agent} needs {kind.config.__name__}, not {type(self.learner).__name__}")
        if self.handler not in HANDLERS:
            raise ConfigError(f"handler {self.handler!r} is unknown: use one of {', '.join(HANDLERS)}")
        for name in ("seed", "validation_seed"):
            if not 0 <= getattr(self, name) < 2**31:
                raise ConfigError(f"{name}={getattr(self, name)} must lie in 0..2147483647")
        for name in (
            "steps", "horizon", "workers", "validation_channels", "updates_per_record", "records_per_checkpoint"
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least 1")
            if name != "steps" and getattr(self, name) > MOST:
                raise ConfigError(f"{name}={getattr(self, name)} must be at most {MOST}")
        per_update = getattr(self.learner, "gradient_steps", 1)
        per_update *= getattr(self.learner, "epochs", 1) * getattr(self.learner, "minibatches", 1)
        if self.total_updates * per_update >= 2**31:
            raise ConfigError(
                f"steps={short(self.steps)} make more optimiser steps than the {2**31 - 1} that a run counts: take "
                "fewer steps, or larger batches"
            )
        on_paper_a = self.policy == "paper" and isinstance(self.scenario, IrsScenario)
        if on_paper_a:
            _refuse_discrete(self.agent)
        if self.policy in ONE_ANTENNA and getattr(self.scenario, "user_antennas", 1) > 1:
            raise ConfigError(
                f"policy {self.policy!r} is for users with one antenna: use structured, residual or paper with "
                f"user_antennas={self.scenario.user_antennas}"
            )
        if on_paper_a and self.scenario.phase_bits < 1:
            raise ConfigError("the paper configuration chooses discrete phases: set phase_bits to at least 1")

    @property
    def records(self) -> int:
        """Logged chunks of the whole run."""
        per_record = self.learner.steps_per_update * self.updates_per_record
        return -(-self.steps // per_record)

    @property
    def total_updates(self) -> int:
        """Updates of the whole run."""
        return self.records * self.updates_per_record


# Paper A, Section VI: 30- and 20-unit networks (in the policy), rates 1e-3 and 2e-3, 50 steps an episode, batch 32,
# primal-dual steps 1e-3. It gives no discount, no number of environments and no
# number of epochs; those are this project's.
_PAPER: dict[str, Any] = {
    "num_envs": 16,
    "rollout": 50,
    "actor_rate": 1e-3,
    "entropy": 0.0,
    "decay_rates": False,
    "gamma": 0.5,
    "primal_dual": PrimalDualConfig(step_x=1e-3, step_lambda=1e-3, step_mu=1e-3),
}
_PAPER_PPO = {"epochs": 1, "minibatches": 25}
# Paper B gives {64, 64} layers, a replay and slow copies; what else it may have given did not survive. An observation
# of 11 840 numbers takes 46 KiB, so the replay holds fewer than elsewhere.
_PAPER_B_REPLAY = {"hidden": (64, 64), "capacity": 8192, "batch": 64, "num_envs": 64, "warmup": 2048}
PAPER_B_HORIZON = 10
PAPER_CLIP = {"paper-a-literal": 2.0}
"""Presets whose PPO clip is the paper's own 2, which bounds the ratio to [-1, 3]: no clipping from below."""
# On 512 held-out channels of `paper-a` 100 updates of 256 channels give 4.087, 300 give 4.090 bit/s/Hz.
APG = APGConfig()
APG_HYBRID = APGConfig(num_envs=64, unfolded=UNFOLDED_HYBRID)
APG_STEPS, APG_HYBRID_STEPS = 76_800, 32_000
OFF_POLICY_STEPS = 200_000


# What suits a learner and a policy beyond the learner's own defaults. Off-policy actors are kept near the zero action,
# which is sound: on `paper-a`, 200 k steps, ddpg 2.78 without a penalty, 3.17 at 0.1, 3.74 at 3, 3.79 at 10, 3.71 at 30
# bit/s/Hz; td3 3.81, sac 3.81 at 10.
_NEAR_ZERO: dict[str, Any] = {"action_penalty": 10.0}
_SUITED: dict[tuple[str, str], dict[str, Any]] = {
    ("ddpg", "structured"): _NEAR_ZERO | {"noise": 0.2, "final_noise": 0.02},
    ("td3", "structured"): _NEAR_ZERO | {"noise": 0.2, "final_noise": 0.02},
    ("sac", "structured"): _NEAR_ZERO | {"entropy_per_number": 2.0},
    ("apg", "equivariant"): {"num_envs": 128, "hidden": (32, 32)},
    # Noise on 158 decisions of the layers: few are worth keeping, and an entropy bonus would pay for all.
    ("ppo", "unfolded"): {"num_envs": 1024, "epochs": 2, "minibatches": 2, "actor_rate": 1e-3, "entropy": 0.0},
    ("a2c", "unfolded"): {"num_envs": 1024, "actor_rate": 1e-3, "entropy": 0.0},
    ("a3c", "unfolded"): {"num_envs": 1024, "actor_rate": 1e-3, "entropy": 0.0},
    ("reinforce", "unfolded"): {"num_envs": 1024, "actor_rate": 1e-3, "entropy": 0.0},
}
UNFOLDED_STEPS = 307_200


def _refuse_discrete(agent: str) -> None:
    """Paper A's decision process has discrete phases, which learners of real numbers cannot choose."""
    if AGENTS[agent].policies == REAL:
        able = [name for name, kind in AGENTS.items() if "paper" in kind.policies and kind.policies != REAL]
        raise ConfigError(
            f"paper A's decision process chooses discrete phases, which {agent} cannot: use {', '.join(able)}"
        )


def default_run(agent: str, scenario: Scenario, configuration: str = "default", policy: str | None = None) -> RunConfig:
    """The run that an agent makes on a kind of scenario unless told otherwise.

    Raises:
      ConfigError: an unknown agent or configuration, or a policy that the agent cannot learn.
    """
    if agent not in AGENTS:
        raise ConfigError(f"agent {agent!r} is unknown: use one of {', '.join(AGENTS)}")
    if configuration not in CONFIGURATION_NAMES:
        raise ConfigError(f"configuration {configuration!r} is unknown: use one of {', '.join(CONFIGURATION_NAMES)}")
    kind, own = AGENTS[agent], ALIASES.get(agent, agent)
    workers = scenario.num_users if agent in ALIASES else 1
    hybrid = isinstance(scenario, HrisScenario)
    if configuration == "paper":
        if "paper" not in kind.policies:
            known = ", ".join(name for name in AGENTS if "paper" in AGENTS[name].policies)
            raise ConfigError(f"{agent} has no paper configuration: use one of {known}")
        if policy not in (None, "paper"):
            raise ConfigError(f"--configuration paper learns policy 'paper': leave out --policy {policy}")
        if hybrid:
            off_policy = hasattr(kind.config, "policy")
            return RunConfig(
                agent=agent, policy="paper", scenario=scenario, horizon=PAPER_B_HORIZON, workers=workers,
                learner=kind.config(**(_PAPER_B_REPLAY if off_policy else {})), steps=OFF_POLICY_STEPS,
                updates_per_record=64 if off_policy else 8, validation_channels=128,
            )  # fmt: skip
        _refuse_discrete(agent)
        learner = kind.config(**_PAPER, **(_PAPER_PPO if own == "ppo" else {}))
        return RunConfig(
            agent=agent, policy="paper", scenario=scenario, learner=learner, horizon=50, steps=1_000_000,
            updates_per_record=20, workers=workers,
        )  # fmt: skip
    several = getattr(scenario, "user_antennas", 1) > 1
    policy = policy or ("unfolded" if agent == "apg" and not several else "structured")
    suited = _SUITED.get((own, policy), {"hidden": (32, 32)} if policy == "equivariant" else {})
    learner = kind.config(**suited)
    if agent == "apg" and policy == "unfolded":
        learner = APG_HYBRID if hybrid else APG
    steps, updates = 2_000_000, 64
    if agent == "apg":
        steps, updates = (APG_HYBRID_STEPS if hybrid else APG_STEPS), 10
    elif hasattr(kind.config, "policy"):
        steps = OFF_POLICY_STEPS
    elif policy == "unfolded":
        steps, updates = UNFOLDED_STEPS, 10
    elif own == "ppo":
        updates = 8
    return RunConfig(
        agent=agent, policy=policy, scenario=scenario, learner=learner, steps=steps, updates_per_record=updates,
        handler="projection" if agent == "apg" or policy == "unfolded" else "primal_dual",
        validation_channels=128 if hybrid else 512, workers=workers,
    )  # fmt: skip


def resolve(
    preset_name: str,
    agent: str = "ppo",
    configuration: str = "default",
    handler: str | None = None,
    seed: int = 0,
    steps: int | None = None,
    quick: bool = False,
    overrides: Sequence[str] = (),
    policy: str | None = None,
    workers: int | None = None,
) -> RunConfig:
    """The configuration of a run from a preset, a named configuration and overrides.

    Raises:
      ConfigError: anything unknown or impossible.
    """
    base = default_run(agent, preset(preset_name), configuration, policy)
    handler = handler or base.handler
    learner = base.learner
    if preset_name in PAPER_CLIP and ALIASES.get(agent, agent) == "ppo":
        learner = dataclasses.replace(learner, clip=PAPER_CLIP[preset_name])
    prices = learner.primal_dual
    if handler == "projection" and not isinstance(base.scenario, HrisScenario):
        # Nothing is left to average: the multipliers rest at 0 and no margin is needed.
        prices = dataclasses.replace(prices, margin=0.0)
    if handler == "penalty":
        prices = dataclasses.replace(prices, kind="penalty")
    learner = dataclasses.replace(learner, primal_dual=prices)
    if steps is None:
        steps = min(base.steps, QUICK_STEPS.get(agent, QUICK)) if quick else base.steps
    config = dataclasses.replace(base, preset=preset_name, handler=handler, seed=seed, steps=steps, learner=learner)
    if workers is not None:
        config = dataclasses.replace(config, workers=workers)
    config = apply_overrides(config, overrides)
    if workers is None and agent in ALIASES:
        # As many as users, also where an option changes their number; an option for the workers goes before.
        config = apply_overrides(dataclasses.replace(config, workers=config.scenario.num_users), overrides)
    return config


def read_config(path: Path) -> RunConfig:
    """The configuration a run folder or `--config FILE` holds.

    Raises:
      ConfigError: missing, not JSON, or not a configuration of this version.
    """
    data = read_json(path, "a configuration")
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds no configuration: a JSON object is needed")
    try:
        # Agent and preset tell which hyper-parameters and which scenario the rest holds.
        default = default_run(data.get("agent", "ppo"), preset(data.get("preset", "paper-a")))
        return from_json(default, data, str(path))
    except (TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is not a configuration ({error})") from None


def check_origin(config: RunConfig) -> None:
    """Refuse a run that names a preset of another kind of scenario: its file could not be read again.

    Raises:
      ConfigError: as by `--set preset=NAME`.
    """
    if type(preset(config.preset)) is not type(config.scenario):
        raise ConfigError(
            f"preset={config.preset!r} has another kind of scenario than this run: name the preset as the command's "
            "argument, and not as an option"
        )


def config_json(config: RunConfig) -> str:
    """The configuration as JSON text."""
    return json.dumps(to_json(config), indent=2) + "\n"


def make_environment(config: RunConfig, system: System) -> Environment:
    """The environment of a run."""
    literal_b = config.policy == "paper" and isinstance(config.scenario, HrisScenario)
    if config.policy == "unfolded":
        # What has the exact gradient needs the design alone; what samples, how it was drawn.
        maps = Maps(Whole() if config.agent == "apg" else Traced(), WholeObservation())
    else:
        maps = Maps(PaperB(), PaperBObservation()) if literal_b else MAPS[config.policy]
    return Environment(
        system=system,
        actions=maps.actions,
        observations=maps.observations,
        horizon=config.horizon,
        start="identity" if literal_b else "random",
        delayed_phases=config.policy == "paper" and not literal_b,
        meet_constraints=config.handler == "projection",
        stop_when_satisfied=config.stop_when_satisfied,
    )


def make_agent(config: RunConfig, env: Environment, devices: int = 1) -> Agent:
    """The learner of a run; that of several devices runs inside `parallel.on_devices`.

    Raises:
      ConfigError: hyper-parameters that the workers cannot share.
    """
    kind, learner = AGENTS[config.agent], share(config.learner, config.workers)

    def make(axes: tuple[str, ...]) -> Agent:
        return kind.make(env, make_policy(env, learner), learner, config.total_updates, axes)

    # One worker is no axis of length 1: its numbers are those of the learner by itself, to the bit.
    return make(()) if config.workers == 1 else make_parallel(make, config.workers, devices)
