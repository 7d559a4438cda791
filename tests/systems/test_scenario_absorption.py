"""A scenario's absorption: each model's number, what it does to the channels, and the word about an odd constant."""

import dataclasses
import json
import math
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import absorption as ref
from reference.tools import EPS32, assert_close

from thzjax import cli
from thzjax.errors import AbsorptionWarning, ConfigError
from thzjax.experiment.config import config_json, read_config, resolve
from thzjax.physics import absorption
from thzjax.systems import medium
from thzjax.systems import scenario as module
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.medium import absorption_per_m, standard_absorption_per_m
from thzjax.systems.scenario import build

PAPERS = 6.7141e-4
STANDARD = (101_325.0, 288.15, 7.5e-3)
# Dry pressure, temperature, vapour density: the standard, a hot damp day, a cold dry height.
AIRS = [STANDARD, (99_000.0, 305.0, 2.5e-2), (60_000.0, 255.0, 2e-4)]
with_air = pytest.mark.parametrize("air", AIRS)


def scenario_of(model, freq_hz, air=STANDARD, **options):
    names = ("dry_pressure_pa", "temperature_k", "vapour_density_kg_m3")
    return IrsScenario(absorption=model, freq_hz=freq_hz, **dict(zip(names, air, strict=True)), **options)


def total_pressure_and_humidity(air):
    dry_pressure_pa, temperature_k, density = air
    pressure_pa = dry_pressure_pa + 100.0 * 1e3 * density * temperature_k / 216.7
    return pressure_pa, density / ref.vapour_density(1.0, pressure_pa, temperature_k)


@pytest.fixture(autouse=True)
def nothing_said_yet():
    """Every test begins like a new process."""
    medium._warn_of_mismatch.cache_clear()


def test_the_default_air_is_the_standard_one():
    plain = IrsScenario()
    assert (plain.dry_pressure_pa, plain.temperature_k, plain.vapour_density_kg_m3) == STANDARD
    assert (plain.absorption, plain.k_abs) == ("constant", PAPERS)


@pytest.mark.parametrize("freq_hz", [1e9, 0.3e12, 0.55e12, 1e12])
@with_air
def test_p676_is_the_line_by_line_sum(x64, freq_hz, air):
    value = absorption_per_m(scenario_of("p676", freq_hz, air))
    assert isinstance(value, float)
    assert value == float(absorption.p676_attenuation(jnp.asarray(freq_hz), *(jnp.asarray(x) for x in air)))
    # Line mixing cancels far from the lines: relative to what is summed.
    assert abs(value - ref.p676_attenuation(freq_hz, *air)) <= 1e-10 * ref.p676_magnitude(freq_hz, *air)


@pytest.mark.parametrize("freq_hz", [275e9, 0.3e12, 380e9, 400e9])
@with_air
def test_simplified_is_kokkoniemis_fit(x64, freq_hz, air):
    pressure_pa, humidity = total_pressure_and_humidity(air)
    value = absorption_per_m(scenario_of("simplified", freq_hz, air))
    direct = absorption.simplified_absorption(*(jnp.asarray(x) for x in (freq_hz, pressure_pa, air[1], humidity)))
    assert isinstance(value, float)
    assert value == pytest.approx(float(direct), rel=1e-12)
    assert value == pytest.approx(ref.simplified_absorption(freq_hz, pressure_pa, air[1], humidity), rel=1e-10)


@with_air
def test_constant_is_its_own_number_in_any_air(air):
    assert absorption_per_m(scenario_of("constant", 0.3e12, air, k_abs=0.0123)) == 0.0123
    assert absorption_per_m(scenario_of("constant", 3e12, air, k_abs=0.0)) == 0.0


@pytest.mark.parametrize("freq_hz", [1e9, 60e9, 0.3e12, 0.55e12, 1e12])
def test_standard_absorption_is_p676s_in_standard_air(x64, freq_hz):
    expected, size = ref.p676_attenuation(freq_hz, *STANDARD), ref.p676_magnitude(freq_hz, *STANDARD)
    assert abs(standard_absorption_per_m(freq_hz) - expected) <= 1e-10 * size


@pytest.mark.parametrize("freq_hz", [0.99e9, 1.001e12, 3e12])
def test_standard_absorption_is_none_outside_its_band(freq_hz):
    assert standard_absorption_per_m(freq_hz) is None


MODELS = {
    "constant": (scenario_of("constant", 0.55e12, k_abs=0.01), 0.01),
    "p676": (scenario_of("p676", 0.55e12), ref.p676_attenuation(0.55e12, *STANDARD)),
    "p676 in damp air": (scenario_of("p676", 0.3e12, AIRS[1]), ref.p676_attenuation(0.3e12, *AIRS[1])),
    "simplified": (
        scenario_of("simplified", 0.35e12, AIRS[1]),
        ref.simplified_absorption(0.35e12, total_pressure_and_humidity(AIRS[1])[0], AIRS[1][1],
                                  total_pressure_and_humidity(AIRS[1])[1]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_build_hands_it_to_the_channels(name):
    scenario, expected = MODELS[name]
    params = build(scenario)[1]
    assert params.k_abs.dtype == jnp.float32
    assert params.k_abs.shape == ()
    # The bound of the float32 line sums, in tests/physics; these are no nulls of line mixing.
    assert float(params.k_abs) == pytest.approx(expected, rel=48 * EPS32)
    assert float(params.k_abs) == float(np.float32(absorption_per_m(scenario)))


@pytest.mark.parametrize("freq_hz", [0.3e12, 0.55e12])
def test_p676_weakens_every_path_by_its_length(x64, freq_hz):
    constant = scenario_of("constant", freq_hz, k_abs=PAPERS)
    system, before = build(constant)
    damp_system, after = build(dataclasses.replace(constant, absorption="p676"))
    assert damp_system == system
    weak = jax.jit(system.sample)
    a, b = weak(jax.random.key(5), before), weak(jax.random.key(5), after)
    users = np.asarray(a.user_position_m)
    np.testing.assert_array_equal(users, b.user_position_m)
    more = ref.p676_attenuation(freq_hz, *STANDARD) - PAPERS
    assert more > 0

    def left(start, end):
        """Amplitude that the further absorption leaves: the root of exp(-k l)."""
        return math.exp(-more * math.dist(start, end) / 2)

    bs, surface = constant.bs_position_m, constant.surface_position_m
    direct = np.array([left(bs, user) for user in users])
    last = np.array([left(surface, user) for user in users])
    assert np.all(direct < 1 - 1e-3)
    assert_close(b.direct, np.asarray(a.direct) * direct[:, None], 1e-10)
    assert_close(b.bs_to_surface, np.asarray(a.bs_to_surface) * left(bs, surface), 1e-10)
    assert_close(b.surface_to_user, np.asarray(a.surface_to_user) * last[:, None], 1e-10)


BAD = {
    "absorption='fog' is unknown: use one of constant, p676, simplified": {"absorption": "fog"},
    "ITU-R P.676 holds for freq_hz from 1e+09 to 1e+12, not 1.2e+12": {"absorption": "p676", "freq_hz": 1.2e12},
    "ITU-R P.676 holds for freq_hz from 1e+09 to 1e+12, not 9e+08": {"absorption": "p676", "freq_hz": 0.9e9},
    "holds for freq_hz from 2.75e+11 to 4e+11, not 5.5e+11": {"absorption": "simplified"},
    "k_abs=-0.1 must not be negative": {"k_abs": -0.1},
    "vapour_density_kg_m3=-1 must not be negative": {"absorption": "p676", "vapour_density_kg_m3": -1.0},
    "temperature_k=0 must be greater than 0": {"absorption": "p676", "temperature_k": 0.0},
    "dry_pressure_pa=0 must be greater than 0": {"absorption": "simplified", "dry_pressure_pa": 0.0},
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_work_is_refused_in_one_line(message):
    with pytest.raises(ConfigError) as caught:
        build(IrsScenario(**BAD[message]))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("message", [m for m in BAD if "absorption" in BAD[m]])
def test_the_command_line_refuses_it_with_status_2(message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [f"{name}={value}" for name, value in BAD[message].items()]
    assert cli.main(["train", "paper-a", "--set", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def warnings_of(*scenarios, call=absorption_per_m):
    """All that was said; no filter of Python's own keeps anything from being said twice."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for scenario in scenarios:
            call(scenario)
    assert all(issubclass(w.category, AbsorptionWarning) for w in caught)
    return caught


def test_a_constant_far_off_standard_air_is_said_once_with_both_numbers():
    scenario = IrsScenario()
    said = warnings_of(scenario, scenario, dataclasses.replace(scenario, num_users=3))
    assert len(said) == 1
    text = str(said[0].message)
    assert "\n" not in text
    assert "k_abs=0.00067141 " in text
    assert "550 GHz" in text
    assert f"{ref.p676_attenuation(0.55e12, *STANDARD):.3g} 1/m" in text
    assert "absorption=p676" in text
    assert issubclass(AbsorptionWarning, UserWarning)
    # Another constant is another matter.
    assert len(warnings_of(dataclasses.replace(scenario, k_abs=1e-3), scenario)) == 1


def test_build_warns_where_it_is_called_from():
    said = warnings_of(IrsScenario(), IrsScenario(), call=lambda scenario: build(scenario))
    assert [w.filename for w in said] == [__file__]


# 1.01: the float32 sum is within 48 eps, so a percent on either side of the factor is safely on that side.
@pytest.mark.parametrize("freq_hz", [0.14e12, 0.3e12, 0.55e12])
@pytest.mark.parametrize("factor", [10 * 1.01, 1 / (10 * 1.01), 1e4, 0.0])
def test_more_than_a_factor_of_ten_is_far(freq_hz, factor):
    k_abs = factor * ref.p676_attenuation(freq_hz, *STANDARD)
    # The air of the scenario is not the constant's: the standard is what it is held against.
    said = warnings_of(scenario_of("constant", freq_hz, AIRS[2], k_abs=k_abs))
    assert len(said) == 1
    assert f"k_abs={k_abs:g} " in str(said[0].message)


@pytest.mark.parametrize("freq_hz", [0.14e12, 0.3e12, 0.55e12])
@pytest.mark.parametrize("factor", [10 / 1.01, 1.01 / 10, 1.0, 3.0])
def test_within_a_factor_of_ten_nothing_is_said(freq_hz, factor):
    k_abs = factor * ref.p676_attenuation(freq_hz, *STANDARD)
    assert warnings_of(scenario_of("constant", freq_hz, AIRS[2], k_abs=k_abs)) == []


def test_nothing_is_said_of_computed_absorption_or_outside_the_band():
    assert warnings_of(
        scenario_of("p676", 0.55e12, AIRS[2], k_abs=PAPERS),
        scenario_of("simplified", 0.3e12, AIRS[2], k_abs=0.0),
        scenario_of("constant", 0.9e9, k_abs=1.0),
        scenario_of("constant", 1.1e12, k_abs=0.0),
    ) == []  # fmt: skip
    # The edges belong to the band.
    assert len(warnings_of(*(scenario_of("constant", f, k_abs=1e3) for f in (1e9, 1e12)))) == 2


def numbers_of_info(text):
    line = next(line for line in text.splitlines() if line.startswith("# absorption at the carrier"))
    return re.fullmatch(r".*: (\S+) 1/m \((\w+)\)(?:; ITU-R P.676-13 in standard air: (\S+) 1/m)?", line).groups()


@pytest.mark.filterwarnings("default::thzjax.errors.AbsorptionWarning")
def test_info_prints_both_numbers_and_warns_in_one_line(capsys):
    assert cli.main(["info", "paper-a", "--no-feasibility"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("thzjax: warning: k_abs=0.00067141 1/m")
    assert "Traceback" not in captured.err
    assert "scenario.absorption = constant" in captured.out
    here, model, standard = numbers_of_info(captured.out)
    assert model == "constant"
    # Four digits are printed.
    assert float(here) == pytest.approx(PAPERS, rel=5e-4)
    assert float(standard) == pytest.approx(ref.p676_attenuation(0.55e12, *STANDARD), rel=5e-4)


@pytest.mark.filterwarnings("default::thzjax.errors.AbsorptionWarning")
def test_info_is_quiet_where_nothing_is_off(capsys, monkeypatch):
    monkeypatch.setitem(module.PRESETS, "damp", scenario_of("p676", 0.3e12, AIRS[1]))
    monkeypatch.setitem(module.PRESETS, "optical", scenario_of("constant", 3e12))
    for name, expected in (("damp", "p676"), ("optical", "constant")):
        assert cli.main(["info", name, "--no-feasibility"]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        here, model, standard = numbers_of_info(captured.out)
        assert model == expected
        if name == "damp":
            assert float(here) == pytest.approx(ref.p676_attenuation(0.3e12, *AIRS[1]), rel=5e-4)
            assert float(standard) == pytest.approx(ref.p676_attenuation(0.3e12, *STANDARD), rel=5e-4)
        else:
            assert float(here) == pytest.approx(PAPERS, rel=5e-4)
            assert standard is None


def test_overrides_reach_the_scenario_and_its_file(tmp_path):
    config = resolve("paper-a", overrides=["absorption=p676", "freq_hz=3e11", "temperature_k=300"])
    scenario = config.scenario
    assert (scenario.absorption, scenario.freq_hz, scenario.temperature_k) == ("p676", 3e11, 300.0)
    expected = ref.p676_attenuation(3e11, STANDARD[0], 300.0, STANDARD[2])
    assert absorption_per_m(scenario) == pytest.approx(expected, rel=48 * EPS32)
    path = tmp_path / "config.json"
    path.write_text(config_json(config))
    assert read_config(path) == config


def test_a_file_from_before_there_was_a_choice_has_the_constant(tmp_path):
    data = json.loads(config_json(resolve("paper-a", overrides=["k_abs=0.5"])))
    for name in ("absorption", "dry_pressure_pa", "temperature_k", "vapour_density_kg_m3"):
        del data["scenario"][name]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(data))
    scenario = read_config(path).scenario
    assert scenario == IrsScenario(k_abs=0.5)
    assert absorption_per_m(scenario) == 0.5
