"""Traced paths as channels: against the systems' own, against the physics' arrays, and both tracers' files."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from files import HRIS, IRS, write_hdf5, write_matlab
from reference.tools import assert_close, complex_normal

from thzjax.data.rays import POINT, Mount, Paths, adjusted, ends, link_matrix, unit_vectors
from thzjax.data.tracers import read_paths
from thzjax.errors import ConfigError
from thzjax.physics.arrays import spherical_coordinates, upa_steering
from thzjax.systems.scenario import build

C = 299_792_458.0


def turned(vectors, yaw):
    """Vectors of the room in a frame turned by its yaw."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.stack([x * np.cos(yaw) + y * np.sin(yaw), y * np.cos(yaw) - x * np.sin(yaw), z], axis=-1)


def random_paths(seed=0, receivers=3, paths=4, antennas=(1, 1)):
    rng = np.random.default_rng(seed)
    size = receivers, paths
    departure, arrival = (unit_vectors(rng.uniform(0.3, 2.8, size), rng.uniform(-3, 3, size)) for _ in range(2))
    amplitude = 1e-4 * complex_normal(seed, receivers, *antennas, paths)
    return Paths(amplitude, rng.uniform(1e-9, 1e-7, (receivers, 1, 1, paths)), departure, arrival)


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.0])
def test_an_array_responds_as_the_physics_says(x64, yaw):
    paths = random_paths()
    own = turned(paths.arrival, yaw)
    _, azimuth, elevation = np.moveaxis(np.asarray(spherical_coordinates(jnp.asarray(own))), -1, 0)
    wanted = upa_steering(jnp.asarray(azimuth), jnp.asarray(elevation), (3, 2))
    assert_close(Mount((3, 2), yaw).response(paths.arrival), wanted, 1e-10)


def test_a_link_is_the_sum_of_its_paths():
    paths, receiver, transmitter = random_paths(), Mount((2, 3), 0.4), Mount((4, 1), -1.0)
    wanted = sum(
        paths.amplitude[:, 0, 0, p, None, None]
        * receiver.response(paths.arrival)[:, p, :, None]
        * transmitter.response(paths.departure)[:, p, None, :]
        for p in range(4)
    )
    assert_close(link_matrix(paths, receiver, transmitter, "x"), wanted, 1e-12)
    assert_close(link_matrix(paths, POINT, POINT, "x")[:, 0, 0], paths.amplitude[:, 0, 0].sum(-1), 1e-12)


def test_gains_and_absorption_are_put_on_by_length():
    paths = random_paths()
    more = adjusted(paths, gain=100.0, k_abs=0.05)
    assert_close(more.amplitude, paths.amplitude * 10 * np.exp(-0.05 * C * paths.delay_s / 2), 1e-12)


def line_of_sight(start, stop, freq_hz):
    """Sionna's arrays of one path in the clear from a place to some others: isotropic antennas, no absorption."""
    offset = np.atleast_2d(stop) - start
    dist = np.linalg.norm(offset, axis=-1)
    out, back = offset / dist[:, None], -offset / dist[:, None]
    amplitude = C / (4 * np.pi * freq_hz * dist)
    angles = {}
    for end, u in (("t", out), ("r", back)):
        angles[f"theta_{end}"], angles[f"phi_{end}"] = np.arccos(u[:, 2]), np.arctan2(u[:, 1], u[:, 0])
    per_path = {name: x[:, None, None] for name, x in angles.items()}
    return {"a": amplitude[:, None, None, None, None] + 0j, "tau": dist[:, None, None] / C, **per_path}


def saved(path, arrays):
    np.savez(path, **arrays)
    return path


def links_of(tmp_path, scenario, system, places, params):
    """Every link of a scenario in the clear, traced from places and imported."""
    here = ends(scenario, system)
    made = {}
    for name, (receiver, transmitter) in (
        ("bs_to_surface", ("surface", "bs")), ("surface_to_user", ("user", "surface")), ("direct", ("user", "bs")),
    ):  # fmt: skip
        arrays = line_of_sight(places[transmitter], places[receiver], scenario.freq_hz)
        gain = here.gains[receiver] * here.gains[transmitter]
        paths = adjusted(
            read_paths(saved(tmp_path / f"{name}.npz", arrays), scenario.freq_hz), gain, float(params.k_abs)
        )
        made[name] = link_matrix(paths, here.mounts[receiver], here.mounts[transmitter], name)
    return made


def test_paper_bs_channels_in_the_clear_come_out_of_traced_paths(x64, tmp_path):
    scenario = dataclasses.replace(HRIS, num_rays_bs=0, num_rays_user=0, min_sinr_db=-30.0)
    system, params = build(scenario)
    channels = system.sample(jax.random.key(3), params)
    azimuth, elevation = np.radians(scenario.bs_arrival_deg)
    bs = scenario.bs_dist_m * np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    places = {"bs": bs, "surface": np.zeros(3), "user": np.asarray(channels.user_position_m)}
    made = links_of(tmp_path, scenario, system, places, params)
    # Phases of 1e4 turns, their delays through c and back: 1e-8 of a turn.
    assert_close(made["bs_to_surface"][0], channels.bs_to_surface, 1e-6)
    assert_close(made["surface_to_user"][:, 0], channels.surface_to_user, 1e-6)


@pytest.mark.parametrize("user_antennas", [1, 3])
def test_paper_as_channels_in_the_clear_come_out_of_traced_paths(x64, tmp_path, user_antennas):
    scenario = dataclasses.replace(IRS, num_rays=0, rician_factor=1e12, blockage_db=0.0, user_antennas=user_antennas)
    system, params = build(scenario)
    channels = system.sample(jax.random.key(3), params)
    places = {
        "bs": np.array(scenario.bs_position_m), "surface": np.array(scenario.surface_position_m),
        "user": np.asarray(channels.user_position_m),
    }  # fmt: skip
    made = links_of(tmp_path, scenario, system, places, params)
    for name, matrix in made.items():
        drawn = np.asarray(getattr(channels, name))
        drawn = drawn[None] if name == "bs_to_surface" else drawn.reshape(matrix.shape)
        # The scenario gives each link a phase of its own; what is left is the arrays and the levels.
        turn = drawn[:, :1, :1] / matrix[:, :1, :1]
        assert_close(np.abs(turn), np.ones_like(turn.real), 1e-6)
        assert_close(matrix * turn, drawn, 1e-6)


def resolved(arrays, receiver, transmitter):
    """What Sionna gives for arrays in place of single antennas: columns from the left, each from its top, centred."""

    def positions(mount):
        cols, rows = mount.shape  # its columns stand side by side along y
        y, z = np.meshgrid(np.arange(cols), -np.arange(rows), indexing="ij")
        place = np.stack([np.zeros(y.size), y.ravel() - (cols - 1) / 2, z.ravel() + (rows - 1) / 2], axis=-1) / 2
        return turned(place, -mount.yaw_rad)

    out, back = (unit_vectors(arrays[f"theta_{end}"], arrays[f"phi_{end}"])[:, 0] for end in ("t", "r"))
    at_rx, at_tx = (np.einsum("rpx,nx->rnp", u, positions(m)) for u, m in ((back, receiver), (out, transmitter)))
    a = arrays["a"] * np.exp(2j * np.pi * (at_rx[:, :, None, None] + at_tx[:, None, None]))
    return arrays | {"a": a}


def test_antennas_that_the_tracer_resolved_stand_where_ours_do(tmp_path):
    receiver, transmitter = Mount((3, 2), 0.3), Mount((2, 4), -1.2)
    rng = np.random.default_rng(1)
    arrays = line_of_sight(np.zeros(3), rng.uniform(1, 4, (5, 3)), 3e11)
    single = read_paths(saved(tmp_path / "a.npz", arrays), 3e11)
    made = read_paths(saved(tmp_path / "b.npz", resolved(arrays, receiver, transmitter)), 3e11)
    assert made.amplitude.shape == (5, 6, 8, 1)
    one, other = (link_matrix(p, receiver, transmitter, "x") for p in (single, made))
    # Numbered from a corner or from the centre: one phase for the whole link.
    turn = one[:, :1, :1] / other[:, :1, :1]
    assert_close(np.abs(turn), np.ones_like(turn.real), 1e-9)
    assert_close(other * turn, one, 1e-9)


def forms(arrays):
    """The same paths as Sionna's users keep them."""
    a = arrays["a"]
    return {
        "two arrays": arrays | {"a_real": a.real, "a_imag": a.imag},
        "the pair stacked": arrays | {"a": np.stack([a.real, a.imag])},
        "with a time axis": arrays | {"a": a[..., None]},
        "of before 1.0": {name: x[None] for name, x in (arrays | {"a": a[..., None]}).items()},
        "with every antenna's delay": arrays
        | {name: x[:, None, :, None] for name, x in arrays.items() if name != "a"},
    }  # fmt: skip


@pytest.mark.parametrize("form", range(5))
def test_every_form_of_sionnas_arrays_is_read(tmp_path, form):
    arrays = line_of_sight(np.zeros(3), np.array([[1.0, 2.0, 0.5], [3.0, -1.0, 0.2]]), 3e11)
    wanted = read_paths(saved(tmp_path / "a.npz", arrays), 3e11)
    name, others = list(forms(arrays).items())[form]
    if name == "two arrays":
        del others["a"]
    got = read_paths(saved(tmp_path / "b.npz", others), 3e11)
    for x, y in zip(got, wanted, strict=True):
        assert_close(x, y, 1e-12)


def test_paths_that_are_none_do_not_count(tmp_path):
    arrays = line_of_sight(np.zeros(3), np.array([[1.0, 2.0, 0.5], [3.0, -1.0, 0.2]]), 3e11)
    wanted = read_paths(saved(tmp_path / "a.npz", arrays), 3e11)
    twice = {name: np.concatenate([x, np.full_like(x, np.pi)], axis=-1) for name, x in arrays.items()}
    twice["tau"][..., 1] = -1.0
    first = read_paths(saved(tmp_path / "b.npz", twice), 3e11)
    twice["tau"][..., 1] = 1e-9
    marked = twice | {"valid": np.broadcast_to([True, False], twice["tau"].shape)}
    for paths in (first, read_paths(saved(tmp_path / "c.npz", marked), 3e11)):
        assert_close(paths.amplitude.sum(-1), wanted.amplitude.sum(-1), 1e-12)


def deepmimo_of(paths):
    """The same paths as DeepMIMO 4 keeps them."""
    a = paths.amplitude[:, 0, 0]
    arrays = {"power": 20 * np.log10(np.abs(a)), "phase": np.degrees(np.angle(a)), "delay": paths.delay_s[:, 0, 0]}
    for name, u in (("aod", paths.departure), ("aoa", paths.arrival)):
        arrays[f"{name}_el"] = np.degrees(np.arccos(u[..., 2]))
        arrays[f"{name}_az"] = np.degrees(np.arctan2(u[..., 1], u[..., 0]))
    return arrays


V3 = {
    "aod_az": "DoD_phi",
    "aod_el": "DoD_theta",
    "aoa_az": "DoA_phi",
    "aoa_el": "DoA_theta",
    "delay": "ToA",
    "phase": "phase",
}


@pytest.mark.parametrize("version", ["4", "4 as a folder", "4 in MATLAB", "3"])
def test_deepmimos_paths_are_read(tmp_path, version):
    paths = random_paths()
    arrays = deepmimo_of(paths)
    arrays = {name: np.concatenate([x, np.full((3, 2), np.nan)], axis=1) for name, x in arrays.items()}
    where = tmp_path / "link"
    if version == "4 as a folder":
        where.mkdir()
        for name, x in arrays.items():
            np.savez_compressed(where / f"{name}_t000_tx000_r001.npz", **{name: x})
        (where / "params.json").write_text("{}")
    elif version == "4 in MATLAB":
        where = tmp_path / "link.mat"
        write_matlab(where, arrays)
    else:
        where = tmp_path / "link.npz"
        if version == "3":
            arrays = {V3.get(name, name): x for name, x in arrays.items()} | {"power": 10 ** (arrays["power"] / 10)}
        np.savez(where, **arrays)
    got = read_paths(where, 3e11)
    for x, y in zip(got, paths, strict=True):
        shown = x[..., :4] if x.ndim == 4 else x[:, :4]
        np.testing.assert_allclose(shown, y, rtol=1e-9, atol=1e-12)
    assert not got.amplitude[..., 4:].any()
    if version == "4 as a folder":
        np.savez(where / "power_t000_tx001_r001.npz", power=arrays["power"])
        with pytest.raises(ConfigError, match=r"power is in power_t000_tx000_r001.* and in power_t000_tx001"):
            read_paths(where, 3e11)


SIONNA = line_of_sight(np.zeros(3), np.array([[1.0, 2.0, 0.5], [3.0, -1.0, 0.2]]), 3e11)
DEEPMIMO = deepmimo_of(random_paths())
BAD = {
    "holds neither Sionna's paths (a, tau) nor DeepMIMO's (power, phase): it has direct": {"direct": np.zeros((2, 3))},
    "lacks a: store paths.a": {"tau": SIONNA["tau"]},
    "a is real": SIONNA | {"a": SIONNA["a"].real},
    "a has shape (2, 1, 3, 1, 1)": SIONNA | {"a": np.repeat(SIONNA["a"], 3, axis=2)},
    "tau of shape (3, 1, 1) does not fit a of 2 receivers and 1 paths": SIONNA | {"tau": np.zeros((3, 1, 1))},
    "not finite where there is a path": SIONNA | {"theta_t": np.full((2, 1, 1), np.nan)},
    "lacks aod_el": {name: x for name, x in DEEPMIMO.items() if name != "aod_el"},
    "differ in shape": DEEPMIMO | {"delay": np.zeros((3, 5))},
    "numbers that are not finite where": DEEPMIMO | {"phase": np.full((3, 4), np.nan)},
    "negative delay": DEEPMIMO | {"delay": np.full((3, 4), -1e-9)},
}


@pytest.mark.parametrize("message", BAD)
def test_what_are_no_paths_is_refused_in_one_line(tmp_path, message):
    with pytest.raises(ConfigError) as caught:
        read_paths(saved(tmp_path / "a.npz", BAD[message]), 3e11)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_arrays_than_the_scenarios_are_refused():
    with pytest.raises(ConfigError, match=r"x: receivers have 4 antennas, the scenario 6 as 3 x 2"):
        link_matrix(random_paths(antennas=(4, 1)), Mount((3, 2), 0.0), POINT, "x")
    with pytest.raises(ConfigError, match=r"x: transmitters have one antenna and no angles"):
        link_matrix(random_paths()._replace(departure=None), POINT, Mount((3, 2), 0.0), "x")


def test_paths_in_hdf5(tmp_path):
    pytest.importorskip("h5py")
    write_hdf5(tmp_path / "a.h5", SIONNA)
    got, wanted = read_paths(tmp_path / "a.h5", 3e11), read_paths(saved(tmp_path / "a.npz", SIONNA), 3e11)
    for x, y in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(x, y)
