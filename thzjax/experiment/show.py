"""One drop of a scenario: what a design makes of it, and of the room round it as a user or the target moves."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from thzjax.errors import ConfigError
from thzjax.experiment.compare import HELD_OUT_SEED
from thzjax.experiment.evaluation import HELD_OUT, DesignRule, classical_rules, judge, stream_key
from thzjax.experiment.places import NEAREST_M, check_places
from thzjax.experiment.progress import paced
from thzjax.systems.base import Design
from thzjax.systems.layout import Layout, Point
from thzjax.systems.scenario import Scenario, build
from thzjax.systems.views import view

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class RoomMap:
    """A number at places of a room: middles of cells [m] `[X]`, `[Y]`, values `[Y, X]`, NaN where there is none."""

    x_m: np.ndarray
    y_m: np.ndarray
    height_m: float
    values: np.ndarray


@dataclasses.dataclass(frozen=True)
class Drop:
    """One channel and what a design makes of it, projected and scaled to the constraints.

    Attributes:
      system, params, channels, design: of one channel, without a batch.
      layout: where things stand.
      user: who is looked at, from 0.
    """

    system: Any
    params: Any
    channels: Any
    design: Design
    layout: Layout
    user: int

    @property
    def position_m(self) -> Array:
        """Of the user looked at, `[3]` [m]."""
        return self.channels.user_position_m[self.user]


def one_rule(system: Any, method: str) -> DesignRule:
    """The classical design of a name, METHOD/SURFACE, or METHOD where it comes with one surface.

    Raises:
      ConfigError: no such design, or several.
    """
    rules = classical_rules(system, (method,))
    if len(rules) > 1:
        names = ", ".join("/".join(pair) for pair in rules)
        raise ConfigError(f"method {method!r} comes with several surfaces: name one of {names}")
    return next(iter(rules.values()))


def study(
    scenario: Scenario,
    method: str,
    user: int | None,
    drop: int,
    cells: int,
    say: Say,
    users_m: Sequence[Point] | None = None,
) -> tuple[Drop, RoomMap, RoomMap | None]:
    """A design on one held-out channel, its rate as one user moves, and its bound as the target moves.

    What is random about the channel stays as drawn while the user moves: the other users, the phases and angles of
    scattered rays, which elements amplify; estimation errors are drawn anew. The design is made for each place; the
    bound is that of the one design for the target where the scenario has it.

    Args:
      scenario: what is simulated.
      method: METHOD or METHOD/SURFACE, a classical design.
      user: who is looked at and moves, from 1; none for the one whom the design serves best.
      drop: which held-out channel, from 0; the same as that of a comparison.
      cells: of a map along its longer side.
      say: told about progress.
      users_m: where the users stand [m]; none for where the drop has them.

    Returns:
      the drop, the feasible sum rate [bit/s/Hz] over the room, and the root of the angles' bound [deg], if any.

    Raises:
      ConfigError: no such user, channel, place, or design, or a design that does not exist on this system.
    """
    system, params = build(scenario)
    if user is not None and not 1 <= user <= system.spec.users:
        raise ConfigError(f"user={user} must lie in 1..{system.spec.users}, the number of users")
    for name, value, least, most in (("drop", drop, 0, 2**32 - 1), ("grid", cells, 2, 1000)):
        if not least <= value <= most:
            raise ConfigError(f"{name}={value} must be at least {least}, and at most {most}")
    rule = one_rule(system, method)
    root = stream_key(HELD_OUT_SEED, HELD_OUT)
    keys = jax.random.fold_in(root, drop), root
    places = None if users_m is None else jnp.asarray(check_places(system, params, users_m), float)
    channels = jax.jit(system.sample)(keys[0], params, places)
    home = channels.user_position_m
    layout = view(system).layout(system, params, home)
    say(f"compiling {method}")
    (x, y, _), k = room(layout, cells, 0.0), 0 if user is None else user - 1
    # The drop itself, as a batch of the size that the maps have, so that one program is compiled.
    still = jnp.broadcast_to(home[k], (len(x), 3))
    designs, _ = _designed(system, rule, params, keys, home, jnp.asarray(k), still)
    design = jax.tree.map(lambda a: a[0], designs)
    if user is None:
        k = int(jnp.argmax(system.outcome(params, channels, design).rates))
    height = float(home[k, 2])
    _, _, places = room(layout, cells, height)
    inside = view(system).in_front(params, places, NEAREST_M)
    rates = np.full(inside.shape, np.nan)
    tell = paced(say, inside.size, "places")
    for i in range(len(y)):
        wanted = jnp.asarray(np.where(inside[i, :, None], places[i], np.asarray(home[k])), home.dtype)
        _, rate = _designed(system, rule, params, keys, home, jnp.asarray(k), wanted)
        rates[i] = np.where(inside[i], np.asarray(rate), np.nan)
        if (i + 1) % max(len(y) // 6, 1) == 0:
            tell(f"{method} with user {k + 1} all over the room", (i + 1) * len(x))
    seen = Drop(system, params, channels, design, layout, k)
    bound = None
    if hasattr(view(system), "sense_at"):
        say("the bound as the target moves")
        bound = bound_map(seen, cells)
    return seen, RoomMap(x, y, height, rates), bound


@functools.partial(jax.jit, static_argnums=(0, 1))
def _designed(
    system: Any, rule: DesignRule, params: Any, keys: tuple[Array, Array], home_m: Array, user: Array, places_m: Array
) -> tuple[Design, Array]:
    """(designs, feasible sum rates) with one user at each of the places `[P, 3]` and the others at home `[K, 3]`."""
    moves = (jnp.arange(home_m.shape[0]) == user)[None, :, None]
    standing = jnp.where(moves, places_m[:, None, :], home_m[None])  # `[P, K, 3]`
    channels = jax.vmap(system.sample, in_axes=(None, None, 0))(keys[0], params, standing)
    design = system.project(params, channels, rule(params, channels, keys[1]))
    return system.meet(params, channels, design), judge(system, params, channels, design).rate_feasible


def room(layout: Layout, cells: int, height_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middles of square cells over all that stands in a room `[X]`, `[Y]`, and the places `[Y, X, 3]` at a height."""
    points = np.array([node.position_m[:2] for node in layout.nodes.values()])
    points = np.concatenate([points, layout.area_m])
    low, high = points.min(axis=0) - NEAREST_M, points.max(axis=0) + NEAREST_M
    step = float(np.max(high - low)) / cells
    counts = np.ceil((high - low) / step - 1e-9).astype(int)
    x, y = (start + step * (np.arange(n) + 0.5) for start, n in zip(low, counts, strict=True))
    return x, y, np.stack([*np.meshgrid(x, y), np.full((len(y), len(x)), height_m)], axis=-1)


def bound_map(seen: Drop, cells: int) -> RoomMap:
    """Root of the trace of the angles' bound [deg] of one design, with the target at each place at its height."""
    target = seen.layout.nodes["target"].position_m
    x, y, places = room(seen.layout, cells, target[2])
    inside = view(seen.system).in_front(seen.params, places, NEAREST_M)
    wanted = np.where(inside[..., None], places, np.asarray(target))
    flat = jnp.asarray(wanted.reshape(-1, 3), seen.channels.user_position_m.dtype)
    trace = np.asarray(_bounds(seen.system, seen.params, seen.channels, seen.design, flat), float).reshape(inside.shape)
    return RoomMap(x, y, target[2], np.where(inside & np.isfinite(trace), np.rad2deg(np.sqrt(trace)), np.nan))


@functools.partial(jax.jit, static_argnums=0)
def _bounds(system: Any, params: Any, channels: Any, design: Design, places_m: Array) -> Array:
    """Trace of the angles' bound [rad^2] with the target at each of the places `[P, 3]`, `[P]`."""
    move = view(system).sense_at
    return jax.vmap(lambda place_m: system.crb_rad2(move(params, place_m), channels, design))(places_m)
