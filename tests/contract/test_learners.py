"""Every registered learner builds and updates on every system with every policy that it says it learns."""

import jax
import pytest

from thzjax.agents.registry import AGENTS
from thzjax.errors import ConfigError
from thzjax.experiment.config import ONE_ANTENNA, resolve
from thzjax.experiment.learner import make_learner

EVERYDAY = {
    ("ppo", "paper-b", "residual"),
    ("ppo", "paper-a-mimo", "paper"),
    ("apg", "paper-a-mimo", "structured"),
    ("sac", "paper-a", "residual"),
    ("reinforce", "paper-a", "paper"),
}
CASES = [
    pytest.param(*case, marks=[] if case in EVERYDAY else [pytest.mark.full])
    for case in (
        (agent, name, policy)
        for agent, kind in AGENTS.items()
        for name in ("paper-a", "paper-a-mimo", "paper-b")
        for policy in kind.policies
    )
    if case[1:] != ("paper-b", "paper") and not (case[1] == "paper-a-mimo" and case[2] in ONE_ANTENNA)
]


@pytest.mark.parametrize(("agent", "name", "policy"), CASES)
def test_an_update_keeps_the_shape_of_its_carry(agent, name, policy):
    config = resolve(name, agent, "paper") if policy == "paper" else resolve(name, agent, policy=policy)
    learner = make_learner(config)
    state = jax.eval_shape(learner.agent.init, jax.random.key(0), learner.params)
    after, metrics = jax.eval_shape(learner.agent.update, state, learner.params)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), state
    )
    assert {"sum_rate", "violation_rate", "episode_return"} <= set(metrics)
    assert all(metric.shape == () for metric in metrics.values())
    sampled = "Whole" if agent == "apg" else "Traced"
    kind = {"equivariant": "Structured", "paper": "Paper", "unfolded": sampled}.get(policy, policy.capitalize())
    assert type(learner.env.actions).__name__ == kind


def test_a_policy_that_a_learner_cannot_learn_is_refused_by_name():
    with pytest.raises(ConfigError, match="ddpg cannot learn policy 'unfolded'"):
        resolve("paper-a", "ddpg", policy="unfolded")
