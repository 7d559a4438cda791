"""Absorption coefficients."""

import numpy as np


def constant_absorption(k_abs, freq_hz):
    """The same coefficient at every frequency, in the shape of freq_hz."""
    return np.array([k_abs for _ in np.ravel(freq_hz)]).reshape(np.shape(freq_hz))
