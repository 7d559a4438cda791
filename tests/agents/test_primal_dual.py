"""The primal-dual iteration: where it settles, and that damping is what makes it settle."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from thzjax.agents.primal_dual import Duals, PrimalDualConfig, init_duals, lagrangian, update_duals


def iterate(config, respond, steps, duals):
    """Run x, lambda, mu with E r and E slack answering the present weights."""

    def step(duals, _):
        rates, slack = respond(duals)
        duals = update_duals(duals, rates, {"beam_pattern": slack}, config)
        return duals, duals

    return jax.lax.scan(step, duals, None, length=steps)


def fixed(duals):
    """A policy that does not move: rates 0.5 and 1.5, slack at the margin."""
    del duals
    return jnp.asarray([0.5, 1.5]), jnp.asarray(0.0)


def test_damped_x_settles_on_the_rates_and_lambda_on_one():
    config = PrimalDualConfig(step_x=0.05, step_lambda=0.05, step_mu=0.0, damping=1.0, margin=0.0)
    final, _ = iterate(config, fixed, 2000, init_duals(2, ("beam_pattern",)))
    np.testing.assert_allclose(final.x, [0.5, 1.5], atol=1e-3)
    np.testing.assert_allclose(final.lam, 1, atol=1e-3)


def test_undamped_x_orbits():
    config = PrimalDualConfig(step_x=0.05, step_lambda=0.05, step_mu=0.0, damping=0.0, margin=0.0)
    _, path = iterate(config, fixed, 2000, init_duals(2, ("beam_pattern",)))
    late = np.asarray(jnp.sum(path.x, axis=-1))[1000:]
    assert np.ptp(late) > 0.5  # it still swings about the optimum of 2.0
    damped = PrimalDualConfig(step_x=0.05, step_lambda=0.05, step_mu=0.0, damping=1.0, margin=0.0)
    _, path = iterate(damped, fixed, 2000, init_duals(2, ("beam_pattern",)))
    assert np.ptp(np.asarray(jnp.sum(path.x, axis=-1))[1000:]) < 1e-2


def test_mu_finds_the_known_multiplier_of_a_constraint():
    # maximise p - p^2/2 over p with slack 1 - p/0.6 >= 0: p = 0.6, and 1 - p = mu/0.6 gives mu = 0.24.
    def respond(duals):
        p = 1 - duals.slack_weights["beam_pattern"] / 0.6
        return jnp.asarray([p - p**2 / 2]), 1 - p / 0.6

    config = PrimalDualConfig(step_mu=0.05, damping=0.1, margin=0.0)
    final, _ = iterate(config, respond, 4000, init_duals(1, ("beam_pattern",)))
    np.testing.assert_allclose(final.mu["beam_pattern"], 0.24, atol=1e-3)
    np.testing.assert_allclose(final.x, [0.6 - 0.18], atol=1e-3)


def test_a_slack_constraint_costs_nothing():
    config = PrimalDualConfig()
    final, _ = iterate(config, lambda d: (jnp.ones(2), jnp.asarray(0.5)), 200, init_duals(2, ("beam_pattern",)))
    assert float(final.mu["beam_pattern"]) == 0
    assert float(final.slack_weights["beam_pattern"]) == 0


@given(st.integers(0, 1000))
def test_multipliers_never_turn_negative(seed):
    rng = np.random.default_rng(seed)
    duals = init_duals(3, ("a", "b"))
    for _ in range(5):
        slack = {name: jnp.asarray(rng.normal() * 20, jnp.float32) for name in ("a", "b")}
        rates = jnp.asarray(rng.normal(size=3) * 20, jnp.float32)
        duals = update_duals(duals, rates, slack, PrimalDualConfig())
    for leaf in jax.tree.leaves((duals.lam, duals.mu, duals.rate_weights, duals.slack_weights)):
        assert bool(jnp.all(leaf >= 0))


def test_undamped_step_is_the_papers_corrected_one():
    config = PrimalDualConfig(step_x=0.1, step_lambda=0.2, step_mu=0.3, damping=0.0, margin=0.0)
    x, lam, mu = np.array([1.0, 2.0]), np.array([0.5, 1.5]), 0.7
    start = Duals(jnp.asarray(x, jnp.float32), jnp.asarray(lam, jnp.float32), {"c": jnp.float32(mu)},
                  jnp.ones(2), {"c": jnp.float32(0)})  # fmt: skip
    rates, slack = np.array([3.0, 1.0]), -0.5
    new = update_duals(start, jnp.asarray(rates, jnp.float32), {"c": jnp.float32(slack)}, config)
    x_new = x + 0.1 * (1 - lam)
    np.testing.assert_allclose(new.x, x_new, rtol=1e-6)
    np.testing.assert_allclose(new.lam, np.maximum(lam - 0.2 * (rates - x_new), 0), rtol=1e-6)
    np.testing.assert_allclose(new.mu["c"], mu - 0.3 * slack, rtol=1e-6)
    value = lagrangian(new, jnp.asarray(rates, jnp.float32), {"c": jnp.float32(slack)})
    np.testing.assert_allclose(value, np.asarray(new.lam) @ rates + float(new.mu["c"]) * slack, rtol=1e-5)
