"""The NumPy environment that benchmarks compare with: the same numbers as the library's, by code of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import numpy_environment
from thzjax.envs.actions import Structured
from thzjax.envs.environment import Environment
from thzjax.envs.observations import StructuredObservation
from thzjax.physics import beampattern
from thzjax.systems.irs_params import Channels
from thzjax.systems.scenario import build, preset

BATCH = 64


@pytest.fixture(scope="module")
def both():
    scenario = preset("paper-a")
    system, params = build(scenario)
    grid = beampattern.pattern_grid()
    targets, width = np.radians(scenario.pattern_targets_deg), np.radians(scenario.pattern_width_deg)
    desired = beampattern.desired_pattern(grid, targets, width)
    numbers = {
        name: np.asarray(value, np.float64) for name, value in vars(params).items() if not hasattr(value, "quadratic")
    }
    theirs = numpy_environment.NumpyEnvironment(numbers, np.asarray(desired), np.asarray(grid), BATCH)
    return system, params, theirs


def as_drop(channels):
    return numpy_environment.Drop(
        *(np.asarray(x) for x in (channels.direct, channels.bs_to_surface, channels.surface_to_user))
    )


def test_same_observations_rates_and_slack_on_the_same_channels(both):
    system, params, theirs = both
    env = Environment(system, Structured(), StructuredObservation())
    keys = jax.random.split(jax.random.key(0), BATCH)
    obs, state = jax.jit(jax.vmap(env.reset, in_axes=(0, None)))(keys, params)
    action = jax.random.normal(jax.random.key(1), (BATCH, theirs.actions))
    step = jax.jit(jax.vmap(env.step, in_axes=(0, 0, 0, None)))(keys, state, action, params)

    drop = as_drop(state.channels)
    seen = theirs.look(drop)
    rates, slack = theirs.outcome(drop, *theirs.design(drop, seen, np.asarray(action)))
    # float32 on both sides; a phase of an observation turns by about 1e-4 where a path is weak
    np.testing.assert_allclose(theirs.observe(drop, seen), obs, atol=1e-3)
    np.testing.assert_allclose(rates, step.info["rates"], rtol=2e-3, atol=1e-4)
    for name, value in step.info["slack"].items():
        np.testing.assert_allclose(slack[name], value, atol=1e-4)


def test_drops_of_the_same_strengths(both):
    system, params, theirs = both
    channels = jax.jit(jax.vmap(system.sample, in_axes=(0, None)))(jax.random.split(jax.random.key(2), 4096), params)
    ours = Channels(channels.direct, channels.bs_to_surface, channels.surface_to_user, channels.user_position_m)
    drawn = [theirs.draw() for _ in range(64)]
    for i, name in enumerate(("direct", "bs_to_surface", "surface_to_user")):
        a = np.log(np.mean(np.abs(np.asarray(getattr(ours, name))) ** 2, axis=(-2, -1)))
        b = np.log(np.concatenate([np.mean(np.abs(drop[i]) ** 2, axis=(-2, -1)) for drop in drawn]))
        # five standard errors of the difference of two means
        assert abs(a.mean() - b.mean()) < 5 * np.sqrt(a.var() / len(a) + b.var() / len(b))


def test_a_drop_stays_for_its_episode(both):
    *_, theirs = both
    env = numpy_environment.NumpyEnvironment(theirs.p, np.ones(3), np.zeros(3), 4, horizon=2)
    action = np.zeros((4, env.actions), np.float32)
    obs = env.reset()
    again, _, over, _ = env.step(action)
    fresh, _, over_now, _ = env.step(action)
    assert (over, over_now) == (False, True)
    np.testing.assert_array_equal(obs, again)
    assert not np.allclose(obs, fresh)
    assert bool(jnp.all(jnp.isfinite(fresh)))
