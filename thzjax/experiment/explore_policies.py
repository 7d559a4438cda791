"""Trained policies, of run folders and of exported files, as designs for a scenario under one's hands."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jax import Array

from thzjax.errors import ConfigError
from thzjax.experiment.config import RunConfig, read_config
from thzjax.experiment.evaluation import DesignRule, PolicyRule
from thzjax.experiment.learned import policy_names, transferred
from thzjax.experiment.learner import Learner, load_trained
from thzjax.experiment.overrides import differences, flatten, to_json
from thzjax.exported import ExportedPolicy, load_exported
from thzjax.systems.base import Design
from thzjax.systems.scenario import Scenario


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedPolicy:
    """The policy of a run folder."""

    run: Path
    config: RunConfig
    learner: Learner
    weights: Any

    def rule(self, scenario: Scenario, system: Any) -> DesignRule:
        """The policy on a scenario: any of the sizes that it was trained on, or any at all if it serves them.

        Raises:
          ConfigError: the policy does not fit the scenario.
        """
        if system == self.learner.env.system:
            return PolicyRule(self.learner.env, self.learner.agent.policy, self.weights)
        clash = differences(self.config.scenario, scenario)
        return PolicyRule(*transferred(self.config, scenario, clash, self.weights, self.run), self.weights)

    def note(self, scenario: Scenario) -> str:
        """What is to be said of its use on a scenario."""
        changed = differences(self.config.scenario, scenario)
        return f"trained with another {', '.join(changed[:3])}" if changed else ""


@dataclasses.dataclass(frozen=True, eq=False)
class FilePolicy:
    """An exported policy: its sizes and physical parameters are those of its file."""

    file: Path
    exported: ExportedPolicy

    def rule(self, scenario: Scenario, system: Any) -> DesignRule:
        """The policy on channels of the sizes that it was exported for.

        Raises:
          ConfigError: channels of other sizes, or of more independent paths than it looks at.
        """
        del scenario
        spec, wanted = system.spec, self.exported.arrays
        sizes = {"direct": (spec.users, spec.antennas), "bs_to_surface": (spec.elements, spec.antennas)}
        for name, shape in sizes.items():
            # Users with several antennas have an axis R before M.
            if name in wanted and (wanted[name].shape[0], wanted[name].shape[-1]) != shape:
                raise ConfigError(
                    f"{self.file} was exported for {name} of shape {wanted[name].shape}, not for K={spec.users}, "
                    f"N={spec.elements}, M={spec.antennas}: it serves its own sizes alone"
                )
        rank = self.exported.about.get("rank", spec.rank)
        if spec.rank > rank:
            raise ConfigError(
                f"{self.file} was exported for channels of {rank} independent paths, these have {spec.rank}: "
                "export a policy trained on as many"
            )
        return self._design

    def _design(self, params: Any, channels: Any, key: Array) -> Design:
        del params, key
        arrays = {name: getattr(channels, name).astype(like.dtype) for name, like in self.exported.arrays.items()}
        return Design(*self.exported.program(arrays))

    def note(self, scenario: Scenario) -> str:
        """What is to be said of its use on a scenario."""
        own, present = flatten(self.exported.about.get("scenario", {})), flatten(to_json(scenario))
        changed = sorted(name for name in present if own.get(name) != present[name])
        return f"designs for its own {', '.join(changed[:3])}, whatever is set here" if changed else ""


def load_policies(runs: Sequence[Path]) -> dict[str, TrainedPolicy | FilePolicy]:
    """The policies of run folders and exported files by name; of several seeds side by side the first.

    Raises:
      ConfigError: what is neither, or a checkpoint that cannot be used.
    """
    found: dict[str, TrainedPolicy | FilePolicy] = {}
    for file in (run for run in runs if run.is_file()):
        exported = load_exported(file)
        found[f"{exported.about.get('agent', 'policy')} ({file.name})"] = FilePolicy(file, exported)
    for name, folders in policy_names([run for run in runs if not run.is_file()]).items():
        config = read_config(folders[0] / "config.json")
        found[name] = TrainedPolicy(folders[0], config, *load_trained(config, folders[0]))
    return found
