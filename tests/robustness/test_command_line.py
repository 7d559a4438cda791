"""Mutated command lines and configuration files: status 0 or 2, one line, and nothing written but what was asked for.

In this process, with what trains, compiles and measures for long stopped where it begins: what is left is everything
that reads, checks and makes folders. Paths are taken from a list, so that no mutation names one outside the test's own.
"""

import importlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hostile import GARBAGE, damaged_json
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from thzjax import cli
from thzjax.errors import ConfigError
from thzjax.experiment.config import config_json, resolve
from thzjax.systems.scenario import PRESETS

COMMANDS = [
    "train paper-a --agent ppo --seed 0 --out runs/demo --no-report",
    "train paper-a --agent apg --quick --no-report",
    "train paper-a --agent ppo --policy equivariant --steps 4096 --out out --set num_envs=64 hidden=8,8 --no-report",
    "train paper-b --agent sac --seed 1 --steps 1000 --set capacity=2048 num_envs=16 --no-report",
    "train paper-a --handler projection --set pattern_threshold=3 num_users=3 surface_shape=3,3 --no-report",
    "train paper-a --seeds 3 --sweep actor_rate=1e-2,1e-3 critic_rate=2e-2,2e-3 --quick --no-report",
    "train paper-a --agent dppo --workers 4 --devices 1 --no-report",
    "train paper-a --configuration paper --no-report",
    "train paper-a --agent apg --set num_envs=512 --env-chunk 64 --no-report",
    "train --config sound.json --out out --set seed=3 --no-report",
    "train --resume nowhere",
    "evaluate nowhere --channels 16 --refine 2 --json rows.json",
    "report nowhere other --channels 8",
    "compare paper-a --channels 16 --methods rzf wmmse_sum/focused --json rows.json --out figures",
    "compare paper-b --sweep p_bs_dbm=30:45:5 --channels 8 --methods rzf --out figures",
    "compare paper-a --sweep num_users=2:3:1 power_w=0.01,0.02 --channels 8 --methods mrt",
    "compare paper-a nowhere --set power_w=0.01 absorption=p676",
    "policy nowhere --channels in.npz --out out.npz --checkpoint best",
    "policy nowhere --export demo.policy",
    "reproduce liu-fig9 --budget quick --out results",
    "reproduce --list",
    "bench startup --quick --out bench.jsonl",
    "show paper-a --method wmmse_sum/focused --user 1 --drop 0 --grid 4 --out pictures --json numbers.json",
    "info",
    "info paper-b --no-feasibility",
    "watch nowhere --once",
    "channels generate paper-a --num 4 --out channels.npz --seed 1",
    "channels import odd.npz --preset paper-a --out channels.npz",
    "channels show odd.npz --json numbers.json",
    "completion bash",
]
PATHS = (
    "", ".", "..", "a/../b", "with space", "ünï-太", "-", "--", "a.txt", "a.txt/below", "new/deep/folder", "x" * 300,
    "~", "$HOME", "line\nend", "\x1b[31m", "nul", "sound.json", "odd.json", "odd.npz", "*", "folder",
)  # fmt: skip
WORDS = (
    "--help", "--seed", "-1", "0", "1e9", "99999999999999999999", "1" * 400, "nan", "inf", "none", "None", "true",
    "paper-a", "paper-z", "--set", "power_w=nan", "power_w=inf", "power_w=-1", "freq_hz=1e400", "num_users=0",
    "num_users=1.5", "num_users=" + "9" * 5000, "surface_shape=0,0", "surface_shape=4", "surface_shape=,", "hidden=",
    "hidden=0", "constraints=", "constraints=crb,crb", "preset=../../x", "preset=paper-b", "agent=apg", "seed=-1",
    "gamma=2", "=", "a=b=c", "é=1", "policy=paper", "bs_gain_dbi=1e9", "noise_figure_db=9999", "phase_bits=64",
    "num_envs=0", "num_envs=1000000000000", "steps=10", "workers=3", "--channels", "--methods", "magic", "--sweep",
    "power_w=1:2", "power_w=0:1:0", "power_w=1,1", "power_w=1:1e9:1e-9", "--quick", "--steps", "-0", "--devices", "7",
    "--seeds", "1000000000", "--refine", "--checkpoint", "--handler", "penalty", "--agent", "a3c", "--policy",
    "unfolded", "--configuration", "best", "--env-chunk", "--workers", "--json", "--", "-", "&&", "horizon=0",
    "primal_dual.kind=none", "unfolded.layers=0", "entropy=nan", "max_grad_norm=inf", "validation_seed=-5",
)  # fmt: skip
OTHER_VALUES = ("", "nan", "1e99", "-3", "0", "x", "1,2,3", "none", "7")
OPTIONS_OF_PATHS = ("--out", "--json", "--export", "--config", "--resume", "--channels")
OWN_FOLDERS = ("runs", "sweeps", "pictures", "reproduction", "designs.npz")
"""What commands write to where they are told nothing."""


class Stopped(ConfigError):
    """Where long work would begin."""


def stop(*_, **__):
    raise Stopped("stopped by the test: here the long work would begin")


@pytest.fixture
def world(tmp_path, monkeypatch):
    """An empty folder to work in, a home elsewhere, and long work stopped where it begins."""
    work, home = tmp_path / "below" / "work", tmp_path / "home"
    for folder in (work, home):
        folder.mkdir(parents=True)
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("thzjax.experiment.train.run_together", lambda *_, **__: 0)
    for name in (
        "compare.draw_channels", "sweep.draw_channels", "show.one_rule", "feasibility.draw_channels",
        "together.make_chunk", "generate.generate",
    ):  # fmt: skip
        monkeypatch.setattr(f"thzjax.experiment.{name}", stop)
    monkeypatch.setattr("thzjax.figures.pages.reproduce_figure", stop)
    # The package has functions of the same names as its modules.
    bench, train = (importlib.import_module(f"thzjax.commands.{name}") for name in ("bench", "train"))
    monkeypatch.setattr(bench, "run_one", lambda *_: True)
    monkeypatch.setattr(train, "write_report", lambda *_: None)
    monkeypatch.setattr(train, "_judge_runs", lambda *_: None)
    return work


def inputs(work):
    """Files that command lines may name."""
    (work / "a.txt").write_text("no run")
    (work / "folder").mkdir()
    (work / "folder" / "thesis.tex").write_text("do not lose me")
    (work / "sound.json").write_text(config_json(resolve("paper-a", steps=4096, overrides=("num_envs=64",))))
    (work / "odd.json").write_text('{"agent": "ppo", "seed": [1]}')
    (work / "odd.npz").write_bytes(b"PK\x05\x06" + bytes(18))


def mutated(line, choose):
    """A command line with a few words lost, doubled, swapped, changed by a letter, or replaced by hostile ones."""
    words = line.split(" ")
    for _ in range(choose.choice((1, 1, 2, 3, 5))):
        at = choose.randrange(len(words)) if words else 0
        kind = choose.choice(("lose", "double", "swap", "letter", "word", "more", "value"))
        if kind == "more" or not words:
            words.insert(at, choose.choice(WORDS))
        elif kind == "lose":
            del words[at]
        elif kind == "double":
            words.insert(at, words[at])
        elif kind == "swap":
            other = choose.randrange(len(words))
            words[at], words[other] = words[other], words[at]
        elif kind == "word":
            words[at] = choose.choice(WORDS)
        elif kind == "value" and "=" in words[at]:
            words[at] = words[at].split("=")[0] + "=" + choose.choice(OTHER_VALUES)
        elif words[at] and "/" not in words[at]:
            place = choose.randrange(len(words[at]))
            words[at] = words[at][:place] + choose.choice("aZ9-=.,:; é\t") + words[at][place + choose.randrange(2) :]
    for i, word in enumerate(words[:-1]):
        if word in OPTIONS_OF_PATHS and choose.random() < 0.5:
            words[i + 1] = choose.choice(PATHS)
    # Beyond what lies about the test's own folder nothing may be named, and no cluster joined.
    return [w for w in words if not w.startswith("/") and w not in ("--distributed", "--coordinator")]


def contents(folder):
    """What lies under a folder: path -> its bytes, or None of a folder."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def allowed(words, work):
    """Where a command line may write: what it names, or a command's own folders."""
    named = [words[i + 1] for i, word in enumerate(words[:-1]) if word in OPTIONS_OF_PATHS]
    named += [word.partition("=")[2] for word in words if word.split("=")[0] in OPTIONS_OF_PATHS and "=" in word]
    named += OWN_FOLDERS
    return [Path(os.path.normpath(work / name)) for name in named]


def judged(words, work, capsys):
    """Run a command line, and see that all is well."""
    root = work.parents[1]
    before = contents(root)
    try:
        status = cli.main(words)
    except SystemExit as leaving:  # help, and nothing else
        status = leaving.code or 0
        assert status == 0
    said = capsys.readouterr()
    assert status in (0, 2), (words, status, said.err)
    assert "Traceback" not in said.err
    lines = [line for line in said.err.splitlines() if line.startswith("thzjax: ") and "warning: " not in line]
    assert len(lines) == (1 if status else 0), (words, said.err)
    if status:
        assert said.err.splitlines()[-1] == lines[0], (words, said.err)
    places = allowed(words, work)
    after = contents(root)
    for path in {path for path in after.keys() | before.keys() if after.get(path, 0) != before.get(path, 0)}:
        ours = any(path == place or place in path.parents or path in place.parents for place in places)
        assert ours, (words, path)
        assert path not in before or before[path] is None or status == 0, f"{words} changed {path}"
        if status and "stopped by the test" not in said.err and "comparison" not in said.err:
            assert path in before, f"{words} was refused, and wrote {path}"
    return status, said.err


def clean(work):
    """Leave the folder as it was at first."""
    for path in work.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    inputs(work)


def try_lines(world, capsys, count, begin):
    inputs(world)
    told = {0: 0, 2: 0}
    for i in range(count):
        choose = random.Random(begin + i)
        status, _ = judged(mutated(choose.choice(COMMANDS), choose), world, capsys)
        told[status] += 1
        clean(world)
    # Mutations that change nothing that matters are accepted, and most are refused.
    assert told[0] > count / 50
    assert told[2] > count / 4


def test_mutated_command_lines_are_refused_in_one_line(world, capsys):
    try_lines(world, capsys, 200, 0)


@pytest.mark.full
@pytest.mark.parametrize("part", range(4))
def test_two_thousand_mutated_command_lines_are_refused_in_one_line(world, capsys, part):
    try_lines(world, capsys, 500, 1000 * (part + 1))


@pytest.mark.parametrize("line", COMMANDS)
def test_the_lines_themselves_do_what_they_say_or_are_stopped(world, capsys, line):
    inputs(world)
    status, said = judged(line.split(" "), world, capsys)
    if "nowhere" in line:
        assert "does not exist" in said or "is no run folder" in said
    elif "odd.npz" in line and status:
        assert "odd.npz" in said
    elif status:
        assert "stopped by the test" in said


def try_files(world, capsys, data):
    base = data.draw(st.sampled_from((("paper-a", "ppo"), ("paper-a", "ddpg"), ("paper-b", "apg"), ("paper-b", "a3c"))))
    (world / "odd.json").write_bytes(data.draw(damaged_json(config_json(resolve(*base)))))
    words = ["train", "--config", "odd.json", "--no-report", "--out", "out"]
    judged([*words, *data.draw(st.sampled_from(((), ("--seeds", "2"), ("--set", "seed=4"))))], world, capsys)
    clean(world)


FILES = {"suppress_health_check": list(HealthCheck), "deadline": None, "phases": (Phase.explicit, Phase.generate)}


@settings(max_examples=100, **FILES)
@given(data=st.data())
def test_mutated_configuration_files_are_refused_in_one_line(world, capsys, data):
    inputs_once(world)
    try_files(world, capsys, data)


@pytest.mark.full
@seed(1)
@settings(max_examples=1000, **FILES)
@given(data=st.data())
def test_a_thousand_mutated_configuration_files_are_refused_in_one_line(world, capsys, data):
    inputs_once(world)
    try_files(world, capsys, data)


def inputs_once(work):
    if not (work / "sound.json").exists():
        inputs(work)


@settings(max_examples=100, **FILES)
@given(data=st.data())
def test_options_of_any_value_are_refused_in_one_line(world, capsys, data):
    """Every option that --set takes, with hostile values."""
    inputs_once(world)
    names = sorted(resolve_names(data.draw(st.sampled_from(sorted(PRESETS)))))
    preset, name = data.draw(st.sampled_from(names))
    value = str(data.draw(GARBAGE)).replace("\0", "")
    judged(["train", preset, "--no-report", "--out", "out", "--set", f"{name}={value}"], world, capsys)
    clean(world)


def resolve_names(preset):
    from thzjax.experiment.overrides import flatten, to_json

    return [(preset, name) for name in flatten(to_json(resolve(preset))) if "num_antennas" not in name]


@pytest.mark.parametrize("name", ["preset=../../evil", "preset=/tmp/evil", "preset=paper-b", "preset=a/b"])
def test_no_option_moves_a_run_out_of_its_folder(world, capsys, name):
    inputs(world)
    assert judged(["train", "paper-a", "--no-report", "--set", name], world, capsys)[0] == 2


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["train", "paper-a", "--no-report", "--out", "a.txt/below"], 2),
        (["train", "paper-a", "--no-report", "--out", "x" * 300], 2),
        (["bench", "startup", "--out", "folder"], 2),
        (["policy", "x" * 300], 2),
        (["compare", "paper-a", "--channels", "1" * 30], 2),
        (["show", "paper-a", "--grid", "100000"], 2),
        (["show", "paper-a", "--drop", str(2**40)], 2),
        (["train", "paper-a", "--seeds", "1000000000"], 2),
        (["train", "paper-a", "--steps", "1" + "0" * 30], 2),
        (["train", "paper-a", "--sweep", "actor_rate=0." + "0" * 300 + "1,1"], 2),
    ],
)
def test_paths_and_numbers_beyond_all_bounds_are_refused(world, capsys, words, status):
    inputs(world)
    assert judged(words, world, capsys)[0] == status


def test_a_full_disk_is_no_bad_input(monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "figures/a.png")

    monkeypatch.setattr("thzjax.experiment.tables.option_lines", full)
    assert cli.main(["info", "paper-a"]) == 1
    told = "figures/a.png: No space left on device: free some space there, then run the command again"
    assert capsys.readouterr().err == f"thzjax: {told}\n"


def test_too_little_memory_is_told(monkeypatch, capsys):
    def small(*_, **__):
        raise MemoryError

    monkeypatch.setattr("thzjax.experiment.tables.option_lines", small)
    assert cli.main(["info", "paper-a"]) == 1
    assert "not enough memory" in capsys.readouterr().err


@pytest.mark.full
def test_processes_of_their_own_write_only_where_they_are_told(tmp_path):
    """The real thing, in an empty folder with the home elsewhere: what is left is what --out names."""
    work, home = tmp_path / "work", tmp_path / "home"
    for folder in (work, home):
        folder.mkdir()
    environment = os.environ | {"HOME": str(home), "THZJAX_CACHE": "off"}
    environment.pop("XDG_CACHE_HOME", None)
    small = (
        "num_envs=16", "minibatches=2", "epochs=1", "hidden=4", "surface_shape=2,2", "num_users=2",
        "updates_per_record=1", "validation_channels=8",
    )  # fmt: skip

    def thzjax(*words):
        return subprocess.run(
            [sys.executable, "-m", "thzjax", *words],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=580,
        )

    lines = [
        (
            [
                "train",
                "paper-a",
                "--steps",
                "64",
                "--out",
                "out/run",
                "--no-report",
                "--set",
                *small,
                "validation_channels=8",
            ],
            0,
        ),
        (["evaluate", "out/run", "--channels", "8", "--json", "out/rows.json"], 0),
        (["policy", "out/run", "--export", "out/demo.policy"], 0),
        (["train", "paper-a", "--out", "out/run"], 2),
        (["train", "paper-a", "--set", "power_w=nan"], 2),
        (["compare", "paper-z"], 2),
    ]
    for words, status in lines:
        done = thzjax(*words)
        assert done.returncode == status, (words, done.stderr)
        assert "Traceback" not in done.stderr
        assert sorted(path.name for path in work.iterdir()) == ["out"]
        assert list(home.iterdir()) == []
    assert json.loads((work / "out" / "rows.json").read_text())[0]["num_channels"] == 8
