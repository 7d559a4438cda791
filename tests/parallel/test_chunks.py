"""Batches walked in pieces give the numbers of batches taken whole, in less memory."""

import dataclasses
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from problem import ENV, LEARNERS, learner

from thzjax import cli
from thzjax.agents import chunks
from thzjax.agents.a2c import actor_critic_gradient
from thzjax.agents.on_policy import roll_out
from thzjax.agents.primal_dual import init_duals
from thzjax.errors import ConfigError
from thzjax.experiment import memory
from thzjax.experiment.config import resolve
from thzjax.experiment.together import make_together
from thzjax.parallel import share

SAME = ("ddpg", "td3", "sac", "apg")
"""Learners whose random numbers belong to single environments, so that chunks leave them as they are."""


@given(st.integers(1, 400), st.integers(0, 500))
def test_pieces_are_equal_few_and_small_enough(batch, chunk):
    pieces = chunks.num_pieces(batch, chunk)
    assert batch % pieces == 0
    assert batch // pieces <= (chunk or batch)
    fewer = (p for p in range(1, pieces) if batch % p == 0)
    assert all(batch // p > (chunk or batch) for p in fewer)


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2))
def test_join_takes_back_what_split_did(pieces, size, other, axis):
    shape = [other, other + 1, other + 2]
    shape[axis] = pieces * size
    x = np.arange(np.prod(shape)).reshape(shape)
    parts = chunks.split(x, pieces, axis)
    assert parts.shape[0] == pieces
    np.testing.assert_array_equal(np.concatenate(list(np.asarray(parts)), axis), x)
    np.testing.assert_array_equal(chunks.join(parts, axis), x)


def test_a_function_over_chunks_is_its_vmap():
    x, keys = jnp.arange(12.0).reshape(6, 2), jax.random.split(jax.random.key(0), 6)

    def function(x, key):
        return {"square": x**2, "noise": jax.random.normal(key)}

    for chunk in (0, 1, 2, 4, 6, 9):
        got, wanted = chunks.over(function, chunk)(x, keys), jax.vmap(function)(x, keys)
        jax.tree.map(np.testing.assert_array_equal, got, wanted)


@pytest.mark.parametrize("pieces", [1, 2, 3, 6])
def test_the_gradient_of_pieces_is_that_of_the_whole(x64, pieces):
    rng = np.random.default_rng(0)
    x, y = jnp.asarray(rng.normal(size=(2, 6, 3))), jnp.asarray(rng.normal(size=(2, 6)))
    weights = {"w": jnp.asarray(rng.normal(size=3)), "b": jnp.asarray(0.3)}

    def loss(weights, batch):
        x, y = batch
        error = (jnp.tanh(x @ weights["w"]) + weights["b"] - y) ** 2
        return jnp.mean(error), {"error": jnp.mean(error)}

    got, aux = chunks.gradient(loss, weights, (x, y), pieces, axis=1)
    wanted = jax.grad(lambda w: loss(w, (x, y))[0])(weights)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), got, wanted)
    assert aux["error"].shape == (pieces,)
    np.testing.assert_allclose(jnp.mean(aux["error"]), loss(weights, (x, y))[0], rtol=1e-14)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.full if n in ("td3", "sac") else ()) for n in SAME])
def test_updates_in_chunks_are_those_of_the_whole_batch(x64, name):
    states = []
    for chunk in (0, 4):
        agent = learner(name, workers=1, env_chunk=chunk)
        state = jax.jit(agent.init)(jax.random.key(1), None)
        for _ in range(5):
            state, metrics = jax.jit(agent.update)(state, None)
        states.append((state.params, metrics))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), *states)


def test_the_gradient_of_a_rollout_in_chunks_is_that_of_the_whole(x64):
    agent = learner("a2c", workers=1)
    config, policy = dataclasses.replace(LEARNERS["a2c"][1]), agent.policy
    state = agent.init(jax.random.key(0), None)
    duals = init_duals(1, ENV.system.constraints, config.primal_dual)
    start = (state.env_states, state.obs)
    small = dataclasses.replace(config, env_chunk=8)
    rolled, walked = (
        jax.jit(lambda s, c=c: roll_out(ENV, policy, c, state.params, duals, s, None, jax.random.key(1)))(start)
        for c in (config, small)
    )
    for got, wanted in zip(
        jax.tree.leaves(actor_critic_gradient(policy, small, state.params, rolled.batch)),
        jax.tree.leaves(actor_critic_gradient(policy, config, state.params, rolled.batch)),
        strict=True,
    ):
        np.testing.assert_allclose(got, wanted, atol=1e-12)
    # A rollout in chunks has the same shapes, and other random numbers in each chunk.
    assert jax.tree.map(jnp.shape, walked) == jax.tree.map(jnp.shape, rolled)
    jax.tree.map(np.testing.assert_array_equal, walked.batch.obs, rolled.batch.obs)
    assert len(np.unique(walked.batch.action)) == walked.batch.action.size


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == "ppo" else pytest.mark.full) for n in LEARNERS])
def test_every_learner_takes_chunks_and_workers(name):
    agent = learner(name, workers=2, env_chunk=8)
    state, metrics = jax.jit(agent.update)(jax.jit(agent.init)(jax.random.key(0), None), None)
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(metrics))
    del state


def test_workers_share_a_chunk():
    config = LEARNERS["a2c"][1]
    assert share(dataclasses.replace(config, env_chunk=8), 4).env_chunk == 2
    with pytest.raises(ConfigError, match="env_chunk=6 is not divisible by workers=4"):
        share(dataclasses.replace(config, env_chunk=6), 4)


# --- memory


def program(**options):
    config = resolve(
        "paper-a", "apg", policy="structured",
        overrides=("updates_per_record=1", "validation_channels=8", *(f"{k}={v}" for k, v in options.items())),
    )  # fmt: skip
    together = make_together([config])
    return together.chunk.lower(jax.eval_shape(together.init), together.validation_channels()).compile()


@pytest.mark.full
def test_chunks_take_a_share_of_the_memory():
    whole = memory.needed_bytes(program(num_envs=4096))
    # An eighth of the batch at a time, beside what does not depend on it.
    assert memory.needed_bytes(program(num_envs=4096, env_chunk=512)) < whole / 4


def test_what_does_not_fit_is_refused_with_the_numbers_and_leaves_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 2**20)
    command = [
        "train", "paper-a", "--policy", "structured", "--agent", "apg", "--out", str(tmp_path / "run"), "--set",
        "num_envs=4096", "validation_channels=8", "updates_per_record=1",
    ]  # fmt: skip
    assert cli.main(command) == cli.BAD_INPUT
    said = capsys.readouterr().err.splitlines()[-1]
    assert "0.0 GiB are free: walk the environments in chunks by --env-chunk" in said
    assert "or take fewer than num_envs=4096" in said
    assert not (tmp_path / "run").exists()


def test_free_memory_is_known_here():
    free = memory.free_bytes(jax.local_devices()[0])
    assert free is None or 2**20 < free < 2**50
