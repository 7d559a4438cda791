"""Channels of traced paths: what ray tracers give, path by path, on the arrays of a scenario.

Every array stands upright in one frame of coordinates, z up: turned by its yaw about z from facing +x, rows along its
y, columns along z. A path leaves and arrives by unit vectors in that frame; the latter points back along the path.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from thzjax.errors import ConfigError
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.scenario import Scenario
from thzjax.units import SPEED_OF_LIGHT


class Paths(NamedTuple):
    """Paths of one link from one transmitter to R receivers, at most P each.

    Attributes:
      amplitude: complex at the carrier, the phase of the delay in it, `[R, Nr, Nt, P]`, 0 where there is no path; Nr
        and Nt are 1, or the antennas of an array, column by column from the top left one as Sionna numbers them.
      delay_s: `[R, Nr or 1, Nt or 1, P]` [s].
      departure, arrival: unit vectors `[R, P, 3]`, or none where the tracer gave none.
    """

    amplitude: np.ndarray
    delay_s: np.ndarray
    departure: np.ndarray | None
    arrival: np.ndarray | None

    def receivers(self, index: np.ndarray) -> "Paths":
        """The paths to some receivers."""
        return Paths(*(None if x is None else x[index] for x in self))


class Mount(NamedTuple):
    """How an array stands: (rows, columns), half a wavelength apart, and the yaw of its normal from +x [rad]."""

    shape: tuple[int, int]
    yaw_rad: float

    @property
    def size(self) -> int:
        """Antennas."""
        return self.shape[0] * self.shape[1]

    def response(self, direction: np.ndarray) -> np.ndarray:
        """v to waves from (or towards) unit vectors: `[R, P, 3]` -> `[R, P, rows*columns]`.

        v[row*columns + col] = exp(j pi (row u_y + col u_z)), u in the array's own frame (`arrays.upa_steering`).
        """
        own_y = math.cos(self.yaw_rad) * direction[..., 1] - math.sin(self.yaw_rad) * direction[..., 0]
        rows, cols = (np.arange(count) for count in self.shape)
        phase = own_y[..., None, None] * rows[:, None] + direction[..., 2][..., None, None] * cols
        return np.exp(1j * np.pi * phase).reshape(*direction.shape[:-1], self.size)


POINT = Mount((1, 1), 0.0)
"""A single antenna."""


class Ends(NamedTuple):
    """The arrays of a scenario, and their power gains (linear): base station, surface, each user."""

    mounts: dict[str, Mount]
    gains: dict[str, float]


def ends(
    scenario: Scenario, system: Any, bs_yaw_deg: float | None = None, surface_yaw_deg: float | None = None
) -> Ends:
    """How the arrays of a scenario stand, and their gains.

    Args:
      scenario, system: one made of the other.
      bs_yaw_deg, surface_yaw_deg: of the normals, from +x [deg]; by default as the scenario has them. Paper A's base
        station faces +x and its surface -y; paper B's surface faces +x, its base station as the angles say that the two
        are seen from each other.
    """
    spec = system.spec
    if isinstance(scenario, HrisScenario):
        yaws = (scenario.bs_arrival_deg[0] + 180 - scenario.bs_departure_deg[0], 0.0)
    else:
        yaws = (0.0, -90.0)
    bs, surface = (
        own if given is None else given for own, given in zip(yaws, (bs_yaw_deg, surface_yaw_deg), strict=True)
    )
    mounts = {
        "bs": Mount(tuple(spec.antenna_shape), math.radians(bs)),
        "surface": Mount(tuple(system.surface_shape), math.radians(surface)),
        "user": Mount((spec.user_antennas, 1), 0.0),
    }
    levels = {"bs": scenario.bs_gain_dbi, "surface": scenario.element_gain_dbi, "user": scenario.user_gain_dbi}
    return Ends(mounts, {name: 10 ** (level / 10) for name, level in levels.items()})


def adjusted(paths: Paths, gain: float = 1.0, k_abs: float = 0.0) -> Paths:
    """The paths with a power gain, and with absorption along their length: sqrt(gain) exp(-k_abs c tau/2)."""
    change = math.sqrt(gain) * np.exp(-k_abs * SPEED_OF_LIGHT * paths.delay_s / 2)
    return paths._replace(amplitude=paths.amplitude * change)


def link_matrix(paths: Paths, receiver: Mount, transmitter: Mount, link: str) -> np.ndarray:
    """The channel of a link: sum_p amplitude_p v_receiver(arrival_p) v_transmitter(departure_p)^T, `[R, Nr, Nt]`.

    An end whose antennas the tracer resolved is left as it is, but for their order.

    Raises:
      ConfigError: other antennas than the scenario's, or no directions where an array must be made; naming the `link`.

    Source: the multi-ray sum of `physics.channels.ray_channel`; departures by reciprocity.
    """
    amplitude = _resolved(paths.amplitude, 1, receiver, paths.arrival, f"{link}: receivers")
    amplitude = _resolved(amplitude, 2, transmitter, paths.departure, f"{link}: transmitters")
    return amplitude.sum(axis=-1)


def _resolved(amplitude: np.ndarray, axis: int, mount: Mount, direction: np.ndarray | None, what: str) -> np.ndarray:
    have, want = amplitude.shape[axis], mount.size
    if have == want:
        # Sionna numbers each column from its top: rows here lie along y, columns upwards along z.
        rows, cols = mount.shape
        order = np.arange(want).reshape(rows, cols)[:, ::-1].ravel()
        return np.take(amplitude, order, axis=axis)
    if have != 1:
        raise ConfigError(
            f"{what} have {have} antennas, the scenario {want} as {mount.shape[0]} x {mount.shape[1]} (with one "
            "polarisation): trace with these, or with a single one"
        )
    if direction is None:
        raise ConfigError(f"{what} have one antenna and no angles: of an array of {want} each path's angles are needed")
    response = np.moveaxis(mount.response(direction), -1, 1)  # [R, N, P]
    return amplitude * np.expand_dims(response, 3 - axis)


def unit_vectors(polar_rad: np.ndarray, azimuth_rad: np.ndarray) -> np.ndarray:
    """(sin(polar) cos(azimuth), sin(polar) sin(azimuth), cos(polar)), the polar angle from +z: `[..., 3]`."""
    flat = np.sin(polar_rad)
    return np.stack([flat * np.cos(azimuth_rad), flat * np.sin(azimuth_rad), np.cos(polar_rad)], axis=-1)
