"""Runs: the same bits whatever happens to them, and clear words when they cannot go on."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thzjax import cli
from thzjax.errors import ConfigError
from thzjax.experiment import train as training
from thzjax.experiment.checkpoint import Checkpoints
from thzjax.experiment.config import config_json, read_config, resolve
from thzjax.experiment.evaluation import draw_channels
from thzjax.experiment.explore import choose, slide
from thzjax.experiment.explore_numbers import Explorer
from thzjax.experiment.files import append_record, read_records, rewrite_records
from thzjax.experiment.learner import load_weights, make_learner
from thzjax.experiment.policy import export_policy, load_policy
from thzjax.exported import load_exported, refuse_richer

SMALL = (
    "num_envs=32", "minibatches=2", "epochs=1", "hidden=8,8", "updates_per_record=2", "records_per_checkpoint=2",
    "validation_channels=16",
)  # fmt: skip


class Silent:
    """Progress that counts, and may break the run at a record."""

    def __init__(self, stop_at=None):
        self.stop_at, self.seen = stop_at, []

    def start(self, config, done, runs=1):
        pass

    def update(self, record, metrics, steps_per_second, seconds_left):
        self.seen.append(record)
        if record == self.stop_at:
            raise RuntimeError("power cut")

    def stop(self):
        pass


def start(folder, records=6, overrides=()):
    config = resolve("paper-a", steps=records * 64, overrides=(*SMALL, *overrides))
    training.create_run_folder(folder, config)
    return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    config = start(folder)
    assert training.run_training(config, folder, Silent()) == 0
    return config, folder


@pytest.fixture(scope="module")
def damaged_export(finished, tmp_path_factory):
    """The bytes of an exported policy, and a file to write damaged ones to."""
    folder = tmp_path_factory.mktemp("exported")
    export_policy(finished[1], folder / "whole", platforms=("cpu",))
    return (folder / "whole").read_bytes(), folder / "damaged"


def test_a_run_leaves_its_records_and_checkpoints(finished):
    config, folder = finished
    records = read_records(folder / "metrics.jsonl")
    assert [r["record"] for r in records] == list(range(7))
    assert records[-1]["env_steps"] == 6 * 64 == records[-1]["episodes"]
    for name in ("episode_return", "sum_rate", "pattern_error", "mu/beam_pattern", "lambda_mean", "x_sum"):
        assert np.isfinite(records[-1][name])
    assert {"jax", "device", "seed", "command"} <= set(json.loads((folder / "environment.json").read_text()))
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.latest() == config.records


@pytest.mark.parametrize("stop_at", [1, 3, 4])
def test_a_broken_run_ends_with_the_same_bytes(finished, tmp_path, stop_at):
    _, whole = finished
    folder = tmp_path / "broken"
    config = start(folder)
    with pytest.raises(RuntimeError, match="power cut"):
        training.run_training(config, folder, Silent(stop_at))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"record": 99, "half a li')  # a kill in the middle of a write
    assert training.run_training(read_config(folder / "config.json"), folder, Silent()) == 0
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_stops_with_its_status_and_the_run_goes_on(finished, tmp_path, number, status):
    class Signalled(Silent):
        def update(self, record, *others):
            if record == 3:
                os.kill(os.getpid(), number)

    _, whole = finished
    folder = tmp_path / "stopped"
    config = start(folder)
    before = [signal.getsignal(n) for n in training.STOPS]
    assert training.run_training(config, folder, Signalled()) == status
    # Asked after record 3: that one is whole and saved, though no checkpoint was due.
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.latest() == 3
    assert [signal.getsignal(n) for n in training.STOPS] == before
    assert training.run_training(config, folder, Silent()) == 0
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_a_finished_run_is_left_alone(finished):
    config, folder = finished
    before = (folder / "metrics.jsonl").read_bytes()
    progress = Silent()
    assert training.run_training(config, folder, progress) == 0
    assert progress.seen == []
    assert (folder / "metrics.jsonl").read_bytes() == before


def test_a_trained_policy_is_a_function_of_channels(finished):
    config, folder = finished
    learner = make_learner(config)
    channels = draw_channels(learner.env.system, learner.params, 4, 3)
    # NumPy in, and the design of a channel does not depend on its company.
    design = load_policy(folder)(jax.tree.map(np.asarray, channels))
    alone = load_policy(folder)(jax.tree.map(lambda x: x[:1], channels))
    np.testing.assert_allclose(design.beamformer[:1], alone.beamformer, rtol=1e-3, atol=1e-5)
    outcome = learner.env.system.outcome(learner.params, channels, design)
    assert bool(jnp.all(outcome.slack["antenna_power"] >= -1e-5))
    before = load_policy(folder, trained=False)(channels)
    assert not np.allclose(before.beamformer, design.beamformer)


def test_an_exported_policy_is_the_policy_without_flax(finished, tmp_path, capsys):
    config, folder = finished
    file = tmp_path / "demo.policy"
    assert cli.main(["policy", str(folder), "--export", str(file)]) == cli.OK
    learner = make_learner(config)
    channels = draw_channels(learner.env.system, learner.params, 5, 3)
    arrays = {name: np.asarray(getattr(channels, name)) for name in ("direct", "bs_to_surface", "surface_to_user")}
    np.savez(tmp_path / "in.npz", **arrays)
    # A process of its own: nothing but jax and NumPy is needed, and any number of channels will do.
    script = f"""
import sys
import numpy as np
from thzjax.exported import load_exported, refuse_richer
policy = load_exported({str(file)!r})
with np.load({str(tmp_path / "in.npz")!r}) as arrays:
    arrays = dict(arrays)
design = policy(arrays)
one = policy({{name: array[:1] for name, array in arrays.items()}})
assert one.beamformer.shape[0] == 1, one.beamformer.shape
np.savez({str(tmp_path / "out.npz")!r}, beamformer=design.beamformer, reflection=design.reflection)
assert not {{"flax", "optax", "distrax", "orbax"}} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    want = load_policy(folder)(arrays)
    with np.load(tmp_path / "out.npz") as got:
        # Compiled apart, the same operations may be fused in another order: some ulp of the largest beam.
        largest = np.abs(want.beamformer).max()
        np.testing.assert_allclose(got["beamformer"], want.beamformer, rtol=0, atol=1e-4 * largest)
        np.testing.assert_allclose(got["reflection"], want.reflection, atol=1e-5)
    # The command takes the file as it takes the run.
    out = ["--channels", str(tmp_path / "in.npz"), "--out", str(tmp_path / "again.npz")]
    assert cli.main(["policy", str(file), *out]) == cli.OK
    assert cli.main(["policy", str(file)]) == cli.OK
    assert "bs_to_surface[C, 16, 5] complex64" in capsys.readouterr().out
    about = load_exported(file).about
    assert (about["preset"], about["agent"]) == (config.preset, config.agent)
    with pytest.raises(ConfigError, match="lacks direct"):
        load_exported(file)({"bs_to_surface": arrays["bs_to_surface"]})


@pytest.mark.parametrize(("paths", "refused"), [(1, False), (6, False), (7, True), (20, True)])
def test_channels_of_more_paths_than_a_policy_looks_at_are_refused(paths, refused):
    rng = np.random.default_rng(paths)
    left, right = (
        rng.normal(size=(3, *shape)) + 1j * rng.normal(size=(3, *shape)) for shape in ((80, paths), (paths, 64))
    )
    arrays = {"bs_to_surface": (1e-5 * left @ right).astype(np.complex64), "direct": np.zeros((3, 4, 64), np.complex64)}
    with pytest.raises(ConfigError, match="more than the 6 independent paths") if refused else contextlib.nullcontext():
        refuse_richer(arrays, 6, "file.npz")


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_a_damaged_export_is_refused(damaged_export, data):
    whole, file = damaged_export
    if data.draw(st.booleans(), label="cut"):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1), label="length")]
    else:
        at = data.draw(st.integers(0, len(whole) - 1), label="at")
        damaged = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255), label="bits")]) + whole[at + 1 :]
    file.write_bytes(damaged)
    # A flip in the archive's padding or dates leaves everything readable; then it is the same policy.
    try:
        about = load_exported(file).about
    except ConfigError as error:
        about, message = None, str(error)
        assert "\n" not in message
    assert about is None or about["format"] == 1


def test_designs_for_a_file_of_channels(finished, tmp_path, capsys):
    config, folder = finished
    learner = make_learner(config)
    channels = draw_channels(learner.env.system, learner.params, 5, 3)
    names = ("direct", "bs_to_surface", "surface_to_user")
    arrays = {name: np.asarray(getattr(channels, name)) for name in names}
    np.savez(tmp_path / "in.npz", **arrays)
    files = ["--channels", str(tmp_path / "in.npz"), "--out", str(tmp_path / "new" / "out.npz")]
    assert cli.main(["policy", str(folder), *files]) == cli.OK
    want = load_policy(folder)(channels)
    with np.load(tmp_path / "new" / "out.npz") as got:
        np.testing.assert_array_equal(got["beamformer"], want.beamformer)
        np.testing.assert_array_equal(got["reflection"], want.reflection)
    assert cli.main(["policy", str(folder)]) == cli.OK
    assert "bs_to_surface[C, 16, 5] complex64" in capsys.readouterr().out
    bad = {
        "lacks direct": {name: arrays[name] for name in names[1:]},
        r"surface_to_user has shape (5, 4, 3)": arrays | {"surface_to_user": arrays["surface_to_user"][:, :, :3]},
        "direct holds numbers that are not finite": arrays | {"direct": arrays["direct"] * np.nan},
    }
    for message, wrong in bad.items():
        np.savez(tmp_path / "in.npz", **wrong)
        assert cli.main(["policy", str(folder), *files]) == cli.BAD_INPUT
        assert message in capsys.readouterr().err
    (tmp_path / "in.npz").write_text("no archive")
    assert cli.main(["policy", str(folder), *files]) == cli.BAD_INPUT
    assert "is not readable as .npz" in capsys.readouterr().err


@pytest.fixture
def copied(finished, tmp_path):
    config, folder = finished
    shutil.copytree(folder, tmp_path / "copy")
    return config, tmp_path / "copy"


def largest_file(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_serves(copied, damage):
    config, folder = copied
    newest = folder / "checkpoints" / str(config.records)
    victim = largest_file(newest)
    content = victim.read_bytes()
    if damage == "truncate":
        victim.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        middle = len(content) // 2
        victim.write_bytes(content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :])
    else:
        victim.unlink()
    before = (folder / "metrics.jsonl").read_bytes()
    with pytest.raises(ConfigError, match="is damaged") as caught:
        training.run_training(config, folder, Silent())
    assert "\n" not in str(caught.value)
    assert f"delete {newest}" in str(caught.value)
    assert (folder / "metrics.jsonl").read_bytes() == before
    shutil.rmtree(newest)
    assert training.run_training(config, folder, Silent()) == 0
    assert (folder / "metrics.jsonl").read_bytes() == before


def test_a_checkpoint_of_another_configuration_is_refused(copied):
    config, folder = copied
    other = dataclasses.replace(config, seed=5)
    (folder / "config.json").write_text(config_json(other))
    with pytest.raises(ConfigError, match=r"another configuration.*seed"):
        training.run_training(other, folder, Silent())


def test_a_run_without_checkpoints_is_not_begun_again(copied):
    config, folder = copied
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(ConfigError, match="holds no checkpoint"):
        training.run_training(config, folder, Silent())
    assert len(read_records(folder / "metrics.jsonl")) == 7


def test_an_existing_folder_is_never_written_over(copied):
    config, folder = copied
    with pytest.raises(ConfigError, match="exists: choose another --out"):
        training.create_run_folder(folder, config)


def test_divergence_stops_the_run_and_keeps_the_last_good_state(tmp_path):
    folder = tmp_path / "wild"
    config = start(folder, overrides=("actor_rate=1e30", "max_grad_norm=1e30"))
    with pytest.raises(training.Diverged, match="not finite"):
        training.run_training(config, folder, Silent())
    for record in read_records(folder / "metrics.jsonl"):
        assert all(np.isfinite(v) for v in record.values())


def test_a_run_without_a_surface_is_saved_and_resumed(tmp_path):
    folder = tmp_path / "bare"
    config = start(folder, records=3, overrides=("surface_shape=0,0", "num_users=2"))
    with pytest.raises(RuntimeError, match="power cut"):
        training.run_training(config, folder, Silent(2))
    assert training.run_training(config, folder, Silent()) == 0
    assert read_records(folder / "metrics.jsonl")[-1]["record"] == 3
    _, untrained, trained = load_weights(config, folder)
    assert jax.tree.structure(untrained) == jax.tree.structure(trained)


def test_records_survive_a_cut_line(tmp_path):
    path = tmp_path / "r.jsonl"
    append_record(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"a":')
    assert read_records(path) == [{"a": 1}]
    rewrite_records(path, [{"a": 2}])
    assert read_records(path) == [{"a": 2}]
    assert read_records(tmp_path / "none.jsonl") == []


def test_policies_are_explored_on_other_powers_and_limits(finished, tmp_path):
    config, run = finished
    file = tmp_path / "small.policy"
    export_policy(run, file, platforms=("cpu",))
    looked = Explorer("paper-a", config.scenario, [run, file])
    assert looked.methods[:2] == ["ppo (small.policy)", "ppo"]
    assert looked.learned(looked.start)
    assert str(run) in looked.command(looked.start)
    of_run, of_file = (looked.look(looked.use(looked.start, name)) for name in ("ppo", "ppo (small.policy)"))
    np.testing.assert_allclose(of_run.rates, of_file.rates, rtol=1e-3, atol=1e-5)
    assert of_run.note == of_file.note == ""

    # The run's policy is told of another power, the file's keeps its own; both stay within what holds now.
    for name, word in (("ppo", "trained with another power_w"), ("ppo (small.policy)", "its own power_w")):
        seen = looked.look(slide(looked.use(looked.start, name), looked.controls, "power", 3.0))
        assert word in seen.note
        assert seen.held["antenna_power"]
    for name in ("ppo", "ppo (small.policy)"):
        state = choose(looked.use(looked.start, name), looked.controls, "elements", "9 (3×3)")
        with pytest.raises(ConfigError, match=r"trained on another scenario|serves its own sizes alone"):
            looked.look(state)
