"""What every physics function keeps to: dtypes, batches, jit, gradients and one trace per shape."""

import functools
import importlib
import pkgutil
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import beampattern as reference
from reference.tools import EPS32, assert_near, complex_normal, double, single

import thzjax.physics
from thzjax import beamforming
from thzjax.physics import (
    absorption,
    arrays,
    beampattern,
    channels,
    drops,
    fading,
    geometry,
    lines,
    link,
    materials,
    propagation,
    sensing,
    surface,
    utility,
)


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


def air(seed):
    """Frequency, dry pressure, temperature and vapour density between the strong lines."""
    return (
        uniform(seed, 2.8e11, 3.1e11),
        uniform(seed + 1, 0.8e5, 1e5),
        uniform(seed + 2, 270.0, 300.0),
        uniform(seed + 3, 2e-3, 1e-2),
    )


# Of water and of oxygen, of about the sizes that lines have round 300 GHz.
SOME_LINES = lines.LineTable(
    *np.array([[1, 10.8, 9e-23, 0.09, 0.45, 316, 0.6, 0], [7, 14.2, 2e-26, 0.05, 0.05, 2, 0.7, 1e-3]]).T
)


def angles(seed):
    return uniform(seed, -1.0, 1.0), uniform(seed + 1, -0.8, 0.8)


def hybrid(seed):
    """psi, G and W of a surface of 6 elements."""
    return complex_normal(seed, 6), complex_normal(seed + 1, 6, 4), complex_normal(seed + 2, 4, 3)


ACTIVE = np.array([1, 0, 1, 1, 0, 0])


def like(psi, active):
    """`active` for a batch of `psi`."""
    return jnp.broadcast_to(jnp.asarray(active, psi.real.dtype), psi.shape)


def scene_of(G, azimuth, elevation, beta, **kwargs):
    return sensing.SensingScene(G, azimuth, elevation, beta, (2, 3), (3, 2), **kwargs)


def noisy_scene(G, azimuth, elevation, beta):
    return scene_of(
        G, azimuth, elevation, beta, active=like(G[..., 0], ACTIVE), noise_v_w=jnp.asarray(0.1, G.real.dtype)
    )


def sensed(seed):
    """G, angles, beta, psi and W of a well-conditioned scene with noise and snapshots near 1."""
    psi, G, W = hybrid(seed)
    return G, *angles(seed + 3), complex_normal(seed + 4) + 2, psi, W


def information(model):
    def function(G, azimuth, elevation, beta, psi, W):
        return sensing.fisher_information(noisy_scene(G, azimuth, elevation, beta), psi, W, 10.0, 0.5, model)

    return function


def two_targets(seed):
    psi, G, W = hybrid(seed)
    return G, np.array([-0.5, 0.6]), np.array([0.1, -0.4]), complex_normal(seed + 4, 2) + 2, psi, W


def scattering(seed):
    S = 0.2 * complex_normal(seed, 6, 6)
    return S + S.T


def rays_of(amplitude, delay, *four_angles):
    return channels.Rays(amplitude, delay, *four_angles)


def ray_draw(seed):
    return (
        complex_normal(seed, 3),
        uniform(seed, 0.0, 1e-8, 3),
        *(uniform(seed + n, -0.8, 0.8, 3) for n in range(1, 5)),
    )


def field_of(position):
    # The field is drawn in the precision that is the default: narrow fields for narrow positions.
    field = drops.random_field(jax.random.key(3), 2, 1.5, "gaussian")
    return drops.field_values(jax.tree.map(lambda x: x.astype(position.dtype), field), position)


def two_bounces(source, receiver):
    points = jnp.asarray([[0.0, 3.0, 0.0], [0.0, -2.0, 0.0]], source.dtype)
    normals = jnp.asarray([[0.0, 1.0, 0.0], [0.0, 1.0, 0.1]], source.dtype)
    lead = (1,) * (source.ndim - 1)
    path = geometry.reflected_path(source, receiver, points.reshape(*lead, 2, 3), normals.reshape(*lead, 2, 3))
    return jnp.concatenate([path.length_m[..., None], path.incidence_rad, path.departure, path.arrival], axis=-1)


CASES = {
    "ula_steering": Case(lambda x: arrays.ula_steering(x, 6), lambda s: (uniform(s, -1.5, 1.5),), "complex"),
    "upa_steering": Case(
        lambda az, el: arrays.upa_steering(az, el, (2, 3), origin="centre"),
        lambda s: (uniform(s, -1.5, 1.5), uniform(s + 1, -1.5, 1.5)),
        "complex",
    ),
    "upa_steering_derivatives": Case(
        lambda az, el: jnp.stack(arrays.upa_steering_derivatives(az, el, (2, 3), origin="centre"), axis=-1),
        angles,
        "complex",
    ),
    "squinted_steering": Case(
        lambda az, el, ratio: arrays.upa_steering(az, el, (2, 3), freq_ratio=ratio),
        lambda s: (*angles(s), uniform(s, 0.9, 1.1)),
        "complex",
    ),
    "direction_vector": Case(arrays.direction_vector, angles, "real"),
    "spherical_coordinates": Case(arrays.spherical_coordinates, lambda s: (uniform(s, 0.5, 3.0, 3),), "real"),
    "array_response": Case(
        lambda p, az, el: arrays.array_response(p, az, el, 3e11),
        lambda s: (uniform(s, -1e-3, 1e-3, 5, 3), *angles(s)),
        "complex",
    ),
    "near_field_steering": Case(
        lambda p, x: arrays.near_field_steering(p, x, 3e11),
        lambda s: (uniform(s, -1e-3, 1e-3, 5, 3), uniform(s + 1, 0.5, 2.0, 3)),
        "complex",
    ),
    "fraunhofer_distance": Case(
        arrays.fraunhofer_distance, lambda s: (uniform(s, 0.01, 0.1), uniform(s, 1e11, 1e12)), "real"
    ),
    "path_matrix": Case(
        lambda a, v, w: arrays.path_matrix(a, v, w, 10.0, 2.0),
        lambda s: (complex_normal(s), complex_normal(s + 1, 4), complex_normal(s + 2, 3)),
        "complex",
    ),
    "constant_absorption": Case(absorption.constant_absorption, lambda s: (uniform(s, 1e-4, 1),), "real"),
    # A sum of 79 lines, each of products of powers.
    "p676_attenuation": Case(absorption.p676_attenuation, air, "real", rtol=200 * EPS32),
    "p676_continuum": Case(absorption.p676_continuum, air, "real", rtol=100 * EPS32),
    "line_attenuation": Case(lambda *a: lines.line_attenuation(*a, SOME_LINES), air, "real", rtol=200 * EPS32),
    "simplified_absorption": Case(
        absorption.simplified_absorption, lambda s: (*air(s)[:3], uniform(s, 0.2, 0.9)), "real", rtol=200 * EPS32
    ),
    "saturation_vapour_pressure_pa": Case(
        absorption.saturation_vapour_pressure_pa, lambda s: air(s)[1:3], "real", rtol=100 * EPS32
    ),
    "vapour_density": Case(
        absorption.vapour_density, lambda s: (uniform(s, 0.1, 0.9), *air(s)[1:3]), "real", rtol=100 * EPS32
    ),
    "relative_humidity": Case(
        absorption.relative_humidity, lambda s: (air(s)[3], *air(s)[1:3]), "real", rtol=100 * EPS32
    ),
    "vapour_pressure_pa": Case(absorption.vapour_pressure_pa, lambda s: (air(s)[3], air(s)[2]), "real"),
    "relative_permittivity": Case(
        lambda f: materials.relative_permittivity("glass", f), lambda s: (uniform(s, 1.5e11, 3.9e11),), "complex"
    ),
    "wave_impedance": Case(
        lambda f: materials.wave_impedance("concrete", f), lambda s: (uniform(s, 1.5e11, 3.2e11),), "complex"
    ),
    "reflected_path": Case(
        two_bounces, lambda s: (uniform(s, -1.0, 1.0, 3), uniform(s + 1, -1.0, 1.0, 3)), "real", rtol=100 * EPS32
    ),
    "mirror": Case(
        geometry.mirror, lambda s: tuple(uniform(s + n, 0.5, 2.0, 3) for n in range(3)), "real", rtol=100 * EPS32
    ),
    "ray_channel": Case(
        channels.ray_channel,
        lambda s: (complex_normal(s, 3), complex_normal(s + 1, 3, 4), complex_normal(s + 2, 3, 2)),
        "complex",
    ),
    "planar_sum": Case(
        channels.planar_sum,
        lambda s: (complex_normal(s, 3), complex_normal(s + 1, 3, 4), complex_normal(s + 2, 3, 2)),
        "complex",
    ),
    "axis_responses": Case(
        lambda r, c: jnp.concatenate(arrays.axis_responses(r, c, (2, 5)), axis=-1),
        lambda s: (uniform(s, -1.0, 1.0), uniform(s + 1, -1.0, 1.0)),
        "complex",
    ),
    "path_magnitude": Case(
        propagation.path_magnitude,
        lambda s: (uniform(s, 1e11, 1e12), uniform(s + 1, 1.0, 10.0), uniform(s + 2, 0.0, 0.1)),
        "real",
    ),
    "wideband_channel": Case(
        lambda *a: channels.wideband_channel(
            rays_of(*a), channels.subcarrier_offsets(1e9, 4).astype(a[1].dtype), 3e11, (2, 2), (3, 1)
        ),
        ray_draw,
        "complex",
        # A phase of 2 pi 0.5e9 1e-8 = 31 rad keeps 31 ulp of it.
        rtol=100 * EPS32,
    ),
    "bessel_j0": Case(fading.bessel_j0, lambda s: (uniform(s, 0.5, 50.0),), "real", rtol=400 * EPS32),
    "doppler_correlation": Case(
        lambda v, f: fading.doppler_correlation(v, f, 1e-3),
        lambda s: (uniform(s, 0.1, 0.3), uniform(s, 2e11, 4e11)),
        "real",
        rtol=100 * EPS32,
    ),
    "field_values": Case(field_of, lambda s: (uniform(s, 0.0, 2.0, 3),), "real", rtol=400 * EPS32),
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
    "hybrid_reflection": Case(
        lambda a, p: surface.hybrid_reflection(a, p, jnp.broadcast_to(jnp.asarray(ACTIVE, bool), a.shape), 5.0),
        lambda s: (uniform(s, 0.5, 4.0, 6), uniform(s + 1, -3.0, 3.0, 6)),
        "complex",
    ),
    "user_noise": Case(
        lambda h, psi: surface.user_noise(h, psi, like(psi, ACTIVE), 0.5, 0.1),
        lambda s: (complex_normal(s, 3, 6), complex_normal(s + 1, 6)),
        "real",
    ),
    "amplifier_power": Case(
        lambda psi, G, W: surface.amplifier_power(psi, like(psi, ACTIVE), G, W, 0.1), hybrid, "real"
    ),
    "target_noise": Case(
        lambda psi, gain: surface.target_noise(psi, like(psi, ACTIVE), gain, 0.1),
        lambda s: (complex_normal(s, 6), complex_normal(s)),
        "real",
    ),
    "coupled_reflection": Case(
        surface.coupled_reflection, lambda s: (complex_normal(s, 6), scattering(s)), "complex", rtol=1000 * EPS32
    ),
    "coupled_channel": Case(
        link.coupled_channel,
        lambda s: (
            complex_normal(s, 3, 4),
            complex_normal(s + 1, 3, 6),
            complex_normal(s + 2, 6),
            scattering(s),
            complex_normal(s + 3, 6, 4),
        ),
        "complex",
        rtol=1000 * EPS32,
    ),
    "cascaded_channel_mimo": Case(
        link.cascaded_channel_mimo,
        lambda s: (
            complex_normal(s, 3, 2, 4),
            complex_normal(s + 1, 3, 2, 5),
            complex_normal(s + 2, 5),
            complex_normal(s + 3, 5, 4),
        ),
        "complex",
    ),
    "by_user": Case(
        lambda W: link.by_user(W, 3),
        lambda s: (complex_normal(s, 4, 6),),
        "complex",
    ),
    "side_by_side": Case(link.side_by_side, lambda s: (complex_normal(s, 3, 4, 2),), "complex"),
    "mimo_rates": Case(
        lambda H, W: link.mimo_rates(H, W, 0.3),
        lambda s: (complex_normal(s, 3, 2, 4), complex_normal(s + 1, 3, 4, 2)),
        "real",
        rtol=200 * EPS32,
    ),
    "ofdm_sum_rate": Case(
        lambda H, W: link.ofdm_sum_rate(H, W, 0.3),
        lambda s: (complex_normal(s, 5, 3, 4), complex_normal(s + 1, 5, 4, 3)),
        "real",
        rtol=200 * EPS32,
    ),
    "energy_efficiency": Case(
        lambda r, p: link.energy_efficiency(r, 1e9, p, 2.0, 0.3),
        lambda s: (uniform(s, 1.0, 5.0), uniform(s, 0.1, 1.0)),
        "real",
    ),
    "sum_utility": Case(utility.sum_utility, lambda s: (uniform(s, 0.1, 4.0, 3),), "real"),
    "weighted_sum": Case(
        utility.weighted_sum, lambda s: (uniform(s, 0.1, 4.0, 3), uniform(s + 1, 0.1, 4.0, 3)), "real"
    ),
    "min_rate": Case(utility.min_rate, lambda s: (uniform(s, 0.1, 4.0, 3),), "real"),
    "proportional_fair": Case(utility.proportional_fair, lambda s: (uniform(s, 1.5, 4.0, 3),), "real"),
    "illumination": Case(
        lambda G, az, el, beta, psi, W: sensing.illumination(scene_of(G, az, el, beta), psi, W) * beta[..., None],
        sensed,
        "complex",
        rtol=100 * EPS32,
    ),
    "echo_matrix": Case(
        lambda G, az, el, beta, psi: sensing.echo_matrix(scene_of(G, az, el, beta), psi),
        lambda s: sensed(s)[:5],
        "complex",
        rtol=100 * EPS32,
    ),
    "fisher_information_white": Case(information("white"), sensed, "real", rtol=400 * EPS32),
    "fisher_information_colored": Case(information("colored"), sensed, "real", rtol=400 * EPS32),
    "fisher_information_full": Case(information("full"), sensed, "real", rtol=400 * EPS32),
    "multi_target_fisher_information": Case(
        lambda G, az, el, beta, psi, W: sensing.multi_target_fisher_information(
            scene_of(G, az, el, beta), psi, W, 10.0, 0.5
        ),
        two_targets,
        "real",
        rtol=400 * EPS32,
    ),
    # The bound divides by what is left of one angle's information beside the others: conditioned by up to 50 here.
    "sensing_crb": Case(
        lambda G, az, el, beta, psi, W: sensing.sensing_crb(noisy_scene(G, az, el, beta), psi, W, 10.0, 0.5, "full"),
        sensed,
        "real",
        rtol=5000 * EPS32,
    ),
    "crb_rank_one": Case(
        lambda G, az, el, beta, psi, W: sensing.crb_rank_one(scene_of(G, az, el, beta), psi, W, 10.0, 0.5),
        sensed,
        "real",
        rtol=400 * EPS32,
    ),
    "radar_snr": Case(
        lambda G, az, el, beta, psi, W: sensing.radar_snr(scene_of(G, az, el, beta), psi, W, 10.0, 0.5),
        sensed,
        "real",
        rtol=400 * EPS32,
    ),
    "radar_channel": Case(
        sensing.radar_channel,
        lambda s: (*hybrid(s)[1::-1], complex_normal(s + 3, 6, 6), complex_normal(s + 4, 4, 4)),
        "complex",
        rtol=100 * EPS32,
    ),
    "target_response": Case(
        sensing.target_response,
        lambda s: (complex_normal(s, 3), complex_normal(s + 1, 3, 4), complex_normal(s + 2, 3, 2)),
        "complex",
    ),
    "radar_amplitude": Case(lambda f, d, k: sensing.radar_amplitude(f, d, k, 1.0, 10.0), path, "complex", rtol=4e-4),
    "marcum_q": Case(
        lambda a, b: sensing.marcum_q(a, b),
        lambda s: (uniform(s, 0.5, 4.0), uniform(s + 1, 0.5, 4.0)),
        "real",
        rtol=100 * EPS32,
    ),
    "detection_probability": Case(
        sensing.detection_probability,
        lambda s: (uniform(s, 0.5, 9.0), uniform(s + 1, 1e-4, 0.1)),
        "real",
        rtol=200 * EPS32,
    ),
    "range_crb": Case(
        sensing.range_crb, lambda s: (uniform(s, 1.0, 9.0), uniform(s + 1, -1e9, 1e9, 8)), "real", rtol=100 * EPS32
    ),
    "velocity_crb": Case(
        lambda snr, t: sensing.velocity_crb(snr, 3e11, t),
        lambda s: (uniform(s, 1.0, 9.0), uniform(s + 1, 0.0, 1e-2, 8)),
        "real",
        rtol=100 * EPS32,
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


@pytest.fixture(autouse=True)
def rank_promotion_raises():
    """No function relies on JAX's adding axes: every batch axis is meant."""
    with jax.numpy_rank_promotion("raise"):
        yield


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


# Functions of the physics that have no arrays to batch or differentiate, or draw random numbers of a shape.
ELSEWHERE = {
    "host": {
        *("convex_optimum", "least_pattern_error", "optimal_covariance", "tabulated_optimum", "level_step"),
        *("transmission_windows", "read_lines"),
    },
    "constants": {"desired_pattern", "pattern_gram", "pattern_grid", "subcarrier_offsets", "upa_positions"},
    "integers": {"nearest_level", "nearest_phasor", "quantised_phase"},
    "random": {
        *("draw_rays", "estimated_channel", "gauss_markov", "phase_errors", "radar_signal", "random_field"),
        *("simulate_echo", "swerling_gain", "add_noise"),
    },
    "whole scenes": {"focused_illumination", "isotropic_scattering", "line_of_sight_scene", "ml_angles"},
    "takes a function": {"autodiff_fisher_information"},
    # Parts of functions above, called by them.
    "parts": {
        *("departure_row", "diagonal_sums", "error_coefficients", "fractional_cycles", "fractional_product"),
        *("illumination_stack", "largest_power_scale", "linear_phases", "planar_response", "received_powers"),
        *("sensor_gram", "sensor_response", "sensor_slopes", "target_stacks", "transmit_covariance"),
        *("upa_phase_slopes", "crb", "delay_response", "move_in_disc", "uniform_values"),
    },
}


def test_every_public_function_is_here_or_said_to_be_elsewhere():
    found = set()
    for module in pkgutil.walk_packages(thzjax.physics.__path__, "thzjax.physics."):
        for name, value in vars(importlib.import_module(module.name)).items():
            home = getattr(value, "__module__", None)
            if home == module.name and callable(value) and not isinstance(value, type) and not name.startswith("_"):
                found.add(name)
    elsewhere = set().union(*ELSEWHERE.values())
    here = {name for name in found if any(case == name or case.startswith(f"{name}_") for case in CASES)}
    assert found - here - elsewhere == set()
    assert elsewhere - found == set()
