"""What every physics function keeps to: dtypes, batches, jit, gradients and one trace per shape."""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import beampattern as reference
from reference.tools import EPS32, assert_near, complex_normal, double, single

from thzjax import beamforming
from thzjax.physics import absorption, arrays, beampattern, link, propagation, surface


class Case(NamedTuple):
    """A function of arrays and a draw of its unbatched float64 arguments, all of which may carry batches."""

    function: object
    draw: object
    kind: str  # of the result: real or complex
    rtol: float = 40 * EPS32  # between two orders of the same float32 sums


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
    dtype = jnp.float64 if wide else jnp.float32
    with jax.ensure_compile_time_eval():  # constants, also where a trace asks for them first
        grid = jnp.asarray(reference.pattern_grid(), dtype)
        desired = jnp.asarray(reference.desired_pattern(np.radians([-40.0, 0.0, 40.0]), np.radians(10.0)), dtype)
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
    "constant_absorption": Case(absorption.constant_absorption, lambda s: (uniform(s, 1e-4, 1),), "real"),
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
    "zf": Case(beamforming.zf, lambda s: (complex_normal(s, 2, 5),), "complex", rtol=400 * EPS32),
    "rzf": Case(
        lambda H: beamforming.rzf(H, 0.5, 2.0),
        lambda s: (complex_normal(s, 2, 5),),
        "complex",
        rtol=400 * EPS32,
    ),
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
def test_batch_vmap_jit_and_eager_agree_in_one_trace(case):
    chex.clear_trace_counter()
    compiled = jax.jit(chex.assert_max_traces(case.function, n=1))
    draws = [case.draw(seed) for seed in range(4)]
    singles = np.stack([as_number(compiled(*to_jax(d)), case.kind, wide=False) for d in draws])
    assert len({tuple(np.ravel(s)) for s in singles}) == 4
    assert_near(as_number(case.function(*to_jax(draws[0])), case.kind, wide=False), singles[0], case.rtol)
    stacked = to_jax(np.stack(column) for column in zip(*draws, strict=True))
    vmapped = jax.jit(jax.vmap(case.function))(*stacked)
    assert_near(as_number(vmapped, case.kind, wide=False), singles, case.rtol)
    batch = jax.jit(case.function)(*(x.reshape(2, 2, *x.shape[1:]) for x in stacked))
    expected = singles.reshape(2, 2, *singles.shape[1:])
    assert_near(as_number(batch, case.kind, wide=False), expected, case.rtol)


@each_case
def test_float64_stays_float64_with_float32_near_and_right_gradients(case, x64):
    name = next(name for name, other in CASES.items() if other is case)
    compiled = jax.jit(case.function)
    rounded = tuple(single(x) for x in case.draw(7))
    arguments = to_jax(rounded, double)
    result = as_number(compiled(*arguments), case.kind, wide=True)
    # Of inputs that float32 holds exactly; 100 ulp or the case's own allowance.
    narrow = as_number(compiled(*to_jax(rounded, single)), case.kind, wide=False)
    assert_near(narrow, result, max(case.rtol, 100 * EPS32))

    weights = double(complex_normal(9, *result.shape))
    weights = weights if case.kind == "complex" else weights.real

    def loss(*a):
        return jnp.sum(jnp.real(case.function(*a) * weights))

    slopes = jax.jit(jax.grad(loss, argnums=tuple(range(len(arguments)))))(*arguments)
    for number, (argument, slope) in enumerate(zip(arguments, slopes, strict=True)):
        assert slope.dtype == argument.dtype
        assert np.all(np.isfinite(np.asarray(slope)))
        direction = complex_normal(11 + number, *argument.shape)
        direction = direction if jnp.iscomplexobj(argument) else direction.real
        # The phase of a path turns by up to 6e5 rad over its length: steps that keep the turn below 1e-3 rad.
        phase = 6e5 if name in ("path_amplitude", "reflected_path_amplitude") else 1.0
        step = (1e-9 if phase > 1 else 1e-6) * np.max(np.abs(np.asarray(argument)))
        ends = []
        for sign in (1, -1):
            moved = list(arguments)
            moved[number] = argument + jnp.asarray(sign * step * direction)
            ends.append(np.sum(np.real(np.asarray(compiled(*moved)) * weights)))
        # jax.grad by a complex argument is the conjugate of the ascent direction: dL = Re(slope * d).
        predicted = np.sum(np.real(np.asarray(slope) * direction))
        size = np.sqrt(np.sum(np.abs(np.asarray(slope)) ** 2))
        rounding = 1e-15 * phase * np.sum(np.abs(result * weights)) / step
        assert abs((ends[0] - ends[1]) / (2 * step) - predicted) <= 1e-6 * size + 10 * rounding
