"""Seconds to compile, and environment steps per second, of the training programs: JSON lines on standard output.

python benchmarks/training.py
"""

import json
import statistics
import time

import jax

from thzjax.experiment.config import resolve
from thzjax.experiment.evaluation import VALIDATION, draw_channels
from thzjax.experiment.learner import make_chunk, make_learner

CHUNKS = 12


def measure(configuration: str, handler: str) -> dict[str, object]:
    """Compile one chunk and run it twelve times; median and spread of the speed."""
    config = resolve("paper-a", configuration=configuration, handler=handler)
    learner = make_learner(config)
    channels = draw_channels(learner.env.system, learner.params, config.validation_channels, 1, VALIDATION)
    state = learner.init()
    begin = time.perf_counter()
    chunk = jax.jit(make_chunk(learner), donate_argnums=0).lower(state, channels).compile()
    compile_s = time.perf_counter() - begin
    state, _ = chunk(state, channels)
    speeds = []
    for _ in range(CHUNKS):
        begin = time.perf_counter()
        state, metrics = chunk(state, channels)
        jax.block_until_ready(metrics)
        speeds.append(config.updates_per_record * config.learner.steps_per_update / (time.perf_counter() - begin))
    return {
        "program": f"ppo {configuration} {handler}",
        "compile_s": round(compile_s, 2),
        "steps_per_s": round(statistics.median(speeds)),
        "slowest": round(min(speeds)),
        "fastest": round(max(speeds)),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }


if __name__ == "__main__":
    for configuration, handler in (("default", "primal_dual"), ("default", "projection"), ("paper", "primal_dual")):
        print(json.dumps(measure(configuration, handler)), flush=True)
