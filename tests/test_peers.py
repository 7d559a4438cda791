"""The benchmarks beside peers: what of them needs no peer."""

import math
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from benchmarks.peers import flops
from thzjax.agents.actor_critic import ActorCritic
from thzjax.agents.policies import GaussianPolicy

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("jax", "numpy", "torch", "stable_baselines3", "sbx", "sionna", "cvxpy")
FEATURES, ACTIONS, HIDDEN, BATCH = 7, 3, (11, 13), 5


def products(function, *arguments) -> int:
    """Operations of every matrix product of a function, read off its program."""

    def count(jaxpr) -> int:
        total = 0
        for equation in jaxpr.eqns:
            if equation.primitive.name == "dot_general":
                (contracted, _), _ = equation.params["dimension_numbers"]
                shape = equation.invars[0].aval.shape
                total += 2 * equation.outvars[0].aval.size * math.prod(shape[axis] for axis in contracted)
            for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
                inner = getattr(inner, "jaxpr", inner)
                total += count(inner) if hasattr(inner, "eqns") else 0
        return total

    return count(jax.make_jaxpr(function)(*arguments).jaxpr)


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_step_of_ppo_has_as_many_operations_as_its_program():
    policy, obs = GaussianPolicy(ACTIONS, HIDDEN), jnp.ones((BATCH, FEATURES))
    weights, action = policy.init(jax.random.key(0), obs[0]), jnp.ones((BATCH, ACTIONS))

    def loss(weights):
        return jnp.mean(policy.log_prob_entropy(weights, obs, action)[0]) + jnp.mean(policy.value(weights, obs) ** 2)

    def rollout(weights, key):
        return policy.sample(weights, obs, key)[0], policy.value(weights, obs)

    once = products(rollout, weights, jax.random.key(1))
    epoch = products(jax.grad(loss), weights)
    assert flops.ppo_step(FEATURES, ACTIONS, HIDDEN, 0) * BATCH == once
    assert flops.ppo_step(FEATURES, ACTIONS, HIDDEN, 4) * BATCH == once + 4 * epoch


@pytest.mark.parametrize("critics", [1, 2])
def test_an_update_of_an_actor_and_its_critics_has_as_many_operations_as_its_program(critics):
    policy = ActorCritic(ACTIONS, 2, critics, HIDDEN)
    obs, action = jnp.ones((BATCH, FEATURES)), jnp.ones((BATCH, ACTIONS))
    weights = policy.init(jax.random.key(0), obs[0])

    def target(weights):
        return policy.predictions(weights, obs, jnp.tanh(policy.outputs(weights, obs)))

    def of_critics(critic):
        return jnp.mean(policy.predictions(weights | {"critic": critic}, obs, action) ** 2)

    def of_actor(actor):
        return jnp.mean(target(weights | {"actor": actor}))

    counted = products(target, weights)
    counted += products(jax.grad(of_critics), weights["critic"]) + products(jax.grad(of_actor), weights["actor"])
    assert flops.actor_critic_update(FEATURES, ACTIONS, HIDDEN, BATCH, critics, measures=2) == counted


def test_help_and_options_need_no_peer():
    shown = run("-m", "benchmarks.peers", "--help")
    assert shown.returncode == 0, shown.stderr
    assert all(name in shown.stdout for name in ("sb3", "sbx", "sionna", "cvxpy", "--cores", "--repeats", "--quick"))
    refused = run("-m", "benchmarks.peers", "--only", "nobody")
    assert refused.returncode == 2
    assert "nobody" in refused.stderr


def test_nothing_that_makes_threads_is_imported_before_the_cores_are_chosen():
    code = f"import sys, benchmarks.peers.__main__; print(sorted(set(sys.modules) & {set(LIBRARIES)!r}))"
    seen = run("-c", code)
    assert seen.stdout.strip() == "[]", seen.stdout + seen.stderr
