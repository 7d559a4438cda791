"""Draws every picture of `thzjax.plotting` by the command that makes it, and writes docs/gallery.md round them.

python docs/gallery.py                          all of it, about a quarter of an hour on 2 cores
python docs/gallery.py --only link air          these sections' pictures; the page is written in any case
"""

import argparse
import contextlib
import os
import shlex
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from thzjax import cli, plotting

HERE = Path(__file__).resolve().parent
COLOURS = 128
"""Of a page's pictures: enough for a heat map, at a third of the size."""
INTRODUCTION = """# Gallery

Every picture that thzjax draws, each by the command above it; the commands write PNG and SVG. One style: colours that
the colour-blind can tell apart, line styles and markers for print without colour, a unit on every axis. All pictures
are functions of plain arrays in `thzjax.plotting`. This page and its pictures are made by `python docs/gallery.py`.
"""
ARRAYS = """## From arrays

```python
import jax.numpy as jnp
from thzjax import plotting
from thzjax.systems.scenario import build, preset
from thzjax.systems.views import link_budgets

system, params = build(preset("paper-b"))
budget = link_budgets(system, params, jnp.array([2.5, 1.0, 0.3]))["over the surface"]
gains, noises = (
    list(zip(names, values.tolist()))
    for names, values in ((budget.names, budget.gains_db), (budget.noise_names, budget.noises_db))
)
svg = plotting.to_svg(plotting.budget_waterfall(gains, noises))  # or plotting.save(figure, "budget")
print(f"{float(budget.snr_db):.1f} dB")
```

`link_budgets` takes positions in batches and works under `jit`, `vmap` and `grad`; its terms add up to the SNR that the
simulator gives one user on a channel without scattered rays (`tests/systems/test_budget.py`).
"""


class Shot(NamedTuple):
    """A picture of a command: the function of `thzjax.plotting` that draws it, its file, and what it shows there."""

    function: str
    file: str
    shows: str


class Section(NamedTuple):
    """What one command draws.

    Attributes:
      title: heading.
      command: as typed.
      pictures: the folder that it draws into.
      shots: those on the page.
      small: options that make it quick, for a test; none where there are none.
    """

    title: str
    command: str
    pictures: str
    shots: tuple[Shot, ...]
    small: str | None = None


SMALL_LINK = "--method rzf/focused --grid 3 --set num_users=2"
SECTIONS = {
    "link": Section(
        "A link with a reflecting surface",
        "thzjax show paper-a --out link",
        "link",
        (
            Shot(
                "scenario_map", "scenario", "Paper A's room from above, one held-out channel; direct links are blocked."
            ),
            Shot("budget_waterfall", "budget", "From the transmit power to the SINR that the design leaves."),
            Shot("eirp_pattern", "beam_bs", "The base station's beams; unserved users are below the scale."),
            Shot("eirp_polar", "beam_bs_polar", "The same, round."),
            Shot("direction_map", "directions", "What the surface sends on, and where the users are."),
            Shot("surface_map", "surface", "3-bit phases of 4 x 4 elements."),
            Shot("rates_and_slack", "rates_and_slack", "What each user gets, and how far the constraints are."),
            Shot("room_map", "map_rate", "The user stands at every place in turn, with a design for each."),
            Shot(
                "absorption_spectrum", "absorption", "Paper A's constant lies 1100 times below the water line's flank."
            ),
        ),
        SMALL_LINK + " surface_shape=2,2",
    ),
    "hybrid": Section(
        "A hybrid surface that senses",
        "thzjax show paper-b --out hybrid",
        "hybrid",
        (
            Shot("scenario_map", "scenario", "Paper B's room: everything goes over the surface."),
            Shot("budget_waterfall", "budget_echo", "The target's echo, down to what the design lays on it."),
            Shot("eirp_pattern", "beam_surface", "The surface's beams, each at the elevation of whom it is for."),
            Shot("surface_map", "surface", "30 of 80 elements amplify."),
            Shot("room_map", "map_crb", "The angles' bound of one design, as the target moves."),
        ),
        SMALL_LINK + " bs_shape=2,3 surface_shape=3,4 sensor_shape=2,2 num_active=5 num_rays_bs=3 max_crb_rad2=0.1"
        " min_sinr_db=-30 p_surface_dbm=-25",
    ),
    "air": Section(
        "A carrier between water lines",
        "thzjax show paper-a --set absorption=p676 freq_hz=4.1e11 --grid 8 --out air",
        "air",
        (
            Shot(
                "absorption_spectrum", "absorption", "With the absorption that the scenario reckons with on the curve."
            ),
        ),
    ),
    "methods": Section(
        "Methods on the same channels",
        "thzjax compare paper-a --channels 128 --out methods",
        "methods",
        (
            Shot("method_comparison", "method_comparison", "Feasible rates with 95 % intervals."),
            Shot("pareto_front", "rate_against_time", "What each reaches in which time; those dark that none beats."),
        ),
        "--channels 8 --methods rzf/focused mrt/focused",
    ),
    "sweep": Section(
        "Along a parameter",
        "thzjax compare paper-a --sweep pattern_threshold=0.5,1,2,5,10 --channels 64 --methods rzf/focused "
        "wmmse_sum/focused alternating --out sweep",
        "sweep",
        (Shot("sweep_curves", "sweep_pattern_threshold", "What sensing costs: rate against the pattern's limit."),),
        "--channels 8 --methods rzf/focused --sweep pattern_threshold=1,2",
    ),
    "training": Section(
        "A training run",
        "thzjax train paper-a --quick --out training",
        "training/figures",
        (
            Shot("learning_curve", "learning_curve", "Training batch and validation channels."),
            Shot("capacity_against_episodes", "capacity_against_episodes", "Beside the classical designs."),
            Shot("multipliers", "multipliers", "Prices of the constraints, and their slack against training."),
            Shot("constraint_violations", "constraint_violations", "What violates, before and after the scaling."),
            Shot("beam_patterns", "beam_patterns", "Mean and band over channels, against the desired pattern."),
            Shot("user_beam_patterns", "user_beam_patterns", "One channel, user by user."),
            Shot("pattern_error_curve", "pattern_error", "The error, its threshold, and the multiplier."),
            Shot("pattern_error_histogram", "pattern_error_histogram", "Of single channels."),
        ),
    ),
    "seeds": Section(
        "Several seeds of several settings",
        "thzjax train paper-a --sweep actor_rate=1e-2,1e-3,1e-4 --seeds 3 --quick --out seeds",
        "seeds",
        (Shot("seed_curves", "learning_curves", "Mean over seeds, and the band from the worst to the best."),),
    ),
}


def picture_name(section: str, shot: Shot) -> str:
    """File name of a picture on the page."""
    return f"{section}-{shot.file}.png"


def page() -> str:
    """The page, from the sections and the functions' own first lines."""
    parts = [INTRODUCTION]
    for name, section in SECTIONS.items():
        parts.append(f"## {section.title}\n\n```\n{section.command}\n```\n")
        for shot in section.shots:
            what = getattr(plotting, shot.function).__doc__.splitlines()[0]
            parts.append(
                f"**`plotting.{shot.function}`**: {what}\n{shot.shows}\n\n"
                f"![{shot.shows}](gallery/{picture_name(name, shot)})\n"
            )
    return "\n".join([*parts, ARRAYS])


def draw(name: str, out: Path, small: bool = False) -> list[Path]:
    """Run a section's command in a folder of its own, and put its pictures into `out` with few colours.

    Raises:
      RuntimeError: the command failed.
    """
    section = SECTIONS[name]
    command = section.command + (f" {section.small}" if small and section.small else "")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work, contextlib.chdir(work):
        status = cli.main(shlex.split(command)[1:])
        if status:
            raise RuntimeError(f"status {status}: {command}")
        return [
            _shrink(Path(section.pictures) / f"{shot.file}.png", out / picture_name(name, shot))
            for shot in section.shots
        ]


def _shrink(source: Path, target: Path) -> Path:
    with Image.open(source) as picture:
        few = picture.convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(target, optimize=True)
    return target


def main(arguments: Iterable[str] | None = None) -> int:
    """Draw what is asked for and write the page."""
    parser = argparse.ArgumentParser(description="Draw the gallery's pictures and write its page.")
    parser.add_argument("--only", nargs="*", default=list(SECTIONS), choices=list(SECTIONS), help="these sections")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of gallery.md and gallery/")
    parser.add_argument("--small", action="store_true", help="quick versions of those sections that have one")
    chosen = parser.parse_args(None if arguments is None else list(arguments))
    for name in chosen.only:
        for path in draw(name, chosen.out / "gallery", chosen.small):
            print(f"{path}: {os.path.getsize(path) / 1024:.0f} KB")
    (chosen.out / "gallery.md").write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
