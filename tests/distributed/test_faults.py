"""Whatever befalls a run, it goes on from its last complete checkpoint to the bits of an undisturbed one."""

import contextlib
import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time

import pytest
from tiny import HERE, Silent, begin, carry, ended, python, resume_here, same, thzjax

from thzjax import cli
from thzjax.errors import ConfigError
from thzjax.experiment import checkpoint
from thzjax.experiment import train as training
from thzjax.experiment.checkpoint import KEEP, SCORE, Checkpoints
from thzjax.experiment.files import read_records
from thzjax.experiment.learner import load_weights


def complete(folder):
    with Checkpoints(folder) as checkpoints:
        return checkpoints.records()


# --- kill -9


def kill_until_done(folder, kills, seed, longest_s):
    """Resume a run again and again, with so many kills some time after it got going; how often it was killed."""
    chance, times = random.Random(seed), 0
    while True:
        before = (folder / "timing.jsonl").stat().st_size if (folder / "timing.jsonl").exists() else 0
        process = thzjax("--resume", folder)
        if times < kills:
            # Every third kill comes at any time, in imports and compilation too; the others once records are written.
            if times % 3 == 2:
                time.sleep(chance.uniform(0, 10))
            else:
                limit = time.monotonic() + 120
                while process.poll() is None and time.monotonic() < limit:
                    if (folder / "timing.jsonl").exists() and (folder / "timing.jsonl").stat().st_size > before:
                        break
                    time.sleep(0.005)
                time.sleep(chance.uniform(0, longest_s))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                times += 1
        status, said = ended(process)
        if status == 0:
            return times
        assert status == -signal.SIGKILL, said


@pytest.mark.full
def test_a_run_killed_at_twenty_instants_ends_with_the_bits_of_a_whole_one(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        begin(folder, records=600)  # long enough to be killed so often
    assert resume_here(whole) == 0
    assert kill_until_done(killed, kills=20, seed=0, longest_s=0.5) == 20
    same(killed, whole)


def test_a_run_killed_while_it_trains_ends_with_the_bits_of_a_whole_one(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        begin(folder, records=60)
    assert resume_here(whole) == 0
    process = thzjax("--resume", killed)
    while len(read_records(killed / "metrics.jsonl")) < 5 and process.poll() is None:
        time.sleep(0.002)
    time.sleep(random.Random(1).uniform(0, 0.2))
    process.send_signal(signal.SIGKILL)
    assert ended(process)[0] == -signal.SIGKILL
    assert resume_here(killed) == 0
    same(killed, whole)


def test_a_run_killed_in_the_middle_of_a_save_ends_with_the_same_bits(whole, tmp_path):
    folder = tmp_path / "run"
    begin(folder)
    status, said = ended(python(HERE / "killed_in_save.py", "writing", 5, "--resume", folder))
    assert status == -signal.SIGKILL, said
    assert [path for path in (folder / "checkpoints").iterdir() if not path.name.isdecimal()]
    assert complete(folder)
    assert resume_here(folder) == 0
    same(folder, whole)
    assert all(path.name.isdecimal() for path in (folder / "checkpoints").iterdir())


@pytest.mark.full
@pytest.mark.parametrize(("mode", "number"), [("writing", n) for n in (1, 2, 3, 4, 6)] + [("naming", 1), ("naming", 3)])
def test_a_run_killed_anywhere_in_a_save_ends_with_the_same_bits(whole, tmp_path, mode, number):
    folder = tmp_path / "run"
    begin(folder)
    status, said = ended(python(HERE / "killed_in_save.py", mode, number, "--resume", folder))
    assert status == -signal.SIGKILL, said
    assert resume_here(folder) == 0
    same(folder, whole)


@pytest.mark.full
def test_a_run_killed_while_it_clears_old_checkpoints_ends_with_the_same_bits(tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "run"
    for run in (whole, folder):
        begin(run, every=1, records=8)
    assert resume_here(whole) == 0
    status, said = ended(python(HERE / "killed_in_save.py", "clearing", 1, "--resume", folder))
    assert status == -signal.SIGKILL, said
    assert resume_here(folder) == 0
    same(folder, whole)
    assert {int(path.name) for path in (folder / "checkpoints").iterdir()} == set(complete(folder))


# --- a full disk


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request, tmp_path):
    """(folder, fill it up, free it): a disk of 4 MB, or where that may not be mounted a limit on the size of files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "tmpfs":
        mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "thzjax-test", str(folder)]
        if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("only root may mount")

        def fill():
            with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(512)):
                    pass

        yield folder, fill, (folder / "filler").unlink
        subprocess.run(["umount", str(folder)], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def free():
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    yield folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (256, before[1])), free
    free()
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_stops_a_run_with_a_line_and_costs_nothing(whole, disk):
    place, fill, free = disk
    folder = place / "run"
    begin(folder)
    with pytest.raises(training.Unwritable, match=r"cannot be written \(.*all is safe up to checkpoint 2; free") as no:
        resume_here(folder, Silent(3, fill))  # the lines of record 4 or its checkpoint do not fit
    assert "\n" not in str(no.value)
    assert f"thzjax train --resume {folder}" in str(no.value)
    assert complete(folder) == [0, 2]
    free()
    assert resume_here(folder) == 0
    same(folder, whole)


def test_a_checkpoint_that_does_not_fit_is_not_named_and_leaves_nothing(whole, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    begin(folder)
    # What orbax 0.12.8 was seen to raise on a full tmpfs.
    full = ValueError("RESOURCE_EXHAUSTED: Error writing \"a/0\": No space left on device [os_error_code='28']")

    def save(manager, record, *args, **kwargs):
        (folder / "checkpoints" / f"{record}.orbax-checkpoint-tmp").mkdir()
        raise full

    def fill():
        monkeypatch.setattr("orbax.checkpoint.CheckpointManager.save", save)

    with pytest.raises(training.Unwritable, match=r"checkpoints/4 cannot be written \(No space left") as caught:
        resume_here(folder, Silent(3, fill))
    assert caught.value.__cause__.errno == errno.ENOSPC
    monkeypatch.undo()
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["0", "2"]
    assert resume_here(folder) == 0
    same(folder, whole)


def test_the_command_line_says_that_the_disk_is_full(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "run"
    begin(folder)

    def no_space(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(training, "append_record", no_space)
    assert cli.main(["train", "--resume", str(folder)]) == cli.BAD_INPUT - 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"thzjax: {folder} cannot be written (No space left on device): all is safe up to")


# --- damaged, of another version, and the best


@pytest.fixture
def copied(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


def truncate(folder):
    """Cut the largest file of a checkpoint in half."""
    victim = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])


def test_of_several_damaged_checkpoints_all_are_named_and_the_last_sound_one(whole, copied):
    records = complete(copied)
    for record in records[-2:]:
        truncate(copied / "checkpoints" / str(record))
    places = [str(copied / "checkpoints" / str(record)) for record in reversed(records[-2:])]
    with pytest.raises(ConfigError, match="is damaged") as caught:
        resume_here(copied)
    assert f"delete {' and '.join(places)} to go on from checkpoint {records[-3]}" in str(caught.value)
    for place in places:
        shutil.rmtree(place)
    assert resume_here(copied) == 0
    same(copied, whole)


def test_where_all_are_damaged_the_message_says_so(copied):
    for record in complete(copied):
        truncate(copied / "checkpoints" / str(record))
    with pytest.raises(ConfigError, match="no other is left"):
        resume_here(copied)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"4": '])
def test_a_damaged_list_of_checkpoints_is_refused(copied, content):
    (copied / "checkpoints.json").write_text(content)
    with pytest.raises(ConfigError, match=r"checkpoints.json is damaged"):
        resume_here(copied)


def test_metrics_with_a_gap_are_refused(copied):
    lines = (copied / "metrics.jsonl").read_text().splitlines(keepends=True)
    (copied / "metrics.jsonl").write_text("".join(lines[:2] + lines[3:]))
    with pytest.raises(ConfigError, match=r"metrics.jsonl lacks records"):
        resume_here(copied)


def test_a_checkpoint_of_another_version_serves_where_its_arrays_fit(whole, copied, monkeypatch):
    monkeypatch.setattr("thzjax.__version__", "9.9")
    assert resume_here(copied) == 0
    fewer = checkpoint._shapes

    def other(plain):
        return {name: shape for name, shape in fewer(plain).items() if "obs" not in name}

    monkeypatch.setattr(checkpoint, "_shapes", other)
    with pytest.raises(ConfigError, match=r"of thzjax 0\..* does not fit thzjax 9\.9: state.* absent here"):
        resume_here(copied)
    monkeypatch.setattr(checkpoint, "_shapes", fewer)
    monkeypatch.setattr(checkpoint, "LAYOUT", 1 + checkpoint.LAYOUT)
    with pytest.raises(ConfigError, match=r"is laid out otherwise than those of thzjax 9\.9: go on with"):
        resume_here(copied)


def test_the_last_checkpoints_and_the_best_are_kept(tmp_path, capsys):
    folder = tmp_path / "run"
    config = begin(folder, records=9, every=1)
    assert resume_here(folder) == 0
    rates = {r["record"]: r[SCORE] for r in read_records(folder / "metrics.jsonl")}
    best = max(sorted(rates), key=rates.__getitem__)
    kept = sorted({*range(10 - KEEP, 10), best})
    named = json.loads((folder / "checkpoints.json").read_text())
    with Checkpoints(folder) as checkpoints:
        assert (checkpoints.records(), checkpoints.best(), checkpoints.latest()) == (kept, best, 9)
        assert checkpoints.find("best") == named["best"] == best
        assert checkpoints.find("last") == 9
        assert checkpoints.find("8") == 8
        with pytest.raises(ConfigError, match=r"checkpoint '5x' is not in .*use one of .*last, best"):
            checkpoints.find("5x")
    assert {int(path.name) for path in (folder / "checkpoints").iterdir()} == set(kept)
    _, _, at_best = load_weights(config, folder, "best")
    _, _, at_last = load_weights(config, folder)
    assert at_best.keys() == at_last.keys()
    assert len(carry(folder)) > 4
