"""Statistical statements about curves, and the verdicts that follow from them.

A statistic holds when its whole 95 % interval is on the claimed side and every seed is too; it does not hold when the
whole interval is on the other side; otherwise it depends. Learned curves of fewer than `LEAST_SEEDS` seeds
are not judged, nor is the growth of one with fewer than `LEAST_POINTS` points.
"""

import math

import numpy as np
from scipy.special import stdtrit

from thzjax.figures.frame import Curve, Finding, Trace, summary

LEAST_SEEDS, LEAST_POINTS = 3, 2
RATE = "bit/s/Hz"


def verdict(low: float, high: float, at_least: float = 0.0, each: np.ndarray | None = None) -> str:
    """Whether a statistic, given by its interval and its value for each seed, is above a number."""
    if low > at_least:
        return "holds" if each is None or np.all(np.asarray(each) > at_least) else "depends"
    return "does not hold" if high < at_least else "depends"


def _found(
    statement: str, regime: str, difference: np.ndarray, learned: bool, at_least: float = 0.0, unit: str = RATE
) -> Finding:
    """A finding on differences `[S, C]`."""
    value, low, high = summary(difference)
    said = verdict(low, high, at_least, difference.mean(axis=1) if len(difference) > 1 else None)
    if learned and len(difference) < LEAST_SEEDS:
        said = "not judged"
    return Finding(statement, said, value, low, high, unit, regime)


def _too_few(statement: str, regime: str) -> Finding:
    return Finding(statement, "not judged", math.nan, -math.inf, math.inf, "(too few points)", regime)


def above(
    statement: str, regime: str, a: Curve, b: Curve, at: int | None = None, at_least: float = 0.0, learned: bool = True
) -> Finding:
    """Mean of `a` exceeds that of `b` by more than `at_least`, paired by channel and by seed.

    Args:
      at: point of the axis; None for the mean over all points that both have.
      learned: whether seeds count.
    """
    _, here, there = np.intersect1d(a.x, b.x, return_indices=True) if at is None else (None, [at], [at])
    n = min(a.values.shape[-1], b.values.shape[-1])
    difference = np.mean(a.values[here, :, :n] - b.values[there, :, :n], axis=0)
    return _found(statement, regime, difference, learned, at_least)


def grows(statement: str, regime: str, curve: Curve, learned: bool = True) -> Finding:
    """The curve ends above where it begins, and no step between neighbours falls by more than a hundredth of its mean.

    The statistic is the rise, or the step that falls.
    """
    if len(curve.x) < LEAST_POINTS:
        return _too_few(statement, regime)
    steps = np.diff(curve.values[np.argsort(curve.x)], axis=0)
    least = int(np.argmin(steps.mean(axis=(1, 2))))
    rise = _found(statement, regime, steps.sum(axis=0), learned)
    level = -0.01 * abs(float(curve.values.mean()))
    fall = _found(f"{statement} (one step)", regime, steps[least], learned, level)
    # A step that cannot be told from level does not contradict growth; one that falls does.
    return fall if rise.verdict == "holds" and fall.verdict == "does not hold" else rise


def flat(statement: str, regime: str, curve: Curve, share: float = 0.02, learned: bool = False) -> Finding:
    """Between its ends the curve changes by less than a share of its mean."""
    ordered = curve.values[np.argsort(curve.x)]
    value, low, high = summary((ordered[-1] - ordered[0]) / (abs(ordered.mean()) or 1.0))
    said = "holds" if -share < low and high < share else "does not hold" if low > share or high < -share else "depends"
    if learned and curve.values.shape[1] < LEAST_SEEDS:
        said = "not judged"
    return Finding(statement, said, value, low, high, "of its mean", regime)


def alike(statement: str, regime: str, a: Curve, b: Curve, at: int, within: float) -> Finding:
    """At one point of the axis the means of two curves differ by less than `within`, paired by channel and seed."""
    n = min(a.values.shape[-1], b.values.shape[-1])
    difference = a.values[at, :, :n] - b.values[at, :, :n]
    value, low, high = summary(difference)
    said = "depends"
    if -within < low and high < within:
        said = "holds"
    elif low > within or high < -within:
        said = "does not hold"
    if len(difference) < LEAST_SEEDS:
        said = "not judged"
    return Finding(statement, said, value, low, high, RATE, regime)


def keeps(
    statement: str, regime: str, curve: Curve, at: int, of: Curve, at_of: int, share: float, learned: bool = False
) -> Finding:
    """At one point a curve exceeds a share of what a curve has at one point, paired by channel and by seed."""
    n = min(curve.values.shape[-1], of.values.shape[-1])
    difference = curve.values[at, :, :n] - share * of.values[at_of, :, :n]
    return _found(statement, regime, difference, learned)


def flattens(statement: str, regime: str, curve: Curve, learned: bool = True) -> Finding:
    """The slope of the first interval of the axis exceeds that of the last."""
    if len(curve.x) <= LEAST_POINTS:
        return _too_few(statement, regime)
    order = np.argsort(curve.x)
    x, values = curve.x[order], curve.values[order]
    slopes = np.diff(values, axis=0) / np.diff(x)[:, None, None]
    return _found(statement, regime, slopes[0] - slopes[-1], learned, unit=f"{RATE} per unit of the axis")


def between(statement: str, regime: str, curve: Curve, least: float, most: float) -> Finding:
    """The mean over channels, seeds and points lies in a range."""
    value, low, high = summary(curve.values.mean(axis=0))
    said = "holds" if least < low and high < most else "does not hold" if high < least or low > most else "depends"
    return Finding(statement, said, value, low, high, RATE, regime)


def seeds_interval(values: np.ndarray) -> tuple[float, float, float]:
    """(mean, low, high) of one number for each seed, `[S]`, by Student's t."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return mean, -math.inf, math.inf
    half = float(stdtrit(count - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(count)
    return mean, mean - half, mean + half


def of_seeds(statement: str, regime: str, values: np.ndarray, at_least: float = 0.0, unit: str = RATE) -> Finding:
    """One number for each seed, `[S]`, exceeds `at_least`."""
    value, low, high = seeds_interval(values)
    said = "not judged" if len(values) < LEAST_SEEDS else verdict(low, high, at_least, values)
    return Finding(statement, said, value, low, high, unit, regime)


def ending(trace: Trace, share: float = 0.1) -> np.ndarray:
    """Each seed's mean over the last share of training, `[S]`."""
    count = max(1, int(share * trace.values.shape[1]))
    return trace.values[:, -count:].mean(axis=1)


def settled_at(trace: Trace, share: float = 0.95) -> np.ndarray:
    """Episodes after which each seed's number stays within `1 - share` of the way it went, `[S]`."""
    start, end = trace.values[:, :1], ending(trace)[:, None]
    way = (trace.values - start) / np.where(end == start, 1, end - start)
    below = way < share
    last = np.where(below.any(axis=1), below.shape[1] - np.argmax(below[:, ::-1], axis=1), 0)
    return trace.x[np.minimum(last, len(trace.x) - 1)]


def reached_at(trace: Trace, level: np.ndarray) -> np.ndarray:
    """Episodes after which each seed first has its level, `[S]`; the last recorded where it never has."""
    there = trace.values >= np.asarray(level)[:, None]
    return trace.x[np.where(there.any(axis=1), np.argmax(there, axis=1), len(trace.x) - 1)]
