"""Marcum's Q function and detection probabilities by sums of positive terms: small values keep their digits."""

import math

import numpy as np


def poisson(mean, count):
    """Poisson probabilities of 0..count-1."""
    if mean == 0.0:
        return [1.0] + [0.0] * (count - 1)
    return [math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count)]


def marcum_q(a, b):
    """(Q1(a, b), 1 - Q1(a, b)).

    |a + CN(0, 2)|^2 > b^2 is a Poisson(a^2/2) mixture over k of Poisson(b^2/2) counts that do not exceed k.
    """
    outer, inner = 0.5 * float(a) ** 2, 0.5 * float(b) ** 2
    # Terms fall faster than any power beyond the larger mean: 12 standard deviations and then some.
    count = int(max(outer, inner) + 14 * math.sqrt(max(outer, inner)) + 60)
    p, q = poisson(outer, count), poisson(inner, count)
    at_most, above = np.cumsum(q), np.append(np.cumsum(q[::-1])[::-1][1:], 0.0)
    return math.fsum(x * y for x, y in zip(p, at_most, strict=True)), math.fsum(
        x * y for x, y in zip(p, above, strict=True)
    )


def bessel_i(order, x):
    """exp(-x) I_order(x), order 0 or 1, by its power series."""
    count = int(x + 14 * math.sqrt(x) + 60)
    if x == 0.0:
        return 1.0 if order == 0 else 0.0
    half = math.log(x / 2)
    return math.fsum(
        math.exp((2 * k + order) * half - math.lgamma(k + 1) - math.lgamma(k + order + 1) - x) for k in range(count)
    )


def marcum_q_slopes(a, b):
    """dQ1/da = b exp(-(a^2 + b^2)/2) I1(ab) and dQ1/db = -b exp(-(a^2 + b^2)/2) I0(ab)."""
    a, b = float(a), float(b)
    scale = b * math.exp(-0.5 * (a - b) ** 2)
    return scale * bessel_i(1, a * b), -scale * bessel_i(0, a * b)


def detection_probability(snr, false_alarm, model="swerling0"):
    """Probability that a matched output of this signal-to-noise ratio crosses the threshold."""
    if model == "swerling1":
        return math.exp(math.log(false_alarm) / (1.0 + snr))
    return marcum_q(math.sqrt(2.0 * snr), math.sqrt(-2.0 * math.log(false_alarm)))[0]
