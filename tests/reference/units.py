"""Unit conversions written as plain float64 formulas."""

import math

C = 299_792_458.0
Z0 = 376.730313412


def db_to_linear(x):
    """Power ratio of x dB."""
    return math.exp(x / 10.0 * math.log(10.0))


def linear_to_db(x):
    """Decibels of the power ratio x."""
    return 10.0 * math.log(x) / math.log(10.0)


def dbm_to_watt(x):
    """Watts of x dB above one milliwatt."""
    return 1e-3 * db_to_linear(x)


def watt_to_dbm(x):
    """Decibels of x watts above one milliwatt."""
    return linear_to_db(x / 1e-3)


def db_per_km_to_per_m(x):
    """Power coefficient k [1/m] with exp(-1000 k) = 10^(-x/10)."""
    return x / 10.0 * math.log(10.0) / 1000.0


def per_m_to_db_per_km(k):
    """Loss in dB of one kilometre at the power coefficient k [1/m]."""
    return -10.0 * (-1000.0 * k) / math.log(10.0)
