"""A drop's pictures, and the files that `thzjax show` writes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from thzjax import plotting
from thzjax.experiment.progress import paced
from thzjax.experiment.show import Drop, RoomMap, Say
from thzjax.experiment.show_numbers import (
    Air,
    Waterfall,
    air,
    angle_errors,
    bs_patterns,
    surface_directions,
    surface_field,
    surface_patterns,
    waterfalls,
)
from thzjax.experiment.tables import budget_table, link_table
from thzjax.systems.scenario import Scenario

ANGLES_DEG = np.arange(-180, 181) / 2
AZIMUTHS_DEG, ELEVATIONS_DEG = np.arange(-90, 91, 2.0), np.arange(-60, 61, 2.0)
BUDGET_FILES = {"over the surface": "budget", "direct": "budget_direct", "echo": "budget_echo"}


def drawings(
    seen: Drop, budgets: dict[str, Waterfall], rates: RoomMap, bound: RoomMap | None, spectrum: Air | None
) -> dict[str, Callable[[], Any]]:
    """What draws each picture, by the name of its file."""
    nodes, links, area = seen.layout
    outcome = seen.system.outcome(seen.params, seen.channels, seen.design)
    mover = f"user {seen.user + 1}"
    drawn: dict[str, Callable[[], Any]] = {"scenario": lambda: plotting.scenario_map(nodes, links, area)}
    for name, fall in budgets.items():
        drawn[BUDGET_FILES[name]] = lambda fall=fall: plotting.budget_waterfall(fall.gains, fall.noises, fall.result)
    drawn["rates_and_slack"] = lambda: plotting.rates_and_slack(
        np.asarray(outcome.rates), {name: float(x) for name, x in outcome.slack.items()}
    )
    for where, pattern in (("bs", bs_patterns), ("surface", surface_patterns)):
        if where == "bs" or seen.system.spec.elements:
            curves, marks = pattern(seen, ANGLES_DEG)
            drawn[f"beam_{where}"] = lambda c=curves, m=marks: plotting.eirp_pattern(ANGLES_DEG, c, m)
            drawn[f"beam_{where}_polar"] = lambda c=curves, m=marks: plotting.eirp_polar(ANGLES_DEG, c, m)
    if seen.system.spec.elements:
        drawn["directions"] = lambda: plotting.direction_map(
            AZIMUTHS_DEG, ELEVATIONS_DEG, surface_field(seen, AZIMUTHS_DEG, ELEVATIONS_DEG), surface_directions(seen)
        )
        drawn["surface"] = lambda: plotting.surface_map(np.asarray(seen.design.reflection), seen.system.surface_shape)
    others = {name: node for name, node in nodes.items() if name != mover and node.kind != "target"}
    drawn["map_rate"] = lambda: plotting.room_map(
        rates.x_m, rates.y_m, rates.values, f"feasible sum rate, {mover} there [bit/s/Hz]", others,
        barred=rates.values == 0, barred_label="no feasible design",
    )  # fmt: skip
    if bound is not None:
        drawn["map_crb"] = lambda: plotting.room_map(
            bound.x_m, bound.y_m, bound.values, "root of the angles' bound, target there [deg]", nodes, logarithmic=True
        )
    if spectrum is not None:
        drawn["absorption"] = lambda: plotting.absorption_spectrum(
            spectrum.freq_hz, spectrum.curves, spectrum.windows, (spectrum.limit_db_per_km, _limit_text(spectrum)),
            (spectrum.carrier_hz, spectrum.carrier_db_per_km),
        )  # fmt: skip
    return drawn


def _limit_text(spectrum: Air) -> str:
    return f"{spectrum.limit_db_per_km * spectrum.path_m / 1000:.0f} dB over {spectrum.path_m:.1f} m"


def write_pictures(
    scenario: Scenario, seen: Drop, rates: RoomMap, bound: RoomMap | None, folder: Path, say: Say
) -> tuple[str, dict[str, Any]]:
    """Draw everything into a folder as PNG and SVG.

    Returns:
      the tables as text, and the numbers for JSON.
    """
    say("link budgets and radiated fields")
    budgets, spectrum = waterfalls(seen), air(scenario, seen)
    drawn = drawings(seen, budgets, rates, bound, spectrum)
    files, tell = [], paced(say, len(drawn))
    for i, (name, draw) in enumerate(drawn.items()):
        if i % 4 == 0:
            tell("pictures", i)
        files += [str(path) for path in plotting.save(draw(), folder / name)]
    errors = angle_errors(seen)
    outcome = seen.system.outcome(seen.params, seen.channels, seen.design)
    numbers = {
        "user": seen.user + 1,
        "links": [link._asdict() for link in seen.layout.links],
        "budgets": {
            name: {"gains": fall.gains, "noises": fall.noises, "result": fall.result, "result_db": fall.result_db}
            for name, fall in budgets.items()
        },
        "rates": np.asarray(outcome.rates, float).tolist(),
        "slack": {name: float(x) for name, x in outcome.slack.items()},
        "angle_error_deg": errors,
        "map_rate": _plain_map(rates),
        "map_crb": None if bound is None else _plain_map(bound),
        "windows_hz": None if spectrum is None else spectrum.windows,
        "files": files,
    }
    return "\n".join(_lines(seen, budgets, spectrum, errors, outcome)), numbers


def _plain_map(of: RoomMap) -> dict[str, Any]:
    return {
        "x_m": of.x_m.tolist(),
        "y_m": of.y_m.tolist(),
        "z_m": of.height_m,
        "values": np.where(np.isfinite(of.values), of.values, None).tolist(),
    }


def _lines(
    seen: Drop, budgets: dict[str, Waterfall], spectrum: Air | None, errors: dict[str, float], outcome: Any
) -> list[str]:
    lines = [link_table(seen.layout.links)]
    for name, fall in budgets.items():
        of = "target's echo" if name == "echo" else f"user {seen.user + 1}, {name}"
        lines += [f"\nlink budget: {of}", budget_table(fall.gains, fall.noises, fall.result)]
    if errors:
        texts = (f"{name} {value:.3g} deg" for name, value in errors.items())
        lines.append(f"root of the angles' bound: {', '.join(texts)}")
    rates = ", ".join(f"{float(x):.2f}" for x in outcome.rates)
    lines.append(f"\nrates by the design [bit/s/Hz]: {rates}; sum {float(np.sum(outcome.rates)):.2f}")
    lines.append("slack: " + ", ".join(f"{name} {float(x):+.3g}" for name, x in outcome.slack.items()))
    if spectrum is not None:
        windows = ", ".join(f"{low / 1e9:.0f} to {high / 1e9:.0f}" for low, high in spectrum.windows) or "none"
        lines.append(f"windows round the carrier, {_limit_text(spectrum)} at most [GHz]: {windows}")
    return lines
