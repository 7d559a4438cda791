"""The contract of a system: what is simulated, apart from who designs for it.

A system turns a channel and a design into an outcome. Sizes live on the system (static, hashable); physical
parameters are a pytree that is passed in, so that a sweep is a `vmap`.
"""

from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
from flax import struct
from jax import Array

FLOAT32_SLACK = -1e-5
"""A float32 slack at or above this counts as satisfied."""


@struct.dataclass
class Design:
    """What a designer decides.

    Attributes:
      beamformer: W, complex `[..., M, S]` [sqrt(W)]; column s carries stream s.
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
    """Sizes of a system: antennas M, users K, streams S, surface elements N, phase bits (0: continuous)."""

    antennas: int
    users: int
    streams: int
    elements: int
    phase_bits: int


class System(Protocol):
    """Pure functions over (params, channels, design); an instance holds only static sizes and options."""

    @property
    def spec(self) -> Spec:
        """Sizes, for whoever builds designs, observations and networks."""

    def sample(self, key: Array, params: Any) -> Any:
        """Draw one channel realisation."""

    @property
    def estimated(self) -> bool:
        """Whether designers see anything but the true channels."""

    def observe(self, key: Array, params: Any, channels: Any) -> Any:
        """The channels as a designer sees them; outcomes are always those of the true ones."""

    def outcome(self, params: Any, channels: Any, design: Design) -> Outcome:
        """Rates and the slack of every named constraint."""

    def project(self, params: Any, channels: Any, design: Design) -> Design:
        """Enforce exactly what has a closed-form Euclidean projection (powers, discrete phases)."""

    def meet(self, params: Any, channels: Any, design: Design, budget: float | Array = 1.0) -> Design:
        """Scale a projected design so that every constraint with a closed-form scaling holds.

        `budget` multiplies the limits, for a designer who spends more on one channel and less on another.
        """

    def fit_power(self, params: Any, beamformer: Array) -> Array:
        """Scale a beamformer by one scalar to exactly use the power budget, bending no null."""

    def effective_channel(self, channels: Any, reflection: Array) -> Array:
        """H `[..., K, M]` under a reflection."""

    def snap(self, params: Any, phase_rad: Array) -> Array:
        """Reflection that the hardware makes of wanted phases `[..., N]` [rad]."""

    def random_design(self, key: Array, params: Any, channels: Any) -> Design:
        """A feasible-power design that looks at nothing."""


def satisfied(slack: dict[str, Array]) -> Array:
    """True where every named constraint holds, `[...]`: slack >= -1e-6 in float64, -1e-5 in float32."""
    held = [value >= (-1e-6 if value.dtype == jnp.float64 else FLOAT32_SLACK) for value in slack.values()]
    return jnp.all(jnp.stack(jnp.broadcast_arrays(*held)), axis=0)
