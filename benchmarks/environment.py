"""Environment steps per second on paper A's system: thzjax, and the same environment in NumPy, in one run.

    python -m benchmarks.environment [--batch 1024] [--episodes 4] [--cores 2] [--quick]

A step takes random structured actions, computes the design, its rates and every constraint; a drop stays for an episode
of 50 steps, or of one. JSON lines on standard output: steps/s, the ratio to NumPy, compile seconds, shares of the
machine's measured peaks.
"""

import argparse
import functools

from . import frame


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=1024, help="environments side by side (default 1024)")
    parser.add_argument("--episodes", type=int, default=4, help="episodes timed at once (default 4)")
    parser.add_argument("--cores", type=int, default=2, help="CPU cores to run on (default 2)")
    parser.add_argument("--quick", action="store_true", help="one episode at once")
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    frame.pin(options.cores)

import jax  # noqa: E402
import numpy as np  # noqa: E402

from thzjax.envs.actions import Structured  # noqa: E402
from thzjax.envs.environment import Environment  # noqa: E402
from thzjax.envs.observations import StructuredObservation  # noqa: E402
from thzjax.numeric import standard_normal  # noqa: E402
from thzjax.systems.scenario import build, preset  # noqa: E402

from .numpy_environment import paper_a  # noqa: E402

NUMPY_BATCHES = (64, 1024)
"""Few environments fit the cache, many spread Python's overhead: the faster of the two counts."""


def rollout(env: Environment, params: object, batch: int, episodes: int):
    """Compiled `key -> what every step brought`: whole episodes of random actions."""
    size = len(Structured().zeros(env.system.spec))

    def step(carry, key):
        _, states = carry
        result = jax.vmap(env.advance, in_axes=(0, 0, None))(states, standard_normal(key, (batch, size)), params)
        return (result.obs, result.state), (result.reward, result.info["slack"])

    def episode(_, key):
        key_drop, key_actions = jax.random.split(key)
        begin = jax.vmap(env.reset, in_axes=(0, None))(jax.random.split(key_drop, batch), params)
        return None, jax.lax.scan(step, begin, jax.random.split(key_actions, env.horizon))[1]

    return jax.jit(lambda key: jax.lax.scan(episode, None, jax.random.split(key, episodes))[1])


def numpy_speed(horizon: int, batch: int) -> float:
    """Steps/s of the NumPy environment."""
    env = paper_a(batch, horizon)
    actions = np.random.default_rng(1).standard_normal((batch, env.actions), np.float32)
    env.reset()
    steps = max(horizon, 4096 // batch)

    def run() -> None:
        for _ in range(steps):
            env.step(actions)

    return batch * steps / frame.measure(run, 5).seconds


def main(given: argparse.Namespace) -> None:
    """Both horizons."""
    system, params = build(preset("paper-a"))
    peaks, machine = frame.peaks(), frame.environment()
    for horizon in (50, 1):
        env = Environment(system, Structured(), StructuredObservation(), horizon=horizon)
        count = 1 if given.quick else given.episodes
        episodes = count if horizon > 1 else 50 * count
        run = rollout(env, params, given.batch, episodes)
        compiled, compile_s = frame.compiled(run, jax.random.key(0))
        ours = frame.measure(functools.partial(compiled, jax.random.key(0)))
        steps = given.batch * horizon * episodes
        theirs = max(numpy_speed(horizon, batch) for batch in NUMPY_BATCHES)
        frame.emit(
            {
                "benchmark": "environment",
                "system": "paper-a, structured actions",
                "horizon": horizon,
                "batch": given.batch,
                "steps_per_s": steps / ours.seconds,
                "slowest": steps / ours.slowest,
                "fastest": steps / ours.fastest,
                "cpu_us_per_step": 1e6 * ours.cpu_seconds / steps,
                "numpy_steps_per_s": theirs,
                "ratio": steps / ours.seconds / theirs,
                "compile_s": compile_s,
                **peaks,
                **machine,
            }
        )


if __name__ == "__main__":
    main(options)
