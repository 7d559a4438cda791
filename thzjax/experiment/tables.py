"""Results as text for a terminal."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Measure(NamedTuple):
    """How a figure of merit is shown.

    Attributes:
      heading: of its column.
      text: how a mean is written.
      note: what the column says, where its heading does not.
    """

    heading: str
    text: Callable[[float], str]
    note: str = ""


def _decibel(x: float) -> str:
    return f"{round(10 * math.log10(x), 1) + 0.0:.1f}" if x > 0 else "-inf"  # -0.0 + 0.0 is 0.0


MEASURES = {
    "pattern_error": Measure("pattern error", lambda x: f"{x:.3f}"),
    "min_sinr": Measure("min SINR [dB]", _decibel, "Min SINR: of the worst user, mean over channels, as designed."),
    "crb_rad2": Measure(
        "angle error [deg]",
        lambda x: f"{math.degrees(math.sqrt(x)):.2f}",
        "Angle error: root of the mean Cramér-Rao bound, azimuth and elevation together, as designed.",
    ),
}
"""Figures of merit with a column of their own."""


def _text(heads: Sequence[str], lines: Sequence[Sequence[str]], left: int) -> str:
    """Columns, the first `left` of them aligned left."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(escape(head), justify="left" if i < left else "right", no_wrap=True)
    for line in lines:
        table.add_row(*(escape(cell) for cell in line))
    buffer = io.StringIO()
    Console(file=buffer, width=200).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def comparison_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of a comparison, best feasible rate first."""
    measures = [name for name in MEASURES if name in rows[0]]
    heads = ["method", "surface", "feasible", "95 % interval", "to the best", "as designed", "infeasible"]
    heads += [*(MEASURES[name].heading for name in measures), "us/channel", "  violates as designed"]
    lines = []
    for row in sorted(rows, key=lambda r: -r["rate_feasible"]):
        violated = [f"{name} {100 * share:.0f} %" for name, share in row["violations"].items() if share > 0]
        difference = row.get("difference")
        line = [
            row["method"],
            row["surface"],
            f"{row['rate_feasible']:.3f}",
            f"{row['ci_low']:.3f} .. {row['ci_high']:.3f}",
            "-"
            if difference is None
            else f"{difference:+.3f} ± {(row['difference_high'] - row['difference_low']) / 2:.3f}",
            f"{row['rate']:.3f}",
            f"{100 * row['violation_rate_feasible']:.1f} %",
        ]
        line += ["-" if row[name] is None else MEASURES[name].text(row[name]) for name in measures]
        lines.append([*line, f"{row['us_per_channel']:.1f}", "  " + (", ".join(violated) or "nothing")])
    text = _text(heads, lines, 2)
    return (
        f"{text}\nsum rates in bit/s/Hz, mean over {rows[0]['num_channels']} held-out channels; a channel without a "
        "feasible design counts as 0;\n'to the best' classical design: paired difference with its 95 % half width"
    )


def sweep_table(rows: Sequence[Mapping[str, Any]], name: str, values: Sequence[str]) -> str:
    """Feasible rate of each method at each value; a star where some channels have no feasible design."""
    by_method: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        star = "*" if row["violation_rate_feasible"] > 0 else " "
        by_method.setdefault((row["method"], row["surface"]), {})[row["value"]] = f"{row['rate_feasible']:.3f}{star}"
    last = {(row["method"], row["surface"]): row["rate_feasible"] for row in rows if row["value"] == values[-1]}
    order = sorted(by_method, key=lambda m: (m[1] == "anchor", -last.get(m, -1)))
    lines = [[*method, *(by_method[method].get(value, "-") for value in values)] for method in order]
    text = _text(["method", "surface", *(f"{name}={value}" for value in values)], lines, 2)
    number = rows[0]["num_channels"] if rows else 0
    return f"{text}\nfeasible sum rate in bit/s/Hz, mean over {number} held-out channels; *: infeasible on some (as 0)"


def feasibility_table(
    gains: Mapping[str, float], slack: Mapping[str, Mapping[str, tuple[float, float]]], binds: float
) -> str:
    """One line per constraint: whether it binds at the reference, then (mean slack, share violated) of each design."""

    def cell(mean: float, violated: float) -> str:
        value = f"{mean:+.2f}" if abs(mean) < 1000 else f"{mean:+.0e}"
        return value + (f" ({100 * violated:.0f} % violate)" if violated else "")

    def verdict(gain: float | None) -> str:
        if gain is None:
            return "its limit is no parameter"
        if gain > binds:
            return "binds: without it " + ("feasible" if math.isinf(gain) else f"+{100 * gain:.1f} %")
        return f"slack: without it {100 * gain:+.1f} %"

    names = [*gains, *(name for name in next(iter(slack.values())) if name not in gains)]
    lines = [[name, verdict(gains.get(name)), *(cell(*slack[d][name]) for d in slack)] for name in names]
    text = _text(["constraint", "at the reference", *slack], lines, 2)
    return "\n".join(f"  {line}" for line in text.splitlines())


def scenario_numbers(scenario: Any) -> dict[str, Any]:
    """What follows from a scenario's options: noise power [W] and absorption [1/m], also of the standard atmosphere."""
    from thzjax.systems.medium import absorption_per_m, noise_w, standard_absorption_per_m

    return {
        "noise_w": float(noise_w(scenario)),
        "absorption": scenario.absorption,
        "absorption_per_m": float(absorption_per_m(scenario)),
        "standard_absorption_per_m": standard_absorption_per_m(scenario.freq_hz),
    }


def option_lines(run: Any, numbers: Mapping[str, Any]) -> list[str]:
    """Every option of a run by the name that --set takes, and the numbers that follow from its scenario."""
    from thzjax.experiment.overrides import flatten, to_json

    lines = [f"{name} = {'none' if value is None else value}" for name, value in flatten(to_json(run)).items()]
    standard = numbers["standard_absorption_per_m"]
    beside = "" if standard is None else f"; ITU-R P.676-13 in standard air: {standard:.4g} 1/m"
    lines.append(f"# noise power: {numbers['noise_w']:.3e} W")
    here = f"{numbers['absorption_per_m']:.4g} 1/m ({numbers['absorption']})"
    return [*lines, f"# absorption at the carrier: {here}{beside}"]


def runs_table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Runs, one a line: what each is, how far it is, whether it goes on, and its last feasible rate [bit/s/Hz]."""
    lines = []
    for run in runs:
        share = f"{run['env_steps']:,} of {run['steps']:,}" if run["steps"] else "-"
        rate = "-" if run["feasible_rate"] is None else f"{run['feasible_rate']:.3f}"
        name = run["agent"] and f"{run['agent']}, {run['policy']}"
        lines.append([run["folder"], name, run["preset"], str(run["seed"]), share, run["state"], rate])
    heads = ["run", "agent", "preset", "seed", "environment steps", "  state", "feasible"]
    return _text(heads, [[*line[:5], f"  {line[5]}", line[6]] for line in lines], 3)


def budget_table(
    gains: Sequence[tuple[str, float | None]], noises: Sequence[tuple[str, float | None]], result: str
) -> str:
    """A link budget, one term a line with the level after it; terms of none are subtotals."""
    lines, levels = [], []
    for terms, total in ((gains, "received power"), (noises, "noise")):
        level = 0.0
        for i, (name, value) in enumerate(terms):
            level += value or 0.0
            digits = 1 if value is None or abs(value) >= 0.05 else 2
            text = "" if value is None else f"{value:.1f} dBm" if i == 0 else f"{value:+.{digits}f} dB"
            lines.append([f"  {name}", text, f"{level:.1f} dBm"])
        lines.append([total, "", f"{level:.1f} dBm"])
        levels.append(level)
    return _text(["term", "value", "level"], [*lines, [result, "", f"{levels[0] - levels[1]:.1f} dB"]], 1)


def link_table(links: Sequence[tuple[str, str, float, float, bool]]) -> str:
    """Length and loss of every link (start, end, length [m], loss [dB], blocked)."""
    lines = [
        [f"{start} to {end}", f"{length:.2f} m", f"{loss:.1f} dB" if math.isfinite(loss) else "-", "blocked" * blocked]
        for start, end, length, loss, blocked in links
    ]
    return _text(["path", "length", "loss", " "], lines, 1)
