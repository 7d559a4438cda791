"""The contract of a system: what is simulated, apart from who designs for it.

A system turns a channel and a design into an outcome. Sizes live on the system (static, hashable); physical
parameters are a pytree that is passed in, so that a sweep is a `vmap`.
"""

from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

FLOAT32_SLACK = -1e-5
"""A float32 slack at or above this counts as satisfied."""


@struct.dataclass
class Design:
    """What a designer decides.

    Attributes:
      beamformer: W, complex `[..., M, S]` [sqrt(W)]; column s carries stream s. User k's D streams stand side by side,
        columns k D to (k + 1) D; D is 1 unless users have several antennas (`physics.link.by_user`).
      reflection: the surface's diagonal, complex `[..., N]`.
    """

    beamformer: Array
    reflection: Array


@struct.dataclass
class Outcome:
    """What a design does on a channel.

    Attributes:
      rates: bit/s/Hz, `[..., K]`.
      slack: one array `[...]` per named constraint, dimensionless, >= 0 when satisfied: 1 - value/limit for an
        upper limit, value/limit - 1 for a lower one, the worst over users or antennas.
    """

    rates: Array
    slack: dict[str, Array]


class Spec(NamedTuple):
    """Sizes of a system.

    Attributes:
      antennas: M.
      users: K.
      streams: S >= K D; the streams after the users' sense and carry no data.
      elements: N, of the surface.
      phase_bits: resolution of an element's phase; 0 is continuous.
      rank: the largest rank that the effective channel's row space can have, whatever the reflection.
      antenna_shape: (rows, columns) of the base station's array, M = rows*columns.
      active: how many elements amplify.
      user_antennas: R, of each user.
      user_streams: D <= R, of each user.
    """

    antennas: int
    users: int
    streams: int
    elements: int
    phase_bits: int
    rank: int
    antenna_shape: tuple[int, int]
    active: int = 0
    user_antennas: int = 1
    user_streams: int = 1

    @property
    def data_streams(self) -> int:
        """K D, streams that carry data."""
        return self.users * self.user_streams

    @property
    def sensing_streams(self) -> int:
        """Streams that carry none."""
        return self.streams - self.data_streams


class System(Protocol):
    """Pure functions over (params, channels, design); an instance holds only static sizes and options.

    Channels have at least `direct[..., K, M]`, `bs_to_surface[..., N, M]`, `surface_to_user[..., K, N]`, with an axis R
    after K where users have several antennas; every function reads M off the arrays it is given, so that a solver may
    work in fewer dimensions (`beamforming.subspace`).
    """

    constraints: tuple[str, ...]

    @property
    def spec(self) -> Spec:
        """Sizes, for whoever builds designs, observations and networks."""

    @property
    def continuous(self) -> "System":
        """The same system with a surface of continuous phases."""

    @property
    def projected(self) -> tuple[str, ...]:
        """Constraints that `project` meets entry by entry: their slack, a maximum over ties, has no useful slope."""

    def sample(self, key: Array, params: Any, user_position_m: Array | None = None) -> Any:
        """Draw one channel realisation; with the users at `[K, 3]` [m] if that is given, and all else as drawn."""

    @property
    def estimated(self) -> bool:
        """Whether designers see anything but the true channels."""

    def observe(self, key: Array, params: Any, channels: Any) -> Any:
        """The channels as a designer sees them; outcomes are always those of the true ones."""

    def outcome(self, params: Any, channels: Any, design: Design) -> Outcome:
        """Rates and the slack of every named constraint."""

    def measures(self, params: Any, channels: Any, design: Design) -> dict[str, Array]:
        """Further figures of merit by name, for tables: `[...]` each."""

    @property
    def relaxable(self) -> tuple[str, ...]:
        """Constraints in force whose limit is a parameter, so that `without` can take it away."""

    def without(self, params: Any, constraint: str) -> Any:
        """The parameters with one relaxable constraint's limit taken away."""

    def project(self, params: Any, channels: Any, design: Design) -> Design:
        """Enforce exactly what can be enforced in closed form and element by element (powers, amplitudes, phases)."""

    def meet(self, params: Any, channels: Any, design: Design, budget: float | Array = 1.0) -> Design:
        """Scale a projected design so that every constraint with a closed-form scaling holds.

        `budget` multiplies the limits, for a designer who spends more on one channel and less on another.
        """

    def fit_power(self, params: Any, beamformer: Array) -> Array:
        """Scale a beamformer by one scalar to exactly use the power budget, bending no null."""

    def effective_channel(self, channels: Any, reflection: Array) -> Array:
        """H `[..., K, M]`, or `[..., K, R, M]`, under a reflection."""

    def user_noise(self, params: Any, channels: Any, reflection: Array) -> Array:
        """Noise power of each user under a reflection [W], `[..., K]`."""

    def active(self, channels: Any) -> Array:
        """Which elements may amplify, bool `[..., N]`; the others only turn phases."""

    def amplified_noise(self, params: Any, channels: Any) -> Array:
        """Noise that each element of unit amplitude adds at each user [W], `[..., K, N]`."""

    def amplifier_costs(self, params: Any, channels: Any, beamformer: Array) -> Array:
        """Share of each amplification budget that an element spends at unit amplitude, `[..., B, N]`; B may be 0."""

    def snap(self, params: Any, channels: Any, phase_rad: Array) -> Array:
        """Reflection that the hardware makes of wanted phases `[..., N]` [rad], at its largest amplitudes."""

    def aim(self, params: Any, channels: Any, direction: Array) -> Array:
        """`snap` of the phases of complex numbers `[..., N]`, without taking their angles; 0 counts as phase 0."""

    def random_design(self, key: Array, params: Any, channels: Any) -> Design:
        """A feasible-power design that looks at nothing."""


def satisfied(slack: dict[str, Array]) -> Array:
    """True where every named constraint holds, `[...]`: slack >= -1e-6 in float64, -1e-5 in float32; of none, `[]`."""
    if not slack:
        return jnp.ones((), bool)
    held = [holds(value) for value in slack.values()]
    return jnp.all(jnp.stack(jnp.broadcast_arrays(*held)), axis=0)


def holds(slack: Array) -> Array:
    """True where one constraint's slack `[...]` counts as satisfied."""
    return slack >= (-1e-6 if slack.dtype == jnp.float64 else FLOAT32_SLACK)


def number(x: Any) -> Array:
    """A scenario's number or vector as a parameter, in JAX's default precision."""
    return jnp.asarray(np.asarray(x, dtype=np.float64), dtype=float)


def ratio(x_db: float) -> Array:
    """A level in dB as a linear parameter."""
    return number(10 ** (x_db / 10))
