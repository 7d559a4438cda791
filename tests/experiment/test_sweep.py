"""A sweep is the comparison at each value: same channels, same designs, as one program where the sizes stay."""

import dataclasses

import numpy as np
import pytest

from thzjax import cli
from thzjax.errors import ConfigError
from thzjax.experiment.compare import compare
from thzjax.experiment.overrides import apply_overrides
from thzjax.experiment.sweep import curves, sweep
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_scenario import IrsScenario

METHODS = ("mrt/random",)
SMALL = HrisScenario(
    bs_shape=(2, 3), surface_shape=(3, 4), sensor_shape=(2, 2), num_active=5, num_users=3, num_rays_bs=3,
    max_crb_rad2=1.0, min_sinr_db=-30.0, p_bs_dbm=50.0,
)  # fmt: skip


def quiet(text):
    del text


@pytest.mark.parametrize(
    ("scenario", "name", "values"),
    [
        (IrsScenario(), "pattern_threshold", ("2", "none")),
        pytest.param(SMALL, "p_bs_dbm", ("48", "52"), marks=pytest.mark.full),
    ],
)
def test_each_point_is_the_comparison_there(scenario, name, values):
    rows = sweep(scenario, name, values, 8, 2, quiet, METHODS)
    for value in values:
        single = compare(apply_overrides(scenario, [f"{name}={value}"]), [], 8, 2, quiet, methods=METHODS)
        for row in single.rows:
            (same,) = (
                r for r in rows if (r["value"], r["method"], r["surface"]) == (value, row["method"], row["surface"])
            )
            np.testing.assert_allclose(same["rate_feasible"], row["rate_feasible"], rtol=1e-3)
            assert same["violation_rate_feasible"] == row["violation_rate_feasible"]
            assert same["num_channels"] == 8


@pytest.mark.full
def test_options_swept_together_change_together():
    together = {"num_active": ("3", "5")}
    rows = sweep(SMALL, "surface_shape", ("3,3", "3,4"), 4, 2, quiet, ("rzf/focused",), together)
    for row in [row for row in rows if row["surface"] != "anchor"]:
        active = together["num_active"][("3,3", "3,4").index(row["value"])]
        scenario = apply_overrides(SMALL, [f"surface_shape={row['value']}", f"num_active={active}"])
        (single,) = compare(scenario, [], 4, 2, quiet, methods=("rzf/focused",)).rows
        np.testing.assert_allclose(row["rate_feasible"], single["rate_feasible"], rtol=1e-3)


def test_options_swept_together_need_equally_many_values():
    with pytest.raises(ConfigError, match="power_w has 2, num_users has 3"):
        sweep(IrsScenario(), "power_w", ("1", "2"), 4, 2, quiet, METHODS, {"num_users": ("2", "3", "4")})


@pytest.mark.full
def test_a_method_that_does_not_exist_at_a_value_is_left_out_there():
    told = []
    rows = sweep(SMALL, "num_rays_bs", ("0", "3"), 4, 2, told.append, ("zf/focused", "rzf/focused"))
    there = {(row["value"], row["method"]) for row in rows if row["surface"] != "anchor"}
    assert there == {("0", "rzf"), ("3", "rzf"), ("3", "zf")}
    assert any("zf needs as many dimensions as users" in text for text in told)
    drawn, anchors = curves(rows, ("0", "3"))
    assert np.isnan(drawn["zf, focused"]["mean"][0])
    assert np.isfinite(drawn["zf, focused"]["mean"][1])
    assert set(anchors) == {"one user alone", "upper bound"}
    assert np.all(anchors["upper bound"] >= drawn["rzf, focused"]["mean"])
    assert np.all(anchors["upper bound"] >= anchors["one user alone"] * (1 - 1e-5))


@pytest.mark.full
def test_a_value_that_physics_forbids_is_marked_and_the_rest_runs():
    told = []
    tight = dataclasses.replace(SMALL, max_crb_rad2=1e-9)
    rows = sweep(tight, "max_crb_rad2", ("1e-12", "1"), 4, 2, told.append, ("rzf/focused",))
    refused = [row for row in rows if "refused" in row]
    assert [row["value"] for row in refused] == ["1e-12"]
    assert refused[0]["rate_feasible"] == 0
    assert refused[0]["violation_rate_feasible"] == 1
    assert any("no design reaches" in text for text in told)


def test_the_command_draws_and_keeps_the_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", "paper-a", "--sweep", "num_users=2,3", "--channels", "4", "--methods", "mrt"]) == 0
    text = capsys.readouterr().out
    assert "num_users=3" in text
    assert sorted(p.name for p in (tmp_path / "sweeps" / "paper-a-num_users").iterdir()) == [
        "sweep_num_users.json", "sweep_num_users.png", "sweep_num_users.svg",
    ]  # fmt: skip


def test_an_impossible_bound_is_refused_before_anything_runs():
    with pytest.raises(ConfigError, match=r"is below .* rad\^2, which no design reaches"):
        compare(dataclasses.replace(SMALL, max_crb_rad2=1e-12), [], 4, 2, quiet)
    with pytest.raises(ConfigError, match=r"a least SINR of 90\.0 dB is out of reach"):
        compare(dataclasses.replace(SMALL, min_sinr_db=90.0), [], 4, 2, quiet)
