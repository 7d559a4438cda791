"""Projected gradient ascent through the simulator: a local-search reference above the closed forms, not an optimum."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from thzjax.beamforming.coordinate import phase_levels, search_elements
from thzjax.beamforming.linear import mrt
from thzjax.beamforming.receive import stream_rows
from thzjax.beamforming.score import better_of, finished, score
from thzjax.numeric import abs2, angle_or_zero, as_complex, cis, trailing
from thzjax.systems.base import Design, System

STEPS = 300
LEARNING_RATE = 0.03
PENALTY = 10.0
DUAL_EVERY = 10
POLISHES = 2
FINALISTS = 2
BEAM_STEPS = 60
LEAST_SHARE = 1e-3
"""Of an equal share of the power: what a silent user's stream starts with."""
MARGIN = 1e-3
"""Constraints are aimed this far inside, as a share of their limits."""


def ascend(
    system: System, params: Any, channels: Any, start: Design, steps: int = STEPS, surface: bool = True
) -> tuple[Design, Array]:
    """(design, score) of the best feasible point on an ascent from a start; never below the start.

    Adam on real variables: re and im of W over the root of its power budget, phases, and amplitudes of amplifying
    elements. Every step's design goes through the system's own projection and closed-form scaling, so powers,
    amplitudes and the beam pattern hold by construction and are differentiated through; whatever constraint has no
    closed form is held by an augmented Lagrangian, with a multiplier for each channel and constraint,

        maximise sum_k rate_k - sum_c ([mu_c + rho v_c]+^2 - mu_c^2)/(2 rho),

    v_c the constraint's logarithmic violation.

    Args:
      system, params, channels: `[...]` channels; a surface that moves has continuous phases (`system.continuous`).
      start: any design.
      steps: gradient steps.
      surface: move the surface, too; else only the beams.

    Source: Nocedal and Wright, 2006, ch. 17 (augmented Lagrangian); Kingma and Ba, 2015 (Adam).
    """
    best = finished(system, params, channels, start)
    start = _awake(system, params, channels, system.project(params, channels, start))
    unit = jnp.sqrt(params.power_w)
    active = system.active(channels)
    largest = jnp.abs(system.snap(params, channels, jnp.zeros(start.reflection.shape, unit.dtype)))
    batch = start.beamformer.shape[:-2]

    def design_of(x: dict[str, Array]) -> Design:
        W = as_complex(unit) * lax.complex(x["re"], x["im"])
        if not surface:
            return Design(W, start.reflection)
        amplitude = jnp.where(active, x["gain"] * largest, 1)
        return Design(W, as_complex(amplitude) * cis(x["phase"]))

    def evaluate(x: dict[str, Array]) -> tuple[Design, Any]:
        design = system.meet(params, channels, system.project(params, channels, design_of(x)))
        return design, system.outcome(params, channels, design)

    def violations(outcome: Any) -> Array:
        """log of value over limit, or the like: > 0 outside, `[..., C]`."""
        slack = [jnp.broadcast_to(s, batch) for s in outcome.slack.values()] or [jnp.ones(batch, unit.dtype)]
        slack = jnp.stack(slack, axis=-1) - MARGIN
        return jnp.where(slack < 0, jnp.log1p(jnp.maximum(-slack, 0)), -slack)

    def loss(x: dict[str, Array], mu: Array) -> tuple[Array, Any]:
        design, outcome = evaluate(x)
        v = violations(outcome)
        price = jnp.sum((jnp.maximum(mu + PENALTY * v, 0) ** 2 - mu**2) / (2 * PENALTY), axis=-1)
        return jnp.sum(price - jnp.sum(outcome.rates, axis=-1)), (design, score(outcome), v)

    W = start.beamformer / as_complex(unit)
    x = {"re": jnp.real(W), "im": jnp.imag(W)}
    if surface:
        amplitude = jnp.sqrt(jnp.maximum(abs2(start.reflection), jnp.finfo(unit.dtype).tiny))
        x |= {"phase": angle_or_zero(start.reflection), "gain": amplitude / largest}
    zero = jax.tree.map(jnp.zeros_like, x)
    mu = jnp.zeros((*batch, max(len(system.constraints), 1)), unit.dtype)
    decay = (0.9, 0.99)

    def step(carry: tuple[Any, ...], i: Array) -> tuple[tuple[Any, ...], None]:
        x, first, second, mu, best = carry
        gradient, (design, value, v) = jax.grad(loss, has_aux=True)(x, mu)
        best = better_of(best, (design, value))
        first = jax.tree.map(lambda m, g: decay[0] * m + (1 - decay[0]) * g, first, gradient)
        second = jax.tree.map(lambda m, g: decay[1] * m + (1 - decay[1]) * g**2, second, gradient)
        count = (i + 1).astype(unit.dtype)
        rate = LEARNING_RATE * (0.01 + 0.99 * (1 + jnp.cos(jnp.pi * count / steps)) / 2)

        def move(x: Array, m: Array, s: Array) -> Array:
            m, s = m / (1 - decay[0] ** count), s / (1 - decay[1] ** count)
            return x - rate * m / (jnp.sqrt(s) + jnp.asarray(1e-8, unit.dtype))

        x = jax.tree.map(move, x, first, second)
        if surface:
            x["gain"] = jnp.clip(x["gain"], 1e-3, 1)
        mu = jnp.where(i % DUAL_EVERY == DUAL_EVERY - 1, jnp.maximum(mu + PENALTY * v, 0), mu)
        return (x, first, second, mu, best), None

    (*_, best), _ = lax.scan(step, (x, zero, zero, mu, best), jnp.arange(steps))
    return best


def _awake(system: System, params: Any, channels: Any, design: Design) -> Design:
    """No user's stream silent: where the power is 0 so is its gradient, and the ascent would never find it."""
    data = system.spec.data_streams
    W = design.beamformer[..., :data]
    least = LEAST_SHARE * params.power_w / data
    power = jnp.sum(abs2(W), axis=-2, keepdims=True)
    matched = as_complex(jnp.sqrt(least)) * mrt(
        stream_rows(system, system.effective_channel(channels, design.reflection))
    )
    W = jnp.where(power < least, matched, W)
    return design.replace(beamformer=jnp.concatenate([W, design.beamformer[..., data:]], axis=-1))


def polish(system: System, params: Any, channels: Any, design: Design, rounds: int = POLISHES) -> tuple[Design, Array]:
    """(design, score) of a continuous design on a discrete surface: rounded, then elements and beams in turn.

    A round is a coordinate search over elements and levels with the beams fixed, and an ascent of the beams with the
    surface fixed.
    """
    options = phase_levels(system)
    best = finished(system, params, channels, design)
    for _ in range(rounds):
        searched = search_elements(system, params, channels, best[0], options)
        best = better_of(best, ascend(system, params, channels, searched[0], BEAM_STEPS, surface=False))
    return best


def refine(system: System, params: Any, channels: Any, start: Design, steps: int = STEPS) -> tuple[Design, Array]:
    """(design, score) after ascent from one start, rounded and polished where phases are discrete; never below it."""
    return refine_best(system, params, channels, jax.tree.map(lambda x: x[None], start), steps)


def refine_best(
    system: System, params: Any, channels: Any, starts: Design, steps: int = STEPS, finalists: int = FINALISTS
) -> tuple[Design, Array]:
    """(design, score) of the best ascent from several starts `[A, ...]`; never below any of them.

    From each start a short ascent (a quarter of the steps); the best `finalists` go the whole way; the best of those is
    rounded and polished where phases are discrete.
    """
    # One after another: all at once would hold as many optimisers.
    judged = jax.vmap(lambda start: finished(system, params, channels, start))(starts)
    best = best_start(*judged)
    smooth = system.continuous

    def climb(starts: Design, steps: int) -> tuple[Design, Array]:
        return lax.map(lambda start: ascend(smooth, params, channels, start, steps), starts)

    if starts.beamformer.shape[0] > finalists:
        designs, scores = climb(starts, -(-steps // 4))
        order = jnp.argsort(-scores, axis=0)[:finalists]
        starts = jax.tree.map(lambda x: jnp.take_along_axis(x, trailing(order, x.ndim - order.ndim), axis=0), designs)
    found = best_start(*climb(starts, steps))
    if system.spec.phase_bits:
        found = polish(system, params, channels, found[0])
    return better_of(best, found)


def best_start(designs: Design, scores: Array) -> tuple[Design, Array]:
    """Channel by channel the (design, score) of the best of several, `[A, ...]` -> `[...]`."""
    best = jnp.argmax(scores, axis=0)[None]

    def pick(x: Array) -> Array:
        return jnp.take_along_axis(x, trailing(best, x.ndim - best.ndim), axis=0)[0]

    return jax.tree.map(pick, designs), pick(scores)
