"""The replay ring against a plain Python list."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thzjax.agents import replay
from thzjax.errors import ConfigError

EXAMPLE = {"number": jax.ShapeDtypeStruct((), jnp.int32), "row": jax.ShapeDtypeStruct((2,), jnp.float32)}


def transitions(first, num):
    number = jnp.arange(first, first + num, dtype=jnp.int32)
    row = number.astype(jnp.float32)[:, None] * jnp.asarray([[1.0, -2.0]])
    return {"number": number, "row": row}


# Few sizes, in every order: each new shape is compiled.
@given(st.sampled_from([1, 5, 8]), st.lists(st.sampled_from([1, 3, 8, 13]), min_size=1, max_size=6))
def test_the_ring_is_that_of_a_loop(capacity, batches):
    buffer, ring, head, written = replay.init(EXAMPLE, capacity), [None] * capacity, 0, 0
    for rows in batches:
        buffer = replay.add(buffer, transitions(written, rows))
        for _ in range(rows):
            ring[head] = written
            head, written = (head + 1) % capacity, written + 1
    held = [number for number in ring if number is not None]
    assert (int(buffer.head), int(buffer.size)) == (head, len(held))
    # Slots are filled from the first, so the written ones lead.
    np.testing.assert_array_equal(buffer.data["number"][: len(held)], held)
    np.testing.assert_array_equal(buffer.data["row"][: len(held), 1], -2.0 * np.asarray(held))
    drawn = replay.sample(buffer, jax.random.key(written), 64)
    assert set(np.asarray(drawn["number"]).tolist()) <= set(held)
    np.testing.assert_array_equal(drawn["row"][:, 0], drawn["number"].astype(jnp.float32))


def test_every_written_slot_is_drawn_equally_often():
    buffer = replay.add(replay.init(EXAMPLE, 16), transitions(0, 10))
    drawn = np.asarray(replay.sample(buffer, jax.random.key(0), 20_000)["number"])
    counts = np.bincount(drawn, minlength=16)
    assert counts[10:].tolist() == [0] * 6
    # Binomial counts: 5 deviations.
    np.testing.assert_allclose(counts[:10], 2000, atol=5 * np.sqrt(20_000 * 0.1 * 0.9))


def test_adding_in_a_scan_is_adding_in_a_loop():
    batches = jax.tree.map(lambda x: x.reshape(7, 3, *x.shape[1:]), transitions(0, 21))
    empty = replay.init(EXAMPLE, 8)
    scanned, _ = jax.jit(lambda b: jax.lax.scan(lambda b, x: (replay.add(b, x), None), b, batches))(empty)
    looped = empty
    for i in range(7):
        looped = replay.add(looped, jax.tree.map(lambda x, i=i: x[i], batches))
    jax.tree.map(np.testing.assert_array_equal, scanned, looped)


def test_a_ring_without_slots_is_refused():
    with pytest.raises(ConfigError, match="capacity=0 must be at least 1"):
        replay.init(EXAMPLE, 0)
