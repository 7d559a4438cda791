"""What a design does in the state that one's hands have made: rates, slacks, beams, as plain arrays.

A program is compiled for each design and size and kept; powers, limits, places and drops are its arguments.
"""

import dataclasses
import functools
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from thzjax.errors import ConfigError
from thzjax.experiment.compare import HELD_OUT_SEED
from thzjax.experiment.evaluation import HELD_OUT, DesignRule, classical_rules, stream_key
from thzjax.experiment.explore import LARGEST_DROP, State, command, controls
from thzjax.experiment.explore_policies import load_policies
from thzjax.experiment.places import NEAREST_M, as_angles, check_places
from thzjax.experiment.show import Drop, one_rule
from thzjax.experiment.show_numbers import bs_patterns, surface_patterns
from thzjax.physics.beampattern import beam_pattern, transmit_covariance
from thzjax.physics.link import by_user
from thzjax.systems.base import holds
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.layout import Layout, Point
from thzjax.systems.scenario import Scenario, build
from thzjax.systems.views import view

ANGLES_DEG = np.arange(-180, 181) / 2
MOST_PROGRAMS = 16
MOST_BUILT = 64


class Curves(NamedTuple):
    """Something over directions.

    Attributes:
      values: by whom it is meant for, `[L]` at `ANGLES_DEG`.
      marks_deg: directions of those whom it reaches, by name.
      unit: "p_ref" or "W" (EIRP).
    """

    values: dict[str, np.ndarray]
    marks_deg: dict[str, float]
    unit: str


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a design does in a state, on one channel.

    Attributes:
      state: what was looked at.
      drop: the channel and the design, projected and scaled to the constraints.
      rates: of the users [bit/s/Hz], `[K]`, after the scaling.
      slack, held: by constraint, after the scaling, and whether it counts as satisfied.
      designed_rate, designed_slack: sum rate [bit/s/Hz] and slack before the scaling.
      measures: the system's further figures of merit, after the scaling.
      bs: what the base station radiates: over p_ref by user (paper A), or EIRP [W] by receiver.
      surface: EIRP [W] of the surface by receiver, each at its receiver's elevation; none without elements.
      note: what is to be said of the design's use here.
      seconds: that the design and its outcome took.
    """

    state: State
    drop: Drop
    rates: np.ndarray
    slack: dict[str, float]
    held: dict[str, bool]
    designed_rate: float
    designed_slack: dict[str, float]
    measures: dict[str, float]
    bs: Curves
    surface: Curves | None
    note: str
    seconds: float

    @property
    def feasible(self) -> bool:
        """Whether all constraints hold after the scaling."""
        return all(self.held.values())

    @property
    def layout(self) -> Layout:
        """Where things stand."""
        return self.drop.layout


@functools.lru_cache(maxsize=MOST_BUILT)
def built(scenario: Scenario) -> tuple[Any, Any]:
    """The system and its parameters (`systems.scenario.build`)."""
    return build(scenario)


def evaluate(
    system: Any, rule: DesignRule, params: Any, keys: tuple[Array, Array], users_m: Array, placed: Array
) -> dict[str, Any]:
    """A design on one channel, and what it does before and after the scaling to the constraints.

    Args:
      system, rule: static.
      params: physical parameters.
      keys: of the channel, and of the design's own randomness.
      users_m: `[K, 3]` [m]; of no effect unless `placed`.
      placed: bool `[]`: the users stand there and not where the drop has them.

    Returns:
      `channels`, `design`; `outcome` and `measures` of it; `designed`, the outcome before the scaling; `held`, by
      constraint.
    """
    # Where the drop has them, not there put again: a distance that is rounded twice turns all of a user's paths.
    drawn, moved = system.sample(keys[0], params), system.sample(keys[0], params, users_m)
    channels = jax.tree.map(lambda here, there: jnp.where(placed, there, here), drawn, moved)
    batch = jax.tree.map(lambda x: x[None], channels)
    projected = system.project(params, batch, rule(params, batch, keys[1]))
    met = system.meet(params, batch, projected)
    projected, design = (jax.tree.map(lambda x: x[0], each) for each in (projected, met))
    outcome = system.outcome(params, channels, design)
    return {
        "channels": channels,
        "design": design,
        "outcome": outcome,
        "measures": system.measures(params, channels, design),
        "designed": system.outcome(params, channels, projected),
        "held": {name: holds(slack) for name, slack in outcome.slack.items()},
    }


class Explorer:
    """Looks at states of one scenario, and keeps the last `MOST_PROGRAMS` programs that this took.

    Attributes:
      preset: name of the preset that the scenario came from.
      runs: folders and files of the policies.
      controls: what can be moved.
      methods: names of designs: the policies, then the classical ones.
      start: the state to begin with.
      extent_m: least and largest x and y of where users and target may be put, `[2, 2]` [m].
    """

    def __init__(
        self,
        preset: str,
        scenario: Scenario,
        runs: Sequence[Path] = (),
        method: str | None = None,
        drop: int = 0,
        users_m: tuple[Point, ...] | None = None,
    ) -> None:
        """Refuse what cannot be looked at, before anything is compiled.

        Raises:
          ConfigError: a scenario that cannot work, an unknown design, drop or place, or a run that is none.
        """
        system, params = built(scenario)
        self.preset, self.runs = preset, tuple(runs)
        self._policies = load_policies(runs)
        classical = [f"{name}/{surface}" for name, surface in classical_rules(system)]
        chosen = self._full_name(system, scenario, method)
        self.methods = list(dict.fromkeys([*self._policies, *classical, chosen]))
        if not 0 <= drop <= LARGEST_DROP:
            raise ConfigError(f"drop={drop} must lie in 0..{LARGEST_DROP}")
        if users_m is not None:
            check_places(system, params, users_m)
        self.controls = controls(scenario)
        self.start = State(scenario, chosen, drop, users_m)
        self._programs: OrderedDict[tuple[str, Any], Any] = OrderedDict()
        self._first: Seen | None = None
        self._lock = threading.Lock()
        if chosen in self._policies:
            self._policies[chosen].rule(scenario, system)
        self.extent_m = _extent(view(system).layout(system, params, np.zeros((0, 3))))

    def _full_name(self, system: Any, scenario: Scenario, method: str | None) -> str:
        if method is None and self._policies:
            return next(iter(self._policies))
        if method in self._policies:
            return str(method)
        if method is None:
            method = "alternating" if "min_sinr" in scenario.constraints else "wmmse_sum/focused"
        one_rule(system, method)
        return next("/".join(pair) for pair in classical_rules(system, (method,)))

    def learned(self, state: State) -> bool:
        """Whether the state's design is a policy."""
        return state.method in self._policies

    def command(self, state: State) -> str:
        """The command line that shows the state."""
        return command(self.preset, state, self.runs, self.learned(state))

    def use(self, state: State, method: Any) -> State:
        """The state with another design.

        Raises:
          ConfigError: no such design.
        """
        if method not in self.methods:
            raise ConfigError(f"design {method!r:.40} is unknown: use one of {', '.join(self.methods)}")
        return dataclasses.replace(state, method=method)

    def place_users(self, state: State, x_m: Sequence[float], y_m: Sequence[float], z_m: Sequence[float]) -> State:
        """The state with the users elsewhere, kept inside `extent_m`.

        Raises:
          ConfigError: not a finite place for each user, or one where nobody can stand.
        """
        x, y = (self._inside(values, axis) for axis, values in enumerate((x_m, y_m)))
        if not len(x) == len(y) == len(z_m):
            raise ConfigError(f"{len(x)} and {len(y)} coordinates for K={len(z_m)} users: one of each for each")
        places = tuple(zip(x, y, (round(float(z), 3) for z in z_m), strict=True))
        check_places(*built(state.scenario), places)
        return dataclasses.replace(state, users_m=places)

    def place_target(self, state: State, x_m: Sequence[float], y_m: Sequence[float], z_m: float) -> State:
        """The state with the target elsewhere, inside `extent_m` and at its height.

        Raises:
          ConfigError: a scenario without a target, not one finite place, or one where it cannot be.
        """
        system, params = built(state.scenario)
        if not hasattr(view(system), "sense_at"):
            raise ConfigError("this system has no target")
        x, y = (self._inside(values, axis) for axis, values in enumerate((x_m, y_m)))
        if not len(x) == len(y) == 1:
            raise ConfigError(f"{len(x)} and {len(y)} coordinates for one target")
        place = (x[0], y[0], float(z_m))
        if not view(system).in_front(params, np.asarray([place]), NEAREST_M)[0]:
            raise ConfigError(
                f"the target cannot be at ({place[0]:.2f}, {place[1]:.2f}) m: behind the surface, or nearer than "
                f"{NEAREST_M:g} m to it or to the base station"
            )
        dist, azimuth, elevation = (round(value, 4) for value in as_angles(place))
        moved = dataclasses.replace(state.scenario, target_dist_m=dist, target_deg=(azimuth, elevation))
        return dataclasses.replace(state, scenario=moved)

    def _inside(self, values: Sequence[float], axis: int) -> list[float]:
        low, high = self.extent_m[axis]
        try:
            numbers = np.asarray(values, float).ravel()
        except (TypeError, ValueError):
            raise ConfigError("places must be numbers in metres") from None
        if not np.all(np.isfinite(numbers)):
            raise ConfigError("places must be finite numbers in metres")
        return [round(float(value), 3) for value in np.clip(numbers, low, high)]

    def ready(self, state: State) -> bool:
        """Whether looking at the state takes no compilation."""
        try:
            return (state.method, built(state.scenario)[0]) in self._programs
        except ConfigError:
            return True  # a refusal takes none

    def look(self, state: State) -> Seen:
        """What the state's design does there.

        Raises:
          ConfigError: a scenario that cannot work, or a design that does not exist on it.
        """
        if state == self.start and self._first is not None:
            return self._first
        system, params = built(state.scenario)
        root = stream_key(HELD_OUT_SEED, HELD_OUT)
        keys = jax.random.fold_in(root, state.drop), root
        placed = state.users_m is not None
        places = check_places(system, params, state.users_m) if placed else np.zeros((system.spec.users, 3))
        args = params, keys, jnp.asarray(places, float), jnp.asarray(placed)
        with self._lock:
            program = self._program(state, system, args)
            begin = time.perf_counter()
            found = jax.block_until_ready(program(*args))
            seconds = time.perf_counter() - begin
        seen = self._seen(state, system, params, found, seconds)
        if state == self.start:
            self._first = seen  # what every page begins with
        return seen

    def _program(self, state: State, system: Any, args: tuple[Any, ...]) -> Any:
        """The compiled `evaluate` for the state's design and sizes; the least recently used is forgotten."""
        name = state.method, system
        if name not in self._programs:
            rule = self._rule(state, system)
            self._programs[name] = jax.jit(functools.partial(evaluate, system, rule)).lower(*args).compile()
            while len(self._programs) > MOST_PROGRAMS:
                self._programs.popitem(last=False)
        self._programs.move_to_end(name)
        return self._programs[name]

    def _rule(self, state: State, system: Any) -> DesignRule:
        if state.method in self._policies:
            return self._policies[state.method].rule(state.scenario, system)
        return one_rule(system, state.method)

    def _seen(self, state: State, system: Any, params: Any, found: dict[str, Any], seconds: float) -> Seen:
        channels, design, outcome = found["channels"], found["design"], found["outcome"]
        layout = view(system).layout(system, params, channels.user_position_m)
        rates = np.asarray(outcome.rates, float)
        drop = Drop(system, params, channels, design, layout, int(np.argmax(rates)))
        return Seen(
            state=state,
            drop=drop,
            rates=rates,
            slack=_plain(outcome.slack),
            held={name: bool(value) for name, value in found["held"].items()},
            designed_rate=float(np.sum(found["designed"].rates)),
            designed_slack=_plain(found["designed"].slack),
            measures=_plain(found["measures"]),
            bs=_beams(drop, state.scenario),
            surface=_reflected(drop) if system.spec.elements else None,
            note=self._policies[state.method].note(state.scenario) if self.learned(state) else "",
            seconds=seconds,
        )


def _plain(values: dict[str, Array]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _beams(drop: Drop, scenario: Scenario) -> Curves:
    """The base station's beams: paper A's pattern over p_ref by user, elsewhere EIRP [W] by receiver."""
    curves, marks = bs_patterns(drop, ANGLES_DEG)
    if not isinstance(scenario, IrsScenario):
        return Curves(curves, marks, "W")
    users = drop.system.spec.users
    own = transmit_covariance(by_user(drop.design.beamformer, users))
    power = np.asarray(beam_pattern(own, jnp.deg2rad(jnp.asarray(ANGLES_DEG, float))) / drop.params.p_ref_w, float)
    return Curves({f"user {k + 1}": power[k] for k in range(users)}, marks, "p_ref")


def _reflected(drop: Drop) -> Curves:
    """The surface's EIRP [W] by receiver, under the names of `layout`."""
    curves, marks = surface_patterns(drop, ANGLES_DEG)
    names = {label: label.split(",")[0] for label in curves}
    return Curves(
        {names[label]: values for label, values in curves.items()},
        {names[label]: angle for label, angle in marks.items()},
        "W",
    )


def _extent(layout: Layout) -> np.ndarray:
    """Least and largest x and y of all that stands somewhere, and of where users are drawn, with a margin `[2, 2]`."""
    points = np.array([node.position_m[:2] for node in layout.nodes.values()])
    points = np.concatenate([points, layout.area_m])
    return np.stack([points.min(axis=0) - NEAREST_M, points.max(axis=0) + NEAREST_M], axis=-1)


def numbers(seen: Seen) -> list[tuple[str, str]]:
    """The line of numbers: (what, value with its unit and limit)."""
    scenario, rate = seen.state.scenario, float(np.sum(seen.rates))
    broken = [name for name, held in seen.held.items() if not held]
    line = [
        ("sum rate", f"{rate:.3f} bit/s/Hz"),
        ("constraints", f"violated: {', '.join(broken)}" if broken else "all hold"),
        ("as designed", f"{seen.designed_rate:.3f} bit/s/Hz"),
    ]
    if "pattern_error" in seen.measures:
        limit = getattr(scenario, "pattern_threshold", None)
        line.append(("beam-pattern error", f"{seen.measures['pattern_error']:.3f}" + _of(limit, "{:g}")))
    if "crb_rad2" in seen.measures:
        error, limit = (math.sqrt(max(x, 0)) for x in (seen.measures["crb_rad2"], scenario.max_crb_rad2))
        line.append(("root of the angles' bound", f"{math.degrees(error):.3g}°" + _of(math.degrees(limit), "{:.3g}°")))
    if "min_sinr" in seen.measures:
        sinr = seen.measures["min_sinr"]
        line.append(("least SINR", f"{10 * math.log10(sinr):.1f} dB" if sinr > 0 else "−∞ dB"))
    return [*line, ("computed in", f"{1e3 * seen.seconds:.1f} ms")]


def _of(limit: float | None, form: str) -> str:
    return "" if limit is None else f" of at most {form.format(limit)}"
