"""Runs side by side in one program: seeds, learning rates and physical parameters along one `vmap`ped axis."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from thzjax.errors import ConfigError
from thzjax.experiment.config import RunConfig, make_agent
from thzjax.experiment.evaluation import TRAIN, stream_key
from thzjax.experiment.learner import Learner, draw_validation, make_chunk, make_learner, run_once, validate
from thzjax.experiment.overrides import apply_overrides, differences, get_field, replace_field
from thzjax.parallel import choose_devices, on_devices
from thzjax.systems.limits import short

MOST_SEEDS = 1000
LONGEST_LABEL = 200
"""Bytes: file systems take 255, and a seed follows."""


class Together(NamedTuple):
    """Runs as one program. A single run is not `vmap`ped, so that it keeps its bits.

    Attributes:
      init: (channels, or none where they are drawn) -> carries.
      chunk: compiled when called, (carries, channels) -> (carries, metrics); the carries are donated.
      validate: (carries, channels) -> metrics.
      validation_channels: () -> the channels that learning curves are drawn on, with those of training where they are a
        file's (`experiment.recorded`).
      split: a tree of all runs -> one tree for each.
      join: the inverse.
    """

    init: Callable[..., Any]
    chunk: Any
    validate: Callable[[Any, Any], Any]
    validation_channels: Callable[[], Any]
    split: Callable[[Any], list[Any]]
    join: Callable[[Sequence[Any]], Any]


def make_together(configs: Sequence[RunConfig], devices: int | None = None) -> Together:
    """One program for runs that differ in their seeds, in learning options that are real numbers, and in physics.

    Args:
      configs: the runs.
      devices: how many local ones the workers of a single run are spread over; by default as many as divide them.

    Raises:
      ConfigError: runs that differ in anything that shapes or branches depend on, naming it; or devices that cannot be.
    """
    if len(configs) > 1:
        if devices not in (None, 1):
            raise ConfigError(f"devices={devices} are for a single run: train runs side by side on 1, or one by one")
        devices = 1
    devices = choose_devices(configs[0].workers, devices)
    first = make_learner(configs[0], devices)
    if len(configs) == 1:
        chunk = make_chunk(first)
        return Together(
            init=run_once(lambda channels=None: first.begin(channels)),
            chunk=jax.jit(chunk, donate_argnums=0) if devices == 1 else on_devices(chunk, devices),
            validate=run_once(functools.partial(validate, first)),
            validation_channels=lambda: draw_validation(first),
            split=lambda tree: [tree],
            join=lambda trees: trees[0],
        )
    learners = [first, *(make_learner(config) for config in configs[1:])]
    names = _varied(learners)
    values = {name: jnp.asarray([get_field(c, name) for c in configs], float) for name in names}
    same = _alike([learner.params for learner in learners])
    params = first.params if same else _stack([learner.params for learner in learners])
    keys = jnp.stack([stream_key(config.seed, TRAIN) for config in configs])
    axes = None if same else 0

    def member(params: Any, values: dict[str, Array]) -> Learner:
        config = functools.reduce(lambda c, name: replace_field(c, name, values[name]), names, configs[0])
        return Learner(config, first.env, params, make_agent(config, first.env))

    # Channels of a file are the same for all.
    shared = None if configs[0].data is not None else axes

    def init(channels: Any = None) -> Any:
        each = jax.vmap(lambda key, p, v: member(p, v).on(channels).agent.init(key, p), in_axes=(0, axes, 0))
        return each(keys, params, values)

    def chunk(states: Any, channels: Any) -> Any:
        each = jax.vmap(lambda state, c, p, v: make_chunk(member(p, v))(state, c), in_axes=(0, shared, axes, 0))
        return each(states, channels, params, values)

    def look(states: Any, channels: Any) -> Any:
        each = jax.vmap(lambda state, c, p, v: validate(member(p, v), state, c), in_axes=(0, shared, axes, 0))
        return each(states, channels, params, values)

    def validation_channels() -> Any:
        if same or shared is None:
            return draw_validation(first)
        return _stack([draw_validation(learner) for learner in learners])

    if names:
        try:
            jax.eval_shape(lambda: chunk(init(), validation_channels()))
        except jax.errors.ConcretizationTypeError:
            raise ConfigError(
                f"a choice depends on {' or '.join(names)}: such values cannot share a program; train them one by one"
            ) from None
    return Together(
        init=run_once(init),
        chunk=jax.jit(chunk, donate_argnums=0),
        validate=run_once(look),
        validation_channels=validation_channels,
        split=lambda tree: [jax.tree.map(lambda x, i=i: x[i], tree) for i in range(len(configs))],
        join=_stack,
    )


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _alike(trees: Sequence[Any]) -> bool:
    leaves = [jax.tree.leaves(tree) for tree in trees]
    return all(bool(jnp.array_equal(a, b)) for other in leaves[1:] for a, b in zip(leaves[0], other, strict=True))


def _varied(learners: Sequence[Learner]) -> list[str]:
    """Dotted names of the learner's real numbers that differ between runs."""
    first = learners[0]
    names = sorted({name for other in learners[1:] for name in differences(first.config, other.config)})
    for other in learners[1:]:
        if other.env.system != first.env.system:
            clash = [name for name in differences(first.config, other.config) if name.startswith("scenario.")]
            raise ConfigError(f"runs side by side need one program, and {', '.join(clash)} changes its sizes or rules")
    for name in names:
        real = name.startswith("learner.") and isinstance(get_field(first.config, name), float)
        if name != "seed" and not name.startswith("scenario.") and not real:
            raise ConfigError(f"runs side by side need one program: {name} may not differ, as it is no real number")
    return [name for name in names if name.startswith("learner.")]


# --- which runs -----------------------------------------------------------------------------------------------------


def expand(
    config: RunConfig, seeds: int, sweeps: Sequence[tuple[str, Sequence[str]]]
) -> dict[str, dict[str, RunConfig]]:
    """Runs by label and folder name: each value of a sweep with every seed from the run's own on.

    Further swept options change with the first, value by value.

    Raises:
      ConfigError: no seed, or options of unequally many values.
    """
    if not 1 <= seeds <= MOST_SEEDS:
        raise ConfigError(f"seeds={seeds} must be at least 1, and at most {MOST_SEEDS}")
    counts = {name: len(values) for name, values in sweeps}
    if len(counts) < len(sweeps):
        raise ConfigError("--sweep names one option twice: list all its values at once")
    if len(set(counts.values())) > 1:
        text = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ConfigError(f"options swept together need equally many values: {text}")
    points = zip(*([(name, value) for value in values] for name, values in sweeps), strict=True)
    labels: dict[str, dict[str, RunConfig]] = {}
    for point in list(points) or [()]:
        changed = apply_overrides(config, [f"{name}={value}" for name, value in point])
        label = "".join(f"{name}={value}" for name, value in point[:1])
        if len(label.encode()) > LONGEST_LABEL:
            raise ConfigError(f"--sweep {short(label)} is too long to name a folder: write the value in fewer letters")
        labels[label] = {
            "-".join([*([label.replace("/", "_")] if label else []), f"seed-{seed}"]): dataclasses.replace(
                changed, seed=seed
            )
            for seed in range(config.seed, config.seed + seeds)
        }
    return labels
