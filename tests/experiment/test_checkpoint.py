"""What is saved of a carry: small arrays end to end, large ones by themselves, and back to the same bits."""

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given, settings

from thzjax.experiment import checkpoint
from thzjax.experiment.checkpoint import Checkpoints
from thzjax.experiment.config import resolve

ARRAYS = st.lists(
    st.tuples(
        st.sampled_from((np.float32, np.uint32, np.int32, np.bool_)),
        st.lists(st.integers(1, 5), max_size=3).map(tuple),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=200)
@given(arrays=ARRAYS, small=st.integers(0, 30), seed=st.integers(0, 2**32 - 1))
def test_arrays_come_back_from_their_package(arrays, small, seed):
    rng = np.random.default_rng(seed)
    tree = {f"x{i}": [rng.integers(0, 2, shape).astype(dtype)] for i, (dtype, shape) in enumerate(arrays)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "SMALL", small)
        packed = checkpoint._packed(tree)
        back = checkpoint._unpacked(packed, jax.tree.map(np.zeros_like, tree))
    large = sum(x.size > small for x in jax.tree.leaves(tree))
    kinds = {x.dtype for x in jax.tree.leaves(tree) if x.size <= small}
    assert len(packed) == large + len(kinds)
    for x, y in zip(jax.tree.leaves(tree), jax.tree.leaves(back), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_array_equal(x, y)


def test_a_carry_with_an_array_too_large_to_go_with_others_comes_back_from_disk(tmp_path):
    rng = np.random.default_rng(0)
    carry = {
        "key": jax.random.key(3),
        "buffer": jax.numpy.asarray(rng.normal(size=(checkpoint.SMALL + 1,)), "float32"),
        "weights": [jax.numpy.asarray(rng.normal(size=(3, n)), "float32") for n in (2, 5)],
        "none": jax.numpy.zeros((0, 4)),
        "step": jax.numpy.int32(7),
    }
    config = resolve("paper-a", "ppo")
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, carry, config, 0.0)
        _, back = checkpoints.load(carry, config)
    for x, y in zip(jax.tree.leaves(carry), jax.tree.leaves(back), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)
