"""`thzjax info`."""

import platform
from pathlib import Path
from typing import Any

from thzjax.commands.shared import OK, Config, Json, Overrides, Preset, check_writable, printer, progress, write_json
from thzjax.errors import ConfigError


def info(
    preset: Preset = None,
    /,
    feasibility: bool = True,
    config: Config = None,
    overrides: Overrides = (),
    runs: Path = Path("runs"),
    json: Json = None,
) -> int:
    """Show versions, devices, presets and runs; or one preset: its options, and where its constraints bind.

    Examples:
      thzjax info
      thzjax info --runs reproduction/runs
      thzjax info paper-b
      thzjax info paper-a --no-feasibility --json -
      thzjax info paper-a --set pattern_threshold=1 num_users=3
      thzjax info --config runs/demo/config.json

    Args:
      preset: show this preset's scenario and learner options, by the names that --set takes.
      feasibility: also find out on 16 channels which constraints bind at which design, and what physics rules out;
        about a minute.
      config: show a run's config.json instead of a preset.
      overrides: options of the scenario or learner, such as power_w=0.01 learner.clip=0.1.
      runs: folder whose runs are listed: agent, preset, seed, steps, whether each is finished, interrupted or running,
        and its last feasible rate.
      json: write the same as a JSON object to this file; "-" is the standard output.
    """
    check_writable(json)
    say = printer(json)
    if preset is None and config is None:
        if overrides:
            raise ConfigError("--set changes a preset or a configuration: name one, such as paper-a")
        told = _here(runs)
        say(_overview(told, runs))
    else:
        told = _scenario(preset, config, overrides, feasibility, say)
    write_json(told, json)
    return OK


def _here(runs: Path) -> dict[str, Any]:
    """What is installed, what it runs on, what there is by name, and what has been run."""
    import jax
    import jaxlib

    import thzjax
    from thzjax.experiment.config import AGENTS, CONFIGURATION_NAMES, HANDLERS
    from thzjax.experiment.runs import find_runs
    from thzjax.systems.scenario import PRESETS

    return {
        "thzjax": thzjax.__version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "python": platform.python_version(),
        "devices": [{"kind": d.device_kind, "platform": d.platform} for d in jax.devices()],
        "presets": list(PRESETS),
        "agents": list(AGENTS),
        "configurations": list(CONFIGURATION_NAMES),
        "handlers": list(HANDLERS),
        "runs": [state.numbers() for state in find_runs(runs)],
    }


def _overview(told: dict[str, Any], runs: Path) -> str:
    from thzjax.experiment.tables import runs_table

    lines = [
        ", ".join(f"{name} {told[name]}" for name in ("thzjax", "jax", "jaxlib", "python")),
        "devices: " + ", ".join(f"{device['kind']} ({device['platform']})" for device in told["devices"]),
        *(f"{name}: {', '.join(told[name])}" for name in ("presets", "agents", "configurations", "handlers")),
    ]
    if told["runs"]:
        lines += [f"runs in {runs}:", runs_table(told["runs"])]
    else:
        lines.append(f"runs: none in {runs}; thzjax train PRESET makes one, --runs FOLDER looks elsewhere")
    return "\n".join(lines)


def _scenario(
    preset: str | None, config: Path | None, overrides: tuple[str, ...], feasibility: bool, say: Any
) -> dict[str, Any]:
    """The options of a preset or configuration and what follows from them, said as they become known."""
    from thzjax.experiment.config import read_config, resolve
    from thzjax.experiment.feasibility import report_lines, study
    from thzjax.experiment.overrides import apply_overrides, flatten, to_json
    from thzjax.experiment.tables import option_lines, scenario_numbers

    if preset is not None and config is not None:
        raise ConfigError("name a preset, or give --config FILE instead of one")
    run = resolve(preset, overrides=overrides) if config is None else apply_overrides(read_config(config), overrides)
    numbers = scenario_numbers(run.scenario)
    say("\n".join(option_lines(run, numbers)))
    told = {"options": flatten(to_json(run)), **numbers}
    if feasibility:
        found = study(run.scenario, progress("finding out"))
        told["feasibility"] = found.numbers()
        say("\n".join(report_lines(found)))
    return told
