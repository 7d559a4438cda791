"""Two processes on this machine train one run: alike to one process, and with nothing lost when one of them is."""

import signal
import time

import pytest
from tiny import address, begin, ended, free_port, thzjax

from thzjax.experiment.checkpoint import Checkpoints
from thzjax.experiment.files import read_records

WIDE = {"JAX_ENABLE_X64": "1"}


def pair(folder, **environment):
    """Both processes of a run, process 0 first."""
    port = free_port()
    return [thzjax("--resume", folder, *address(port, process), **environment) for process in (0, 1)]


def alike(a, b, tolerance):
    """The largest difference of two runs' records, relative to what is over 1."""
    x, y = read_records(a / "metrics.jsonl"), read_records(b / "metrics.jsonl")
    assert [r.keys() for r in x] == [r.keys() for r in y]
    worst = max(abs(p[k] - q[k]) / max(1, abs(q[k])) for p, q in zip(x, y, strict=True) for k in p)
    assert worst <= tolerance


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run of one process, in float64."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    begin(folder, records=20, every=5, workers=2)
    status, said = ended(thzjax("--resume", folder, **WIDE))
    assert status == 0, said
    return folder


def test_two_processes_make_the_numbers_of_one(alone, tmp_path):
    folder = tmp_path / "run"
    begin(folder, records=20, every=5, workers=2)
    for status, said in map(ended, pair(folder, **WIDE)):
        assert status == 0, said
        assert said.count("20 of 20 records") <= 1
    alike(folder, alone, 1e-9)
    # Only one process has written, and what it saved serves one process.
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.records()[-1] == 20
    assert len(read_records(folder / "timing.jsonl")) == 21


@pytest.mark.parametrize("process", [0, 1])
def test_a_process_that_waits_in_vain_says_so(tmp_path, process):
    begin(tmp_path / "run", workers=2)
    where = address(free_port(), process)
    limit = "--initialization-timeout", 3
    start = time.monotonic()
    status, said = ended(thzjax("--resume", tmp_path / "run", *where, *limit))
    assert time.monotonic() - start < 60
    assert (status, said.count("\n")) == (1, 1), said
    assert said.startswith("thzjax: not all of the 2 processes of this run met at 127.0.0.1:")
    assert "--initialization-timeout" in said


@pytest.mark.full
@pytest.mark.parametrize("victim", [0, 1])
def test_when_a_process_dies_the_other_ends_and_the_run_goes_on_alone(alone, tmp_path, victim):
    folder = tmp_path / "run"
    begin(folder, records=20, every=5, workers=2)
    both = pair(folder, **WIDE)
    limit = time.monotonic() + 200
    while len(read_records(folder / "metrics.jsonl")) < 8 and time.monotonic() < limit:
        time.sleep(0.005)
    both[victim].send_signal(signal.SIGKILL)
    start = time.monotonic()
    status, said = ended(both[1 - victim])
    assert time.monotonic() - start < 90
    assert status not in (0, -signal.SIGKILL), said
    assert "has lost another: go on from the last checkpoint with --resume" in said or "another task died" in said
    ended(both[victim])
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.latest() >= 5
    status, said = ended(thzjax("--resume", folder, **WIDE))
    assert status == 0, said
    alike(folder, alone, 1e-9)


@pytest.mark.full
@pytest.mark.parametrize("told", [0, 1])
def test_a_process_that_is_told_to_stop_stops_both(alone, tmp_path, told):
    folder = tmp_path / "run"
    begin(folder, records=20, every=5, workers=2)
    both = pair(folder, **WIDE)
    limit = time.monotonic() + 200
    while len(read_records(folder / "metrics.jsonl")) < 3 and time.monotonic() < limit:
        time.sleep(0.005)
    both[told].send_signal(signal.SIGTERM)
    assert [ended(process)[0] for process in both] == [143, 143]
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.latest() == len(read_records(folder / "metrics.jsonl")) - 1 < 20
    for status, said in map(ended, pair(folder, **WIDE)):
        assert status == 0, said
    alike(folder, alone, 1e-9)


@pytest.mark.full
def test_the_first_process_out_of_space_ends_both_and_says_why(tmp_path):
    folder = tmp_path / "run"
    begin(folder, workers=2)
    (folder / "timing.jsonl").mkdir()  # as good as a disk that takes no more
    (zero, said), (one, also) = map(ended, pair(folder))
    assert (zero, one) == (1, 1), said + also
    assert f"{folder / 'timing.jsonl'} cannot be written" in said
    assert "all is safe up to checkpoint 0" in said
    assert "thzjax: process 0 stopped: it says why" in also


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--coordinator", "127.0.0.1:1"), "are for --distributed: add it"),
        (("--distributed", "--coordinator", "127.0.0.1:1"), "go together"),
        (("--distributed", *address(0, 0)[1:2], "here", *address(0, 0)[3:]), "is no HOST:PORT"),
        (("--distributed", *address(1, 2)[1:]), r"process_id=2 must lie in 0\.\.1"),
        (("--distributed", *address(1, 0)[1:], "--initialization-timeout", 0), "must be at least 1 second"),
    ],
)
def test_addresses_that_make_no_sense_are_refused(arguments, message, capsys):
    from thzjax import cli

    assert cli.main(["train", "paper-a", *map(str, arguments)]) == cli.BAD_INPUT
    assert message.replace("\\", "") in capsys.readouterr().err


@pytest.mark.full
def test_workers_that_do_not_divide_are_refused_with_a_number(tmp_path):
    folder = tmp_path / "run"
    begin(folder, workers=1)
    for status, said in map(ended, pair(folder)):
        assert status == 2, said
        assert "choose --workers as a multiple, as 2" in said
