"""The learners' parts against two libraries written by others: rlax for formulas, flashbax for the replay."""

import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from thzjax.agents import replay
from thzjax.agents.advantages import generalised_advantages
from thzjax.agents.ddpg import DeterministicPolicy, first_critic_loss
from thzjax.agents.measures import td_target
from thzjax.agents.off_policy import soft_update
from thzjax.agents.policies import GaussianPolicy, Transition
from thzjax.agents.policies import TanhGaussianPolicy as BoxPolicy
from thzjax.agents.ppo import clipped_loss, mean_kl, within_range
from thzjax.agents.reinforce import returns
from thzjax.agents.sac import TanhGaussianPolicy as SquashedPolicy

with warnings.catch_warnings():
    # rlax 0.1.9 imports dm_env and names of jax.core that jax 0.10 deprecates, and distrax with tfp-nightly.
    warnings.simplefilter("ignore")
    rlax = pytest.importorskip("rlax", exc_type=ImportError)
    flashbax = pytest.importorskip("flashbax", exc_type=ImportError)

pytestmark = [
    pytest.mark.usefixtures("x64"),
    # They point to distrax, on which they are built.
    pytest.mark.filterwarnings("ignore:Rlax .* will be deprecated:PendingDeprecationWarning"),
]

SEEDS, SHARES = st.integers(0, 10_000), st.floats(0, 1)
# Few lengths: each is compiled, and so is every piece of one.
LENGTHS = st.sampled_from([1, 5])


def oracle(function):
    """A compiled function of these libraries, which mix dtypes as strict promotion forbids."""
    compiled = jax.jit(function)

    def called(*args):
        with jax.numpy_dtype_promotion("standard"):
            return compiled(*args)

    return called


ESTIMATES = oracle(rlax.truncated_generalized_advantage_estimation)
LAMBDA_RETURNS = oracle(rlax.lambda_returns)
DISCOUNTED_RETURNS = oracle(lambda reward, discount: rlax.discounted_returns(reward, discount, jnp.zeros_like(reward)))
TD_ERRORS = oracle(jax.vmap(rlax.td_learning))
CLIPPED = oracle(jax.value_and_grad(rlax.clipped_surrogate_pg_loss))
OURS = jax.jit(generalised_advantages)


def episodes(seed, length):
    """Rewards, values before and after each step, and which steps terminate or are cut, `[length]`."""
    rng = np.random.default_rng(seed)
    reward, value, value_next = (jnp.asarray(x) for x in rng.normal(size=(3, length)))
    terminated, truncated = (jnp.asarray(x) for x in rng.random((2, length)) < 0.2)
    return reward, value, value_next, terminated, truncated & ~terminated


# --- advantages and returns


def gae_between_cuts(reward, value, value_next, terminated, truncated, gamma, lam):
    """rlax's estimates: it knows no time limit, so a rollout is cut there and each piece ends with its own value."""
    advantage = np.zeros(len(reward))
    ends = [*(np.flatnonzero(np.asarray(truncated)) + 1).tolist(), len(reward)]
    first = 0
    for end in ends:
        if end > first:
            piece = slice(first, end)
            discount = gamma * (1 - terminated[piece].astype(reward.dtype))
            values = jnp.concatenate([value[piece], value_next[end - 1 : end]])
            advantage[piece] = ESTIMATES(reward[piece], discount, lam, values)
        first = end
    return advantage


@given(SEEDS, LENGTHS, SHARES, SHARES)
def test_advantages_are_rlaxs(seed, length, gamma, lam):
    reward, value, value_next, terminated, truncated = episodes(seed, length)
    # Within a piece rlax takes the value after a step to be the one before the next.
    follows = jnp.concatenate([value[1:], value_next[-1:]])
    value_next = jnp.where(truncated, value_next, follows)
    ours = OURS(reward, value, value_next, terminated, truncated, gamma, lam)
    # At most 5 sums of numbers below 5: 25 rounding errors of 1e-16.
    theirs = gae_between_cuts(reward, value, value_next, terminated, truncated, gamma, lam)
    np.testing.assert_allclose(ours, theirs, atol=1e-13)


@given(SEEDS, LENGTHS, SHARES, SHARES)
def test_advantage_and_value_are_rlaxs_lambda_return(seed, length, gamma, lam):
    reward, value, value_next, terminated, _ = episodes(seed, length)
    value_next = jnp.concatenate([value[1:], value_next[-1:]])
    ours = OURS(reward, value, value_next, terminated, jnp.zeros_like(terminated), gamma, lam) + value
    discount = gamma * (1 - terminated.astype(reward.dtype))
    theirs = LAMBDA_RETURNS(reward, discount, value_next, lam)
    np.testing.assert_allclose(ours, theirs, atol=1e-13)


@given(SEEDS, LENGTHS, SHARES)
def test_returns_of_the_plain_policy_gradient_are_rlaxs(seed, length, gamma):
    reward, _, _, terminated, truncated = episodes(seed, length)
    rows = [x[:, None] for x in (reward, terminated, truncated)]
    batch = Transition(None, None, None, None, None, rows[0], *rows[1:])
    # Without a value a cut is as good as an end.
    discount = gamma * (1 - (terminated | truncated).astype(reward.dtype))
    theirs = DISCOUNTED_RETURNS(reward, discount)
    np.testing.assert_allclose(jax.jit(returns)(batch, gamma)[:, 0], theirs, atol=1e-13)


@given(SEEDS, st.floats(0, 0.99))
def test_critic_targets_are_rlaxs_td_targets(seed, gamma):
    reward, ahead, value, terminated, _ = episodes(seed, 9)
    discount = gamma * (1 - terminated.astype(reward.dtype))
    zero, one = jnp.zeros((1,)), jnp.ones((1,))
    ours = td_target(reward[:, None], ahead[:, None], terminated, gamma, zero, one)[:, 0]
    theirs = TD_ERRORS(value, reward, discount, ahead) + value
    np.testing.assert_allclose(ours, theirs, atol=1e-13)


# --- losses and updates


@given(SEEDS, st.floats(0.01, 2))
def test_the_clipped_loss_and_its_gradient_are_rlaxs(seed, epsilon):
    rng = np.random.default_rng(seed)
    ratio, advantage = jnp.asarray(np.exp(rng.normal(size=32))), jnp.asarray(rng.normal(size=32))
    ours = jax.value_and_grad(clipped_loss)(ratio, advantage, epsilon)
    theirs = CLIPPED(ratio, advantage, epsilon)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-14)


def test_densities_far_apart_leave_no_nan():
    def loss(log_ratio):
        return clipped_loss(jnp.exp(within_range(log_ratio)), jnp.asarray([-1.0, 1.0, -1.0], jnp.float32), 0.2)

    loss_value, slope = jax.value_and_grad(loss)(jnp.asarray([200.0, -200.0, 0.1], jnp.float32))
    assert np.isfinite(loss_value)
    np.testing.assert_allclose(slope, [0.0, 0.0, np.exp(0.1) / 3], rtol=1e-6)


def test_the_deterministic_actors_gradient_is_rlaxs():
    policy = DeterministicPolicy(size=2, measures=1, hidden=(4,))
    obs = jnp.asarray([[0.3, -1.0, 2.0], [1.0, 0.1, -0.4]])
    params, price = jax.jit(policy.init)(jax.random.key(0), obs[0]), jnp.ones(1)

    def slope(action):
        return jax.grad(lambda a: jnp.sum(policy.predictions(params, obs, a)[0]))(action)

    def theirs(actor):
        action = policy.act(params | {"actor": actor}, obs)
        # A vector for each observation: half squares whose gradient is minus that of Q.
        return jnp.mean(jnp.sum(jax.vmap(rlax.dpg_loss)(action, slope(action)), axis=-1))

    ours = jax.jit(jax.grad(lambda a: first_critic_loss(policy, 0.0)(params | {"actor": a}, obs, price, None)[0]))
    expected = oracle(jax.grad(theirs))(params["actor"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), ours(params["actor"]), expected)


@given(SEEDS, st.floats(0.001, 1))
def test_soft_updates_are_optaxs(seed, tau):
    rng = np.random.default_rng(seed)
    slow, fast = ({"a": jnp.asarray(x[:2]), "b": {"c": jnp.asarray(x[2:])}} for x in rng.normal(size=(2, 5)))
    ours, theirs = soft_update(slow, fast, tau), optax.incremental_update(fast, slow, tau)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-15), ours, theirs)


# --- densities


def moved(policy, key):
    """Parameters away from their start, where all means are near 0; observations, actions, log densities and law."""
    key_obs, key_policy, key_action = jax.random.split(key, 3)
    obs = jax.random.normal(key_obs, (6, 3))
    params = policy.init(key_policy, obs[0])
    params = params | {"actor": jax.tree.map(lambda x: x + 0.1, params["actor"])}
    return params, obs, *policy.sample(params, obs, key_action)


def squashed(action, mean, log_std):
    """rlax's log density of tanh(mean + std n). It takes a tanh of both parameters: |mean| < 1, |log std| < 20."""
    law = rlax.squashed_gaussian(sigma_min=-20.0, sigma_max=20.0)
    return law.logprob(action, jnp.arctanh(mean), jnp.arctanh(log_std / 20), None)


def test_gaussian_densities_and_entropies_are_rlaxs():
    policy = GaussianPolicy(2, (4,), -0.7)

    def compared(key):
        law = rlax.gaussian_diagonal()
        params, obs, action, log_prob = moved(policy, key)
        mean = policy.mode(params, obs)
        std = jnp.broadcast_to(jnp.exp(params["actor"]["params"]["log_std"]), mean.shape)
        theirs = law.logprob(action, mean, std), law.entropy(mean, std)
        return (log_prob, *policy.log_prob_entropy(params, obs, action)), (theirs[0], *theirs)

    ours, theirs = oracle(jax.vmap(compared))(jax.random.split(jax.random.key(0), 20))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_the_sampled_divergence_is_rlaxs_exact_one():
    policy, obs = GaussianPolicy(2, (4,), -1.0), jnp.ones((40_000, 1))

    def compared(key):
        old = policy.init(key, obs[0])
        new = old | {"actor": jax.tree.map(lambda x: x + 0.05, old["actor"])}
        action, log_prob = policy.sample(old, obs, key)
        batch = Transition(obs, obs, action, log_prob, *[jnp.zeros(len(obs))] * 4)
        laws = [x for p in (old, new) for x in (policy.mode(p, obs[0]), jnp.exp(p["actor"]["params"]["log_std"]))]
        return mean_kl(policy, new, batch), rlax.multivariate_normal_kl_divergence(*laws)

    sampled, exact = oracle(compared)(jax.random.key(0))
    # Its terms are about as spread as they are large: 40 000 of them are within 3 %, six deviations.
    np.testing.assert_allclose(sampled, exact, rtol=0.03)


def test_densities_in_a_box_are_rlaxs_squashed_gaussians():
    scale = 3.0
    policy = BoxPolicy(2, (4,), -0.7, scale)

    def compared(key):
        params, obs, action, log_prob = moved(policy, key)
        law = policy._distribution(params, obs)
        theirs = squashed(action / scale, law.loc, jnp.log(law.scale_diag)) - 2 * math.log(scale)
        return log_prob, theirs, law.loc

    ours, theirs, mean = oracle(jax.vmap(compared))(jax.random.split(jax.random.key(0), 20))
    assert float(jnp.max(jnp.abs(mean))) < 1
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)


def test_sacs_density_is_rlaxs_squashed_gaussian():
    policy = SquashedPolicy(size=2, measures=1, hidden=(4,))

    def compared(key):
        params, obs, action, log_prob = moved(policy, key)
        return log_prob, squashed(action, *policy._split(params, obs)), policy._split(params, obs)[0]

    ours, theirs, mean = oracle(jax.vmap(compared))(jax.random.split(jax.random.key(0), 20))
    inside = np.max(np.abs(mean), axis=-1) < 1
    assert inside.mean() > 0.5
    np.testing.assert_allclose(np.asarray(ours)[inside], np.asarray(theirs)[inside], rtol=1e-7, atol=1e-9)


# --- the replay


ROW = {"number": jax.ShapeDtypeStruct((), jnp.int32), "pair": jax.ShapeDtypeStruct((2,), jnp.float32)}


def rows(first, num):
    number = jnp.arange(first, first + num, dtype=jnp.int32)
    return {"number": number, "pair": number.astype(jnp.float32)[:, None] * jnp.asarray([[1, -2]], jnp.float32)}


OUR_ADD = jax.jit(replay.add)
THEIRS = {capacity: flashbax.make_item_buffer(capacity, 1, 1, add_batches=True) for capacity in (4, 12)}
ADD = {capacity: oracle(buffer.add) for capacity, buffer in THEIRS.items()}


@given(st.sampled_from([*THEIRS]), st.lists(st.sampled_from([1, 3]), min_size=1, max_size=9))
def test_the_ring_holds_what_flashbaxs_item_buffer_holds(capacity, batches):
    held, add = THEIRS[capacity].init(jax.tree.map(lambda x: x[0], rows(0, 1))), ADD[capacity]
    ours, written = replay.init(ROW, capacity), 0
    for num in batches:
        ours = OUR_ADD(ours, rows(written, num))
        held = add(held, rows(written, num))
        written += num
    size = min(written, capacity)
    assert int(ours.size) == size
    # The same rows in the same slots, so the same multiset and the same wrap-around.
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[:size], b[0, :size]), ours.data, held.experience)
    assert int(ours.head) == int(held.current_index)


def test_draws_are_as_uniform_as_flashbaxs():
    slots, draws = 16, 8000
    ours = replay.add(replay.init(ROW, slots), rows(0, slots))
    theirs = flashbax.make_item_buffer(slots, 1, slots, add_batches=True)
    held = oracle(theirs.add)(theirs.init(jax.tree.map(lambda x: x[0], rows(0, 1))), rows(0, slots))
    keys = jax.random.split(jax.random.key(1), draws // slots)
    other = oracle(jax.vmap(lambda key: theirs.sample(held, key).experience["number"]))(keys)
    mine = replay.sample(ours, jax.random.key(0), draws)["number"]
    # Pearson's statistic over 16 slots, at a level that chance passes once in ten thousand.
    limit = chi2.ppf(1 - 1e-4, slots - 1)
    for drawn in (mine, other):
        counts = np.bincount(np.asarray(drawn).ravel(), minlength=slots)
        assert counts.sum() == draws
        assert np.sum((counts - draws / slots) ** 2) / (draws / slots) < limit
