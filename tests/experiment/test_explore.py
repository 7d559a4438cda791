"""What can be moved: ranges hold whatever is asked for, and the command of a state leads back to it."""

import dataclasses
import math
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thzjax.errors import ConfigError
from thzjax.experiment.explore import State, choose, command, controls, settings, slide, to_drop
from thzjax.experiment.overrides import apply_overrides
from thzjax.experiment.places import read_places
from thzjax.systems.scenario import PRESETS, build

NUMBERS = [math.nan, math.inf, -math.inf, None, "3", True, [1.0], {}]
NAMES = ["paper-a", "paper-b"]


def begin(name):
    return State(PRESETS[name], "rzf/focused"), controls(PRESETS[name])


@pytest.mark.parametrize("name", PRESETS)
def test_a_scenario_is_where_its_controls_begin(name):
    state, known = begin(name)
    moved = state
    for control, slider in known.sliders.items():
        assert slider.low <= slider.start <= slider.high
        moved = slide(moved, known, control, slider.start)
    for control, choice in known.choices.items():
        moved = choose(moved, known, control, choice.start)
    assert moved == state


@pytest.mark.parametrize("name", NAMES)
@given(wanted=st.floats(allow_nan=False, allow_infinity=False))
def test_a_slider_keeps_to_its_range(name, wanted):
    state, known = begin(name)
    for control, slider in known.sliders.items():
        value = getattr(slide(state, known, control, wanted).scenario, slider.field)
        low, high = (slider.stored(end) for end in (slider.low, slider.high))
        margin = 1e-5 * max(abs(low), abs(high))  # six digits are kept
        assert low - margin <= value <= high + margin


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wanted", NUMBERS, ids=repr)
def test_a_slider_takes_numbers_alone(name, wanted):
    state, known = begin(name)
    for control in known.sliders:
        with pytest.raises(ConfigError, match="needs a number"):
            slide(state, known, control, wanted)


@pytest.mark.parametrize("wanted", [*NUMBERS, -1, 1.5, 10_000])
def test_drops_are_whole_numbers(wanted):
    with pytest.raises(ConfigError, match="whole number"):
        to_drop(begin("paper-a")[0], wanted)


def test_another_drop_has_its_own_users():
    state = dataclasses.replace(begin("paper-a")[0], users_m=((3.0, 0.0, 0.0),) * 4)
    assert to_drop(state, 7.0) == dataclasses.replace(state, drop=7, users_m=None)


def test_what_does_not_exist_is_refused():
    state, known = begin("paper-a")
    for change, arguments in ((slide, ("colour", 1.0)), (choose, ("colour", "red")), (choose, ("bits", "9 bit")),
                              (choose, ("bits", 3)), (choose, ("elements", None))):  # fmt: skip
        with pytest.raises(ConfigError, match=r"unknown|no option"):
            change(state, known, *arguments)


@pytest.mark.parametrize("name", NAMES)
def test_every_choice_is_a_scenario_that_works(name):
    state, known = begin(name)
    sizes = {label: build(choose(state, known, "elements", label).scenario)[0].spec.elements
             for label in known.choices["elements"].options}  # fmt: skip
    assert all(label.startswith(f"{size} ") or (label, size) == ("no surface", 0) for label, size in sizes.items())
    bits = known.choices["bits"].options
    found = [build(choose(state, known, "bits", label).scenario)[0].phase_bits for label in bits]
    assert found == [1, 2, 3, 4, 5, 6, 0]


def test_a_hybrid_surface_keeps_its_share_of_amplifiers():
    state, known = begin("paper-b")
    found = {label: choose(state, known, "elements", label).scenario for label in known.choices["elements"].options}
    assert all(abs(s.num_active - 0.375 * math.prod(s.surface_shape)) <= 0.5 for s in found.values())
    assert sum(s == state.scenario for s in found.values()) == 1


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_the_settings_of_a_state_lead_back_to_it(name, data):
    state, known = begin(name)
    for control, slider in known.sliders.items():
        state = slide(state, known, control, data.draw(st.floats(slider.low, slider.high)))
    for control, choice in known.choices.items():
        state = choose(state, known, control, data.draw(st.sampled_from(sorted(choice.options))))
    assert apply_overrides(PRESETS[name], settings(name, state.scenario)) == state.scenario


def test_the_command_of_a_state():
    state, known = begin("paper-a")
    assert command("paper-a", state) == "thzjax show paper-a --method rzf/focused"
    places = ((3.0, -0.5, 0.0), (3.5, 0.25, 0.0), (4.0, 1.0, 0.0), (5.0, 0.0, 0.1))
    state = dataclasses.replace(slide(state, known, "threshold", 3.5), drop=4, users_m=places)
    words = shlex.split(command("paper-a", state))
    at = next(word for word in words if word.startswith("--users-at="))
    assert read_places(at.removeprefix("--users-at=")) == places
    assert words[words.index("--drop") + 1] == "4"
    assert words[words.index("--set") + 1 :] == ["pattern_threshold=3.5"]


def test_the_command_of_a_policy_names_its_run():
    state = dataclasses.replace(begin("paper-a")[0], method="apg, it's trained")
    words = shlex.split(command("paper-a", state, [Path("runs/my demo")], learned=True))
    assert words == ["thzjax", "explore", "paper-a", "runs/my demo", "--method", "apg, it's trained"]


def test_a_range_always_has_the_scenarios_own_value():
    loud = dataclasses.replace(PRESETS["paper-a"], power_w=1e3, pattern_threshold=50.0, phase_bits=8, absorption="p676")
    known = controls(loud)
    assert known.sliders["power"].high == pytest.approx(60)
    assert known.sliders["threshold"].high == 50
    assert known.choices["bits"].start == "8 bit"
    assert known.choices["air"].start == "ITU-R P.676"
    unlimited = dataclasses.replace(PRESETS["paper-a"], pattern_threshold=None)
    assert list(controls(unlimited).sliders) == ["power"]
