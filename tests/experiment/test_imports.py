"""Channels of one's own: arrays under other names and axes, and path lists, into a file of channels."""

import dataclasses

import numpy as np
import pytest

from thzjax import cli
from thzjax.data.drops import channel_arrays, read_channels
from thzjax.data.sources import opened
from thzjax.errors import ConfigError
from thzjax.experiment.evaluation import draw_channels
from thzjax.experiment.imports import import_channels
from thzjax.experiment.traced import Options
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import build

IRS = IrsScenario(num_antennas=3, num_users=2, surface_shape=(2, 2), num_rays=1)
HRIS = HrisScenario(
    bs_shape=(2, 3),
    surface_shape=(2, 4),
    sensor_shape=(2, 2),
    num_active=3,
    num_users=2,
    num_rays_bs=3,
    num_rays_user=1,
)


def drawn(scenario, num=7):
    system, params = build(scenario)
    channels = draw_channels(system, params, num, 5)
    return system, params, {name: np.asarray(x) for name, x in vars(channels).items()}


def taken(tmp_path, source, scenario, **options):
    target = tmp_path / "out.npz"
    target.unlink(missing_ok=True)
    count = import_channels(source, scenario, target, lambda text: None, "paper-a", Options(**options))
    channels = vars(read_channels(target, *build(scenario)))
    assert len(channels["direct"]) == count
    return channels


def agree(got, wanted, names=None):
    for name in names or wanted:
        np.testing.assert_array_equal(got[name], wanted[name])


def test_arrays_under_other_names_and_axes(tmp_path):
    _, _, arrays = drawn(IRS)
    theirs = {"Hd": arrays["direct"], "G": arrays["bs_to_surface"], "Hr": arrays["surface_to_user"]}
    names = {"direct": "Hd", "bs_to_surface": "G", "surface_to_user": "Hr"}
    np.savez(tmp_path / "a.npz", **theirs)
    agree(taken(tmp_path, tmp_path / "a.npz", IRS, names=names), arrays, names)
    np.savez(tmp_path / "b.npz", **{name: np.moveaxis(x, 0, -1) for name, x in theirs.items()})
    agree(taken(tmp_path, tmp_path / "b.npz", IRS, names=names, last=True), arrays, names)
    with pytest.raises(ConfigError, match=r"Hd has shape \(2, 3, 7\), \[C, 2, 3\] is needed \(with --last it is\)"):
        taken(tmp_path, tmp_path / "b.npz", IRS, names=names)
    with pytest.raises(ConfigError, match=r"\(without --last it is\)"):
        taken(tmp_path, tmp_path / "a.npz", IRS, names=names, last=True)
    with pytest.raises(ConfigError, match="lacks direct"):
        taken(tmp_path, tmp_path / "a.npz", IRS)
    with pytest.raises(ConfigError, match="Hd is no array of this system"):
        taken(tmp_path, tmp_path / "a.npz", IRS, names={"Hd": "direct"})
    first = taken(tmp_path, tmp_path / "a.npz", IRS, names=names, num=3)
    agree(first, {name: arrays[name][:3] for name in names})
    with opened(tmp_path / "out.npz") as source:
        assert source.about["channels"] == "imported"
        assert source.about["options"]["names"] == names
    with pytest.raises(ConfigError, match=r"num=8 but .* holds 7 channels"):
        taken(tmp_path, tmp_path / "a.npz", IRS, names=names, num=8)


def test_matlab_files_drop_axes_of_one(tmp_path):
    import scipy.io

    alone = dataclasses.replace(IRS, num_antennas=1, num_users=1, pattern_threshold=None)
    _, _, arrays = drawn(alone)
    scipy.io.savemat(tmp_path / "a.mat", {name: x.squeeze(-1) for name, x in arrays.items() if x.shape[-1] == 1} | {
        "surface_to_user": arrays["surface_to_user"]})  # fmt: skip
    agree(taken(tmp_path, tmp_path / "a.mat", alone), arrays, ("direct", "bs_to_surface", "surface_to_user"))


def test_an_array_without_channels_is_the_same_for_all(tmp_path):
    _, _, arrays = drawn(HRIS)
    fixed = {"bs_to_surface": arrays["bs_to_surface"][0], "active": arrays["active"][0].astype(bool)}
    np.savez(tmp_path / "a.npz", surface_to_user=arrays["surface_to_user"], **fixed)
    got = taken(tmp_path, tmp_path / "a.npz", HRIS)
    agree(got, {"surface_to_user": arrays["surface_to_user"]})
    for name, x in fixed.items():
        np.testing.assert_array_equal(got[name], np.broadcast_to(x, got[name].shape))
    # This system has no direct links, and nobody looks at where users stand.
    assert not got["direct"].any()
    assert not got["user_position_m"].any()
    np.savez(tmp_path / "b.npz", surface_to_user=arrays["surface_to_user"][0], **fixed)
    assert len(taken(tmp_path, tmp_path / "b.npz", HRIS)["direct"]) == 1
    np.savez(tmp_path / "c.npz", surface_to_user=arrays["surface_to_user"], bs_to_surface=fixed["bs_to_surface"])
    with pytest.raises(ConfigError, match="lacks active"):
        taken(tmp_path, tmp_path / "c.npz", HRIS)


def test_levels_are_changed_and_looked_at(tmp_path):
    _, _, arrays = drawn(IRS)
    loud = {name: x * 1e3 if name != "user_position_m" else x for name, x in arrays.items()}
    np.savez(tmp_path / "a.npz", **loud)
    with pytest.raises(ConfigError, match=r"has an entry of \+\d+\.\d dB, more than was sent"):
        taken(tmp_path, tmp_path / "a.npz", IRS)
    got = taken(tmp_path, tmp_path / "a.npz", IRS, scale_db=-60.0)
    np.testing.assert_allclose(got["direct"], arrays["direct"], rtol=1e-6)
    np.testing.assert_array_equal(got["user_position_m"], arrays["user_position_m"])


def traced(folder, scenario, receivers=9, paths=3, without=()):
    """Sionna's arrays of random paths between single antennas, for every link of a scenario."""
    rng = np.random.default_rng(1)
    folder.mkdir(exist_ok=True)
    links = {"bs_to_surface": 1, "surface_to_user": receivers, "direct": receivers}
    if isinstance(scenario, HrisScenario):
        del links["direct"]
    for name, count in links.items():
        shape = (count, 1, paths)
        a = 1e-4 * (rng.normal(size=shape) + 1j * rng.normal(size=shape))
        if count > 1:
            a[list(without)] = 0
        angles = {f"{kind}_{end}": rng.uniform(0.3, 2.8, shape) for kind in ("theta", "phi") for end in "tr"}
        np.savez(folder / f"{name}.npz", a=a[:, None, :, None], tau=rng.uniform(1e-9, 1e-8, shape), **angles)
    return folder


@pytest.mark.parametrize("scenario", [IRS, HRIS, dataclasses.replace(IRS, user_antennas=2)], ids=["a", "b", "mimo"])
def test_path_lists_become_channels(tmp_path, scenario):
    folder = traced(tmp_path / "traced", scenario, receivers=9, without=(4,))
    said = []
    target = tmp_path / "a.npz"
    assert import_channels(folder, scenario, target, said.append, "paper-b", Options()) == 4
    assert said[1] == "surface_to_user: 9 receivers, up to 3 paths, 1 receivers without any"
    system, params = build(scenario)
    channels = read_channels(target, system, params)
    _, like = channel_arrays(system, params)
    assert {name: x.shape[1:] for name, x in vars(channels).items()} == {name: x.shape for name, x in like.items()}
    # Eight different receivers with a path, each once; one hop to the surface.
    rows = channels.surface_to_user.reshape(8, -1)
    assert len({row.tobytes() for row in rows}) == 8
    assert (np.abs(rows).max(axis=1) > 0).all()
    assert (channels.bs_to_surface == channels.bs_to_surface[:1]).all()
    if scenario is HRIS:
        assert (channels.active.sum(axis=-1) == 3).all()
        assert len({row.tobytes() for row in channels.active}) > 1
    # More channels than receivers allow apart; the same again for the same seed.
    first = taken(tmp_path, folder, scenario, num=20, seed=3)
    again = taken(tmp_path, folder, scenario, num=20, seed=3)
    agree(again, first)
    assert all(len({user.tobytes() for user in drop}) == 2 for drop in first["surface_to_user"])


def test_gains_and_absorption_are_the_scenarios(tmp_path):
    scenario = dataclasses.replace(IRS, k_abs=0.05)
    folder = traced(tmp_path / "traced", scenario, paths=1)
    bare, full = (taken(tmp_path, folder, scenario, **options) for options in ({}, {"add_gains": True}))
    for name, gain_db in (("direct", 50.0), ("bs_to_surface", 52.0), ("surface_to_user", 52.0)):
        ratio = np.abs(full[name] / bare[name])
        np.testing.assert_allclose(20 * np.log10(ratio), gain_db, atol=1e-4)
    damp = taken(tmp_path, folder, scenario, add_absorption=True)
    with opened(folder / "bs_to_surface.npz") as source:
        length_m = 299_792_458.0 * source.need("tau").take(0, None, 0).item()
    np.testing.assert_allclose(
        np.abs(damp["bs_to_surface"] / bare["bs_to_surface"]), np.exp(-0.05 * length_m / 2), rtol=1e-5
    )


def edit(folder, name, **changes):
    with np.load(folder / f"{name}.npz") as file:
        arrays = dict(file)
    np.savez(folder / f"{name}.npz", **(arrays | changes))


def two_receivers(folder):
    with np.load(folder / "bs_to_surface.npz") as file:
        arrays = {name: np.concatenate([x, x]) for name, x in file.items()}
    np.savez(folder / "bs_to_surface.npz", **arrays)


REFUSED = {
    "lacks surface_to_user": (IRS, lambda folder: (folder / "surface_to_user.npz").unlink()),
    "bs_to_surface has 2 receivers, the surface is one": (IRS, two_receivers),
    "both links to the users need the same receivers": (
        IRS, lambda folder: (folder / "direct.npz").write_bytes((folder / "bs_to_surface.npz").read_bytes())
    ),
    "keep one of them": (IRS, lambda folder: (folder / "direct").mkdir()),
    "channel_steering=literal is no array": (dataclasses.replace(IRS, channel_steering="literal"), lambda folder: None),
    "departure=paper mirrors angles": (dataclasses.replace(HRIS, departure="paper"), lambda folder: None),
    "has direct paths, which this system": (
        HRIS, lambda folder: (folder / "direct.npz").write_bytes((folder / "surface_to_user.npz").read_bytes())
    ),
    "fewer than num_users=10": (dataclasses.replace(IRS, num_users=10), lambda folder: None),
    "has no path to any receiver": (IRS, lambda folder: edit(folder, "bs_to_surface", tau=-np.ones((1, 1, 3)))),
    "more than the 1 independent paths": (
        dataclasses.replace(HRIS, num_rays_bs=0, min_sinr_db=-30.0), lambda folder: None
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_path_lists_that_make_no_channels_are_refused(tmp_path, message):
    scenario, change = REFUSED[message]
    folder = traced(tmp_path / "traced", scenario)
    change(folder)
    with pytest.raises(ConfigError) as caught:
        taken(tmp_path, folder, scenario)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.npz").exists()


def test_the_command_imports(tmp_path, capsys):
    _, _, arrays = drawn(IRS)
    np.savez(tmp_path / "a.npz", **{"Hd" if name == "direct" else name: x for name, x in arrays.items()})
    options = ["--set", "num_antennas=3", "num_users=2", "surface_shape=2,2"]
    command = ["channels", "import", str(tmp_path / "a.npz"), "--preset", "paper-a", "--out", str(tmp_path / "b.npz")]
    assert cli.main([*command, "--names", "direct=Hd", *options]) == 0
    assert capsys.readouterr().out == f"7 channels: {tmp_path / 'b.npz'}\n"
    agree(vars(read_channels(tmp_path / "b.npz", *build(IRS))), arrays)


CLI_BAD = {
    "--out names the file": ["generate", "paper-a", "--num", "3"],
    "--num says how many": ["generate", "paper-a", "--out", "a.npz"],
    "preset 'paper-z' is unknown": ["generate", "paper-z", "--num", "3", "--out", "a.npz"],
    "channels generate takes no --last, --preset": [
        "generate",
        "paper-a",
        "--preset",
        "paper-b",
        "--last",
        "--num",
        "3",
    ],
    "channels show takes no --num": ["show", "a.npz", "--num", "3"],
    "--preset says what they are": ["import", "a.npz", "--out", "b.npz"],
    "nowhere.npz does not exist": ["import", "nowhere.npz", "--out", "b.npz", "--preset", "paper-a"],
    "is not of the form OURS=THEIRS": ["import", "a.npz", "--out", "b.npz", "--preset", "paper-a", "--names", "direct"],
    "num=0 must be at least 1": ["import", "a.npz", "--out", "b.npz", "--preset", "paper-a", "--num", "0"],
    "invalid choice": ["draw", "paper-a"],
    "nowhere.h5 does not exist": ["show", "nowhere.h5"],
}


@pytest.mark.parametrize("message", CLI_BAD)
def test_bad_commands_are_one_line_and_status_2(message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["channels", *CLI_BAD[message]]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
