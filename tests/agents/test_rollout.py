"""A rollout of whole episodes draws a drop for each, and is the rollout that draws one at every step."""

import dataclasses

import jax
import numpy as np

from thzjax.agents.on_policy import roll_out
from thzjax.agents.primal_dual import init_duals, lagrangian, priced
from thzjax.experiment.config import resolve
from thzjax.experiment.learner import make_learner

ENVS, HORIZON, EPISODES = 3, 4, 2


def test_whole_episodes_are_steps_that_each_begin_anew():
    config = resolve(
        "paper-a",
        configuration="paper",
        overrides=["minibatches=1", f"num_envs={ENVS}", f"rollout={HORIZON * EPISODES}"],
    )
    learner = make_learner(dataclasses.replace(config, horizon=HORIZON))
    env, policy, params, options = learner.env, learner.agent.policy, learner.params, learner.config.learner
    state = learner.init()
    duals = init_duals(env.system.spec.users, env.system.constraints, options.primal_dual)
    key = jax.random.key(3)
    start = state.env_states, state.obs
    rolled = jax.jit(lambda s: roll_out(env, policy, options, state.params, duals, s, params, key))(start)

    # float32, eager against compiled: sums of a few hundred terms of order 1
    env_states, obs = start
    begins = []
    for t, key_t in enumerate(jax.random.split(key, HORIZON * EPISODES)):
        begins.append(np.asarray(env_states.channels.direct))
        key_action, key_env = jax.random.split(key_t)
        action, log_prob = policy.sample(state.params, obs, key_action)
        step = jax.vmap(env.step, in_axes=(0, 0, 0, None))(jax.random.split(key_env, ENVS), env_states, action, params)
        reward = lagrangian(duals, step.info["rates"], priced(step.info["slack"], options.primal_dual))
        np.testing.assert_allclose(rolled.batch.reward[t], reward, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(rolled.batch.log_prob[t], log_prob, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(rolled.batch.truncated[t], step.truncated)
        np.testing.assert_allclose(rolled.info["episode_return"][t], step.info["episode_return"], rtol=1e-4, atol=1e-4)
        env_states, obs = step.state, step.obs
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), rolled.obs, obs)
    np.testing.assert_array_equal(begins[0], begins[HORIZON - 1])
    assert not np.array_equal(begins[HORIZON - 1], begins[HORIZON])
