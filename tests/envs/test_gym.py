"""Gymnasium environments: what Gymnasium's own checker demands, and the library's numbers."""

import re
import warnings

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from thzjax.errors import ConfigError
from thzjax.gym import IsacEnv, IsacVectorEnv

SMALL = {"paper-a": (), "paper-b": ("surface_shape=3,4", "num_active=4", "sensor_shape=2,2", "bs_shape=3,3")}


@pytest.mark.parametrize("preset", SMALL)
def test_it_passes_gymnasiums_checker(preset):
    with warnings.catch_warnings():
        # Unbounded observations are meant: logarithms of gains have no limit.
        warnings.filterwarnings("ignore", message=".*infinity.*")
        made = gymnasium.make(
            "thzjax.gym:thzjax/Isac-v0", preset=preset, overrides=SMALL[preset], render_mode="rgb_array"
        )
        check_env(made.unwrapped)


def test_a_step_is_the_environments_own():
    env = IsacEnv("paper-a", horizon=2, penalty=5.0, meet_constraints=False)
    obs, _ = env.reset(seed=3)
    state, scale = env._state, 3.0
    action = np.linspace(-1, 1, 15, dtype=np.float32)
    following, reward, terminated, truncated, info = env.step(action)
    inner, params = env._compiled.env, env._compiled.params
    state = jax.tree.map(lambda x: x[0], state)
    ahead = jax.jit(inner.advance)(state, scale * action, params)
    short = sum(max(-float(x), 0) for x in ahead.info["slack"].values())
    np.testing.assert_allclose(reward, float(ahead.reward) - 5 * short, rtol=1e-4)
    np.testing.assert_allclose(info["rates"], ahead.info["rates"], rtol=1e-4)
    assert set(info) == {"rates", "feasible", "slack/antenna_power", "slack/beam_pattern"}
    assert (terminated, truncated) == (False, False)
    np.testing.assert_array_equal(following, obs)
    assert env.step(action)[3]


def test_a_vector_is_many_with_drops_that_end_together():
    env = IsacVectorEnv(5, "paper-a", horizon=2)
    obs, _ = env.reset(seed=0)
    assert obs in env.observation_space
    actions = env.action_space.sample()
    held, reward, terminated, truncated, info = env.step(actions)
    np.testing.assert_array_equal(held, obs)
    assert reward.shape == terminated.shape == truncated.shape == (5,)
    assert "final_obs" not in info
    fresh, _, _, truncated, info = env.step(actions)
    assert truncated.all()
    np.testing.assert_array_equal(info["final_obs"], obs)
    assert not np.allclose(fresh, obs)
    again = IsacVectorEnv(5, "paper-a", horizon=2)
    np.testing.assert_array_equal(again.reset(seed=0)[0], obs)
    assert not np.array_equal(again.reset()[0], obs)


def test_wrappers_of_gymnasiums_own_work_on_it():
    made = gymnasium.make_vec("thzjax/Isac-v0", 3, "vector_entry_point", preset="paper-a", horizon=1)
    assert isinstance(made, IsacVectorEnv)
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(made)
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.zeros((3, 15), np.float32))
    np.testing.assert_allclose(info["episode"]["r"], reward)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "paper-z"}, "preset 'paper-z' is unknown"),
        ({"actions": "raw"}, "use one of structured, residual"),
        ({"penalty": -1.0}, "penalty=-1 must not be negative"),
        ({"overrides": ("colour=red",)}, "option 'colour' is unknown"),
        ({"render_mode": "human"}, "render_mode='human' is unknown"),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        IsacEnv(**options)
    with pytest.raises(ConfigError, match="arrays='torch' is unknown"):
        IsacVectorEnv(2, arrays="torch")


def test_a_step_before_the_first_episode_is_refused():
    with pytest.raises(ConfigError, match="call reset"):
        IsacEnv().step(np.zeros(15))
    with pytest.raises(ConfigError, match="call reset"):
        IsacVectorEnv(2).step(np.zeros((2, 15)))


def test_arrays_of_jax_are_handed_over_without_a_copy():
    env = IsacVectorEnv(8, horizon=1, arrays="jax")
    plain = IsacVectorEnv(8, horizon=1)
    (obs, _), (seen, _) = env.reset(seed=0), plain.reset(seed=0)
    np.testing.assert_array_equal(obs, seen)
    shared = np.from_dlpack(obs)
    assert shared.__array_interface__["data"][0] == obs.unsafe_buffer_pointer()
    actions = np.random.default_rng(0).uniform(-1, 1, env.action_space.shape).astype(np.float32)
    ours, theirs = env.step(Tensor(actions)), plain.step(actions)
    for mine, other in zip(ours[:4], theirs[:4], strict=True):
        assert isinstance(mine, jax.Array)
        np.testing.assert_array_equal(mine, other)
    assert set(ours[4]) == set(theirs[4])


class Tensor:
    """Another library's array, of which nothing but the protocol is known."""

    def __init__(self, values):
        self._values = values

    def __dlpack__(self, **options):
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._values.__dlpack_device__()


def test_torch_takes_and_gives_tensors_without_a_copy():
    torch = pytest.importorskip("torch")
    env = IsacVectorEnv(8, horizon=1, arrays="jax")
    obs, _ = env.reset(seed=0)
    tensor = torch.from_dlpack(obs)
    assert tensor.data_ptr() == obs.unsafe_buffer_pointer()
    _, reward, _, truncated, _ = env.step(torch.zeros(env.action_space.shape))
    assert torch.from_dlpack(reward).shape == (8,)
    assert torch.from_dlpack(truncated).all()
