"""Running moments against those of all rows, and what a policy sees through them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thzjax.agents.normaliser import Moments, NormalisedPolicy, add_moments, init_moments, normalised
from thzjax.agents.policies import GaussianPolicy


@pytest.mark.usefixtures("x64")
@given(st.integers(0, 1000), st.lists(st.sampled_from([(1,), (4,), (2, 3)]), min_size=1, max_size=5))
def test_moments_in_pieces_are_those_of_the_whole(seed, batches):
    rng, moments, rows = np.random.default_rng(seed), init_moments(jnp.zeros(2)), []
    for lead in batches:
        piece = rng.normal(3.0, 20.0, size=(*lead, 2))
        moments = add_moments(moments, jnp.asarray(piece), len(lead))
        rows.append(piece.reshape(-1, 2))
    flat = np.concatenate(rows)
    np.testing.assert_allclose(moments.mean, flat.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(moments.var, flat.var(axis=0), rtol=1e-9, atol=1e-12)
    assert float(moments.count) == len(flat)


def test_what_is_seen_is_bounded_and_what_never_varies_is_zero():
    moments = Moments(jnp.asarray([1.0, 5.0]), jnp.asarray([4.0, 0.0]), jnp.ones(()))
    seen = normalised(moments, jnp.asarray([[3.0, 5.0], [-1e9, 5.0]]))
    np.testing.assert_allclose(seen, [[1.0, 0.0], [-10.0, 0.0]], rtol=1e-6)


def test_a_normalised_policy_applies_its_moments():
    plain = GaussianPolicy(1, (4,), -1.0)
    policy, obs = NormalisedPolicy(plain), jnp.asarray([[1.0], [3.0], [1e9]])
    moments = Moments(jnp.ones(1), jnp.full(1, 4.0), jnp.ones(()))
    params = jax.jit(policy.init)(jax.random.key(0), obs[0]) | {"moments": moments}
    seen = jnp.asarray([[0.0], [1.0], [10.0]])
    np.testing.assert_allclose(policy.mode(params, obs), plain.mode(params, seen), rtol=1e-6)
    np.testing.assert_allclose(policy.value(params, obs), plain.value(params, seen), rtol=1e-6)
