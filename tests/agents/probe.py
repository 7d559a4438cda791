"""Probe problems with known answers: systems of the same contract, small enough to learn in seconds."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from thzjax.numeric import cis
from thzjax.systems.base import Design, Outcome, Spec


@struct.dataclass
class ProbeChannels:
    """What an episode shows: a number in [-1, 1], stored where channels keep their precision."""

    direct: jax.Array
    signal: jax.Array

    @property
    def bs_to_surface(self):
        return self.direct


@dataclasses.dataclass(frozen=True)
class Probe:
    """One user whose rate is 1 - (p - t)^2, with t = 0 or the signal; `limit` bounds p on average.

    Attributes:
      follow: the best p is half the signal (else 0.5).
      limit: slack 1 - p/limit of the constraint "power", if any.
    """

    follow: bool = False
    limit: float | None = None

    estimated = False  # no annotation: not a field

    @property
    def spec(self):
        return Spec(antennas=1, users=1, streams=1, elements=1, phase_bits=0, rank=1, antenna_shape=(1, 1))

    @property
    def continuous(self):
        return self

    @property
    def constraints(self):
        return () if self.limit is None else ("power",)

    def sample(self, key, params):
        signal = jax.random.uniform(key, (1,), minval=-1, maxval=1)
        return ProbeChannels(jnp.zeros((1, 1), jnp.complex64), signal)

    def snap(self, params, channels, phase_rad):
        return cis(phase_rad)

    def project(self, params, channels, design):
        return design

    meet = project

    def outcome(self, params, channels, design):
        p = jnp.real(design.beamformer[0, 0])
        target = channels.signal[0] / 2 if self.follow else 0.5
        slack = {} if self.limit is None else {"power": 1 - p / self.limit}
        return Outcome(rates=(1 - (p - target) ** 2)[None], slack=slack or {"none": jnp.ones_like(p)})


@dataclasses.dataclass(frozen=True)
class ProbeAction:
    """The action is p."""

    def zeros(self, spec):
        return jnp.zeros((1,))

    def context(self, system, params, channels):
        return ()

    def __call__(self, system, params, channels, context, action):
        return Design(action[None].astype(jnp.complex64), jnp.ones((1,), jnp.complex64))


@dataclasses.dataclass(frozen=True)
class ProbeObservation:
    """The signal."""

    sees_phases = False

    def __call__(self, system, params, channels, context, reflection):
        return channels.signal
