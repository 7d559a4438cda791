"""`thzjax show`."""

from pathlib import Path

from thzjax.commands.shared import (
    OK,
    Config,
    Json,
    Overrides,
    Preset,
    check_writable,
    printer,
    progress,
    scenario_of,
    write_json,
)


def show(
    preset: Preset = None,
    /,
    method: str | None = None,
    user: int | None = None,
    drop: int = 0,
    grid: int = 24,
    config: Config = None,
    users_at: str | None = None,
    out: Path | None = None,
    json: Json = None,
    overrides: Overrides = (),
) -> int:
    """Draw a scenario: its map and path losses, link budgets, a design's beams and surface, maps of the room, the air.

    On one held-out channel. The link budgets, term by term down to the SINR that the design leaves, are printed too.
    The map of the sum rate has one user at every place and the others at theirs, a design for each; that of the bound
    (paper B) has the target at every place, and the one design.

    Examples:
      thzjax show paper-a
      thzjax show paper-b --method alternating --out pictures/hybrid
      thzjax show paper-a --set absorption=p676 freq_hz=3e11 --user 2 --grid 40
      thzjax show --config runs/demo/config.json
      thzjax show paper-a --users-at="3,1,0;4,-1,0;5,0,0;6,1,0"

    Args:
      preset: scenario.
      method: classical design, METHOD/SURFACE, or METHOD where it has one surface; searches take minutes. Default
        wmmse_sum/focused, or alternating where every user has a least SINR to meet.
      user: who is looked at and moves, from 1; default the one whom the design serves best.
      drop: which held-out channel, from 0.
      grid: cells of a map along its longer side.
      config: take the scenario of a run's config.json instead of a preset.
      users_at: where the users stand, X,Y,Z;X,Y,Z;... [m]; default where the drop has them.
      out: folder for the pictures, PNG and SVG; default pictures/PRESET.
      json: write the numbers as a JSON object to this file; "-" is the standard output.
      overrides: options of the scenario, such as pattern_threshold=3.
    """
    from thzjax.experiment.places import read_places
    from thzjax.experiment.show import study
    from thzjax.experiment.show_pictures import write_pictures

    name, scenario = scenario_of(preset, config, overrides)
    folder = out or Path("pictures") / name
    check_writable(json, folder=folder)
    if method is None:
        method = "alternating" if "min_sinr" in scenario.constraints else "wmmse_sum/focused"
    told = progress("showing")
    places = None if users_at is None else read_places(users_at)
    seen, rates, bound = study(scenario, method, user, drop, grid, told, places)
    text, numbers = write_pictures(scenario, seen, rates, bound, folder, told)
    say = printer(json)
    say(text)
    say(f"pictures: {folder}")
    write_json(numbers, json)
    return OK
