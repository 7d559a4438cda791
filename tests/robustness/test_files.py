"""Files that are cut, corrupted or hostile: refused in one line, never believed, and never run."""

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest
from hostile import damaged_json, dumped, flipped, leaves, removed, replaced, sixteenths, told_in_one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from made import RESULT, made_channels, made_export, made_run, write_result

from thzjax import cli
from thzjax.archives import read_arrays
from thzjax.errors import ConfigError
from thzjax.experiment import policy
from thzjax.experiment.checkpoint import Checkpoints
from thzjax.experiment.config import config_json, read_config, resolve
from thzjax.experiment.files import MOST_JSON_BYTES, read_json, read_metrics, read_records
from thzjax.experiment.learned import TOGETHER, runs_in, write_together
from thzjax.experiment.learner import make_learner
from thzjax.experiment.policy import read_channels
from thzjax.experiment.summary import read_environment, run_settings
from thzjax.exported import checked_arrays, load_exported
from thzjax.figures.frame import BUDGETS
from thzjax.figures.pages import PAGE, write_pages
from thzjax.figures.results import read_result
from thzjax.figures.workshop import Workshop

pytestmark = pytest.mark.usefixtures("quickly_compiled")


@pytest.fixture(scope="module")
def made(tmp_path_factory, quickly_compiled):
    folder = tmp_path_factory.mktemp("runs") / "made"
    config, like = made_run(folder)
    return config, like, folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The bytes of an exported design, and a file to write others to."""
    folder = tmp_path_factory.mktemp("exported")
    made_export(folder / "whole")
    return (folder / "whole").read_bytes(), folder / "other"


@pytest.fixture(scope="module")
def channels(made):
    return made_channels(make_learner(made[0]), 3)


def accepted(read, *args):
    """What is read, or None where it is refused as it must be."""
    try:
        return read(*args)
    except ConfigError as refusal:
        told_in_one_line(refusal)
        return None


# --- JSON -----------------------------------------------------------------------------------------------------------


CONFIGS = [resolve(*names) for names in (("paper-a", "ppo"), ("paper-b", "apg"), ("paper-b", "sac"))]


@settings(max_examples=150)
@given(data=st.data())
def test_a_configuration_is_refused_or_is_one(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "config.json"
    path.write_bytes(data.draw(damaged_json(config_json(data.draw(st.sampled_from(CONFIGS))))))
    config = accepted(read_config, path)
    if config is not None:
        # What was believed survives being written.
        path.write_text(config_json(config))
        assert read_config(path) == config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 200_000, "nested too deeply"),
        ("9" * 5000, "not readable as a configuration"),
        ('{"seed": 1e400}', "seed=inf must be a whole number"),
        ('{"seed": true}', "seed=True must be a whole number"),
        ('{"scenario": {"freq_hz": "fast"}}', "freq_hz=fast must be a number"),
        ('{"scenario": {"surface_shape": [4]}}', "surface_shape=[4] must be 2 values, each a whole number"),
        ('{"scenario": []}', "stands for the options of IrsScenario"),
        ('{"learner": {"hidden": [8, "8"]}}', "must be some values, each a whole number"),
        ('{"preset": "../../etc"}', "preset '../../etc' is unknown"),
        ('{"agent": []}', "is not a configuration"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_named(tmp_path, text, words):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    told_in_one_line(caught.value)
    assert words in str(caught.value)


def test_a_file_without_an_end_is_not_read_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr("thzjax.experiment.files.MOST_JSON_BYTES", 1000)
    (tmp_path / "long.json").write_text('{"a": "' + "x" * 2000 + '"}')
    with pytest.raises(ConfigError, match="more than"):
        read_json(tmp_path / "long.json", "a note")
    assert MOST_JSON_BYTES > 2**20
    with pytest.raises(ConfigError, match="not readable"):
        read_json(tmp_path, "a note")  # a folder


@settings(max_examples=60)
@given(data=st.data())
def test_records_are_refused_or_hold_finite_numbers(made, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "metrics.jsonl"
    lines = (made[2] / "metrics.jsonl").read_text().splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    damaged = [line.encode() for line in lines]
    damaged[at] = data.draw(damaged_json(lines[at]))
    path.write_bytes(b"\n".join(damaged) + b"\n")
    for record in read_records(path):
        assert isinstance(record, dict)
    for record in accepted(read_metrics, path) or []:
        assert all(np.isfinite(value) for value in record.values())
        assert {"record", "env_steps", "episodes", "validation/rate_feasible"} <= set(record)


@settings(max_examples=60)
@given(data=st.data())
def test_what_a_report_tells_of_a_run_is_refused_or_told(made, tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "told"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("config.json", "environment.json", "metrics.jsonl", "timing.jsonl"):
        shutil.copy(made[2] / name, folder)
    name = data.draw(st.sampled_from(("environment.json", "timing.jsonl")))
    text = (folder / name).read_text()
    if name == "timing.jsonl":
        first, *others = text.splitlines()
        content = data.draw(damaged_json(first)) + b"\n" + "\n".join(others).encode()
    else:
        content = data.draw(damaged_json(text))
    (folder / name).write_bytes(content)
    environment = accepted(read_environment, folder)
    if environment is not None:
        assert all(isinstance(text, str) for text in run_settings(folder, made[0], environment).values())


@settings(max_examples=60)
@given(data=st.data())
def test_a_list_of_runs_names_nothing_outside_its_folder(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "together"
    folder.mkdir(exist_ok=True)
    write_together(folder, {"power_w=1": ["a", "b"], "power_w=2": ["c"]})
    (folder / TOGETHER).write_bytes(data.draw(damaged_json((folder / TOGETHER).read_text())))
    for runs in (accepted(runs_in, folder) or {}).values():
        assert runs
        assert all(run.parent == folder and run.name not in ("", ".", "..") for run in runs)


@pytest.mark.parametrize("name", ["../elsewhere", "/etc", "a/b", "..", ".", "", "a\\b", 3, None])
def test_a_run_elsewhere_is_neither_read_nor_written(made, tmp_path, name, capsys):
    shutil.copytree(made[2], tmp_path / "elsewhere")
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "elsewhere").rglob("*"))
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / TOGETHER).write_text(json.dumps({"": [name]}))
    assert cli.main(["train", "--resume", str(folder)]) == cli.BAD_INPUT
    assert "is not a list of runs" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == [TOGETHER]
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "elsewhere").rglob("*")) == before


@settings(max_examples=100)
@given(data=st.data())
def test_a_figures_result_is_refused_or_written_into_the_page(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "results"
    shutil.rmtree(folder, ignore_errors=True)
    own = write_result(folder)
    (own / "result.json").write_bytes(data.draw(damaged_json(json.dumps(RESULT))))
    if accepted(read_result, own / "result.json") is not None:
        write_pages(folder)
        assert (folder / PAGE).read_text().endswith("</html>\n")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("id",), "../small-fig1"),
        (("id",), "other"),
        (("pictures", 0, "name"), "../../secret"),
        (("work",), {"a": "b"}),
    ],
)
def test_a_figures_result_names_nothing_outside_its_folder(tmp_path, path, value):
    own = write_result(tmp_path, replaced(RESULT, path, value))
    with pytest.raises(ConfigError, match="is no figure's result"):
        read_result(own / "result.json")


def test_every_part_of_a_figures_result_is_asked_for(tmp_path):
    own = write_result(tmp_path)
    assert read_result(own / "result.json") == RESULT
    for path, _ in leaves(RESULT):
        if path[0] in ("preset", "work"):
            continue
        (own / "result.json").write_bytes(dumped(removed(RESULT, path)))
        with pytest.raises(ConfigError):
            read_result(own / "result.json")


def test_points_that_are_damaged_are_refused_and_say_what_to_delete(tmp_path):
    shop = Workshop(tmp_path, BUDGETS["quick"], print)
    shop._kept("a point", lambda: {"values": np.ones(3)})
    (path,) = (tmp_path / "points").iterdir()
    whole = path.read_bytes()
    for content in [*sixteenths(whole), b"PK\x05\x06" + bytes(18)]:
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="delete it") as caught:
            shop._kept("a point", lambda: {"values": np.ones(3)})
        told_in_one_line(caught.value)


# --- NumPy archives ---------------------------------------------------------------------------------------------------


def archive(arrays):
    """An `.npz` as bytes."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def wanted_of(channels):
    return {name: jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for name, x in channels.items()}


def read(path, channels):
    """Channels of a file for the policy that takes these."""
    return read_channels(wanted_of(channels), path)


def test_channels_are_refused_or_whole(channels, tmp_path):
    path, whole = tmp_path / "channels.npz", archive(channels)
    path.write_bytes(whole)
    assert set(read(path, channels)) == set(channels)
    for content in sixteenths(whole):
        path.write_bytes(content)
        assert accepted(read, path, channels) is None


@settings(max_examples=60)
@given(data=st.data())
def test_a_turned_bit_in_channels_is_found_or_harmless(channels, tmp_path_factory, data):
    path, whole = tmp_path_factory.getbasetemp() / "bits.npz", archive(channels)
    path.write_bytes(flipped(whole, data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))))
    found = accepted(read, path, channels)
    if found is not None:  # dates and attributes of the archive
        for name, array in found.items():
            np.testing.assert_array_equal(array, channels[name])


WRONG = {
    "direct is an array of object": lambda x: x.astype(object),
    "direct is an array of <U": lambda x: np.full(x.shape, "1"),
    "direct holds numbers that are not finite": lambda x: x * np.nan,
    "numbers that are too large for complex64": lambda x: x.astype(np.complex128) * 1e60,
    "direct has shape (3,)": lambda x: x[:, 0, 0],
    "direct has 0, bs_to_surface has 3": lambda x: x[:0],
    "direct has shape ()": lambda x: x[0, 0, 0],
    "direct is an array of [(": lambda x: np.zeros(x.shape, [("a", "f4")]),
}


@pytest.mark.parametrize("message", WRONG)
def test_arrays_of_another_kind_are_refused(channels, tmp_path, message):
    path = tmp_path / "channels.npz"
    first = {"direct": WRONG[message](channels["direct"])}
    path.write_bytes(archive(first | {name: x for name, x in channels.items() if name != "direct"}))
    with pytest.raises(ConfigError) as caught:
        read(path, {"direct": channels["direct"]} | channels)
    told_in_one_line(caught.value)
    assert message in str(caught.value)


def test_bytes_that_are_no_array_are_refused(channels, tmp_path):
    path = tmp_path / "channels.npz"
    with zipfile.ZipFile(path, "w") as file:
        for name in channels:
            file.writestr(f"{name}.npy", b"not an array at all")
    with pytest.raises(ConfigError, match="magic string"):
        read(path, channels)
    for content in (b"", b"PK", np.arange(3).tobytes(), b"\x93NUMPY\x01\x00"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"not readable|neither"):
            read(path, channels)
    with pytest.raises(ConfigError, match="does not exist"):
        read(tmp_path / "none.npz", channels)
    with pytest.raises(ConfigError, match="not readable"):
        read(tmp_path, channels)


class Marked:
    """Unpickled, it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_no_pickle_is_loaded(channels, exported, tmp_path):
    mark, path = tmp_path / "mark", tmp_path / "evil"
    evil = np.array([Marked(mark)], dtype=object)
    path.write_bytes(archive(dict.fromkeys(("direct", "bs_to_surface", "surface_to_user", "about", "program"), evil)))
    assert accepted(read, path, channels) is None
    assert accepted(load_exported, path) is None
    path.write_bytes(pickle.dumps(Marked(mark)))
    assert accepted(read, path, channels) is None
    assert accepted(load_exported, path) is None
    assert accepted(read_config, path) is None
    assert not mark.exists()


def header(shape, dtype="<c8"):
    """The beginning of an array's file that says it has that shape."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def test_an_array_that_says_it_is_huge_is_not_made_room_for(channels, tmp_path):
    path = tmp_path / "channels.npz"
    for shape in ((10**9, 10**6, 5), (2**62,), (10**30,), (-1, 4, 5)):
        with zipfile.ZipFile(path, "w") as file:
            for name in channels:
                file.writestr(f"{name}.npy", header(shape) + b"\0" * 64)
        assert accepted(read, path, channels) is None


def test_an_archive_that_unpacks_to_more_than_the_memory_is_refused_unread(channels, tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in channels:
            file.writestr(f"{name}.npy", header((10**6, *channels[name].shape[1:])) + bytes(1 << 24))
    assert path.stat().st_size < 1 << 18
    monkeypatch.setattr(policy, "free_host_bytes", lambda: 1 << 24)
    with pytest.raises(ConfigError, match=r"unpacks to 0\.\d+ GiB, more than"):
        read(path, channels)
    # What is not asked for is not looked at.
    assert read_arrays(path, ("other",), 1) == {}


# --- exported policies ------------------------------------------------------------------------------------------------


def parts_of(whole):
    with np.load(io.BytesIO(whole)) as file:
        return json.loads(file["about"].tobytes()), file["program"]


def test_an_export_cut_anywhere_is_refused(exported):
    whole, file = exported
    for content in sixteenths(whole):
        file.write_bytes(content)
        assert accepted(load_exported, file) is None


@settings(max_examples=60)
@given(data=st.data())
def test_what_an_export_says_of_itself_is_refused_or_true(exported, channels, data):
    whole, file = exported
    about, program = parts_of(whole)
    said = np.frombuffer(data.draw(damaged_json(json.dumps(about))), np.uint8)
    file.write_bytes(archive({"about": said, "program": program}))
    found = accepted(load_exported, file)
    if found is not None:
        shapes = {name: tuple(x["shape"]) for name, x in about["arrays"].items()}
        assert {name: x.shape for name, x in found.arrays.items()} == shapes
        assert found.about["rank"] >= 1


def test_an_export_with_a_program_for_other_arrays_is_refused(exported):
    whole, file = exported
    about, program = parts_of(whole)
    other = replaced(about, ("arrays", "direct", "shape"), [7, 7])
    file.write_bytes(archive({"about": np.frombuffer(dumped(other), np.uint8), "program": program}))
    with pytest.raises(ConfigError, match="another program than it says"):
        load_exported(file)
    file.write_bytes(
        archive({"about": np.frombuffer(dumped(about), np.uint8), "program": program[: len(program) // 2]})
    )
    with pytest.raises(ConfigError, match="holds no program"):
        load_exported(file)


def test_numbers_that_no_float32_holds_are_refused(channels):
    big = {name: x.astype(np.complex128) * 1e50 for name, x in channels.items()}
    with pytest.raises(ConfigError, match="too large for complex64"):
        checked_arrays(big, wanted_of(channels), "channels")


# --- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made[2], tmp_path / "copy")
    return made[0], made[1], tmp_path / "copy"


def load(folder, like, config):
    with Checkpoints(folder) as checkpoints:
        return checkpoints.load(like, config)


@settings(max_examples=15)
@given(data=st.data())
def test_a_list_of_checkpoints_is_refused_or_names_what_is_there(made, tmp_path_factory, data):
    whole = made[2]
    folder = tmp_path_factory.getbasetemp() / "listed"
    if not folder.exists():
        shutil.copytree(whole, folder)
    text = (whole / "checkpoints.json").read_text()
    (folder / "checkpoints.json").write_bytes(data.draw(damaged_json(text)))

    def look():
        with Checkpoints(folder) as checkpoints:
            return checkpoints.records(), checkpoints.best(), checkpoints.latest()

    found = accepted(look)
    assert found is None or set(found[0]) <= {0, 2}


FORGED = """
import hashlib, json, pathlib, sys
import jax
from hostile import flipped
from thzjax.errors import ConfigError
from thzjax.experiment.checkpoint import Checkpoints
from thzjax.experiment.config import read_config
from thzjax.experiment.learner import make_learner

folder = pathlib.Path(sys.argv[1])
config = read_config(folder / "config.json")
learner = make_learner(config)
like = jax.eval_shape(learner.agent.init, jax.random.key(0), learner.params)
shapes = [x.shape for x in jax.tree.leaves(like)]
newest, listed = folder / "checkpoints" / "2", json.loads((folder / "checkpoints.json").read_text())

def write(name, content):
    (newest / name).write_bytes(content)
    listed["2"][name] = hashlib.sha256(content).hexdigest()
    (folder / "checkpoints.json").write_text(json.dumps(listed))

def load():
    with Checkpoints(folder) as checkpoints:
        return checkpoints.load(like, config)

refused = 0
for name in list(listed["2"]):
    whole = (newest / name).read_bytes()
    for content in (b"", whole[: len(whole) // 2], flipped(whole, len(whole) // 3, 2) if whole else b"x", b"{}"):
        write(name, content)
        try:
            assert [x.shape for x in jax.tree.leaves(load()[1])] == shapes
        except ConfigError as refusal:
            assert "\\n" not in str(refusal)
            refused += 1
    write(name, whole)
assert load()[0] == 2
assert refused > 5
"""


@pytest.mark.full
def test_a_forged_checkpoint_is_refused_or_has_the_runs_arrays(copied):
    """Hashes tell accidents; what somebody forged, hashes and all, is found out by what it cannot be.

    In a process of its own: orbax reads on threads of its own, which complain to the error output.
    """
    command = [sys.executable, "-W", "ignore", "-c", FORGED, str(copied[2])]
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.full
def test_a_checkpoint_cut_at_any_sixteenth_is_refused_and_the_one_before_it_named(copied):
    config, like, folder = copied
    newest = folder / "checkpoints" / "2"
    for path in [path for path in newest.rglob("*") if path.is_file() and path.stat().st_size]:
        whole = path.read_bytes()
        for content in sixteenths(whole):
            path.write_bytes(content)
            with pytest.raises(ConfigError, match="to go on from checkpoint 0"):
                load(folder, like, config)
        path.write_bytes(whole)
    assert load(folder, like, config)[0] == 2


@pytest.mark.full
@settings(max_examples=40)
@given(data=st.data())
def test_a_program_with_turned_bits_ends_no_interpreter(exported, data, tmp_path_factory):
    """In a process of its own: what reads a program is compiled, and may abort."""
    whole, _ = exported
    about, program = parts_of(whole)
    raw = program.tobytes()
    for _ in range(data.draw(st.integers(1, 5))):
        raw = flipped(raw, data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(0, 7)))
    file = tmp_path_factory.getbasetemp() / "bits.policy"
    said = np.frombuffer(dumped(about), np.uint8)
    file.write_bytes(archive({"about": said, "program": np.frombuffer(raw, np.uint8)}))
    script = f"""
from thzjax.errors import ConfigError
from thzjax.exported import load_exported
try:
    load_exported({str(file)!r})
except ConfigError as refusal:
    assert "\\n" not in str(refusal)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
