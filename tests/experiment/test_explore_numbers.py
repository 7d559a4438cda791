"""What the explorer shows is what the simulator says, its programs serve again, and impossible states are refused."""

import dataclasses
import functools
import math

import jax
import numpy as np
import pytest

from thzjax.errors import ConfigError
from thzjax.experiment import explore_numbers
from thzjax.experiment.compare import HELD_OUT_SEED
from thzjax.experiment.evaluation import draw_channels
from thzjax.experiment.explore import choose, slide, to_drop
from thzjax.experiment.explore_numbers import Explorer, numbers
from thzjax.experiment.show import study
from thzjax.experiment.show_numbers import bs_patterns
from thzjax.physics.beampattern import beam_pattern_error_gram, transmit_covariance
from thzjax.systems.base import holds
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.layout import Layout
from thzjax.systems.scenario import PRESETS

IRS = IrsScenario(num_users=2, surface_shape=(2, 3), k_abs=0.74)
HYBRID = HrisScenario(
    bs_shape=(2, 3), surface_shape=(3, 4), sensor_shape=(2, 2), num_active=5, num_users=2, num_rays_bs=3,
    max_crb_rad2=0.1, min_sinr_db=-30.0, p_surface_dbm=-25.0,
)  # fmt: skip
SCENARIOS = {"paper-a": IRS, "paper-b": HYBRID}
pytestmark = pytest.mark.usefixtures("quickly_compiled")


METHODS = {"paper-a": "mrt/focused", "paper-b": "random/random"}


@functools.cache
def explorer(name):
    return Explorer(name, SCENARIOS[name], method=METHODS[name])


def users_of(seen):
    return [node.position_m for node in seen.layout.nodes.values() if node.kind == "user"]


def shift(state, seen, x=0.0, y=0.0):
    """The first user a little way off."""
    places = np.array(users_of(seen))
    places[0, :2] += x, y
    return explorer("paper-a" if seen.bs.unit == "p_ref" else "paper-b").place_users(state, *places.T)


@pytest.mark.parametrize("moved", [False, True])
def test_it_sees_what_show_shows(moved):
    looked = explorer("paper-a")
    state = looked.start
    if moved:
        state = shift(to_drop(state, 2), looked.look(to_drop(state, 2)), y=-0.4)
        state = slide(state, looked.controls, "power", 22.0)
    seen = looked.look(state)
    drop, *_ = study(state.scenario, "mrt/focused", None, state.drop, 2, lambda text: None, state.users_m)
    outcome = drop.system.outcome(drop.params, drop.channels, drop.design)
    # Two float32 programs of one design, whose rounds pick the better of near equals.
    np.testing.assert_allclose(seen.rates, outcome.rates, rtol=2e-3, atol=1e-5)
    for constraint, slack in outcome.slack.items():
        np.testing.assert_allclose(seen.slack[constraint], slack, rtol=5e-3, atol=5e-3)
    np.testing.assert_allclose(users_of(seen), drop.channels.user_position_m, atol=1e-5)


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_judges_the_held_out_channel_as_the_simulator_does(name):
    seen = explorer(name).look(to_drop(explorer(name).start, 1))
    drop = seen.drop
    channels = draw_channels(drop.system, drop.params, 2, HELD_OUT_SEED)
    for one, other in zip(jax.tree.leaves(drop.channels), jax.tree.leaves(channels), strict=True):
        np.testing.assert_allclose(one, other[1], rtol=1e-4, atol=1e-5 * np.max(np.abs(one), initial=0))
    outcome = drop.system.outcome(drop.params, drop.channels, drop.design)
    np.testing.assert_allclose(seen.rates, outcome.rates, rtol=1e-4, atol=1e-6)
    assert seen.held == {constraint: bool(holds(slack)) for constraint, slack in outcome.slack.items()}
    assert seen.feasible == all(seen.held.values())


def test_what_is_drawn_is_the_designs_own():
    seen = explorer("paper-a").look(explorer("paper-a").start)
    power = np.sum(list(seen.bs.values.values()), axis=0)
    # The mean square difference from the desired beams, on a grid five times as coarse as the error's own.
    scenario = seen.state.scenario
    away = np.abs(explore_numbers.ANGLES_DEG[:, None] - scenario.pattern_targets_deg)
    wanted = np.any(away <= scenario.pattern_width_deg / 2, axis=1)
    assert np.mean((wanted - power) ** 2) == pytest.approx(seen.measures["pattern_error"], rel=0.05)
    params = seen.drop.params
    exact = beam_pattern_error_gram(transmit_covariance(seen.drop.design.beamformer), params.pattern, params.p_ref_w)
    assert seen.measures["pattern_error"] == pytest.approx(float(exact), rel=1e-5)
    assert seen.measures["pattern_error"] <= scenario.pattern_threshold * (1 + 1e-5)
    hybrid = explorer("paper-b").look(explorer("paper-b").start)
    for name, values in bs_patterns(hybrid.drop, explore_numbers.ANGLES_DEG)[0].items():
        np.testing.assert_array_equal(hybrid.bs.values[name], values)
    assert list(hybrid.surface.values) == ["user 1", "user 2", "target"] == list(hybrid.surface.marks_deg)


@pytest.mark.parametrize("name", SCENARIOS)
def test_moving_a_user_moves_the_rates(name):
    looked = explorer(name)
    before = looked.look(looked.start)
    after = looked.look(shift(looked.start, before, x=0.5))
    assert not np.allclose(before.rates, after.rates, rtol=1e-3)
    np.testing.assert_allclose(users_of(after)[0][0], users_of(before)[0][0] + 0.5, atol=1e-3)
    np.testing.assert_allclose(users_of(after)[1], users_of(before)[1], atol=6e-4)


def test_moving_the_target_moves_the_bound():
    looked = explorer("paper-b")
    before = looked.look(looked.start)
    x, y, z = before.layout.nodes["target"].position_m
    after = looked.look(looked.place_target(looked.start, [x + 1], [y - 0.5], z))
    np.testing.assert_allclose(after.layout.nodes["target"].position_m, (x + 1, y - 0.5, z), atol=2e-3)
    assert after.measures["crb_rad2"] != pytest.approx(before.measures["crb_rad2"], rel=1e-2)
    system, params = explore_numbers.built(after.state.scenario)
    crb = float(system.crb_rad2(params, after.drop.channels, after.drop.design))
    assert after.measures["crb_rad2"] == pytest.approx(crb, rel=1e-3)


def test_a_program_serves_all_that_is_no_size(monkeypatch):
    looked = Explorer("paper-a", IRS, method="mrt/focused")
    seen, programs = looked.look(looked.start), looked._programs
    state = slide(slide(looked.start, looked.controls, "power", 3.0), looked.controls, "threshold", 1.0)
    for other in (state, to_drop(state, 5), shift(state, seen, y=-0.3)):
        assert looked.ready(other)
        looked.look(other)
    assert len(programs) == 1
    sizes = choose(state, looked.controls, "bits", "continuous")
    assert not looked.ready(sizes)
    monkeypatch.setattr(explore_numbers, "MOST_PROGRAMS", 1)
    looked.look(sizes)
    assert [name[1].phase_bits for name in programs] == [0]
    assert not looked.ready(state)


def test_without_a_surface_there_is_the_direct_link():
    looked = explorer("paper-a")
    seen = looked.look(choose(looked.start, looked.controls, "elements", "no surface"))
    assert seen.surface is None
    assert "surface" not in seen.layout.nodes
    assert np.all(np.isfinite(seen.rates))


def test_more_power_without_a_limit_is_more_rate():
    looked = Explorer("paper-a", dataclasses.replace(IRS, pattern_threshold=None), method="rzf/focused")
    rates = [looked.look(slide(looked.start, looked.controls, "power", dbm)).rates.sum() for dbm in (0.0, 10.0, 20.0)]
    assert rates == sorted(rates)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([3.0], [0.0], "1 and 1 coordinates for K=2"),
        ([3.0, 4.0, 5.0], [0.0, 0.0, 0.0], "3 and 3 coordinates"),
        ([3.0, math.nan], [0.0, 0.0], "finite"),
        ([3.0, 0.0], [0.0, 0.0], "user 2 cannot stand"),
        (["a", "b"], [0.0, 0.0], "numbers"),
        ([[3.0], [1.0, 2.0]], [0.0, 0.0], "numbers"),
    ],
)
def test_places_are_checked(x, y, message):
    looked = explorer("paper-a")
    with pytest.raises(ConfigError, match=message):
        looked.place_users(looked.start, x, y, [0.0, 0.0])


def test_places_stay_on_the_map():
    looked = explorer("paper-a")
    state = looked.place_users(looked.start, [1e9, 3.0], [-1e9, 0.0], [0.0, 0.0])
    (x0, x1), (y0, y1) = looked.extent_m
    assert state.users_m[0][:2] == pytest.approx((x1, y0), abs=1e-3)
    assert x0 < x1
    assert y0 < y1


@pytest.mark.parametrize(("x", "y"), [([-2.0], [0.0]), ([], []), ([1.0, 2.0], [0.0, 0.0]), (["a"], [1.0])])
def test_the_target_is_checked(x, y):
    looked = explorer("paper-b")
    with pytest.raises(ConfigError):
        looked.place_target(looked.start, x, y, 0.5)
    with pytest.raises(ConfigError, match="no target"):
        explorer("paper-a").place_target(explorer("paper-a").start, [1.0], [0.0], 0.5)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("method 'magic' is unknown", {"method": "magic"}),
        ("comes with several surfaces", {"method": "rzf"}),
        ("drop=-1 must lie in", {"drop": -1}),
        ("1 places for K=2", {"users_m": ((3.0, 0.0, 0.0),)}),
        ("does not exist: is this a run folder", {"runs": ["nowhere"]}),
    ],
)
def test_what_cannot_be_looked_at_is_refused(message, options, tmp_path):
    options["runs"] = [tmp_path / run for run in options.get("runs", ())]
    with pytest.raises(ConfigError, match=message):
        Explorer("paper-a", IRS, **options)


def test_a_refusal_leaves_the_explorer_as_it_was():
    looked = explorer("paper-a")
    bad = dataclasses.replace(looked.start, scenario=dataclasses.replace(IRS, pattern_threshold=1e-3))
    assert looked.ready(bad)
    with pytest.raises(ConfigError, match="least beam-pattern error"):
        looked.look(bad)
    with pytest.raises(ConfigError, match="zf needs as many dimensions"):
        Explorer("paper-b", PRESETS["paper-b-literal"], method="zf/focused").look(
            Explorer("paper-b", PRESETS["paper-b-literal"], method="zf/focused").start
        )
    with pytest.raises(ConfigError, match="is unknown"):
        looked.use(looked.start, "../../etc/passwd")
    assert looked.look(looked.start).state == looked.start


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_line_of_numbers(name):
    seen = explorer(name).look(explorer(name).start)
    line = dict(numbers(seen))
    assert line["sum rate"] == f"{seen.rates.sum():.3f} bit/s/Hz"
    assert line["constraints"] == ("all hold" if seen.feasible else "violated: " + ", ".join(
        constraint for constraint, held in seen.held.items() if not held))  # fmt: skip
    if name == "paper-b":
        root = math.degrees(math.sqrt(seen.measures["crb_rad2"]))
        assert line["root of the angles' bound"].startswith(f"{root:.3g}° of at most")
    else:
        assert line["beam-pattern error"].endswith("of at most 2")
    assert isinstance(seen.layout, Layout)
