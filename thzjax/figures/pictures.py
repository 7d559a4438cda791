"""How panels are drawn: curves along an axis, and traces of training, each with its 95 % band or its seeds'."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thzjax import plotting
from thzjax.figures.frame import Curve, Trace, summary
from thzjax.systems.irs_scenario import desired_beams

RATE = "feasible sum rate [bit/s/Hz]"


def along_axis(
    panel: Mapping[str, Curve], x_label: str, labels: Sequence[str] | None = None, y_label: str = RATE
) -> Any:
    """Curves with 95 % bands, anchors in grey; open markers where some channels have no feasible design."""
    drawn, anchors = {}, {}
    axis = np.unique(np.concatenate([curve.x for curve in panel.values()]))
    for label, curve in panel.items():
        places = np.searchsorted(axis, curve.x)
        numbers = {key: np.full(len(axis), np.nan) for key in ("mean", "low", "high", "violation")}
        for place, values, missed in zip(places, curve.values, curve.missed, strict=True):
            numbers["mean"][place], numbers["low"][place], numbers["high"][place] = summary(values)
            numbers["violation"][place] = missed.mean()
        if label.endswith(", anchor"):
            # The bound no design passes is far above every curve and stands in the table.
            if not label.startswith("upper bound"):
                anchors[label.removesuffix(", anchor")] = numbers["mean"]
        else:
            drawn[label] = numbers
    return plotting.sweep_curves(axis, labels, drawn, x_label, y_label, anchors=anchors)


def against_cost(panel: Mapping[str, Curve], x_label: str, learned: str, y_label: str = RATE) -> Any:
    """Curves of one point each, the cost as its x, and the front they make; names that begin with `learned` in blue."""
    points = {name: (float(curve.x[0]), *summary(curve.values[0])) for name, curve in panel.items()}
    return plotting.pareto_front(points, x_label, y_label, [name for name in points if name.startswith(learned)])


def radiated(patterns: Mapping[str, Curve], scenario: Any, bands: bool = True) -> Any:
    """Mean power over the direction and, unless it would hide the rest, the band from 10 to 90 % of channels."""
    drawn = {}
    desired = np.asarray(desired_beams(scenario))
    for label, curve in patterns.items():
        every = curve.values.reshape(len(curve.x), -1)
        low, high = np.quantile(every, (0.1, 0.9), axis=1) if bands else (every.mean(axis=1),) * 2
        target = desired[:: round((len(desired) - 1) / (len(curve.x) - 1))]
        error = float(np.mean((every - target[:, None]) ** 2))
        drawn[label] = {"mean": every.mean(axis=1), "low": low, "high": high, "error": error}
        grid = curve.x
    return plotting.beam_patterns(grid, target, drawn, scenario.p_ref_w)


def over_training(
    panel: Mapping[str, Trace], upright: str, across: str, lines: Mapping[str, Curve] | tuple[()] = ()
) -> Any:
    """Mean over seeds and the band from the worst to the best; what does not learn as lines."""
    traces = {label: (trace.x, trace.values) for label, trace in panel.items()}
    return plotting.seed_curves(
        traces, upright, across, {name: float(curve.values.mean()) for name, curve in dict(lines).items()}
    )
