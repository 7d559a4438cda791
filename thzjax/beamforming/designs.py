"""Every classical design by name, with one signature: `solve(system, params, channels, key) -> Design`.

Most are a rule for the users' beams with a rule for the surface's phases, fitted to the power budget by one scalar
(clipping rows instead would bend the nulls of zero forcing); where the system has a sensing stream, that gets the least
share of the power with which the bound is met. The others decide everything together; their surface is "joint".
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from thzjax.beamforming import linear, phases
from thzjax.beamforming.alternating import alternating
from thzjax.beamforming.fractional import fractional_programming
from thzjax.beamforming.frame import channel_frame, surface_direction
from thzjax.beamforming.gradient import best_start, refine_best
from thzjax.beamforming.greedy import greedy
from thzjax.beamforming.receive import block_diagonalisation, one_antenna, stream_rows
from thzjax.beamforming.score import better_of, finished
from thzjax.beamforming.sensing_stream import with_sensing_stream
from thzjax.beamforming.subspace import compact, lift
from thzjax.beamforming.user_weights import user_weights
from thzjax.beamforming.wmmse import wmmse
from thzjax.beamforming.wmmse_mimo import wmmse_mimo
from thzjax.errors import ConfigError
from thzjax.numeric import abs2, angle_or_zero, as_complex
from thzjax.physics.link import by_user, side_by_side, sinr
from thzjax.physics.power import scale_per_antenna
from thzjax.systems.base import Design, System
from thzjax.systems.common import random_phases

Solve = Callable[[System, Any, Any, Array], Design]
# On 1024 drops of `paper-a` with focused phases 20 iterations give 3.88 bit/s/Hz, 50 give 3.99 and 150 give 4.00.
WMMSE_ITERATIONS = 50
# Of WMMSE_ITERATIONS in all; on 512 drops of `paper-a`, focused phases, sum power: 1 round 4.062, 2 rounds 4.076,
# 5 rounds 4.081, 10 rounds 4.083.
ROUNDS = 5
HARD_ROUNDS = 25
"""With amplifiers or a least SINR to meet."""
RANDOM_TRIALS = 64
RANDOM_STARTS = 5


# --- beams of the users ---------------------------------------------------------------------------------------
# (params, H [..., K, M] with every row over the root of its noise, the beams so far, weights [..., K], steps) ->
# W [..., M, K]; of users with several antennas H [..., K, R, M] and W [..., M, K D]


BeamRule = Callable[[Any, Array, Array | None, Array, int], Array]


def _start(system: System, params: Any, H: Array) -> Array:
    return scale_per_antenna(linear.rzf(stream_rows(system, H), 1.0, params.power_w), params.power_w)


def _wmmse(**options: str) -> BeamRule:
    def rule(params: Any, H: Array, W: Array, weights: Array, steps: int) -> Array:
        return wmmse(H, W, 1.0, params.power_w, steps, weights, **options)[0]

    return rule


def _fractional(params: Any, H: Array, W: Array, weights: Array, steps: int) -> Array:
    return fractional_programming(H, W, 1.0, params.power_w, 2 * steps, weights)[0]


BEAMFORMERS: dict[str, BeamRule] = {
    "mrt": lambda params, H, W, weights, steps: linear.mrt(H),
    "zf": lambda params, H, W, weights, steps: linear.zf(H),
    "rzf": lambda params, H, W, weights, steps: linear.rzf(H, 1.0, params.power_w),
    "wmmse": _wmmse(constraint="per_antenna"),
    # For a sum power the implicit form is 8 times faster than bisection, and ends higher in float32 at high SNR.
    "wmmse_sum": _wmmse(constraint="sum", multiplier="implicit"),
    "fractional_programming": _fractional,
}


def _wmmse_mimo(system: System, **options: str) -> BeamRule:
    def rule(params: Any, H: Array, W: Array, weights: Array, steps: int) -> Array:
        W = by_user(W, system.spec.users)
        return side_by_side(wmmse_mimo(H, W, 1.0, params.power_w, steps, weights, **options)[0])

    return rule


def beam_rule(name: str, system: System) -> BeamRule:
    """The rule of a name for a system: of `BEAMFORMERS`, or what it means for users with several antennas.

    Closed forms then take a row for each stream (`receive.stream_rows`), zero forcing is block diagonalisation.

    Raises:
      ConfigError: it means nothing there.
    """
    if system.spec.user_antennas == 1:
        return BEAMFORMERS[name]
    rules: dict[str, BeamRule] = {
        "mrt": lambda params, H, W, weights, steps: linear.mrt(stream_rows(system, H)),
        "zf": lambda params, H, W, weights, steps: block_diagonalisation(system, H),
        "rzf": lambda params, H, W, weights, steps: linear.rzf(stream_rows(system, H), 1.0, params.power_w),
        "wmmse": _wmmse_mimo(system, constraint="per_antenna"),
        "wmmse_sum": _wmmse_mimo(system, constraint="sum", multiplier="implicit"),
    }
    if name not in rules:
        raise ConfigError(f"{name} is for users with one antenna: use one of {', '.join(rules)}")
    return rules[name]


# --- phases of the surface --------------------------------------------------------------------------------------
# (system, channels, key) -> phases [..., N] [rad]


def _focused_sum(system: System, channels: Any, key: Array) -> Array:
    frame = channel_frame(channels)
    return angle_or_zero(surface_direction(frame, as_complex(jnp.ones_like(frame.gain))))


def _semidefinite(system: System, channels: Any, key: Array) -> Array:
    channels = one_antenna(channels)
    links = (channels.direct, channels.surface_to_user, channels.bs_to_surface)

    def on_host(*links: np.ndarray) -> np.ndarray:
        from thzjax.beamforming.semidefinite import semidefinite_phases

        batch = links[0].shape[:-2]
        flat = [np.asarray(x, np.complex128).reshape(-1, *x.shape[-2:]) for x in links]
        found = [semidefinite_phases(*one)[0] for one in zip(*flat, strict=True)]
        return np.asarray(found, links[0].real.dtype).reshape(*batch, -1)

    shape = (*channels.bs_to_surface.shape[:-2], system.spec.elements)
    result = jax.ShapeDtypeStruct(shape, channels.direct.real.dtype)
    return jax.pure_callback(on_host, result, *links, vmap_method="broadcast_all")


SURFACES: dict[str, Callable[[System, Any, Array], Array]] = {
    "random": lambda system, channels, key: random_phases(key, channels, system.spec.elements),
    "focused": lambda system, channels, key: phases.focused(channels),
    "focused_weakest": lambda system, channels, key: phases.focused(channels, weakest=True),
    "focused_sum": _focused_sum,
    "semidefinite": _semidefinite,
}


def _over_noise(system: System, params: Any, channels: Any, reflection: Array) -> Array:
    """The effective channel, every user's rows over the root of its noise, `[..., K, M]` or `[..., K, R, M]`."""
    H = system.effective_channel(channels, reflection)
    root = as_complex(jnp.sqrt(system.user_noise(params, channels, reflection)))
    return H / root.reshape(root.shape + (1,) * (H.ndim - root.ndim))


@dataclasses.dataclass(frozen=True)
class Composed:
    """Beams by one rule with surface phases by another, in a few rounds; a design like any other.

    The beams depend on the power that the constraints leave and on the amplifiers' gains, and those on the beams; users
    below their least SINR gain weight from round to round. The round of the best score is returned.

    It comes in two stages, of which the second, the long one to compile, is the same for every surface.

    Attributes:
      beamformer: name in `BEAMFORMERS`.
      surface: name in `SURFACES`.
    """

    beamformer: str
    surface: str

    def __call__(self, system: System, params: Any, channels: Any, key: Array) -> Design:
        """Both stages."""
        return self.beams(system, params, channels, self.phases(system, channels, key))

    def phases(self, system: System, channels: Any, key: Array) -> Array:
        """Phases of the surface `[..., N]` [rad]."""
        spec = system.spec
        beam_rule(self.beamformer, system)
        if self.beamformer == "zf" and spec.rank < spec.users:
            raise ConfigError(
                f"zf needs as many dimensions as users: the channel's rank is at most {spec.rank}, for K={spec.users} "
                "users; rzf and wmmse need no more than one"
            )
        return SURFACES[self.surface](system, compact(system, channels)[0], key)

    def beams(self, system: System, params: Any, channels: Any, phase: Array) -> Design:
        """The design whose surface has the given phases, or the nearest that the hardware has."""
        return _in_rounds(beam_rule(self.beamformer, system), system, params, channels, phase)


def _in_rounds(rule: BeamRule, system: System, params: Any, channels: Any, phase: Array) -> Design:
    spec = system.spec
    channels, basis = compact(system, channels)
    reflection = system.snap(params, channels, phase)
    hard = bool(spec.active) or "min_sinr" in system.constraints
    rounds = HARD_ROUNDS if hard else ROUNDS

    def step(carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
        W, power, reflection, weights, best = carry
        H = _over_noise(system, params, channels, reflection)
        W = system.fit_power(params, rule(params.replace(power_w=power), H, W, weights, WMMSE_ITERATIONS // rounds))
        if "min_sinr" in system.constraints:
            weights = user_weights(system, params, sinr(H, W, 1.0), weights)
        whole = Design(with_sensing_stream(system, params, channels, reflection, W), reflection)
        judged, value = finished(system, params, channels, whole)
        best = better_of(best, (whole, value))
        # What the next round reckons with: amplifiers within their budget, the power that the constraints leave.
        reflection = judged.reflection
        power = jnp.sum(abs2(judged.beamformer), axis=(-2, -1))
        return (W, power, reflection, weights, best), None

    W = _start(system, params, _over_noise(system, params, channels, reflection))
    weights = jnp.ones((*W.shape[:-2], spec.users), channels.direct.real.dtype)
    nothing = Design(jnp.zeros((*W.shape[:-1], spec.streams), W.dtype), reflection)
    power = jnp.broadcast_to(params.power_w, weights.shape[:-1])
    carry = W, power, reflection, weights, (nothing, jnp.full(weights.shape[:-1], -jnp.inf, weights.dtype))
    (*_, (design, _)), _ = lax.scan(step, carry, None, length=rounds)
    return Design(lift(basis, design.beamformer), design.reflection)


# --- everything together ------------------------------------------------------------------------------------------


def _random(system: System, params: Any, channels: Any, key: Array) -> Design:
    """A random beamformer and random phases."""
    return system.random_design(key, params, channels)


def _best_of_random(system: System, params: Any, channels: Any, key: Array) -> Design:
    """The best of `RANDOM_TRIALS` random designs."""
    channels, basis = compact(system, channels)

    def trial(best: tuple[Design, Array], key: Array) -> tuple[tuple[Design, Array], None]:
        design = system.random_design(key, params, channels)
        return better_of(best, (design, finished(system, params, channels, design)[1])), None

    first, *others = jax.random.split(key, RANDOM_TRIALS)
    design = system.random_design(first, params, channels)
    start = design, finished(system, params, channels, design)[1]
    (design, _), _ = lax.scan(trial, start, jnp.stack(others))
    return Design(lift(basis, design.beamformer), design.reflection)


def _greedy(system: System, params: Any, channels: Any, key: Array) -> Design:
    """Coordinate-wise greedy search over beams of a codebook and levels of the surface."""
    small, basis = compact(system, channels)
    design = greedy(system, params, small, basis)
    return Design(lift(basis, design.beamformer), design.reflection)


def _alternating(system: System, params: Any, channels: Any, key: Array) -> Design:
    """WMMSE beams and an element-wise surface in turn, from two closed forms; the better result."""
    channels, basis = compact(system, channels)
    design, _ = _best_alternating(system, params, channels, _closed_forms(system, params, channels, key))
    return Design(lift(basis, design.beamformer), design.reflection)


def _closed_forms(system: System, params: Any, channels: Any, key: Array) -> Design:
    """Designs to start a joint one from, `[A, ...]`."""
    starts = [Composed(*name)(system, params, channels, key) for name in CLOSED_FORMS]
    return jax.tree.map(lambda *x: jnp.stack(x), *starts)


def _best_alternating(system: System, params: Any, channels: Any, starts: Design) -> tuple[Design, Array]:
    designs = lax.map(lambda start: alternating(system, params, channels, start), starts)
    return best_start(*jax.vmap(lambda design: finished(system, params, channels, design))(designs))


def _gradient(system: System, params: Any, channels: Any, key: Array) -> Design:
    """The best of gradient ascents from closed forms, the alternating design and random phases."""
    channels, basis = compact(system, channels)
    starts = _closed_forms(system, params, channels, key)
    joint, _ = _best_alternating(system, params, channels, starts)
    keys = jax.random.split(key, RANDOM_STARTS)
    random = lax.map(lambda k: Composed("rzf", "random")(system, params, channels, k), keys)
    starts = jax.tree.map(lambda a, b, c: jnp.concatenate([a, b[None], c]), starts, joint, random)
    design, _ = refine_best(system, params, channels, starts)
    return Design(lift(basis, design.beamformer), design.reflection)


CLOSED_FORMS = (("wmmse_sum", "focused"), ("rzf", "focused_sum"))
JOINT: dict[str, Solve] = {
    "random": _random,
    "best_of_random": _best_of_random,
    "greedy": _greedy,
    "alternating": _alternating,
    "gradient": _gradient,
}
COMPOSED = [(beam, surface) for surface in ("random", "focused") for beam in BEAMFORMERS]
COMPOSED += [(beam, surface) for surface in ("focused_weakest", "focused_sum") for beam in ("rzf", "wmmse_sum")]
COMPOSED += [("wmmse_sum", "semidefinite")]
DESIGNS: dict[tuple[str, str], Solve] = {
    (name, "random" if name == "random" else "joint"): solve for name, solve in JOINT.items()
} | {pair: Composed(*pair) for pair in COMPOSED}
"""(method, surface) -> solve."""
BY_REQUEST = (("wmmse_sum", "semidefinite"),)
"""Designs too slow to be in every comparison, or in need of an extra."""


def get_design(method: str, surface: str) -> Solve:
    """The registered design.

    Raises:
      ConfigError: no such method and surface.
    """
    if (method, surface) not in DESIGNS:
        known = ", ".join(f"{m}/{s}" for m, s in DESIGNS)
        raise ConfigError(f"design {method}/{surface} is unknown: use one of {known}")
    return DESIGNS[method, surface]
