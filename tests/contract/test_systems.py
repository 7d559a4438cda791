"""What every preset's system must do."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax.systems.base import satisfied
from thzjax.systems.scenario import PRESETS, build

BATCH = 32


@pytest.fixture(params=sorted(PRESETS))
def drawn(request):
    system, params = build(PRESETS[request.param])
    keys = jax.random.split(jax.random.key(0), BATCH)
    channels = jax.jit(jax.vmap(system.sample, in_axes=(0, None)))(keys, params)
    design = system.random_design(jax.random.key(1), params, channels)
    return system, params, channels, design


def test_shapes_and_dtypes(drawn):
    system, params, channels, design = drawn
    spec = system.spec
    chex.assert_shape(channels.direct, (BATCH, spec.users, spec.antennas))
    chex.assert_shape(channels.bs_to_surface, (BATCH, spec.elements, spec.antennas))
    chex.assert_shape(channels.surface_to_user, (BATCH, spec.users, spec.elements))
    chex.assert_shape(design.beamformer, (BATCH, spec.antennas, spec.streams))
    chex.assert_shape(design.reflection, (BATCH, spec.elements))
    outcome = system.outcome(params, channels, design)
    chex.assert_shape(outcome.rates, (BATCH, spec.users))
    assert set(outcome.slack) == set(system.constraints)
    for leaf in jax.tree.leaves((params, channels, design, outcome)):
        assert leaf.dtype in (jnp.float32, jnp.complex64)
        assert bool(jnp.all(jnp.isfinite(leaf)))


def test_a_key_fixes_the_channel_and_another_changes_it(drawn):
    system, params, channels, _ = drawn
    again = system.sample(jax.random.split(jax.random.key(0), BATCH)[3], params)
    other = system.sample(jax.random.key(9), params)
    np.testing.assert_allclose(again.direct, channels.direct[3], rtol=1e-5)
    assert not np.allclose(other.user_position_m, again.user_position_m)


def test_batch_is_vmap_is_single(drawn):
    system, params, channels, design = drawn

    def everything(channels, design):
        projected = system.project(params, channels, design)
        met = system.meet(params, channels, projected)
        return projected, met, system.outcome(params, channels, met)

    batch = jax.jit(everything)(channels, design)
    vmapped = jax.jit(jax.vmap(everything))(channels, design)
    single = everything(*jax.tree.map(lambda x: x[5], (channels, design)))
    chex.assert_trees_all_close(batch, vmapped, rtol=2e-5, atol=1e-6)
    chex.assert_trees_all_close(jax.tree.map(lambda x: x[5], batch), single, rtol=2e-5, atol=1e-6)


def test_projection_is_feasible_idempotent_and_meets_everything(drawn):
    system, params, channels, design = drawn
    loud = design.replace(beamformer=3 * design.beamformer)
    projected = system.project(params, channels, loud)
    assert bool(jnp.all(system.outcome(params, channels, projected).slack["antenna_power"] >= -1e-5))
    chex.assert_trees_all_close(system.project(params, channels, projected), projected, rtol=1e-5, atol=1e-7)
    met = system.meet(params, channels, projected)
    assert bool(jnp.all(satisfied(system.outcome(params, channels, met).slack)))


def test_gradients_are_finite(drawn):
    system, params, channels, design = drawn

    def rate(parts):
        real, imag, phase = parts
        reflection = jax.lax.complex(jnp.cos(phase), jnp.sin(phase))
        return jnp.sum(
            system.outcome(
                params, channels, design.replace(beamformer=jax.lax.complex(real, imag), reflection=reflection)
            ).rates
        )

    parts = (design.beamformer.real, design.beamformer.imag, jnp.angle(design.reflection))
    for leaf in jax.tree.leaves(jax.grad(rate)(parts)):
        assert bool(jnp.all(jnp.isfinite(leaf)))


def test_outcome_is_traced_once(drawn):
    system, params, channels, design = drawn
    chex.clear_trace_counter()
    outcome = jax.jit(chex.assert_max_traces(system.outcome, n=1))
    outcome(params, channels, design)
    outcome(params, channels, design.replace(beamformer=2 * design.beamformer))


def test_parameters_are_traced_so_a_sweep_is_a_vmap(drawn):
    system, params, channels, design = drawn
    noise = params.noise_w * jnp.asarray([1.0, 2.0, 4.0])
    sweep = jax.vmap(lambda n: system.outcome(params.replace(noise_w=n), channels, design).rates)(noise)
    assert sweep.shape == (3, BATCH, system.spec.users)
    assert bool(jnp.all(sweep[0] >= sweep[1]))
    assert bool(jnp.all(sweep[1] >= sweep[2]))


def test_float64_throughout(x64):
    system, params = build(PRESETS["paper-a"])
    channels = system.sample(jax.random.key(0), params)
    design = system.random_design(jax.random.key(1), params, channels)
    met = system.meet(params, channels, system.project(params, channels, design))
    outcome = system.outcome(params, channels, met)
    for leaf in jax.tree.leaves((channels, met, outcome)):
        assert leaf.dtype in (jnp.float64, jnp.complex128)
    assert bool(satisfied(outcome.slack))
