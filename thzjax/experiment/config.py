"""What a run is: a scenario, a learner and how long it trains. Resolved once, written to the run folder."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from thzjax.agents.base import Agent
from thzjax.agents.policies import GaussianPolicy, PaperPolicy
from thzjax.agents.ppo import PPOConfig, make_ppo
from thzjax.agents.primal_dual import PrimalDualConfig
from thzjax.envs.actions import Paper, Structured
from thzjax.envs.environment import Environment
from thzjax.envs.observations import PaperObservation, StructuredObservation
from thzjax.errors import ConfigError
from thzjax.experiment.overrides import apply_overrides, from_json, to_json
from thzjax.systems.irs_isac import IrsIsac
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import preset

AGENTS = ("ppo",)
CONFIGURATION_NAMES = ("default", "paper")
HANDLERS = ("primal_dual", "projection")
QUICK_STEPS = 200_000


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's numbers.

    Attributes:
      preset: the preset the scenario came from.
      agent: learner, from `AGENTS`.
      configuration: "default" (structured action) or "paper" (paper A's networks and raw action).
      handler: "primal_dual" (constraints hold on average) or "projection" (on every channel, by scaling).
      horizon: steps per episode.
      seed: fixes everything random in the run.
      steps: environment steps, rounded up to whole logged chunks.
      validation_channels: fixed channels on which the learning curve is drawn.
      validation_seed: draws them; like the seed of the held-out channels it is independent of `seed`.
      updates_per_record: updates in one compiled chunk and one line of metrics.
      records_per_checkpoint: chunks between checkpoints.
      scenario: the link.
      ppo: the learner's hyper-parameters.
    """

    preset: str = "paper-a"
    agent: str = "ppo"
    configuration: str = "default"
    handler: str = "primal_dual"
    horizon: int = 1
    seed: int = 0
    steps: int = 2_000_000
    validation_channels: int = 512
    validation_seed: int = 1
    updates_per_record: int = 8
    records_per_checkpoint: int = 8
    scenario: IrsScenario = IrsScenario()
    ppo: PPOConfig = PPOConfig()

    def __post_init__(self) -> None:
        if self.agent not in AGENTS:
            raise ConfigError(f"agent {self.agent!r} is unknown: use one of {', '.join(AGENTS)}")
        if self.configuration not in CONFIGURATION_NAMES:
            raise ConfigError(
                f"configuration {self.configuration!r} is unknown: use one of {', '.join(CONFIGURATION_NAMES)}"
            )
        if self.handler not in HANDLERS:
            raise ConfigError(f"handler {self.handler!r} is unknown: use one of {', '.join(HANDLERS)}")
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"seed={self.seed} must lie in 0..2147483647")
        for name in ("steps", "horizon", "validation_channels", "updates_per_record", "records_per_checkpoint"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least 1")
        if self.configuration == "paper" and self.scenario.phase_bits < 1:
            raise ConfigError("the paper configuration chooses discrete phases: set phase_bits to at least 1")

    @property
    def records(self) -> int:
        """Logged chunks of the whole run."""
        per_record = self.ppo.steps_per_update * self.updates_per_record
        return -(-self.steps // per_record)

    @property
    def total_updates(self) -> int:
        """Updates of the whole run."""
        return self.records * self.updates_per_record


# Paper A, Section VI: 30- and 20-unit networks (in the policy), rates 1e-3 and 2e-3, 50 steps an episode, batch 32,
# primal-dual steps 1e-3. It gives no discount, no number of environments and no
# number of epochs; those are this project's.
_PAPER_PPO = PPOConfig(
    num_envs=16,
    rollout=50,
    epochs=1,
    minibatches=25,
    actor_rate=1e-3,
    entropy=0.0,
    decay_rates=False,
    gamma=0.5,
    primal_dual=PrimalDualConfig(step_x=1e-3, step_lambda=1e-3, step_mu=1e-3),
)
CONFIGURATIONS: dict[str, RunConfig] = {
    "default": RunConfig(),
    "paper": RunConfig(configuration="paper", horizon=50, steps=1_000_000, updates_per_record=20, ppo=_PAPER_PPO),
}
PAPER_CLIP = {"paper-a-literal": 2.0}
"""Presets whose PPO clip is the paper's own 2, which bounds the ratio to [-1, 3]: no clipping from below."""


def resolve(
    preset_name: str,
    agent: str = "ppo",
    configuration: str = "default",
    handler: str = "primal_dual",
    seed: int = 0,
    steps: int | None = None,
    quick: bool = False,
    overrides: Sequence[str] = (),
) -> RunConfig:
    """The configuration of a run from a preset, a named configuration and overrides.

    Raises:
      ConfigError: anything unknown or impossible.
    """
    scenario = preset(preset_name)
    if not isinstance(scenario, IrsScenario):
        raise ConfigError(
            f"no learner runs on {preset_name} yet: `thzjax compare {preset_name}` judges the classical designs there"
        )
    if configuration not in CONFIGURATIONS:
        raise ConfigError(f"configuration {configuration!r} is unknown: use one of {', '.join(CONFIGURATION_NAMES)}")
    base = CONFIGURATIONS[configuration]
    ppo = base.ppo
    if preset_name in PAPER_CLIP:
        ppo = dataclasses.replace(ppo, clip=PAPER_CLIP[preset_name])
    if handler == "projection":
        # Nothing is left to average: the multipliers rest at 0 and no margin is needed.
        ppo = dataclasses.replace(ppo, primal_dual=dataclasses.replace(ppo.primal_dual, margin=0.0))
    if steps is None:
        steps = min(base.steps, QUICK_STEPS) if quick else base.steps
    config = dataclasses.replace(
        base, preset=preset_name, agent=agent, handler=handler, seed=seed, steps=steps, scenario=scenario, ppo=ppo
    )
    return apply_overrides(config, overrides)


def read_config(path: Path) -> RunConfig:
    """The configuration a run folder or `--config FILE` holds.

    Raises:
      ConfigError: missing, not JSON, or not a configuration of this version.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist: is this a run folder?") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} is not readable as a configuration ({error})") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds no configuration: a JSON object is needed")
    try:
        return from_json(RunConfig(), data, str(path))
    except (TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is not a configuration ({error})") from None


def config_json(config: RunConfig) -> str:
    """The configuration as JSON text."""
    return json.dumps(to_json(config), indent=2) + "\n"


def make_environment(config: RunConfig, system: IrsIsac) -> Environment:
    """The environment of a run."""
    paper = config.configuration == "paper"
    return Environment(
        system=system,
        actions=Paper() if paper else Structured(),
        observations=PaperObservation() if paper else StructuredObservation(),
        horizon=config.horizon,
        delayed_phases=paper,
        meet_constraints=config.handler == "projection",
    )


def make_agent(config: RunConfig, env: Environment) -> Agent:
    """The learner of a run."""
    spec = env.system.spec
    if config.configuration == "paper":
        policy = PaperPolicy(spec.users, spec.antennas, spec.elements, 2**spec.phase_bits)
    else:
        size = env.actions.zeros(spec).shape[0]
        policy = GaussianPolicy(size, tuple(config.ppo.hidden), config.ppo.log_std)
    return make_ppo(env, policy, config.ppo, config.total_updates)
