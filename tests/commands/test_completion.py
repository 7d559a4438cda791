"""Completion scripts: shells read them, and they know commands, options and what may stand behind those."""

import shutil
import subprocess

import pytest

from thzjax import cli
from thzjax.agents.registry import AGENTS
from thzjax.commands import COMMANDS
from thzjax.commands.completion import Option, option_names, options_of, words
from thzjax.experiment.config import resolve
from thzjax.systems.scenario import PRESETS

MRT = {name for name in words()["methods"] if name.startswith("mrt")}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """The scripts by shell, as files."""
    folder, files = tmp_path_factory.mktemp("completion"), {}
    for shell in ("bash", "zsh", "fish"):
        with pytest.MonkeyPatch.context() as patch:
            text = []
            patch.setattr("builtins.print", lambda said, end="\n", text=text: text.append(said + end))
            assert cli.main(["completion", shell]) == cli.OK
        files[shell] = folder / shell
        files[shell].write_text("".join(text))
    return files


def completed(script, *line):
    """What bash offers for the last word of a line; `=` stands alone, as bash parts it."""
    code = f'source "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _thzjax; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code, "bash", *line], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.split()


def test_the_shells_parse_their_scripts(scripts):
    for shell, path in scripts.items():
        if shutil.which(shell):
            done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, timeout=60)
            assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        (("tr",), {"train"}),
        (("",), {*COMMANDS, "--help", "--version"}),
        (("train", "paper-a-"), {"paper-a-literal", "paper-a-mimo"}),
        (("train", "paper-a", "--agent", "p"), {"ppo"}),
        (("train", "paper-a", "--agent", "=", "a"), {"a2c", "a3c", "apg"}),
        (("train", "paper-a", "--agent", "="), set(AGENTS)),
        (("train", "paper-a", "--he"), {"--help"}),
        (("train", "paper-a", "--no-r"), {"--no-report"}),
        (("train", "paper-a", "--quick", "--han"), {"--handler"}),
        (("train", "--quick", "paper-b-t"), {"paper-b-tight"}),
        (("train", "paper-a", "--set", "pattern_th"), {"pattern_threshold="}),
        (("train", "paper-a", "--set", "power_w", "=", "1", "pattern_th"), {"pattern_threshold="}),
        (("show", "paper-a", "--set", "cli"), set()),
        (("train", "paper-a", "--set", "cli"), {"clip="}),
        (
            ("compare", "paper-a", "--methods", "zf", "mr"),
            {name for name in words()["methods"] if name.startswith("mr")},
        ),
        (("reproduce", "be"), {"beyond"}),
        (("reproduce", "liu-fig4", "--budget", ""), {"quick", "full"}),
        (("bench", "training", "sta"), {"startup"}),
        (("policy", "runs/demo", "--checkpoint", "b"), {"best"}),
        (("completion", "f"), {"fish"}),
        (("evaluate", "runs/"), set()),  # bash then offers files
        (("train", "--resume", ""), set()),
        (("unknown", ""), set()),
    ],
)
def test_bash_completes(scripts, line, offered):
    assert set(completed(scripts["bash"], "thzjax", *line)) == offered


def test_every_option_of_every_command_is_offered(scripts, capsys):
    for name, command in COMMANDS.items():
        with pytest.raises(SystemExit):
            cli.main([name, "--help"])
        shown = {word.strip(",") for word in capsys.readouterr().out.partition("examples:")[0].split()}
        flags = {flag for option in options_of(command, {}) for flag in option.flags}
        assert flags <= shown, name
        assert set(completed(scripts["bash"], "thzjax", name, "--")) == flags


def test_the_words_are_those_that_commands_take():
    known = words()
    assert set(known["preset"]) == set(PRESETS)
    for name in known["agent"]:
        resolve("paper-a", name)
    # Short where that is enough, dotted where it is not; nothing that cannot be set.
    assert {"power_w=", "clip=", "learner.workers="} <= set(option_names())
    assert "clip=" not in option_names("scenario.")


def test_a_signature_becomes_options():
    def command(place: str, /, count: int = 0, deep_end: bool = False, names: tuple[str, ...] = ()) -> int:
        return count

    assert options_of(command, {"place": ["here"], "names": ["a", "b"]}) == [
        Option((), ("here",), many=True),
        Option(("--count",), ()),
        Option(("--deep-end", "--no-deep-end"), (), value=False),
        Option(("--names",), ("a", "b"), many=True),
        Option(("--help",), (), value=False),
    ]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_zsh_knows_the_function(scripts):
    code = f'autoload -U compinit && compinit -u -D; source "{scripts["zsh"]}"; print $_comps[thzjax]'
    done = subprocess.run(["zsh", "-fc", code], capture_output=True, text=True, timeout=60)
    assert "thzjax" in done.stdout, done.stderr


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
@pytest.mark.parametrize(
    ("line", "offered"),
    [("thzjax tr", "train"), ("thzjax train paper-a --agent ap", "apg"), ("thzjax bench sta", "startup")],
)
def test_fish_completes(scripts, line, offered):
    code = f'source "{scripts["fish"]}"; complete -C "{line}"'
    done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, timeout=60)
    assert offered in [row.split("\t")[0] for row in done.stdout.splitlines()], done.stderr
