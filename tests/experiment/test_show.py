"""`thzjax show`: maps are what direct evaluations give, budgets end where the simulator does, files exist."""

import dataclasses
import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax import cli
from thzjax.experiment.evaluation import HELD_OUT, draw_channels, judge, stream_key
from thzjax.experiment.show import HELD_OUT_SEED, NEAREST_M, one_rule, study
from thzjax.experiment.show_numbers import LEFT_OUT, air, angle_errors, waterfalls
from thzjax.physics import sensing
from thzjax.systems.base import Design
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import build

IRS = IrsScenario(num_users=2, surface_shape=(2, 3), k_abs=0.74)
HYBRID = HrisScenario(
    bs_shape=(2, 3), surface_shape=(3, 4), sensor_shape=(2, 2), num_active=5, num_users=2, num_rays_bs=3,
    max_crb_rad2=0.1, min_sinr_db=-30.0, p_surface_dbm=-25.0,
)  # fmt: skip
SCENARIOS = {"irs": IRS, "hybrid": HYBRID}
pytestmark = pytest.mark.usefixtures("quickly_compiled")
CELLS = 5
DROP = 3


@functools.cache
def studied(kind):
    return study(SCENARIOS[kind], "rzf/focused", None, DROP, CELLS, lambda text: None)


@pytest.mark.parametrize("kind", SCENARIOS)
def test_the_drop_is_the_held_out_channel_and_the_design_what_is_judged(kind):
    seen, *_ = studied(kind)
    channels = draw_channels(seen.system, seen.params, DROP + 1, HELD_OUT_SEED)
    for one, other in zip(jax.tree.leaves(seen.channels), jax.tree.leaves(channels), strict=True):
        np.testing.assert_allclose(one, other[DROP], rtol=1e-5, atol=1e-6 * np.max(np.abs(one), initial=0))
    rates = np.asarray(seen.system.outcome(seen.params, seen.channels, seen.design).rates)
    assert seen.user == np.argmax(rates)


@pytest.mark.parametrize("kind", SCENARIOS)
def test_the_rate_at_every_place_is_that_of_a_design_made_for_it(kind):
    seen, rates, _ = studied(kind)
    system, params = seen.system, seen.params
    key = jax.random.fold_in(stream_key(HELD_OUT_SEED, HELD_OUT), DROP)
    shown = np.argwhere(np.isfinite(rates.values))
    assert len(shown) > 8
    rule = one_rule(system, "rzf/focused")

    @jax.jit
    def direct(place_m):
        standing = seen.channels.user_position_m.at[seen.user].set(place_m)
        batch = jax.tree.map(lambda x: x[None], system.sample(key, params, standing))
        return judge(system, params, batch, rule(params, batch, key)).rate_feasible[0]

    for i, j in shown[[0, 3, len(shown) // 2, -1]]:
        place = jnp.asarray([rates.x_m[j], rates.y_m[i], rates.height_m])
        # Two float32 programs of one design, whose rounds pick the better of near equals.
        np.testing.assert_allclose(rates.values[i, j], direct(place), rtol=2e-3)


def test_the_bound_at_every_place_is_that_of_a_scenario_with_the_target_there():
    seen, _, bound = studied("hybrid")
    shown = np.argwhere(np.isfinite(bound.values))
    for i, j in shown[[0, len(shown) // 2, -1]]:
        x, y, z = bound.x_m[j], bound.y_m[i], bound.height_m
        dist = math.sqrt(x * x + y * y + z * z)
        degrees = math.degrees(math.atan2(y, x)), math.degrees(math.asin(z / dist))
        system, params = build(dataclasses.replace(HYBRID, target_dist_m=dist, target_deg=degrees))
        crb = float(system.crb_rad2(params, seen.channels, seen.design))
        # Far off the beam the elimination is of an ill-conditioned matrix, in float32.
        np.testing.assert_allclose(bound.values[i, j], math.degrees(math.sqrt(crb)), rtol=2e-2)


@pytest.mark.parametrize("kind", SCENARIOS)
def test_maps_keep_off_arrays_and_backs(kind):
    seen, rates, bound = studied(kind)
    for drawn in (rates, *(() if bound is None else (bound,))):
        assert max(drawn.values.shape) == CELLS
        assert np.allclose(np.diff(drawn.x_m), np.diff(drawn.y_m)[0])  # square cells
        places = np.stack([*np.meshgrid(drawn.x_m, drawn.y_m)], axis=-1)[np.isfinite(drawn.values)]
        for name in ("BS", "surface"):
            x, y, z = seen.layout.nodes[name].position_m
            off = np.hypot(np.hypot(*(places - [x, y]).T), z - drawn.height_m)
            assert np.min(off) >= NEAREST_M
        assert np.all(places[:, 1] < 3 if kind == "irs" else places[:, 0] > 0)


@pytest.mark.parametrize("kind", SCENARIOS)
def test_budgets_end_at_what_the_simulator_says(kind):
    seen, *_ = studied(kind)
    falls = waterfalls(seen)
    assert list(falls) == {"irs": ["over the surface", "direct"], "hybrid": ["over the surface", "echo"]}[kind]
    rate = float(seen.system.outcome(seen.params, seen.channels, seen.design).rates[seen.user])
    sinr_db = 10 * math.log10(math.expm1(rate * math.log(2)))
    # float32 powers, whose logarithms are good to 1e-6, in twenty terms.
    assert abs(falls["over the surface"].result_db - sinr_db) < 1e-3
    assert falls["over the surface"].result == "SINR"
    if kind == "hybrid":
        scene = seen.system.scene(seen.params, seen.channels)
        snr = sensing.radar_snr(
            scene, seen.design.reflection, seen.design.beamformer, seen.params.snapshots, seen.params.noise_w
        )
        assert abs(falls["echo"].result_db - 10 * math.log10(float(snr))) < 1e-3


def test_a_user_whom_the_design_leaves_out_keeps_its_budget_alone():
    seen, *_ = studied("irs")
    silent = seen.design.beamformer.at[:, seen.user].set(0)
    fall = waterfalls(dataclasses.replace(seen, design=Design(silent, seen.design.reflection)))["over the surface"]
    assert fall.result == "SNR alone; the design leaves it out"
    assert "beam of the design" not in dict(fall.gains)
    assert math.isfinite(fall.result_db)
    assert 0 < LEFT_OUT < 1


def test_angle_errors_are_the_bounds():
    seen, *_ = studied("hybrid")
    found = angle_errors(seen)
    crb = float(seen.system.crb_rad2(seen.params, seen.channels, seen.design))
    assert math.isclose(found["as designed"], math.degrees(math.sqrt(crb)), rel_tol=1e-6)
    assert angle_errors(studied("irs")[0]) == {}


def test_the_air_has_windows_for_the_users_path():
    seen, *_ = studied("irs")
    spectrum = air(IRS, seen, points=300)
    nodes = seen.layout.nodes
    path = math.dist(nodes["BS"].position_m, nodes["surface"].position_m)
    path += math.dist(nodes["surface"].position_m, nodes[f"user {seen.user + 1}"].position_m)
    assert math.isclose(spectrum.path_m, path, rel_tol=1e-6)
    assert math.isclose(spectrum.limit_db_per_km * path / 1000, 1.0, rel_tol=1e-6)
    assert math.isclose(spectrum.carrier_db_per_km, 0.74 * 1e4 / math.log(10), rel_tol=1e-6)
    assert not any(low < 557e9 < high for low, high in spectrum.windows)
    assert air(dataclasses.replace(IRS, freq_hz=1.2e12), seen) is None


SMALL = {
    "paper-a": ["num_users=2", "surface_shape=2,2"],
    "paper-b": ["bs_shape=2,3", "surface_shape=3,4", "sensor_shape=2,2", "num_active=5", "num_users=2", "num_rays_bs=3",
                "max_crb_rad2=0.1", "min_sinr_db=-30", "p_surface_dbm=-25"],
}  # fmt: skip
BOTH = {
    "scenario", "budget", "rates_and_slack", "beam_bs", "beam_bs_polar", "beam_surface", "beam_surface_polar",
    "directions", "surface", "map_rate", "absorption",
}  # fmt: skip
WRITTEN = {"paper-a": BOTH | {"budget_direct"}, "paper-b": BOTH | {"budget_echo", "map_crb"}}


@pytest.mark.parametrize("name", SMALL)
def test_the_command_writes_every_picture_and_its_numbers(name, tmp_path, capsys):
    folder, numbers = tmp_path / "pictures", tmp_path / "numbers.json"
    options = ["--method", "rzf/focused", "--grid", "3", "--out", str(folder), "--json", str(numbers)]
    assert cli.main(["show", name, *options, "--set", *SMALL[name]]) == 0
    said = capsys.readouterr()
    assert "link budget: user" in said.out
    assert "spreading, BS–surface" in said.out
    assert "picture" in said.err
    assert {path.name for path in folder.iterdir()} == {f"{n}.{end}" for n in WRITTEN[name] for end in ("png", "svg")}
    found = json.loads(numbers.read_text(encoding="utf-8"))
    assert len(found["files"]) == 2 * len(WRITTEN[name])
    for budget in found["budgets"].values():
        gains, noises = (sum(x for _, x in budget[part] if x is not None) for part in ("gains", "noises"))
        assert math.isclose(gains - noises, budget["result_db"])
    assert np.shape(found["map_rate"]["values"]) == (len(found["map_rate"]["y_m"]), len(found["map_rate"]["x_m"]))
    assert (found["map_crb"] is None) == (name == "paper-a")


ALONE = {"bare": "surface_shape=0,0", "several": "surface_shape=2,2 user_antennas=2"}


@pytest.mark.parametrize("name", ["bare", pytest.param("several", marks=pytest.mark.full)])
def test_without_a_surface_or_with_several_antennas_what_exists_is_drawn(name, tmp_path, capsys):
    options = ["--method", "mrt/random", "--grid", "2", "--user", "2", "--out", str(tmp_path)]
    assert cli.main(["show", "paper-a", *options, "--set", "num_users=2", "num_antennas=3", *ALONE[name].split()]) == 0
    missing = {"budget", "beam_surface", "beam_surface_polar", "directions", "surface"} if name == "bare" else set()
    assert {path.stem for path in tmp_path.iterdir()} == WRITTEN["paper-a"] - missing
    assert ("SNR of one stream" in capsys.readouterr().out) == (name == "several")


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("user=5 must lie in 1..4", ["--user", "5"]),
        ("grid=1 must be at least 2", ["--grid", "1"]),
        ("drop=-1 must be at least 0", ["--drop", "-1"]),
        ("comes with several surfaces: name one of rzf/random, rzf/focused", ["--method", "rzf"]),
        ("method 'magic' is unknown", ["--method", "magic"]),
        ("option 'colour' is unknown", ["--set", "colour=red"]),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_line(message, arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["show", "paper-a", *arguments]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if "warning" not in line]
    assert len(error) == 1
    assert message in error[0]
    assert list(tmp_path.iterdir()) == []
