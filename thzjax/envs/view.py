"""What an action or observation map derives once from a drop, and the beams and paths that both are written in."""

from typing import Any

import jax.numpy as jnp
from flax import struct
from jax import Array

from thzjax.beamforming.frame import Frame, channel_frame
from thzjax.beamforming.linear import regularised
from thzjax.beamforming.phases import aligned_reflections
from thzjax.beamforming.receive import stream_rows
from thzjax.beamforming.subspace import compact
from thzjax.linalg import leading_directions
from thzjax.numeric import abs2, as_complex, matmul, unit_phasor
from thzjax.physics.sensing.scene import departure_row
from thzjax.systems.base import Design, Spec, System

SPARE_DIRECTIONS = 2
"""Directions of departure beyond the number of users; on `paper-b` that is all of them."""
LIGHT = 0.5
"""Weight of the target's path in a surface's sum before an action adds to it; a user has 1 over one direction.

With 0, 0.5 and 1, the bound holds on 16, 53 and 100 % of 32 drops of `paper-b-tight`, every constraint on 88, 100 and
100 % of `paper-b-literal` and on 97, 94 and 94 % of `paper-b`, where the rate is 18.1, 17.7 and 16.7 bit/s/Hz.
"""


@struct.dataclass
class Paths:
    """Cascaded paths of every user over every direction of departure, in phases that mean the same on every drop.

    The path of user k over direction d is c_kdn = rows_kn fields_nd. For a surface of large gain whatever the utility,
    a gradient by psi_n is a weighted sum of them, sum_kd z_kd c_kdn, as H = sum_n psi_n h_kn G_n: with D the rank of G
    every stationary point has phases of that form.

    Attributes:
      rows: surface to each ordered user, unit norm, complex `[K, N]`.
      fields: what a beam along each direction of departure, a right singular vector of G from strong to weak, lays on
        the surface, over the norm of the strongest, complex `[N, D]`.
      light: path of the target like one of a user, unit norm, complex `[N]`; zero without a sensing stream.
    """

    rows: Array
    fields: Array
    light: Array


@struct.dataclass
class View:
    """What the structured maps and observations derive once from a drop.

    Attributes:
      frame: users by strength, phases relative to theirs.
      small: channels in the few dimensions that reach anything; none where those are all antennas.
      basis: of those dimensions, `[M, r]`, or none.
      paths: on a hybrid surface, else none.
      base: design that a correction is added to, in the few dimensions; none but for `Residual`.
    """

    frame: Frame
    small: Any = None
    basis: Array | None = None
    paths: Paths | None = None
    base: Design | None = None

    @property
    def order(self) -> Array:
        """Users from strongest to weakest, `[K]`."""
        return self.frame.order


def view(system: System, params: Any, channels: Any) -> View:
    """The view of one drop; no search, and no iteration but for singular vectors."""
    if not is_hybrid(system.spec):
        return View(frame=channel_frame(channels))
    small, basis = compact(system, channels)
    frame = channel_frame(small)
    paths = departure_paths(system, params, small, frame)
    return View(frame, None if basis is None else small, basis, paths)


def is_hybrid(spec: Spec) -> bool:
    """Whether a surface amplifies, or a stream senses."""
    return spec.active > 0 or spec.sensing_streams > 0


def num_directions(spec: Spec) -> int:
    """D, directions of departure told apart: at most the rank, and a few more than users."""
    return min(spec.rank, spec.users + SPARE_DIRECTIONS)


def departure_paths(system: Any, params: Any, channels: Any, frame: Frame) -> Paths:
    """The paths of one drop."""
    fields = matmul(channels.bs_to_surface, leading_directions(channels.bs_to_surface, num_directions(system.spec)))
    strongest = jnp.linalg.norm(fields[:, 0])
    fields = fields / as_complex(jnp.where(strongest > 0, strongest, 1))
    rows = unit_rows(channels.surface_to_user[frame.order])
    # A singular vector has no phase of its own, and no more has a user: both take that of their aligned path.
    aligned = jnp.conj(frame.paths)
    fields = fields * jnp.conj(unit_phasor(matmul((aligned[:1] * rows[:1]), fields)))
    rows = rows * jnp.conj(unit_phasor(matmul(aligned * rows, fields[:, :1])))
    light = jnp.zeros_like(rows[0])
    if system.spec.sensing_streams:
        # The target as one more user, over the beam that suits it best.
        row = departure_row(system.scene(params, channels))[None]
        direct = jnp.zeros_like(channels.direct[:1])
        psi, _ = aligned_reflections(channels.replace(surface_to_user=row, direct=direct))
        light = unit_rows(as_complex(jnp.sqrt(abs2(row))) * jnp.conj(psi))[0]
        light = light * jnp.conj(unit_phasor(jnp.sum(aligned[0] * light)))
    return Paths(rows=rows, fields=fields, light=light)


def unit_rows(rows: Array) -> Array:
    """Rows at unit norm, `[..., X]`; zero stays zero."""
    largest = jnp.max(jnp.abs(rows), axis=-1, keepdims=True)
    rows = rows / as_complex(jnp.where(largest > 0, largest, 1))
    norm2 = jnp.sum(abs2(rows), axis=-1, keepdims=True)
    return rows / as_complex(jnp.sqrt(jnp.where(norm2 > 0, norm2, 1)))


def path_sum(paths: Paths, weights: Array | None = None, light: Array | None = None) -> Array:
    """sum_kd (s_kd + z_kd) c_kdn/|c_kd| + (s + z) light_n, `[N]`, with s that serve every user and the target.

    Args:
      weights, light: z, complex `[K, D]` and `[]`; none is 0. s is `one_direction_each` and `LIGHT`.
    """
    start = one_direction_each(*paths.rows.shape[:1], paths.fields.shape[1], paths.rows.dtype)
    weights = start if weights is None else start + weights
    norm2 = matmul(abs2(paths.rows), abs2(paths.fields))
    weights = weights / as_complex(jnp.sqrt(jnp.where(norm2 > 0, norm2, 1)))
    served = jnp.sum(paths.rows * matmul(weights, jnp.swapaxes(paths.fields, -1, -2)), axis=0)
    seen = as_complex(jnp.asarray(LIGHT, paths.rows.real.dtype))
    return served + (seen if light is None else seen + light) * paths.light


def one_direction_each(users: int, directions: int, dtype: Any) -> Array:
    """Path weights that give every user a direction of departure of its own, the strongest to the weakest, `[K, D]`.

    Rows of the effective channel are then far from collinear. With regularised zero forcing at equal powers and users'
    phases of no account, on 32 drops of `paper-b`: 18.4 bit/s/Hz and every drop feasible; 18.7 and 94 % with the
    strongest to the strongest; 11.5 and 72 % with all users aligned to the line of sight (`focused_sum`), 13.9 and 38 %
    with one (`focused`).
    """
    mine = (users - 1 - jnp.arange(users)) % directions
    return (mine[:, None] == jnp.arange(directions)[None, :]).astype(dtype)


def user_beams(
    system: System, params: Any, channels: Any, reflection: Array, order: Array, weight: Array, power: Array
) -> Array:
    """Beams of regularised-zero-forcing form at full power, `[M, S]`.

    W = H^H (H H^H + S diag(weight))^-1 on rows in units of their noise at full power, columns of the given powers.
    Users with several antennas have a row and a beam for each of their S/K streams (`stream_rows`).

    Args:
      order: users from strongest to weakest, `[K]`; `weight` and `power` `[S]` are theirs in this order.
    """
    H = rows_over_noise(system, params, channels, reflection)[stream_order(system.spec, order)]
    W = regularised(H, jnp.asarray(system.spec.data_streams, H.real.dtype), weight)
    W = W * as_complex(jnp.sqrt(power))[None, :]
    return system.fit_power(params, W[:, jnp.argsort(stream_order(system.spec, order))])


def rows_over_noise(system: System, params: Any, channels: Any, reflection: Array) -> Array:
    """A row for each data stream, in units of the noise at full power, `[S, M]`."""
    # In those units the regularisation is S over the signal-to-noise ratio.
    unit = jnp.sqrt(params.power_w / system.user_noise(params, channels, reflection))
    rows = stream_rows(system, system.effective_channel(channels, reflection))
    return rows * as_complex(jnp.repeat(unit, system.spec.user_streams))[:, None]


def stream_order(spec: Spec, order: Array) -> Array:
    """The streams of users in an order, each user's from strong to weak, `[S]`."""
    streams = jnp.arange(spec.user_streams, dtype=order.dtype)
    return (order[:, None] * spec.user_streams + streams[None, :]).ravel()
