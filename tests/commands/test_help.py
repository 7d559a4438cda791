"""What --help says: fits the terminal, and every example it gives is a command line that parses."""

import inspect
import re
import shlex

import pytest

from thzjax import __version__, cli
from thzjax.commands import COMMANDS
from thzjax.commands.help import STATUSES, examples, paragraphs, summary

EXAMPLES = [(name, line) for name, command in COMMANDS.items() for line in examples(command)]


def said(args, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(args)
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.fixture(params=["80", "120"])
def columns(request, monkeypatch):
    monkeypatch.setenv("COLUMNS", request.param)
    return int(request.param)


def test_the_overview_has_every_command_and_every_status(columns, capsys):
    text = said(["--help"], capsys)
    assert max(map(len, text.splitlines())) <= columns
    for name in (*COMMANDS, *STATUSES):
        assert re.search(rf"^  {name} ", text, re.MULTILINE), name
    assert "  130  stopped by Ctrl-C" in text
    assert said(["-h"], capsys) == text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_and_ends_with_the_examples(name, columns, capsys):
    text = said([name, "--help"], capsys)
    before, _, after = text.partition("\nexamples:\n")
    lines = before.splitlines()
    assert lines[0].startswith(f"usage: thzjax {name} ")
    assert max(map(len, lines[1:])) <= columns
    assert summary(COMMANDS[name]).split()[0] in before
    shown = [line.strip() for line in after.splitlines()]
    assert shown == examples(COMMANDS[name])
    assert len(shown) >= 2
    assert all(line.startswith("thzjax ") for line in shown)


@pytest.mark.parametrize("name", COMMANDS)
def test_whatever_a_docstring_says_is_in_the_help(name, capsys):
    command = COMMANDS[name]
    document = inspect.getdoc(command)
    # Prose behind the examples would be taken for one of them.
    assert re.search(r"\n\nExamples:\n(  .*\n)+\nArgs:\n", document)
    flat = " ".join(said([name, "--help"], capsys).split())
    for sentence in " ".join(paragraphs(command).split()).split(". "):
        assert sentence in flat


@pytest.mark.parametrize(("name", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_every_example_parses(name, line):
    words = shlex.split(line)
    assert words[:2] == ["thzjax", name]
    arguments = words[1 : words.index(">") if ">" in words else None]
    assert callable(cli._parse(arguments))


def test_the_version_is_told(capsys):
    assert said(["--version"], capsys) == f"thzjax {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no command is given: use one of train, watch"),
        (["--agent", "ppo"], "command '--agent' is unknown"),
        (["trian"], "command 'trian' is unknown: did you mean train?"),
        (["train", "paper-a", "--seed", "x"], "invalid literal for int() with base 10: 'x': see thzjax train --help"),
        (["train", "paper-a", "--seed"], "Missing value for argument '--seed'"),
        (["watch"], "RUN"),
        (["reproduce", "--budget", "huge"], "Expected one of ('quick', 'full'): see thzjax reproduce --help"),
        (["completion", "tcsh"], "('bash', 'zsh', 'fish')"),
        (["info", "paper-a", "--config", "x.json"], "name a preset, or give --config FILE instead of one"),
        (["info", "--set", "power_w=1"], "--set changes a preset or a configuration: name one"),
        (["compare"], "name a preset (such as paper-a), or give --config FILE"),
        (["show", "paper-a", "--config", "x.json"], "name a preset (such as paper-a), or give --config FILE"),
        (["show", "--config", "x.json"], "x.json does not exist"),
        (["train", "paper-a", "--no-report", "--json", "-"], "leave out --no-report, or leave out --json"),
        (["train", "paper-a", "--set", "preset=../../elsewhere"], "preset '../../elsewhere' is unknown"),
        (["watch", "nowhere"], "nowhere is no run folder"),
        (["watch", "nowhere", "--interval", "nan"], "interval=nan must lie in 0.1..3600 seconds"),
    ],
)
def test_what_cannot_be_is_one_line_that_says_what_to_do(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert error.startswith("thzjax: ")
    assert list(tmp_path.iterdir()) == []
