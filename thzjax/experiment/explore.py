"""What can be moved of a scenario, and what moving it makes: sliders, choices, states, and the command of a state.

Nothing here computes: a state is a scenario, a design's name, a drop and places, and every change makes another state,
within bounds that whoever asks for the change cannot widen.
"""

import dataclasses
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from thzjax.errors import ConfigError
from thzjax.experiment.places import write_places
from thzjax.physics.absorption import P676_BAND_HZ
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.layout import Point
from thzjax.systems.scenario import Scenario, preset

LARGEST_DROP = 9999
IRS_SHAPES = ((0, 0), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (8, 8), (10, 10))
HYBRID_SHAPES = ((4, 5), (5, 8), (6, 10), (8, 10), (10, 10), (10, 12))
BITS = (1, 2, 3, 4, 5, 6, 0)


@dataclasses.dataclass(frozen=True)
class State:
    """What is looked at.

    Attributes:
      scenario: with all that was moved in it.
      method: name of a design (`explore_numbers.Explorer.methods`).
      drop: which held-out channel, from 0.
      users_m: where the users stand, none for where the drop has them.
    """

    scenario: Scenario
    method: str
    drop: int = 0
    users_m: tuple[Point, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Slider:
    """A real option of a scenario, in the unit in which it is shown.

    Attributes:
      field: the option.
      title: what it is, with the unit.
      low, high, step: of the slider.
      start, own: the scenario's own value, in the slider's unit and in the option's.
      stored: from the slider's unit to the option's.
    """

    field: str
    title: str
    low: float
    high: float
    step: float
    start: float
    own: float
    stored: Callable[[float], float]

    def value(self, wanted: Any) -> float:
        """The option's value for what a slider says, clipped to its range; the scenario's own where it began.

        Raises:
          ConfigError: not a finite number.
        """
        if isinstance(wanted, bool) or not isinstance(wanted, (int, float)) or not math.isfinite(wanted):
            raise ConfigError(f"{self.title} needs a number, not {wanted!r:.40}")
        clipped = min(max(float(wanted), self.low), self.high)
        return self.own if clipped == self.start else float(f"{self.stored(clipped):.6g}")


@dataclasses.dataclass(frozen=True)
class Choice:
    """Options of a scenario that go together, by label.

    Attributes:
      title: what is chosen.
      options: by label, values of the scenario's options.
      start: the label of the scenario's own.
    """

    title: str
    options: Mapping[str, Mapping[str, Any]]
    start: str


class Controls(NamedTuple):
    """All that can be moved of a scenario, by name."""

    sliders: dict[str, Slider]
    choices: dict[str, Choice]


def _same(value: float) -> float:
    return value


def _dbm(watt: float) -> float:
    return 10 * math.log10(watt) + 30


def _watt(dbm: float) -> float:
    return 10 ** (dbm / 10 - 3)


def _root_deg(rad2: float) -> float:
    return math.degrees(math.sqrt(rad2))


def _rad2(root_deg: float) -> float:
    return math.radians(root_deg) ** 2


def controls(scenario: Scenario) -> Controls:
    """What can be moved of a scenario: its powers, the limits in force, the surface's size and phases, the air.

    The range of a slider always has the scenario's own value in it.
    """
    irs = isinstance(scenario, IrsScenario)
    return Controls(
        sliders=_irs_sliders(scenario) if irs else _hybrid_sliders(scenario),
        choices={"elements": _elements(scenario, irs), "bits": _bits(scenario), "air": _air(scenario)},
    )


def _slider(
    scenario: Scenario,
    field: str,
    title: str,
    span: tuple[float, float, float],
    shown: Callable[[float], float] = _same,
    stored: Callable[[float], float] = _same,
) -> Slider:
    own = float(getattr(scenario, field))
    start = shown(own)
    low, high, step = span
    return Slider(field, title, min(low, start), max(high, start), step, start, own, stored)


def _irs_sliders(scenario: IrsScenario) -> dict[str, Slider]:
    found = {"power": _slider(scenario, "power_w", "BS power [dBm]", (-10.0, 40.0, 0.5), _dbm, _watt)}
    if scenario.pattern_threshold is not None and {"beam_pattern", "user_beam_pattern"} & set(scenario.constraints):
        found["threshold"] = _slider(scenario, "pattern_threshold", "Beam-pattern threshold", (0.1, 10.0, 0.1))
    return found


def _hybrid_sliders(scenario: Any) -> dict[str, Slider]:
    found = {"power": _slider(scenario, "p_bs_dbm", "BS power [dBm]", (20.0, 50.0, 0.5))}
    if "surface_power" in scenario.constraints and scenario.num_active:
        found["surface_power"] = _slider(scenario, "p_surface_dbm", "Surface power [dBm]", (-30.0, 10.0, 0.5))
    if "crb" in scenario.constraints:
        title = "Limit of the angles' bound, root [deg]"
        found["bound"] = _slider(scenario, "max_crb_rad2", title, (0.05, 3.0, 0.05), _root_deg, _rad2)
    if "min_sinr" in scenario.constraints:
        found["sinr"] = _slider(scenario, "min_sinr_db", "Least SINR [dB]", (-20.0, 20.0, 0.5))
    return found


def _elements(scenario: Any, irs: bool) -> Choice:
    """Surfaces of several sizes; of a hybrid one the same share amplifies."""
    own = tuple(scenario.surface_shape)
    shapes = sorted({*(IRS_SHAPES if irs else HYBRID_SHAPES), own}, key=lambda shape: (math.prod(shape), shape))

    def options(shape: tuple[int, int]) -> dict[str, Any]:
        if irs or shape == own:
            return {"surface_shape": shape} | ({} if irs else {"num_active": scenario.num_active})
        share = scenario.num_active / math.prod(own)
        return {"surface_shape": shape, "num_active": round(share * math.prod(shape))}

    def label(shape: tuple[int, int]) -> str:
        return f"{math.prod(shape)} ({shape[0]}×{shape[1]})" if math.prod(shape) else "no surface"

    return Choice("Surface elements N", {label(shape): options(shape) for shape in shapes}, label(own))


def _bits(scenario: Any) -> Choice:
    known = sorted({*BITS, scenario.phase_bits}, key=lambda bits: bits or math.inf)

    def label(bits: int) -> str:
        return f"{bits} bit" if bits else "continuous"

    return Choice("Phases", {label(bits): {"phase_bits": bits} for bits in known}, label(scenario.phase_bits))


def _air(scenario: Any) -> Choice:
    labels = {"constant": f"constant, {scenario.k_abs:.3g} 1/m", "p676": "ITU-R P.676", "simplified": "simplified"}
    low, high = P676_BAND_HZ
    known = ["constant", *(["p676"] if low <= scenario.freq_hz <= high else [])]
    known += [scenario.absorption] if scenario.absorption not in known else []
    return Choice("Air", {labels[kind]: {"absorption": kind} for kind in known}, labels[scenario.absorption])


def slide(state: State, known: Controls, name: str, wanted: Any) -> State:
    """The state with a slider elsewhere, within its range.

    Raises:
      ConfigError: no such slider, or not a finite number.
    """
    if name not in known.sliders:
        raise ConfigError(f"slider {name!r:.40} is unknown: use one of {', '.join(known.sliders)}")
    slider = known.sliders[name]
    moved = dataclasses.replace(state.scenario, **{slider.field: slider.value(wanted)})
    return dataclasses.replace(state, scenario=moved)


def choose(state: State, known: Controls, name: str, label: Any) -> State:
    """The state with another choice.

    Raises:
      ConfigError: no such choice or label.
    """
    if name not in known.choices:
        raise ConfigError(f"choice {name!r:.40} is unknown: use one of {', '.join(known.choices)}")
    options = known.choices[name].options
    if not isinstance(label, str) or label not in options:
        raise ConfigError(f"{known.choices[name].title} has no option {label!r:.40}: use one of {', '.join(options)}")
    return dataclasses.replace(state, scenario=dataclasses.replace(state.scenario, **options[label]))


def to_drop(state: State, wanted: Any) -> State:
    """The state on another held-out channel, the users where that has them.

    Raises:
      ConfigError: not a whole number from 0 to `LARGEST_DROP`.
    """
    whole = isinstance(wanted, (int, float)) and not isinstance(wanted, bool) and wanted == wanted // 1
    if not whole or not 0 <= wanted <= LARGEST_DROP:
        raise ConfigError(f"drop={wanted!r:.40} must be a whole number in 0..{LARGEST_DROP}")
    return dataclasses.replace(state, drop=int(wanted), users_m=None)


def settings(preset_name: str, scenario: Scenario) -> list[str]:
    """`NAME=VALUE` of every option in which a scenario differs from its preset, as `--set` takes them."""
    base = preset(preset_name)
    names = [field.name for field in dataclasses.fields(base)]
    changed = [name for name in names if getattr(scenario, name) != getattr(base, name)]
    return [f"{name}={_text(getattr(scenario, name))}" for name in changed]


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)


def command(preset_name: str, state: State, runs: Sequence[Path] = (), learned: bool = False) -> str:
    """The command line that shows a state: `thzjax show`, or of a learned design `thzjax explore` with its runs."""
    words = ["thzjax", "explore" if learned else "show", preset_name]
    words += [str(run) for run in runs] if learned else []
    words += ["--method", state.method]
    words += ["--drop", str(state.drop)] if state.drop else []
    words += [f"--users-at={write_places(state.users_m)}"] if state.users_m is not None else []
    changed = settings(preset_name, state.scenario)
    return shlex.join(words + (["--set", *changed] if changed else []))
