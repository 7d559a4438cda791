"""What W workers compute is what one learner would on their pooled batch, and what they share depends on none alone."""

import dataclasses
import functools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from problem import ENV, EVERYDAY, LEARNERS, WORKERS, chunk, learner

from thzjax.agents.a2c import A2CConfig, actor_critic_gradient
from thzjax.agents.base import descend, mean_over
from thzjax.agents.ddpg import DDPGConfig
from thzjax.agents.metrics import settle
from thzjax.agents.normaliser import add_moments, init_moments
from thzjax.agents.on_policy import standardised
from thzjax.agents.policies import GaussianPolicy, Transition
from thzjax.agents.ppo import PPOConfig
from thzjax.agents.primal_dual import PrimalDualConfig, init_duals
from thzjax.agents.reinforce import ReinforceConfig, score_gradient
from thzjax.errors import ConfigError
from thzjax.parallel import PER_WORKER, choose_devices, make_parallel, on_devices, share, worker_keys

AXES = ("workers",)
# Sums of some hundred numbers of size 1 in float64, in another order: 100 roundings of 1e-16, and a factor 10 of room.
CLOSE = 1e-13
STEPS, ENVS = 3, 5


def unlike(seed=0, trailing=()):
    """A batch `[W, T, E, ...]` whose workers' shares differ in mean and in spread."""
    shape = (WORKERS, STEPS, ENVS, *trailing)
    of_worker = (WORKERS, *(1,) * (len(shape) - 1))
    draw = np.random.default_rng(seed)
    scale, shift = draw.uniform(0.2, 3, of_worker), draw.normal(size=of_worker)
    return jnp.asarray(scale * draw.normal(size=shape) + shift)


def pooled(x):
    """`[W, T, E, ...]` as `[T, W*E, ...]`."""
    x = jnp.moveaxis(x, 0, 1)
    return x.reshape(STEPS, WORKERS * ENVS, *x.shape[3:])


def over_workers(f, **kwargs):
    return jax.vmap(f, axis_name="workers", **kwargs)


@pytest.mark.usefixtures("x64")
def test_advantages_are_standardised_over_all_workers():
    advantage = unlike()
    together = pooled(over_workers(lambda a: standardised(a, AXES))(advantage))
    np.testing.assert_allclose(together, standardised(pooled(advantage)), atol=CLOSE)
    apart = pooled(jax.vmap(standardised)(advantage))
    assert np.max(np.abs(apart - together)) > 0.1


@pytest.mark.usefixtures("x64")
def test_moments_are_those_of_the_pooled_batch():
    first, second = unlike(1, (2,)), unlike(2, (2,))

    def added(a, b, over=()):
        return add_moments(add_moments(init_moments(jnp.zeros((2,))), a, 2, over), b, 2, over)

    together = over_workers(functools.partial(added, over=AXES), out_axes=None)(first, second)
    alone = added(pooled(first), pooled(second))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=CLOSE), together, alone)
    every = np.concatenate([np.asarray(x).reshape(-1, 2) for x in (first, second)])
    np.testing.assert_allclose(together.var, every.var(axis=0), rtol=CLOSE)
    assert together.count == len(every)


@pytest.mark.usefixtures("x64")
def test_the_gradient_is_clipped_once_all_workers_are_in_it():
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1.0))
    weights = jnp.zeros((2,))
    gradients = jnp.asarray([[30.0, 0], [0, 0.4], [0, 0.4], [0, 0.4]])
    step = over_workers(
        lambda g: descend(optimiser, g, optimiser.init(weights), weights, AXES)[0], in_axes=0, out_axes=None
    )(gradients)
    mean = np.asarray([7.5, 0.3])
    np.testing.assert_allclose(step, -mean / np.linalg.norm(mean), rtol=CLOSE)
    before = -np.asarray([1.0, 3 * 0.4]) / 4  # each clipped by itself: 1 and three times 0.4
    assert np.linalg.norm(step - before) > 0.5


@pytest.mark.usefixtures("x64")
def test_multipliers_and_metrics_are_of_all_workers():
    config = PrimalDualConfig()
    duals = init_duals(2, ("power",), config)
    rates, slack, returns = unlike(3, (2,)), unlike(4), unlike(5)
    # Worker 0 saw no episode end, worker 3 every step end one.
    done = jnp.asarray(np.random.default_rng(6).uniform(size=slack.shape) < np.arange(4).reshape(4, 1, 1) / 3)

    def settled(rates, slack, returns, done, axes=()):
        info = {"rates": rates, "slack": {"power": slack}, "episode_return": returns}
        return settle(duals, info, config, done, axes)

    batch = (rates, slack, returns, done)
    together = over_workers(functools.partial(settled, axes=AXES), out_axes=None)(*batch)
    alone = settled(*map(pooled, batch))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE), together, alone)
    assert together[1]["episodes"] == int(jnp.sum(done))
    apart = jnp.mean(jax.vmap(settled)(*batch)[1]["episode_return"])
    assert abs(apart - together[1]["episode_return"]) > 1e-2


def rollouts(policy, weights):
    """A batch of steps, `[W, T, E, ...]`, as a policy might have made them."""
    obs, action, reward = unlike(7, (1,)), unlike(8, (1,)), unlike(9)
    draw = np.random.default_rng(10)
    terminated, truncated = (jnp.asarray(draw.uniform(size=reward.shape) < 0.3) for _ in range(2))
    return Transition(
        obs=obs, next_obs=unlike(11, (1,)), action=action, log_prob=policy.log_prob_entropy(weights, obs, action)[0],
        value=policy.value(weights, obs), reward=reward, terminated=terminated, truncated=truncated,
    )  # fmt: skip


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("gradient_of", "config"),
    [
        (actor_critic_gradient, A2CConfig(gamma=0.9, hidden=(4,))),
        (score_gradient, ReinforceConfig(gamma=0.9, hidden=(4,))),
    ],
)
def test_the_gradient_of_workers_is_that_of_the_pooled_batch(gradient_of, config):
    policy = GaussianPolicy(1, config.hidden)
    weights = policy.init(jax.random.key(0), jnp.zeros((1,)))
    batch = rollouts(policy, weights)

    def mean_gradient(batch, axes):
        return mean_over(gradient_of(policy, config, weights, batch, axes), AXES)

    together = jax.jit(over_workers(lambda b: mean_gradient(b, AXES), out_axes=None))(batch)
    alone = jax.jit(lambda b: gradient_of(policy, config, weights, b))(jax.tree.map(pooled, batch))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=100 * CLOSE, atol=CLOSE), together, alone)
    apart = jax.jit(over_workers(lambda b: mean_gradient(b, ()), out_axes=None))(batch)
    norm, off = (
        optax.tree_utils.tree_norm(jax.tree.map(f, apart[0], alone[0])) for f in (lambda a, b: b, jnp.subtract)
    )
    assert off > 0.05 * norm


# --- what is shared, and what is not


@pytest.mark.parametrize("name", EVERYDAY)
def test_shared_parts_have_no_axis_of_workers(name):
    agent, alone = learner(name), learner(name, workers=1)
    start = jax.eval_shape(agent.init, jax.random.key(0), None)
    state, metrics = jax.eval_shape(chunk(agent, 2), start, None)
    like, like_metrics = jax.eval_shape(chunk(alone, 2), jax.eval_shape(alone.init, jax.random.key(0), None), None)
    assert state == start  # shapes and types, so that a scan can carry them
    assert metrics == like_metrics
    for field in dataclasses.fields(state):
        for x, y in zip(*(jax.tree.leaves(getattr(s, field.name)) for s in (state, like)), strict=True):
            whole = (x.shape[0] * x.shape[1], *x.shape[2:]) if x.ndim > 1 else x.shape[1:]
            assert y.shape == (whole if field.name in PER_WORKER else x.shape), field.name


@pytest.mark.parametrize("name", EVERYDAY)
def test_a_learner_that_does_not_reduce_is_refused(name):
    make, config = LEARNERS[name]
    config = share(config, WORKERS)
    policy = config.policy(ENV) if hasattr(config, "policy") else GaussianPolicy(1, config.hidden)
    agent = make_parallel(lambda axes: make(ENV, policy, config, 10), WORKERS)
    start = jax.eval_shape(agent.init, jax.random.key(0), None)
    with pytest.raises(ValueError, match="out_axes"):
        jax.eval_shape(agent.update, start, None)


def test_workers_have_keys_by_their_number_among_all():
    key = jax.random.key(3)
    keys = jax.random.key_data(worker_keys(key, WORKERS))
    assert len(np.unique(keys, axis=0)) == WORKERS
    for worker in range(WORKERS):
        np.testing.assert_array_equal(keys[worker], jax.random.key_data(jax.random.fold_in(key, worker)))
    np.testing.assert_array_equal(keys[:2], jax.random.key_data(worker_keys(key, 2)))


# --- shares


def test_shares_add_up():
    config = share(DDPGConfig(num_envs=8, batch=16, capacity=64, warmup=30), WORKERS)
    assert (config.num_envs, config.batch, config.capacity) == (2, 4, 16)
    assert share(config, 1) == config
    for warmup in range(1, 40):
        part = share(DDPGConfig(num_envs=8, batch=16, capacity=64, warmup=warmup), WORKERS).warmup
        assert all((steps >= part) == (WORKERS * steps >= warmup) for steps in range(12))


@pytest.mark.parametrize(
    ("config", "workers", "message"),
    [
        (PPOConfig(num_envs=2048), 3, "num_envs=2048 is not divisible by workers=3: choose a multiple, as 2049"),
        (PPOConfig(num_envs=8, minibatches=4), 4, "workers=4.*num_envs.rollout=2 is not divisible by minibatches=4"),
        (DDPGConfig(num_envs=256, batch=250), 4, "batch=250 is not divisible by workers=4"),
        (ReinforceConfig(num_envs=4), 4, "workers=4.*baseline"),
    ],
)
def test_what_cannot_be_shared_is_refused(config, workers, message):
    with pytest.raises(ConfigError, match=message):
        share(config, workers)


def test_devices_that_cannot_be_are_refused():
    assert choose_devices(1) == choose_devices(4, 1) == 1
    with pytest.raises(ConfigError, match=r"workers=4 is not divisible by devices=3"):
        choose_devices(4, 3)
    with pytest.raises(ConfigError, match=r"XLA_FLAGS=--xla_force_host_platform_device_count=64"):
        choose_devices(64, 64)
    with pytest.raises(ConfigError, match="devices=0"):
        choose_devices(4, 0)
    with pytest.raises(ConfigError, match="backend='loop' is unknown"):
        on_devices(lambda state, rest: (state, rest), 1, "loop")
