"""Every registered learner builds and updates on every system with every policy that it says it learns."""

import jax
import pytest

from thzjax.agents.registry import AGENTS, REAL
from thzjax.errors import ConfigError
from thzjax.experiment.config import ONE_ANTENNA, resolve
from thzjax.experiment.learner import make_learner

EVERYDAY = {
    ("ppo", "paper-b", "residual"),
    ("ppo", "paper-a-mimo", "paper"),
    ("apg", "paper-a-mimo", "structured"),
    ("sac", "paper-a", "residual"),
    ("reinforce", "paper-a", "paper"),
    ("ddpg", "paper-b", "paper"),
}
CASES = [
    pytest.param(*case, marks=[] if case in EVERYDAY else [pytest.mark.full])
    for case in (
        (agent, name, policy)
        for agent, kind in AGENTS.items()
        for name in ("paper-a", "paper-a-mimo", "paper-b")
        for policy in kind.policies
    )
    if not (case[1] == "paper-a-mimo" and case[2] in ONE_ANTENNA)
    and not (case[2] == "paper" and AGENTS[case[0]].policies == REAL and case[1] != "paper-b")
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
    literal = "PaperB" if name == "paper-b" else "Paper"
    kind = {"equivariant": "Structured", "paper": literal, "unfolded": sampled}.get(policy, policy.capitalize())
    assert type(learner.env.actions).__name__ == kind


def test_paper_as_discrete_phases_are_refused_to_learners_of_real_numbers():
    with pytest.raises(ConfigError, match="discrete phases, which sac cannot: use ppo, dppo, a2c, a3c, reinforce"):
        resolve("paper-a", "sac", "paper")


def test_a_policy_that_a_learner_cannot_learn_is_refused_by_name():
    with pytest.raises(ConfigError, match="ddpg cannot learn policy 'unfolded'"):
        resolve("paper-a", "ddpg", policy="unfolded")
