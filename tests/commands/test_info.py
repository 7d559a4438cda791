"""`thzjax info`: what is installed, what has been run, and what a preset or a configuration says."""

import json

import jax
import pytest
from made_up import group, run_folder

import thzjax
from thzjax import cli
from thzjax.experiment import feasibility
from thzjax.experiment.feasibility import Binding, Study, report_lines
from thzjax.experiment.lock import hold


def test_runs_are_listed_with_what_each_is_and_how_it_stands(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["info"]) == 0
    assert "runs: none in runs; thzjax train PRESET makes one" in capsys.readouterr().out
    run_folder(tmp_path / "runs" / "done", 10, seed=3)
    run_folder(tmp_path / "runs" / "cut", 4)
    run_folder(tmp_path / "runs" / "now", 4)
    group(tmp_path / "runs" / "g", 4, seeds=1)
    (tmp_path / "runs" / "bad").mkdir()
    (tmp_path / "runs" / "bad" / "config.json").write_text("{")
    with hold(tmp_path / "runs" / "now"):
        assert cli.main(["info"]) == 0
    lines = {line.split()[0]: " ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    assert lines["runs/done"] == "runs/done ppo, structured paper-a 3 640 of 640 finished 3.030"
    assert lines["runs/cut"] == "runs/cut ppo, structured paper-a 0 256 of 640 interrupted 2.400"
    assert lines["runs/now"].endswith("running 2.400")
    assert lines["runs/g/seed-0"].endswith("interrupted 2.400")
    assert lines["runs/bad"] == "runs/bad 0 - unreadable -"
    assert lines["thzjax"].startswith(f"thzjax {thzjax.__version__}, jax {jax.__version__}, jaxlib ")


def test_json_is_alone_on_the_standard_output(tmp_path, capsys):
    run_folder(tmp_path / "done", 10)
    assert cli.main(["info", "--runs", str(tmp_path), "--json", "-"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["devices"][0]["platform"] == jax.devices()[0].platform
    assert {"paper-a", "paper-b"} <= set(told["presets"])
    (run,) = told["runs"]
    assert (run["state"], run["folder"], run["feasible_rate"]) == ("finished", str(tmp_path / "done"), 3.0)
    assert "devices:" in said.err


def test_a_configuration_is_shown_like_a_preset_with_options_changed(tmp_path, capsys):
    run_folder(tmp_path / "run", 2, options=("power_w=0.01",))
    where = ["--config", str(tmp_path / "run" / "config.json"), "--no-feasibility"]
    assert cli.main(["info", *where]) == 0
    text = capsys.readouterr().out
    assert "scenario.power_w = 0.01" in text
    assert "learner.hidden = [8, 8]" in text
    assert cli.main(["info", "paper-a", "--no-feasibility", "--set", "num_users=3", "clip=0.1"]) == 0
    text = capsys.readouterr().out
    assert "scenario.num_users = 3" in text
    assert "learner.clip = 0.1" in text
    assert cli.main(["info", *where, "--set", "scenario.power_w=0.5", "--json", str(tmp_path / "told.json")]) == 0
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["options"]["scenario.power_w"] == 0.5
    assert told["noise_w"] == pytest.approx(3.98e-10, rel=1e-2)
    assert "feasibility" not in told


def test_feasibility_is_said_and_counted(capsys, monkeypatch):
    found = Study(
        ["No design has a bound below 1e-7."],
        Binding(3.5, 0.25, {"crb": float("inf"), "bs_power": 0.2}, {"crb": 0.0, "bs_power": 0.1}),
        {"random, random": {"crb": (-3.0, 0.5), "bs_power": (0.4, 0.0)}},
    )
    monkeypatch.setattr(feasibility, "study", lambda scenario, say: found)
    assert cli.main(["info", "paper-b", "--json", "-"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)["feasibility"]
    assert told["gains"] == {"crb": None, "bs_power": 0.2}  # JSON has no infinity
    assert told["designs"]["random, random"]["crb"] == {"mean_slack": -3.0, "violated": 0.5}
    text = "\n".join(report_lines(found))
    assert text in said.err
    for part in ("3.50 bit/s/Hz, none on 25 %", "binds: without it feasible", "-3.00 (50 % violate)", "below 1e-7"):
        assert part in text
