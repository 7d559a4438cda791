"""What a vector of rates is worth."""

import math


def sum_utility(rates):
    """Sum of the rates."""
    return math.fsum(rates)


def weighted_sum(rates, weights):
    """sum_k weights_k rates_k."""
    return math.fsum(w * r for w, r in zip(weights, rates, strict=True))


def min_rate(rates):
    """The worst user's rate."""
    return sorted(rates)[0]


def proportional_fair(rates):
    """ln of the rates' product."""
    return math.fsum(math.log(r) for r in rates)
