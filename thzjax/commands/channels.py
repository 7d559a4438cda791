"""`thzjax channels`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from thzjax.commands.shared import (
    FAILED,
    INTERRUPTED,
    OK,
    Json,
    Overrides,
    check_writable,
    printer,
    progress,
    say,
    scenario_of,
    write_json,
)
from thzjax.errors import ConfigError


def channels(
    action: Annotated[Literal["generate", "import", "show"], tyro.conf.Positional],
    subject: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PRESET|FILE|FOLDER")],
    /,
    num: int | None = None,
    out: Path | None = None,
    seed: int = 0,
    start: int = 0,
    held_out: bool = False,
    devices: int = 1,
    preset: str | None = None,
    names: tuple[str, ...] = (),
    last: bool = False,
    scale_db: float = 0.0,
    add_gains: bool = False,
    add_absorption: bool = False,
    bs_yaw_deg: float | None = None,
    surface_yaw_deg: float | None = None,
    json: Json = None,
    overrides: Overrides = (),
) -> int:
    """Draw channels of a preset into a file, make such a file of channels of your own, or show what one holds.

    compare, evaluate and train take the files by --data, policy by --channels. docs/data.md has the formats. The same
    command goes on with a file that was interrupted; a channel has the same bits however it came about.

    Examples:
      thzjax channels generate paper-b --num 100000 --out data.h5
      thzjax channels generate paper-b --num 1000 --start 100000 --out more.npz --set num_users=3
      thzjax channels generate paper-a --num 2048 --held-out --out judged.h5
      thzjax channels import own.mat --preset paper-a --names direct=Hd bs_to_surface=G surface_to_user=H --out a.h5
      thzjax channels import traced --preset paper-b --add-gains --add-absorption --num 5000 --out data.h5
      thzjax channels show data.h5

    Args:
      action: generate (from a preset), import (from a file of arrays, or a folder of path lists) or show (a file).
      subject: a preset; a file, .npz, HDF5 or .mat; or a folder with bs_to_surface, surface_to_user and direct, each a
        file or folder of Sionna's or DeepMIMO's paths.
      num: channels. To generate, needed; to import, at most so many, or of path lists exactly.
      out: file to write: .h5, .hdf5 (pip install "thzjax[data]") or .npz.
      seed: generate: of the channels; import: draws which receivers of path lists make a channel.
      start: generate: number of the first channel.
      held_out: generate those that compare and evaluate judge on, for other tools; they are not to be trained on.
      devices: generate on so many local devices, block by block; changes no number.
      preset: import: what they are channels of, with --set for its options (num_users, num_rays_bs, freq_hz, ..).
      names: import: OURS=THEIRS, what arrays are called in the source.
      last: import: the source counts channels along the last axis of its arrays.
      scale_db: import: added to every amplitude.
      add_gains: import: paths are those of isotropic antennas, put the scenario's gains on.
      add_absorption: import: paths know no absorption, put the scenario's on by their lengths.
      bs_yaw_deg: import: where the base station of path lists faces, from +x; default as in the scenario.
      surface_yaw_deg: import: where the surface faces, likewise.
      json: show: write it as a JSON object to this file; "-" is the standard output.
      overrides: options of the scenario, such as num_users=3.
    """
    given = {
        "num": num, "out": out, "seed": seed or None, "start": start or None, "held_out": held_out or None,
        "devices": None if devices == 1 else devices, "preset": preset, "names": names or None, "last": last or None,
        "scale_db": scale_db or None, "add_gains": add_gains or None, "add_absorption": add_absorption or None,
        "bs_yaw_deg": bs_yaw_deg, "surface_yaw_deg": surface_yaw_deg, "json": json, "set": overrides or None,
    }  # fmt: skip
    _refuse_others(action, {name for name, value in given.items() if value is not None})
    check_writable(out, json)
    if action == "show":
        return _show(Path(subject), json)
    if out is None:
        raise ConfigError("--out names the file to write: .h5, .hdf5 or .npz")
    if action == "generate":
        if num is None:
            raise ConfigError("--num says how many channels to draw")
        return _generate(subject, overrides, out, num, seed, start, held_out, devices)
    if preset is None:
        raise ConfigError("--preset says what they are channels of; --set changes its options")
    from thzjax.experiment.imports import import_channels
    from thzjax.experiment.traced import Options

    called = dict(_pair(text) for text in names)
    options = Options(
        num, seed, called, last, scale_db, add_gains, add_absorption, bs_yaw_deg, surface_yaw_deg
    )  # fmt: skip
    scenario = scenario_of(preset, None, overrides)[1]
    count = import_channels(Path(subject), scenario, out, progress("importing"), preset, options)
    print(f"{count} channels: {out}")
    return OK


TAKES = {
    "generate": {"num", "out", "seed", "start", "held_out", "devices", "set"},
    "import": {
        "num", "out", "seed", "preset", "names", "last", "scale_db", "add_gains", "add_absorption", "bs_yaw_deg",
        "surface_yaw_deg", "set",
    },
    "show": {"json"},
}  # fmt: skip
"""Options of each action."""


def _refuse_others(action: str, given: set[str]) -> None:
    if others := sorted(given - TAKES[action]):
        wrong = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise ConfigError(f"channels {action} takes no {wrong}: see `thzjax channels --help`")


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = (part.strip() for part in text.partition("="))
    if not (ours and equals and theirs):
        raise ConfigError(f"--names {text!r} is not of the form OURS=THEIRS")
    return ours, theirs


def _generate(
    preset: str, overrides: tuple[str, ...], out: Path, num: int, seed: int, start: int, held_out: bool, devices: int
) -> int:
    from thzjax.experiment.generate import generate
    from thzjax.experiment.train import Unwritable

    scenario = scenario_of(preset, None, overrides)[1]
    try:
        generate(scenario, out, num, progress("drawing"), preset, seed, start, held_out, devices)
    except Unwritable as error:
        say(f"thzjax: {error}")
        return FAILED
    except KeyboardInterrupt:
        say("thzjax: interrupted and saved; the same command goes on where it was")
        return INTERRUPTED
    print(f"{num} channels: {out}")
    return OK


def _show(path: Path, json: Path | None) -> int:
    from thzjax.experiment.channel_file import describe, lines

    found = describe(path)
    printer(json)("\n".join(lines(found)))
    write_json(found, json)
    return OK
