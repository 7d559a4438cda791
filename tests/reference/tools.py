"""Random inputs and rounding helpers shared by the reference tests."""

import numpy as np

EPS32 = float(np.finfo(np.float32).eps)
EPS64 = float(np.finfo(np.float64).eps)


def complex_normal(seed, *shape):
    """Circular complex normal draws of unit variance, complex128 [*shape]."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2.0)


def single(x):
    """Round to float32 or complex64, whichever fits."""
    x = np.asarray(x)
    return x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)


def double(x):
    """Widen to float64 or complex128, exactly."""
    x = np.asarray(x)
    return x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)


def assert_near(actual, expected, rtol):
    """Every entry within rtol of the largest expected magnitude, same shape, nothing but finite numbers."""
    actual, expected = double(actual), double(expected)
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    assert np.all(np.isfinite(actual))
    gap, scale = np.max(np.abs(actual - expected)), np.max(np.abs(expected))
    assert gap <= rtol * scale, f"off by {gap:.3e} at scale {scale:.3e}, allowed {rtol * scale:.3e}"


def assert_close(actual, expected, rtol):
    """Every entry within rtol of its own expected magnitude, same shape, nothing but finite numbers."""
    actual, expected = double(actual), double(expected)
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=0.0, equal_nan=False)
