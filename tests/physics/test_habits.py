"""What every physics function keeps to: dtypes, batches, jit, gradients and one trace per shape."""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.tools import EPS32, assert_near, complex_normal, double, single

from thzjax import beamforming
from thzjax.physics import absorption, arrays, beampattern, link, propagation, surface


class Case(NamedTuple):
    """A function of arrays, a draw of its unbatched float64 arguments, and which of them carry batches."""

    function: object
    draw: object
    kind: str  # of the result: real or complex
    batched: tuple = ()  # argument numbers; empty: all
    rtol: float = 40 * EPS32  # of batch against single in float32: other orders of the same sums


def uniform(seed, low, high, *shape):
    return np.random.default_rng(seed).uniform(low, high, shape)


def mixing(seed):
    return complex_normal(seed, 3, 4), complex_normal(seed + 500, 4, 3)


def with_noise(seed, streams=3):
    return complex_normal(seed, 3, 4), complex_normal(seed + 500, 4, streams), uniform(seed, 0.1, 1.0, 1)


def path(seed):
    return uniform(seed, 1e11, 1e12), uniform(seed + 1, 0.5, 30.0), uniform(seed + 2, 1e-4, 0.1)


def impedance(seed):
    return complex(200.0 + 10.0 * seed - 30.0j) * np.ones(()), uniform(seed, 0.0, 1.4)


def covariance(seed):
    W = 0.4 * complex_normal(seed, 5, 3)
    return (W @ W.conj().T,)


@functools.cache
def pattern_parts(wide):
    grid = beampattern.pattern_grid()
    dtype = jnp.float64 if wide else jnp.float32
    desired = beampattern.desired_pattern(grid, jnp.asarray(np.radians([-40.0, 0.0, 40.0]), dtype), np.radians(10.0))
    return grid, desired, beampattern.pattern_gram(5, desired, grid)


def pattern_of(R):
    grid, _, _ = pattern_parts(R.dtype == jnp.complex128)
    return beampattern.beam_pattern(R, grid)


def error_of(R):
    grid, desired, _ = pattern_parts(R.dtype == jnp.complex128)
    return beampattern.beam_pattern_error(R, desired, grid)


def gram_error_of(R):
    return beampattern.beam_pattern_error_gram(R, pattern_parts(R.dtype == jnp.complex128)[2])


CASES = {
    "ula_steering": Case(lambda x: arrays.ula_steering(x, 6), lambda s: (uniform(s, -1.5, 1.5),), "complex"),
    "upa_steering": Case(
        lambda az, el: arrays.upa_steering(az, el, (2, 3), origin="centre"),
        lambda s: (uniform(s, -1.5, 1.5), uniform(s + 1, -1.5, 1.5)),
        "complex",
    ),
    "path_matrix": Case(
        lambda a, v, w: arrays.path_matrix(a, v, w, 10.0, 2.0),
        lambda s: (complex_normal(s), complex_normal(s + 1, 4), complex_normal(s + 2, 3)),
        "complex",
    ),
    "constant_absorption": Case(
        lambda f: absorption.constant_absorption(0.01)(f), lambda s: (uniform(s, 1e11, 1e12),), "real"
    ),
    # Compiled and eager phases may differ by what each may be off: 1e-4 rad.
    "path_amplitude": Case(propagation.path_amplitude, path, "complex", rtol=2e-4),
    "reflected_path_amplitude": Case(
        propagation.reflected_path_amplitude, lambda s: (*path(s), complex_normal(s)), "complex", rtol=2e-4
    ),
    "fresnel_reflection": Case(propagation.fresnel_reflection, impedance, "complex"),
    "rayleigh_roughness": Case(
        propagation.rayleigh_roughness,
        lambda s: (uniform(s, 1e11, 1e12), uniform(s + 1, 1e-5, 1e-4), uniform(s + 2, 0.0, 1.4)),
        "real",
    ),
    "reflection_coefficient": Case(
        propagation.reflection_coefficient,
        lambda s: (*impedance(s), uniform(s, 1e11, 1e12), uniform(s + 1, 1e-5, 1e-4)),
        "complex",
    ),
    "rician": Case(
        lambda a, b: propagation.rician(a, b, 5.0),
        lambda s: (complex_normal(s, 3, 4), complex_normal(s + 1, 3, 4)),
        "complex",
    ),
    "practical_amplitude": Case(surface.practical_amplitude, lambda s: (uniform(s, -3.0, 3.0, 5),), "real"),
    "reflection": Case(
        surface.reflection, lambda s: (uniform(s, 0.2, 5.0, 5), uniform(s + 1, -3.0, 3.0, 5)), "complex"
    ),
    "cascaded_channel": Case(
        link.cascaded_channel,
        lambda s: (
            complex_normal(s, 3, 4),
            complex_normal(s + 1, 3, 5),
            complex_normal(s + 2, 5),
            complex_normal(s + 3, 5, 4),
        ),
        "complex",
    ),
    "sinr": Case(link.sinr, with_noise, "real", rtol=200 * EPS32),
    "sinr_with_sensing_stream": Case(link.sinr, lambda s: with_noise(s, 4), "real", rtol=200 * EPS32),
    "rates": Case(link.rates, with_noise, "real", rtol=200 * EPS32),
    "sum_rate": Case(link.sum_rate, with_noise, "real", rtol=200 * EPS32),
    "per_antenna_power": Case(link.per_antenna_power, lambda s: (complex_normal(s, 4, 3),), "real"),
    "beam_pattern": Case(pattern_of, covariance, "real"),
    "beam_pattern_error": Case(error_of, covariance, "real"),
    "beam_pattern_error_gram": Case(gram_error_of, covariance, "real"),
    "mrt": Case(beamforming.mrt, lambda s: (complex_normal(s, 3, 4),), "complex"),
    "zf": Case(beamforming.zf, lambda s: (complex_normal(s, 3, 6),), "complex", rtol=400 * EPS32),
    "rzf": Case(lambda H: beamforming.rzf(H, 0.5, 2.0), lambda s: (complex_normal(s, 3, 6),), "complex", rtol=400 * EPS32),
    "scale_total": Case(lambda W: beamforming.scale_total(W, 2.0), lambda s: (complex_normal(s, 4, 3),), "complex"),
    "scale_per_antenna": Case(
        lambda W: beamforming.scale_per_antenna(W, 2.0), lambda s: (complex_normal(s, 4, 3),), "complex"
    ),
    "clip_rows": Case(lambda W: beamforming.clip_rows(W, 8.0), lambda s: (complex_normal(s, 4, 3),), "complex"),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def to_jax(arguments, rounding=single):
    return tuple(jnp.asarray(rounding(x)) for x in arguments)


def as_number(result, kind, wide):
    names = {"real": ("float32", "float64"), "complex": ("complex64", "complex128")}
    assert str(result.dtype) == names[kind][wide]
    assert np.all(np.isfinite(np.asarray(result)))
    return double(result)


@each_case
def test_batch_is_vmap_is_single_and_dtypes_stay(case):
    draws = [case.draw(seed) for seed in range(3)]
    singles = np.stack([as_number(case.function(*to_jax(d)), case.kind, wide=False) for d in draws])
    assert len({tuple(np.ravel(s)) for s in singles}) == 3 or case is CASES["constant_absorption"]
    stacked = to_jax(np.stack(column) for column in zip(*draws, strict=True))
    assert_near(as_number(case.function(*stacked), case.kind, wide=False), singles, case.rtol)
    assert_near(as_number(jax.vmap(case.function)(*stacked), case.kind, wide=False), singles, case.rtol)
    deep = case.function(*(x[None] for x in stacked))  # a second leading axis
    assert_near(deep[0], singles, case.rtol)


@each_case
def test_float64_stays_float64_and_float32_was_near_it(case, x64):
    # Inputs that float32 holds exactly; 100 ulp (or the case's own allowance) between the two precisions, except
    # that a phase of 6e5 rad is only promised to 1e-4.
    rounded = tuple(single(x) for x in case.draw(7))
    wide = as_number(case.function(*to_jax(rounded, double)), case.kind, wide=True)
    narrow = as_number(case.function(*to_jax(rounded, single)), case.kind, wide=False)
    assert_near(narrow, wide, max(case.rtol, 100 * EPS32))


@each_case
def test_jit_gives_the_same_in_one_trace(case):
    chex.clear_trace_counter()
    compiled = jax.jit(chex.assert_max_traces(case.function, n=1))
    for seed in (3, 4):
        arguments = to_jax(case.draw(seed))
        assert_near(compiled(*arguments), np.asarray(case.function(*arguments)), case.rtol)


@each_case
def test_gradient_matches_differences(case, x64):
    arguments = to_jax(case.draw(5), double)
    result = case.function(*arguments)
    weights = double(complex_normal(9, *result.shape))

    def loss(*a):
        out = case.function(*a)
        if case.kind == "complex":
            return jnp.sum(jnp.real(out) * weights.real + jnp.imag(out) * weights.imag)
        return jnp.sum(out * weights.real)

    slopes = jax.grad(loss, argnums=tuple(range(len(arguments))))(*arguments)
    for number, (argument, slope) in enumerate(zip(arguments, slopes, strict=True)):
        assert slope.dtype == argument.dtype
        assert np.all(np.isfinite(np.asarray(slope)))
        direction = complex_normal(11 + number, *argument.shape)
        direction = direction if jnp.iscomplexobj(argument) else direction.real
        # Phases turn at 2e4 rad/m and 1e-6 rad/Hz: steps that keep them below 1e-3 rad.
        step = {"path_amplitude": 1e-9, "reflected_path_amplitude": 1e-9}.get(case_name(case), 1e-6)
        step *= np.max(np.abs(np.asarray(argument)))
        moved = [list(arguments), list(arguments)]
        for sign, where in zip((1, -1), moved, strict=True):
            where[number] = argument + jnp.asarray(sign * step * direction)
        difference = (float(loss(*moved[0])) - float(loss(*moved[1]))) / (2 * step)
        # jax.grad by a complex argument is the conjugate of the ascent direction: dL = Re(slope * d).
        predicted = float(np.sum(np.real(np.asarray(slope) * direction)))
        size = float(np.sqrt(np.sum(np.abs(np.asarray(slope)) ** 2)))
        rounding = 1e-15 * float(np.sum(np.abs(np.asarray(result) * weights))) / step
        if "amplitude" in case_name(case) and case.kind == "complex":
            rounding *= 1e6  # the phase itself is only known to 1e6 rad times 2e-16
        assert abs(difference - predicted) <= 1e-6 * size + 10 * rounding


def case_name(case):
    return next(name for name, other in CASES.items() if other is case)
