"""`thzjax info`."""

from typing import Annotated

import tyro

from thzjax.commands.shared import OK, progress


def info(preset: Annotated[str | None, tyro.conf.Positional] = None, /, feasibility: bool = True) -> int:
    """Show versions, devices and presets, or one preset: its options, and where its constraints bind.

    Examples:
      thzjax info
      thzjax info paper-b
      thzjax info paper-a --no-feasibility

    Args:
      preset: show this preset's scenario and learner options, by the names that --set takes.
      feasibility: also find out on 16 channels which constraints bind at which design, and what physics rules out;
        about a minute.
    """
    import jax

    import thzjax
    from thzjax.experiment.config import AGENTS, CONFIGURATION_NAMES, HANDLERS
    from thzjax.experiment.feasibility import report_lines
    from thzjax.experiment.tables import preset_lines
    from thzjax.systems.scenario import PRESETS

    if preset is None:
        devices = ", ".join(f"{d.device_kind} ({d.platform})" for d in jax.devices())
        print(f"thzjax {thzjax.__version__}, jax {jax.__version__}\ndevices: {devices}")
        for label, names in (
            ("presets", PRESETS), ("agents", AGENTS), ("configurations", CONFIGURATION_NAMES), ("handlers", HANDLERS)
        ):  # fmt: skip
            print(f"{label}: {', '.join(names)}")
        return OK
    print("\n".join(preset_lines(preset)), flush=True)
    if feasibility:
        for line in report_lines(preset, progress("finding out")):
            print(line, flush=True)
    return OK
