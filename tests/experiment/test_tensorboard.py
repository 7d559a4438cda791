"""Event files have what metrics.jsonl has, whatever happened to the run before."""

import json

import numpy as np
import pytest
from made_up import STEPS, record, run_folder

from thzjax.errors import ConfigError
from thzjax.experiment import tensorboard as events
from thzjax.experiment.tensorboard import FOLDER, EventFiles


def scalars(run):
    """(step, value, seconds since the first) of every tag, as TensorBoard reads them."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(run / FOLDER), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value, e.wall_time) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


@pytest.fixture
def installed():
    pytest.importorskip("tensorboard")


def append(run, number):
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(record(number)) + "\n")


@pytest.mark.usefixtures("installed")
def test_every_number_of_every_record_is_there_at_its_step_and_time(tmp_path):
    run = tmp_path / "run"
    run_folder(run, 3, seconds=0.5)
    files = EventFiles([run])
    files.start(None, 0)
    append(run, 4)
    files.update(4, {}, 1.0, 1.0)
    files.stop()
    found = scalars(run)
    assert set(found) == set(record(1)) - set(events.COUNTS)
    rates = found["validation/rate_feasible"]
    assert [step for step, *_ in rates] == [STEPS * n for n in range(5)]
    np.testing.assert_allclose([value for _, value, _ in rates], [2.0, 2.1, 2.2, 2.3, 2.4], rtol=1e-6)
    assert [step for step, *_ in found["mu/beam_pattern"]] == [STEPS * n for n in range(1, 5)]
    times = [time for *_, time in rates]
    np.testing.assert_allclose(np.diff(times[:4]), 0.5, atol=1e-3)


@pytest.mark.usefixtures("installed")
def test_what_was_there_is_replaced_so_that_no_record_comes_twice(tmp_path):
    run = tmp_path / "run"
    run_folder(run, 3)
    for _ in range(2):
        files = EventFiles([run])
        files.write()
        files.write()
        files.stop()
    assert len(list((run / FOLDER).iterdir())) == 1
    assert [step for step, *_ in scalars(run)["sum_rate"]] == [STEPS, 2 * STEPS, 3 * STEPS]


@pytest.mark.usefixtures("installed")
def test_a_folder_that_cannot_be_written_ends_the_events_and_not_the_run(tmp_path):
    run = tmp_path / "run"
    run_folder(run, 1)
    (run / FOLDER).write_text("")
    files = EventFiles([run])
    with pytest.warns(UserWarning, match="no more events are written for TensorBoard"):
        files.start(None, 0)
    files.update()
    files.stop()


def test_without_the_package_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(ConfigError, match=r"pip install 'thzjax\[tensorboard\]'"):
        EventFiles([tmp_path])
