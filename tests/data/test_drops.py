"""What can be channels of a system and what cannot."""

import numpy as np
import pytest
from files import drawn, write_hdf5

from thzjax.data.drops import channel_arrays, check_channels, count_channels, notes_on, read_channels
from thzjax.data.sources import opened
from thzjax.errors import ConfigError
from thzjax.systems.scenario import build, preset


def changed(arrays, name, change):
    return arrays | {name: change(arrays[name].copy())}


def at(index, value):
    def change(array):
        array[index] = value
        return array

    return change


BAD = {
    "lacks surface_to_user: it needs direct, bs_to_surface": lambda a: {
        k: v for k, v in a.items() if k != "surface_to_user"
    },
    "direct has shape (7, 2, 5), [C, 2, 6] is needed": lambda a: changed(a, "direct", lambda x: x[..., :5]),
    "direct has 6, bs_to_surface has 7": lambda a: changed(a, "direct", lambda x: x[:6]),
    "holds no channel": lambda a: {name: x[:0] for name, x in a.items()},
    "holds numbers that are not finite": lambda a: changed(a, "bs_to_surface", at((4, 0, 0), np.nan)),
    "user_position_m is complex": lambda a: changed(a, "user_position_m", lambda x: x * 1j),
    "bs_to_surface of channel 4 has an entry of +6.0 dB, more than was sent": lambda a: changed(
        a, "bs_to_surface", at((4, 0, 0), 2.0)
    ),
    "active holds other numbers than 0 and 1": lambda a: changed(a, "active", at((2, 0), 0.5)),
    "channel 5 has 8 amplifying elements, the scenario has num_active=3": lambda a: changed(a, "active", at(5, 1.0)),
    "channel 3 has direct links, of which this system has none": lambda a: changed(a, "direct", at((3, 0, 0), 1e-6)),
    "channel 6 has more than the 2 independent paths of the scenario": lambda a: changed(
        a, "bs_to_surface", at((6, 5), a["bs_to_surface"][6, 5, ::-1] * np.arange(6))
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_channels_is_refused_in_one_line(tmp_path, message):
    system, params, arrays = drawn("hris")
    np.savez(tmp_path / "a.npz", **arrays)
    whole = read_channels(tmp_path / "a.npz", system, params)
    np.testing.assert_array_equal(whole.bs_to_surface, arrays["bs_to_surface"])
    np.savez(tmp_path / "b.npz", **BAD[message](arrays))
    with pytest.raises(ConfigError) as caught:
        read_channels(tmp_path / "b.npz", system, params)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_part_is_read_and_its_channels_keep_their_numbers(tmp_path):
    system, params, arrays = drawn("hris")
    np.savez(tmp_path / "a.npz", **changed(arrays, "active", at(5, 1.0)))
    part = read_channels(tmp_path / "a.npz", system, params, 1, 4)
    np.testing.assert_array_equal(part.surface_to_user, arrays["surface_to_user"][1:4])
    with pytest.raises(ConfigError, match="channel 5 has 8 amplifying elements"):
        read_channels(tmp_path / "a.npz", system, params, 4)


def test_positions_may_be_missing(tmp_path):
    system, params, arrays = drawn("irs")
    np.savez(tmp_path / "a.npz", **{name: x for name, x in arrays.items() if name != "user_position_m"})
    channels = read_channels(tmp_path / "a.npz", system, params)
    assert channels.user_position_m.shape == (7, 2, 3)
    assert not channels.user_position_m.any()


@pytest.mark.parametrize(
    ("units", "refused"),
    [
        ({"direct": "1", "user_position_m": "m"}, ""),
        ({"direct": "amplitude", "user_position_m": "Metre"}, ""),
        ({"direct": "dB"}, "direct is in 'dB', '1' is needed"),
        ({"user_position_m": "cm"}, "user_position_m is in 'cm', 'm' is needed"),
    ],
)
def test_units_that_a_file_names_are_looked_at(tmp_path, units, refused):
    pytest.importorskip("h5py")
    system, params, arrays = drawn("irs")
    write_hdf5(tmp_path / "a.h5", arrays, units)
    _, like = channel_arrays(system, params)
    with opened(tmp_path / "a.h5") as source:
        if refused:
            with pytest.raises(ConfigError, match=refused):
                count_channels(source, like)
        else:
            assert count_channels(source, like) == 7


@pytest.mark.parametrize("name", ["paper-a", "paper-a-mimo", "paper-b", "paper-b-passive"])
def test_every_systems_arrays_have_units_and_axes(name):
    system, params = build(preset(name))
    _, like = channel_arrays(system, params)
    for field, note in notes_on(like).items():
        assert note["units"] == ("m" if field == "user_position_m" else "1")
        assert len(note["axes"].split(", ")) == 1 + len(like[field].shape)


def test_many_channels_are_looked_at_in_blocks(monkeypatch):
    from thzjax.data import drops

    system, _, arrays = drawn("hris")
    monkeypatch.setattr(drops, "BLOCK", 2)
    check_channels(arrays, system, "here")
    with pytest.raises(ConfigError, match="here: channel 105 has 8 amplifying"):
        check_channels(changed(arrays, "active", at(5, 1.0)), system, "here", 100)
