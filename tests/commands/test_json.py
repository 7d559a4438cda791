"""`--json`: one meaning everywhere, and what the disk refuses is one line."""

import errno
import json
import os

import pytest
from made_up import run_folder

from thzjax import cli
from thzjax.commands import COMMANDS
from thzjax.commands.completion import options_of
from thzjax.figures.catalogue import FIGURES

pytestmark = pytest.mark.usefixtures("quickly_compiled")


def test_every_command_has_it_but_those_that_print_json_or_a_script_already():
    without = {name for name, command in COMMANDS.items()
               if not any("--json" in option.flags for option in options_of(command, {}))}  # fmt: skip
    assert without == {"bench", "completion", "explore"}


def test_a_comparison_is_alone_on_the_standard_output(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = ["--channels", "4", "--methods", "mrt/random", "--set", "num_users=2", "surface_shape=2,2"]
    assert cli.main(["compare", "paper-a", *tiny, "--json", "-"]) == 0
    said = capsys.readouterr()
    (row,) = json.loads(said.out)
    assert (row["method"], row["surface"], row["num_channels"]) == ("mrt", "random", 4)
    assert "us/channel" in said.err
    assert "judging: mrt, random surface (0 of 1)" in said.err
    assert list(tmp_path.iterdir()) == []
    # The same rows in a file, then the table is what is printed.
    assert cli.main(["compare", "paper-a", *tiny, "--json", "new/rows.json"]) == 0
    assert "us/channel" in capsys.readouterr().out
    (again,) = json.loads((tmp_path / "new" / "rows.json").read_text())
    assert again["rate_feasible"] == row["rate_feasible"]


def test_a_configuration_is_compared_as_its_preset_is(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path / "run", 2, options=("num_users=2", "surface_shape=2,2"))
    rows = []
    for where in (["paper-a", "--set", "num_users=2", "surface_shape=2,2", "scenario.power_w=0.01"],
                  ["--config", "run/config.json", "--set", "power_w=0.01"]):  # fmt: skip
        assert cli.main(["compare", *where, "--channels", "4", "--methods", "mrt/random", "--json", "-"]) == 0
        rows += json.loads(capsys.readouterr().out)
    assert rows[0]["rate_feasible"] == rows[1]["rate_feasible"]


def test_the_list_of_figures(capsys):
    assert cli.main(["reproduce", "--list", "--json", "-"]) == 0
    assert [figure["id"] for figure in json.loads(capsys.readouterr().out)] == list(FIGURES)


def test_what_a_policy_takes(capsys, tmp_path):
    run_folder(tmp_path / "run", 2)
    assert cli.main(["policy", str(tmp_path / "run"), "--json", "-"]) == 0
    arrays = json.loads(capsys.readouterr().out)["arrays"]
    assert arrays["bs_to_surface"] == {"shape": [None, 16, 5], "dtype": "complex64"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["compare", "paper-a", "--json", "{file}/rows.json"],
        ["compare", "paper-a", "--out", "{file}/figures"],
        ["compare", "paper-a", "--sweep", "power_w=1,2", "--out", "{file}/figures"],
        ["show", "paper-a", "--out", "{file}"],
        ["info", "paper-a", "--json", "{file}/x.json"],
        ["info", "paper-a", "--json", "{folder}"],
        ["policy", "{run}", "--export", "{file}/x.policy"],
        ["watch", "{run}", "--json", "{file}/x.json"],
        ["train", "paper-a", "--out", "{file}/run"],
        ["reproduce", "air", "--out", "{file}/reproduction"],
        ["bench", "kernels", "--out", "{file}/x.jsonl"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
@pytest.mark.filterwarnings("ignore")
def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("")
    run_folder(tmp_path / "run", 2)
    places = {"file": str(tmp_path / "a file"), "folder": str(tmp_path / "a folder"), "run": "run"}
    (tmp_path / "a folder").mkdir()
    assert cli.main([argument.format(**places) for argument in arguments]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "warning" not in line]
    assert len(errors) == 1
    assert "/a f" in errors[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a file", "a folder", "run"]


@pytest.mark.parametrize(
    ("number", "status", "cure"),
    [(errno.ENOSPC, 1, "free some space there"), (errno.EROFS, 2, "choose a place that can be written"),
     (errno.EACCES, 2, "choose a place that you may use"), (errno.EISDIR, 2, "mend that")],
)  # fmt: skip
def test_what_the_system_refuses_is_one_line_with_what_to_do(number, status, cure, capsys, tmp_path, monkeypatch):
    def refuse(path, content):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("thzjax.experiment.files.write_atomically", refuse)
    assert cli.main(["reproduce", "--list", "--json", str(tmp_path / "x.json")]) == status
    error = capsys.readouterr().err
    assert error == (f"thzjax: {tmp_path / 'x.json'}: {os.strerror(number)}: {cure}, then run the command again\n")
