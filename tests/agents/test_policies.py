"""Policies: densities against SciPy, bounds, and the greedy rule."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, norm, truncnorm

from thzjax.agents.base import descend
from thzjax.agents.on_policy import make_optimiser
from thzjax.agents.policies import (
    GaussianPolicy,
    MixedPolicy,
    PaperPolicy,
    TanhGaussianPolicy,
    Transition,
    TruncatedGaussianPolicy,
    tanh_log_slope,
)
from thzjax.agents.reinforce import ReinforceConfig, score_gradient
from thzjax.envs.actions import PaperAction
from thzjax.errors import ConfigError


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


# ---- bounded and mixed policies, in float64 against SciPy and quadrature ----


def spread(policy, obs, seed=1):
    """Parameters whose means and deviations differ from the start's."""
    params = jax.jit(policy.init)(jax.random.key(seed), obs[0])
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    moved = [x + 0.4 * jax.random.normal(k, x.shape, x.dtype) for x, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, moved)


def bounded(kind, size, log_std=-0.3):
    if kind == "tanh":
        return TanhGaussianPolicy(size, (8,), log_std, scale=2.0), -2.0, 2.0
    return TruncatedGaussianPolicy(size, (8,), log_std, low=-0.5, high=2.0), -0.5, 2.0


def scipy_law(kind, policy, params, obs):
    """Each number's law: its log density, distribution function and location, as SciPy has them."""
    mean, log_std = (np.asarray(x) for x in policy._modules()[0].apply(params["actor"], obs))
    std = np.exp(log_std)
    if kind == "tanh":

        def log_density(a):
            return norm(mean, std).logpdf(np.arctanh(a / 2)) - np.log(2 * (1 - (a / 2) ** 2))

        return log_density, lambda a: norm(mean, std).cdf(np.arctanh(a / 2)), 2 * np.tanh(mean)
    mean = 0.75 + 1.25 * np.tanh(mean)
    law = truncnorm((-0.5 - mean) / std, (2 - mean) / std, mean, std)
    return law.logpdf, law.cdf, mean


@pytest.mark.parametrize("kind", ["tanh", "truncated"])
def test_bounded_samples_follow_their_density(kind, x64):
    policy, low, high = bounded(kind, 3)
    obs = jax.random.normal(jax.random.key(0), (2000, 4))
    params = spread(policy, obs)
    action, log_prob = jax.jit(policy.sample)(params, obs, jax.random.key(5))
    assert low < float(action.min()) < float(action.max()) < high
    log_density, distribution, location = scipy_law(kind, policy, params, obs)
    np.testing.assert_allclose(log_prob, log_density(np.asarray(action)).sum(axis=-1), rtol=1e-9, atol=1e-9)
    again, _ = jax.jit(policy.log_prob_entropy)(params, obs, action)
    np.testing.assert_allclose(again, log_prob, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(policy.mode(params, obs), location, rtol=1e-12)
    for uniform in distribution(np.asarray(action)).T:
        assert kstest(uniform, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("kind", ["tanh", "truncated"])
@pytest.mark.parametrize("log_std", [-2.0, -0.7, 0.0])
def test_bounded_densities_integrate_to_one_and_to_their_entropy(kind, log_std, x64):
    policy, low, high = bounded(kind, 1, log_std)
    obs = jnp.full((1, 2), 0.3)
    params = jax.jit(policy.init)(jax.random.key(1), obs[0])
    # Gauss-Legendre after a = middle + half sin(t), which takes the faces' steepness away.
    t, weight = np.polynomial.legendre.leggauss(400)
    a = (low + high) / 2 + (high - low) / 2 * np.sin(np.pi / 2 * t)
    weight = weight * np.pi / 2 * (high - low) / 2 * np.cos(np.pi / 2 * t)
    grid = jnp.asarray(a)[:, None]
    log_prob, entropy = jax.jit(policy.log_prob_entropy)(params, jnp.broadcast_to(obs, (400, 2)), grid)
    density = np.exp(log_prob)
    np.testing.assert_allclose(np.sum(weight * density), 1, rtol=1e-6)
    np.testing.assert_allclose(entropy[0], -np.sum(weight * density * np.asarray(log_prob)), atol=1e-6)


def test_saturated_tanh_actions_keep_a_finite_density_and_gradient():
    policy = TanhGaussianPolicy(2, (4,), 3.0, scale=2.0)  # deviation 20: nearly every action is at a face
    obs = jax.random.normal(jax.random.key(0), (500, 3))
    params = jax.jit(policy.init)(jax.random.key(1), obs[0])
    action, log_prob = jax.jit(policy.sample)(params, obs, jax.random.key(2))
    again, entropy = jax.jit(policy.log_prob_entropy)(params, obs, action)
    np.testing.assert_array_equal(again, log_prob)
    assert float(jnp.abs(action).max()) < 2
    gradient = jax.jit(jax.grad(lambda p: jnp.mean(sum(policy.log_prob_entropy(p, obs, action)))))(params)
    chex.assert_tree_all_finite((log_prob, entropy, gradient))
    u = jnp.asarray([-60.0, -9.0, 0.0, 9.0, 60.0])
    expected = [np.log(4) - 2 * abs(x) - 2 * np.log1p(np.exp(-2 * abs(x))) for x in np.asarray(u, np.float64)]
    np.testing.assert_allclose(tanh_log_slope(u), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "make", [lambda: TanhGaussianPolicy(1, scale=0.0), lambda: TruncatedGaussianPolicy(1, low=1.0)]
)
def test_an_empty_box_is_refused(make):
    with pytest.raises(ConfigError):
        make()


MIXED = MixedPolicy((2, 3), elements=2, levels=3, hidden=(8,), log_std=-0.5, obs_axes=2)


def test_mixed_density_and_entropy_sum_both_parts(x64):
    obs = jax.random.normal(jax.random.key(0), (4, 2, 5))
    params = spread(MIXED, obs)
    mean, log_std, logits = (np.asarray(x) for x in MIXED._modules()[0].apply(params["actor"], obs.reshape(4, 10)))
    log_share = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    action, log_prob = jax.jit(MIXED.sample)(params, obs, jax.random.key(3))
    chex.assert_shape((action.beam, action.level), ((4, 2, 3), (4, 2)))
    assert action.level.dtype == jnp.int32
    gaussian = norm(mean, np.exp(log_std)).logpdf(np.asarray(action.beam).reshape(4, 6)).sum(axis=-1)
    chosen = np.take_along_axis(log_share, np.asarray(action.level)[..., None], axis=-1)[..., 0].sum(axis=-1)
    np.testing.assert_allclose(log_prob, gaussian + chosen, rtol=1e-10)
    again, entropy = jax.jit(MIXED.log_prob_entropy)(params, obs, action)
    np.testing.assert_allclose(again, log_prob, rtol=1e-12)
    categorical = -(np.exp(log_share) * log_share).sum(axis=(-2, -1))
    np.testing.assert_allclose(entropy, norm(mean, np.exp(log_std)).entropy().sum(axis=-1) + categorical, rtol=1e-10)
    # Over every combination of levels the probabilities sum to the beams' density.
    pairs = [PaperAction(action.beam, jnp.full((4, 2), jnp.asarray([i, j]))) for i in range(3) for j in range(3)]
    total = sum(np.exp(jax.jit(MIXED.log_prob_entropy)(params, obs, pair)[0]) for pair in pairs)
    np.testing.assert_allclose(total, np.exp(gaussian), rtol=1e-10)
    mode = MIXED.mode(params, obs[0])  # one observation, no batch
    np.testing.assert_allclose(mode.beam, mean[0].reshape(2, 3), rtol=1e-12)
    np.testing.assert_array_equal(mode.level, logits[0].argmax(axis=-1))


def test_mixed_levels_come_as_often_as_their_heads_say():
    one = jax.random.normal(jax.random.key(0), (2, 5))
    obs = jnp.broadcast_to(one, (6000, 2, 5))
    params = spread(MIXED, obs)
    level = np.asarray(jax.jit(MIXED.sample)(params, obs, jax.random.key(1))[0].level)
    logits = MIXED._modules()[0].apply(params["actor"], one.reshape(10))[2]
    share = np.asarray(jax.nn.softmax(logits, axis=-1))
    for n in range(2):
        counted = np.bincount(level[:, n], minlength=3) / 6000
        np.testing.assert_array_less(np.abs(counted - share[n]), 5 * np.sqrt(share[n] * (1 - share[n]) / 6000))
    assert abs(np.corrcoef(level.T)[0, 1]) < 5 / np.sqrt(6000)  # independent heads


def test_a_mixed_policy_learns_both_parts():
    # A bandit: level 2 at element 0 and level 0 at element 1, and beams of 0.3.
    config = ReinforceConfig(num_envs=128, actor_rate=2e-2, entropy=0.0, decay_rates=False, max_grad_norm=10.0)
    optimiser = make_optimiser(config, 300)
    obs = jnp.ones((1, 128, 2, 5))
    ended = jnp.ones((1, 128), bool)

    def step(carry, key):
        weights, opt_state = carry
        action, log_prob = MIXED.sample(weights, obs, key)
        right = jnp.sum((action.level == jnp.asarray([2, 0])).astype(float), axis=-1)
        reward = right - jnp.sum((action.beam - 0.3) ** 2, axis=(-2, -1))
        batch = Transition(obs, obs, action, log_prob, 0 * reward, reward, ended, ~ended)
        gradient, _ = score_gradient(MIXED, config, weights, batch)
        return descend(optimiser, gradient, opt_state, weights), None

    def run(key):
        weights = MIXED.init(key, obs[0, 0])
        return jax.lax.scan(step, (weights, optimiser.init(weights)), jax.random.split(key, 300))[0][0]

    mode = MIXED.mode(jax.jit(run)(jax.random.key(0)), obs[0, 0])
    np.testing.assert_array_equal(mode.level, [2, 0])
    np.testing.assert_allclose(mode.beam, 0.3, atol=0.1)
