"""Intervals that need no distribution."""

import numpy as np

RESAMPLES = 2000


def mean_interval(values: np.ndarray, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile-bootstrap interval of the mean over channels.

    Args:
      values: one number per channel, `[C]`; finite.
      level: coverage.
      seed: fixes the resampling, so the same values give the same interval.

    Returns:
      (low, high). With one value both are that value.

    Source: Efron and Tibshirani, 1993. The channels are independent drops, so they are what is resampled; the
    interval says how well the mean over channels is known for one trained policy, not how seeds differ.
    """
    values = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=RESAMPLES)
    low, high = np.quantile(counts @ values / len(values), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
