"""Policies: densities against SciPy, bounds, and the greedy rule."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm, truncnorm

from thzjax.agents.policies import GaussianPolicy, PaperPolicy, Transition


def test_gaussian_density_entropy_and_mode():
    policy = GaussianPolicy(size=3, hidden=(8,), log_std=-0.5)
    obs = jax.random.normal(jax.random.key(0), (5, 4))
    params = policy.init(jax.random.key(1), obs[0])
    action, log_prob = policy.sample(params, obs, jax.random.key(2))
    mean = np.asarray(policy.mode(params, obs), np.float64)
    expected = norm(mean, np.exp(-0.5)).logpdf(np.asarray(action, np.float64)).sum(axis=-1)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5, atol=1e-5)
    again, entropy = policy.log_prob_entropy(params, obs, action)
    np.testing.assert_allclose(again, log_prob, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(entropy, 3 * norm(0, np.exp(-0.5)).entropy(), rtol=1e-5)
    np.testing.assert_allclose(mean, 0, atol=0.1)  # the untrained policy is the zero action
    chex.assert_shape(policy.value(params, obs), (5,))


def paper():
    policy = PaperPolicy(users=4, antennas=5, elements=16, levels=8)
    obs = jax.random.normal(jax.random.key(0), (64, 4, 10))
    return policy, obs, policy.init(jax.random.key(1), obs[0])


def test_paper_beams_follow_the_truncated_gaussian():
    policy, obs, params = paper()
    action, log_prob = policy.sample(params, obs, jax.random.key(2))
    assert bool(jnp.all(jnp.abs(action.beam) < 1))
    mean, std = (np.asarray(x, np.float64) for x in policy._gaussian(params, obs))
    law = truncnorm((-1 - mean) / std, (1 - mean) / std, mean, std)
    expected = law.logpdf(np.asarray(action.beam, np.float64)).sum(axis=(-2, -1))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-3)
    # The probability transform of what was drawn is uniform.
    uniform = law.cdf(np.asarray(action.beam, np.float64)).ravel()
    assert abs(uniform.mean() - 0.5) < 5 / np.sqrt(12 * uniform.size)


def test_paper_users_have_parameters_of_their_own():
    policy, obs, params = paper()
    for leaf in jax.tree.leaves(params):
        assert leaf.shape[0] == 4
    changed = jax.tree.map(lambda x: x.at[2].set(0), params)
    difference = jnp.abs(policy.mode(params, obs).beam - policy.mode(changed, obs).beam).max(axis=(0, 2))
    assert np.flatnonzero(np.asarray(difference)).tolist() == [2]


def test_paper_phases_are_greedy_with_the_stated_probability():
    policy, obs, params = paper()
    best = policy.mode(params, obs).level
    action, _ = policy.sample(params, obs, jax.random.key(3))
    share = float(jnp.mean((action.level == best).astype(float)))
    expected, n = 0.95 + 0.05 / 8, best.size
    assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / n)


def test_paper_q_loss_is_the_mean_square_bellman_error():
    policy, obs, params = paper()
    action, _ = policy.sample(params, obs, jax.random.key(3))
    reward = jnp.arange(64.0)
    ended = jnp.arange(64) % 2 == 0
    batch = Transition(obs, obs[::-1], action, reward, reward, reward, ended, ~ended)
    _, q = policy._values(params, obs)
    q, q_next = np.asarray(q), np.asarray(q)[::-1]
    total = 0.0
    for b in range(64):
        for n in range(16):
            target = float(reward[b]) + (0.0 if ended[b] else 0.9 * q_next[b, n].max())
            total += (q[b, n, int(action.level[b, n])] - target) ** 2
    np.testing.assert_allclose(policy.auxiliary_loss(params, batch, 0.9), total / (64 * 16), rtol=1e-4)
