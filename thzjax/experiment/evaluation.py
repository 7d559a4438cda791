"""Judging designs, classical or learned, by the same outcome on the same held-out channels."""

import contextlib
import dataclasses
import functools
import os
import statistics as pystatistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from thzjax.beamforming.designs import BY_REQUEST, DESIGNS, Composed
from thzjax.beamforming.gradient import refine
from thzjax.beamforming.subspace import compact, lift
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError
from thzjax.experiment.progress import SECONDS_BETWEEN_LINES, paced
from thzjax.experiment.statistics import mean_interval
from thzjax.numeric import hermitian, matmul
from thzjax.systems.base import Design, holds, satisfied
from thzjax.systems.common import random_phases

# Folded into every key, so that training, validation and held-out streams never share one.
TRAIN, VALIDATION, HELD_OUT = 1, 2, 3
TIMING_REPEATS = 5
TIMING_SECONDS = 0.3
DesignRule = Callable[[Any, Any, Array], Design]
"""(params, channels, key) -> Design on a batch of channels."""


def stream_key(seed: int, stream: int) -> Array:
    """The root key of a stream (`TRAIN`, `VALIDATION`, `HELD_OUT`) for a seed."""
    return jax.random.fold_in(jax.random.key(seed), stream)


def draw_channels(system: Any, params: Any, num: int, seed: int, stream: int = HELD_OUT) -> Any:
    """`num` channels; channel i is the same whatever `num` is."""
    root = stream_key(seed, stream)
    keys = jax.vmap(lambda i: jax.random.fold_in(root, i))(jnp.arange(num))
    return jax.jit(jax.vmap(system.sample, in_axes=(0, None)))(keys, params)


class Judgement(NamedTuple):
    """What a design does, per channel `[C]`, as designed and after the exact scaling (`_feasible`).

    Of several seeds of one learner, `[S, C]`.

    `slack` and `measures` are dictionaries by constraint and by figure of merit. `rate_feasible` is 0 on a channel
    where some constraint does not hold even after the scaling.
    """

    rate: Array
    rate_feasible: Array
    satisfied: Array
    satisfied_feasible: Array
    slack: dict[str, Array]
    slack_feasible: dict[str, Array]
    measures: dict[str, Array]
    measures_feasible: dict[str, Array]


def judge(system: Any, params: Any, channels: Any, design: Design) -> Judgement:
    """Project a design, then judge it as it is and after the exact scaling (`System.meet`).

    The *feasible rate* is the sum rate after that scaling where all constraints hold then, and 0 where they do not: a
    rate that violates a constraint is never counted as if it did not.
    """
    design = system.project(params, channels, design)
    outcome = system.outcome(params, channels, design)
    met = system.meet(params, channels, design)
    outcome_met = system.outcome(params, channels, met)
    rate = jnp.sum(outcome.rates, axis=-1)
    held, before = (jnp.broadcast_to(satisfied(x.slack), rate.shape) for x in (outcome_met, outcome))
    return Judgement(
        rate=rate,
        rate_feasible=jnp.where(held, jnp.sum(outcome_met.rates, axis=-1), 0),
        satisfied=before,
        satisfied_feasible=held,
        slack=outcome.slack,
        slack_feasible=outcome_met.slack,
        measures=system.measures(params, channels, design),
        measures_feasible=system.measures(params, channels, met),
    )


def observed(system: Any, params: Any, channels: Any, key: Array) -> Any:
    """The channels as designers see them: for one key the same for every method."""
    if not system.estimated:
        return channels
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(channels.direct.shape[0]))
    return jax.vmap(system.observe, in_axes=(0, None, 0))(keys, params, channels)


@dataclasses.dataclass(frozen=True, eq=False)
class PolicyRule:
    """A policy with its weights as a design rule.

    Where phases act a step late, the policy is run on the still channel for one episode, as it was trained, and
    its last design is taken. Where it sees the beams that stand (paper B), it is run so too, and the design is taken
    that had the highest rate among those that meet all constraints, as that paper takes its answer.

    Attributes:
      env, policy, weights: what is judged.
      refine: steps of `beamforming.gradient.refine` from its design; never below it.
    """

    env: Environment
    policy: Any
    weights: Any
    refine: int = 0

    def __call__(self, params: Any, channels: Any, key: Array) -> Design:
        """The designs of a batch."""
        return self.design(self.weights, params, channels, key)

    @property
    def program(self) -> Any:
        """What two rules share that differ in their weights alone."""
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(self.weights))
        return self.env, self.policy, self.refine, jax.tree.structure(self.weights), shapes

    def design(self, weights: Any, params: Any, channels: Any, key: Array) -> Design:
        """The designs of a batch with other weights."""
        env, policy = self.env, self.policy
        steps = env.horizon if env.delayed_phases or env.sees_beams else 1

        def one(channels: Any, key: Array) -> Design:
            phase = random_phases(key, channels, env.system.spec.elements)
            phase = jnp.zeros_like(phase) if env.start == "identity" else phase
            state = env.begin(params, channels, env.system.snap(params, channels, phase))

            def step(state: Any, _: None) -> tuple[Any, Design]:
                design, reflection = env.design(params, state, policy.mode(weights, state.obs))
                return env.stand(params, state, design, reflection), design

            _, designs = jax.lax.scan(step, state, None, length=steps)
            chosen = -1
            if env.sees_beams:
                met = jax.vmap(lambda d: env.system.meet(params, channels, d))(designs)
                outcome = jax.vmap(lambda d: env.system.outcome(params, channels, d))(met)
                chosen = jnp.argmax(jnp.where(satisfied(outcome.slack), jnp.sum(outcome.rates, axis=-1), 0))
            return jax.tree.map(lambda x: x[chosen], designs)

        seen = observed(env.system, params, channels, key)
        design = jax.vmap(one)(seen, jax.random.split(key, channels.direct.shape[0]))
        if not self.refine:
            return design
        small, basis = compact(env.system, seen)
        W = design.beamformer if basis is None else matmul(hermitian(basis), design.beamformer)
        design, _ = refine(env.system, params, small, Design(W, design.reflection), self.refine)
        return Design(lift(basis, design.beamformer), design.reflection)


def classical_rules(system: Any, methods: Sequence[str] = ()) -> dict[tuple[str, str], DesignRule]:
    """Classical designs as rules: all but those by request, or the ones named as METHOD or METHOD/SURFACE.

    Raises:
      ConfigError: no such method.
    """
    for name in methods:
        if not any(name in (method, f"{method}/{surface}") for method, surface in DESIGNS):
            known = ", ".join(f"{m}/{s}" for m, s in DESIGNS)
            raise ConfigError(f"method {name!r} is unknown: use some of {known}")

    def wanted(pair: tuple[str, str]) -> bool:
        by_name = f"{pair[0]}/{pair[1]}" in methods
        return by_name or (pair not in BY_REQUEST and (not methods or pair[0] in methods))

    def bind(solve: Any) -> DesignRule:
        if isinstance(solve, Composed):
            return ComposedRule(system, solve)
        return lambda params, channels, key: solve(system, params, observed(system, params, channels, key), key)

    return {pair: bind(solve) for pair, solve in DESIGNS.items() if wanted(pair)}


@dataclasses.dataclass(frozen=True)
class ComposedRule:
    """A composed design as a rule in two stages."""

    system: Any
    design: Composed

    def __call__(self, params: Any, channels: Any, key: Array) -> Design:
        """Both stages."""
        return self.second(params, *self.first(params, channels, key))

    def first(self, params: Any, channels: Any, key: Array) -> tuple[Any, Array]:
        """(the channels as the designer sees them, phases of the surface)."""
        seen = observed(self.system, params, channels, key)
        return seen, self.design.phases(self.system, seen, key)

    def second(self, params: Any, seen: Any, phase: Array) -> Design:
        """The design."""
        return self.design.beams(self.system, params, seen, phase)


@contextlib.contextmanager
def compilers() -> Iterator[ThreadPoolExecutor]:
    """Threads to compile on; when the block is broken off, as by Ctrl-C, what has not begun to compile never does."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def compile_rules(
    rules: dict[Any, DesignRule], params: Any, channels: Any, key: Array, say: Callable[[str], None]
) -> dict[Any, DesignRule]:
    """The rules compiled for a batch of channels, several at once and each part once, whatever a policy's weights.

    On 2 cores the 20 fast designs of `paper-a` compile in 26 s; in 42 s where every surface compiled its own beams. A
    design that does not exist on this system is left out, and said so.
    """
    shared: dict[Any, Future] = {}

    def refusing(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except ConfigError as refusal:
            return say(f"left out: {refusal}")

    with compilers() as pool:

        def compiling(function: Callable, *args: Any) -> Future:
            return pool.submit(lambda: jax.jit(function).lower(*args).compile())

        def parts(rule: DesignRule) -> list[Future]:
            if isinstance(rule, PolicyRule):
                if rule.program not in shared:
                    shared[rule.program] = compiling(rule.design, rule.weights, params, channels, key)
                return [shared[rule.program]]
            if not isinstance(rule, ComposedRule):
                return [compiling(rule, params, channels, key)]
            between = jax.eval_shape(rule.first, params, channels, key)
            name = rule.design.beamformer
            if name not in shared:
                shared[name] = compiling(rule.second, params, *between)
            return [compiling(rule.first, params, channels, key), shared[name]]

        def joined(rule: DesignRule, waiting: list[Future]) -> DesignRule:
            first, *second = [part.result() for part in waiting]
            if isinstance(rule, PolicyRule):
                return functools.partial(first, rule.weights)
            if not second:
                return first
            return lambda params, channels, key: second[0](params, *first(params, channels, key))

        waiting = {name: refusing(functools.partial(parts, rule)) for name, rule in rules.items()}
        tell, ready = paced(say, len(rules), every_s=SECONDS_BETWEEN_LINES), {}
        for i, (name, parts_of) in enumerate(waiting.items()):
            tell("compiling", i)
            if parts_of is not None:
                ready[name] = refusing(functools.partial(joined, rules[name], parts_of))
    return {name: rule for name, rule in ready.items() if rule is not None}


def time_rule(rule: DesignRule, params: Any, channels: Any, key: Array) -> tuple[Design, float]:
    """(designs, microseconds per channel of the rule alone).

    Args:
      rule: compiled (`compile_rules`).
      params, channels, key: of the batch.

    The median of 5 runs of the whole batch; of fewer, at least 1, where one takes long.
    """
    times: list[float] = []
    while len(times) < TIMING_REPEATS and sum(times) < TIMING_SECONDS:
        start = time.perf_counter()
        design = jax.block_until_ready(rule(params, channels, key))
        times.append(time.perf_counter() - start)
    return design, 1e6 * pystatistics.median(times) / channels.direct.shape[0]


judge_compiled = jax.jit(judge, static_argnums=0)


def make_row(method: str, surface: str, judgement: Judgement, us_per_channel: float, learned: bool) -> dict[str, Any]:
    """One row of a comparison: the published fields, then what the report adds.

    `violations` and `slack` are by constraint, as designed; `NAME` and `NAME_feasible` are means of the system's
    figures of merit, over all channels as designed, and after the scaling over those where all constraints hold then.
    """
    low, high = mean_interval(judgement.rate_feasible)
    held = np.asarray(judgement.satisfied_feasible)
    row = {
        "method": method,
        "surface": surface,
        "rate": float(np.mean(judgement.rate)),
        "rate_feasible": float(np.mean(judgement.rate_feasible)),
        "ci_low": low,
        "ci_high": high,
        "violation_rate": float(np.mean(~judgement.satisfied)),
        "us_per_channel": us_per_channel,
        "num_channels": judgement.rate.shape[-1],
        "violation_rate_feasible": float(np.mean(~held)),
        "violations": {name: float(np.mean(~holds(value))) for name, value in judgement.slack.items()},
        "slack": {name: float(np.mean(value)) for name, value in judgement.slack.items()},
        "learned": learned,
    }
    for name, value in judgement.measures.items():
        row[name] = _finite_mean(np.asarray(value))
        row[f"{name}_feasible"] = _finite_mean(np.asarray(judgement.measures_feasible[name])[held])
    return row


def _finite_mean(values: np.ndarray) -> float | None:
    """The mean, or none where there is nothing or not a number to average."""
    return float(np.mean(values)) if values.size and np.all(np.isfinite(values)) else None


def add_differences(rows: list[dict[str, Any]], judgements: list[Judgement]) -> None:
    """Add each row's paired difference of feasible rate against the best classical design, with its interval."""
    classical = [i for i, row in enumerate(rows) if not row["learned"]]
    if not classical:
        return
    best = max(classical, key=lambda i: rows[i]["rate_feasible"])
    for i, row in enumerate(rows):
        if i == best:
            row |= {"difference": None, "difference_low": None, "difference_high": None}
            continue
        paired = judgements[i].rate_feasible - judgements[best].rate_feasible
        low, high = mean_interval(paired)
        row |= {"difference": float(np.mean(paired)), "difference_low": low, "difference_high": high}
