"""Runs and comparisons on the channels of a file: which of them train, and that no other number changes."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_train import SMALL, Silent

from thzjax import cli
from thzjax.data.drops import channel_arrays
from thzjax.data.store import Store
from thzjax.errors import ConfigError
from thzjax.experiment import recorded as module
from thzjax.experiment import train as training
from thzjax.experiment.compare import HELD_OUT_SEED, compare
from thzjax.experiment.config import read_config, resolve
from thzjax.experiment.evaluation import draw_channels
from thzjax.experiment.files import read_records
from thzjax.experiment.generate import generate
from thzjax.experiment.learned import write_together
from thzjax.experiment.learner import make_learner
from thzjax.experiment.recorded import Recorded, any_of, held_out, judged_on, parts_of, with_data
from thzjax.experiment.summary import report_run
from thzjax.experiment.together import expand, make_together
from thzjax.systems.scenario import build, preset

NUM = 40


def silent(text):
    pass


def write(path, channels, about=None):
    system, params = build(preset("paper-a"))
    _, like = channel_arrays(system, params)
    arrays = {name: np.asarray(x) for name, x in vars(channels).items()}
    with Store(path, like, len(arrays["direct"]), about or {}) as store:
        store.write(arrays)
        store.finish()
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("channels") / "a.npz"
    generate(preset("paper-a"), path, NUM, silent, "paper-a")
    return path


def config_of(file, records=3, overrides=()):
    return with_data(resolve("paper-a", steps=records * 64, overrides=(*SMALL, *overrides)), file)


@pytest.fixture(scope="module")
def finished(file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = config_of(file)
    training.create_run_folder(folder, config)
    assert training.run_training(config, folder, Silent()) == 0
    return config, folder


@pytest.mark.parametrize("count", [10, 11, 19, 20, 99, 100_000])
def test_the_parts_of_a_file_are_apart_and_all_of_it(count):
    parts = parts_of(count)
    assert parts.training[0] == 0
    assert parts.training[1] == parts.validation[0]
    assert parts.validation[1] == parts.held_out[0]
    assert parts.held_out[1] == count
    assert min(b - a for a, b in parts) >= 1
    assert parts.training[1] >= 0.8 * count
    with pytest.raises(ConfigError, match="at least 10 channels, there are 9"):
        parts_of(9)


def test_any_row_is_as_likely():
    channels = draw_channels(*build(preset("paper-a")), 5, 0)
    drawn = jax.vmap(lambda key: any_of(channels, key, None))(jax.random.split(jax.random.key(0), 4000))
    rows = np.argmin(
        np.abs(np.asarray(drawn.direct)[:, None, 0, 0] - np.asarray(channels.direct)[None, :, 0, 0]), axis=1
    )
    np.testing.assert_array_equal(drawn.bs_to_surface, np.asarray(channels.bs_to_surface)[rows])
    # 800 of each are expected, of deviation 25.
    assert np.all(np.abs(np.bincount(rows, minlength=5) - 800) < 5 * 25)


def test_a_run_sees_the_part_that_trains_and_looks_at_the_next(file, finished):
    config, folder = finished
    learner = make_learner(config)
    given = module.recorded(config, learner.env.system, learner.params)
    assert isinstance(given, Recorded)
    with np.load(file) as arrays:
        np.testing.assert_array_equal(given.training.direct, arrays["direct"][:32])
        np.testing.assert_array_equal(given.validation.bs_to_surface, arrays["bs_to_surface"][32:36])
        np.testing.assert_array_equal(held_out(config, 99).surface_to_user, arrays["surface_to_user"][36:])
        np.testing.assert_array_equal(held_out(config, 3).surface_to_user, arrays["surface_to_user"][36:39])
    state = learner.init(given)
    there = {row.tobytes() for row in np.asarray(given.training.direct)}
    assert {row.tobytes() for row in np.asarray(state.env_states.channels.direct)} <= there
    # The same shapes as those of a run on drawn channels: a checkpoint fits either.
    shapes = [jax.tree.map(lambda x: x.shape, jax.eval_shape(f)) for f in (learner.init, lambda: learner.init(given))]
    assert shapes[0] == shapes[1]
    records = read_records(folder / "metrics.jsonl")
    assert len(records) == config.records + 1
    assert all(np.isfinite(record["validation/rate_feasible"]) for record in records)


def test_a_file_of_one_channel_again_and_again_trains_on_it(tmp_path):
    one = draw_channels(*build(preset("paper-a")), 1, 7)
    path = write(tmp_path / "a.npz", jax.tree.map(lambda x: jnp.repeat(x, 10, axis=0), one))
    config = config_of(path)
    learner = make_learner(config)
    given = module.recorded(config, learner.env.system, learner.params)
    state, _ = jax.jit(lambda s, c: learner.on(c).agent.update(s, learner.params))(learner.init(given), given)
    now = np.asarray(state.env_states.channels.direct)
    np.testing.assert_array_equal(now, np.broadcast_to(np.asarray(one.direct), now.shape))


def test_the_file_is_an_argument_of_the_program_and_not_copied(file):
    config = config_of(file, overrides=["num_envs=512"])
    learner = make_learner(config)
    given = module.recorded(config, learner.env.system, learner.params)
    sizes = []
    for times in (1, 300):
        larger = given._replace(
            training=jax.tree.map(lambda x, n=times: jnp.tile(x, (n, *(1,) * (x.ndim - 1))), given.training)
        )
        together = make_together([config])
        start = jax.eval_shape(together.init)
        sizes.append(together.chunk.lower(start, larger).compile().memory_analysis())
    pool = sum(x.nbytes for x in jax.tree.leaves(given.training))
    grown = sizes[1].argument_size_in_bytes - sizes[0].argument_size_in_bytes
    assert grown == pytest.approx(299 * pool, rel=0.01)
    # A copy for the program, let alone one for each environment, would be as much again.
    assert abs(sizes[1].temp_size_in_bytes - sizes[0].temp_size_in_bytes) < 0.1 * grown
    assert sizes[1].generated_code_size_in_bytes - sizes[0].generated_code_size_in_bytes < 0.1 * grown


def test_a_run_that_stopped_goes_on_to_the_same_bytes(finished, tmp_path):
    config, whole = finished
    folder = tmp_path / "cut"
    training.create_run_folder(folder, config)
    with pytest.raises(RuntimeError, match="power cut"):
        training.run_training(config, folder, Silent(stop_at=2))
    assert training.run_training(read_config(folder / "config.json"), folder, Silent()) == 0
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_seeds_side_by_side_train_on_one_file(file, finished, tmp_path):
    config, alone = finished
    labels = expand(config, 2, [])
    runs = {tmp_path / name: run for named in labels.values() for name, run in named.items()}
    for folder, run in runs.items():
        training.create_run_folder(folder, run)
    write_together(tmp_path, {label: list(named) for label, named in labels.items()})
    assert training.run_together(list(runs.values()), list(runs), Silent()) == 0
    first, second = (read_records(folder / "metrics.jsonl")[-1] for folder in runs)
    lone = read_records(alone / "metrics.jsonl")[-1]
    # One program for two is fused otherwise: three records of training keep to rounding.
    assert first["sum_rate"] == pytest.approx(lone["sum_rate"], rel=1e-3)
    assert first["sum_rate"] != second["sum_rate"]


def test_another_file_or_none_is_refused(file, finished, tmp_path):
    config, _ = finished
    moved = dataclasses.replace(config, data=str(tmp_path / "gone.npz"))
    with pytest.raises(ConfigError, match=r"gone.npz, the file of channels that the run was begun with, is gone"):
        held_out(moved, 4)
    generate(preset("paper-a"), tmp_path / "other.npz", NUM, silent, "paper-a", seed=1)
    with pytest.raises(ConfigError, match="is not the file that the run was begun with"):
        held_out(dataclasses.replace(config, data=str(tmp_path / "other.npz")), 4)


def test_what_cannot_train_is_refused_before(tmp_path):
    config = resolve("paper-a", overrides=SMALL)
    system, params = build(config.scenario)
    few = write(tmp_path / "few.npz", draw_channels(system, params, 9, 0))
    judged = write(tmp_path / "judged.npz", draw_channels(system, params, 20, 0), {"channels": "held out"})
    loud = draw_channels(system, params, 20, 0)
    loud = write(tmp_path / "loud.npz", loud.replace(direct=loud.direct.at[17].set(3.0)))
    for path, message in (
        (few, "at least 10 channels, there are 9"),
        (judged, "holds the channels that methods are judged on"),
        (loud, r"direct of channel 17 has an entry of \+9.5 dB"),
        (tmp_path / "nowhere.npz", "does not exist"),
    ):
        with pytest.raises(ConfigError, match=message):
            with_data(config, path)
    other = dataclasses.replace(config, scenario=dataclasses.replace(config.scenario, num_users=3))
    with pytest.raises(ConfigError, match=r"direct has shape \(9, 4, 5\), \[C, 3, 5\] is needed"):
        with_data(other, few)


def test_a_file_larger_than_the_memory_is_refused_with_the_numbers(file, finished, monkeypatch):
    config, _ = finished
    monkeypatch.setattr(module, "free_bytes", lambda device: 1000)
    learner = make_learner(config)
    with pytest.raises(ConfigError, match=r"32 channels need 0.0 GiB while they are read and 0.0 GiB are free"):
        module._load(file, learner.env.system, learner.params, 0, 32)


def test_methods_are_judged_on_a_file_and_not_on_what_trained(file, finished, tmp_path):
    config, _ = finished
    said = []
    scenario = config.scenario
    with np.load(file) as arrays:
        direct = arrays["direct"]
    np.testing.assert_array_equal(judged_on(scenario, file, [], 8, said.append).direct, direct[:8])
    np.testing.assert_array_equal(judged_on(scenario, file, [], 99, said.append).direct, direct)
    np.testing.assert_array_equal(judged_on(scenario, file, [config], 8, said.append).direct, direct[36:])
    assert said[-1] == f"channels 36 to 39 of the 40 in {file}, held out from the training on the others"
    assert judged_on(scenario, None, [config], 8, said.append) is None


def test_a_comparison_on_a_file_is_that_on_its_channels(tmp_path):
    scenario = preset("paper-a")
    channels = draw_channels(*build(scenario), 16, HELD_OUT_SEED)
    path = write(tmp_path / "a.npz", channels)
    drops = judged_on(scenario, path, [], 16, silent)
    got, wanted = (
        compare(scenario, [], 16, HELD_OUT_SEED, silent, methods=["mrt/random"], drops=given) for given in (drops, None)
    )
    assert got.rows[0]["num_channels"] == 16
    np.testing.assert_array_equal(got.judgements[0].rate, wanted.judgements[0].rate)


def test_the_report_of_a_run_on_a_file_is_about_the_held_out_part(finished, monkeypatch):
    _, folder = finished
    monkeypatch.setattr("thzjax.experiment.summary.REPORTED", ("mrt",))
    page, result, _ = report_run([folder], 64, silent)
    assert all(row["num_channels"] == 4 for row in result.rows)
    text = page.read_text()
    assert "On 4 held-out channels" in text
    assert "the last tenth held out" in text


def test_the_commands_take_a_file(file, tmp_path, capsys):
    run = tmp_path / "run"
    command = [
        "train",
        "paper-a",
        "--data",
        str(file),
        "--out",
        str(run),
        "--steps",
        "64",
        "--no-report",
        "--set",
        *SMALL,
    ]
    assert cli.main(command) == 0
    config = read_config(run / "config.json")
    assert config.data == str(file)
    assert len(config.data_sha256) == 64
    assert cli.main(["train", "--resume", str(run), "--no-report"]) == 0
    assert cli.main(["train", "--resume", str(run), "--data", str(file)]) == 2
    rows = tmp_path / "rows.json"
    assert cli.main(["evaluate", str(run), "--json", str(rows)]) == 0
    assert {row["num_channels"] for row in json.loads(rows.read_text())} == {4}
    options = ["--methods", "mrt/random", "--json", str(rows)]
    assert cli.main(["compare", "paper-a", "--data", str(file), "--channels", "8", *options]) == 0
    assert {row["num_channels"] for row in json.loads(rows.read_text())} == {8}
    capsys.readouterr()
    assert cli.main(["compare", "paper-a", "--data", str(file), "--sweep", "power_w=1,2"]) == 2
    assert "--data holds the channels of one point" in capsys.readouterr().err
    designs = tmp_path / "designs.npz"
    assert cli.main(["policy", str(run), "--channels", str(file), "--out", str(designs)]) == 0
    with np.load(designs) as made:
        assert made["beamformer"].shape == (NUM, 5, 4)


@pytest.mark.full
@pytest.mark.parametrize("agent", ["apg", "sac", "a3c"])
def test_other_learners_train_on_a_file(file, tmp_path, agent):
    options = {"apg": ("num_envs=8",), "sac": ("num_envs=16", "warmup=16", "batch=8"), "a3c": ("num_envs=16",)}
    shared = ("updates_per_record=2", "validation_channels=4", *options[agent])
    config = resolve("paper-a", agent, steps=64, overrides=shared, policy="structured")
    config = with_data(config, file)
    folder = tmp_path / agent
    training.create_run_folder(folder, config)
    assert training.run_training(config, folder, Silent()) == 0
