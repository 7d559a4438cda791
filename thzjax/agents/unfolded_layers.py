"""Parts of an unfolded layer: the networks that decide, what they are shown, and the search of a surface's levels."""

import functools
import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jax import Array, lax

from thzjax.numeric import abs2, as_complex, hermitian, matmul
from thzjax.systems.base import System

USER_FEATURES = 4
ELEMENT_FEATURES = 7
LAYER_NUMBERS = 4
"""Numbers of a layer beside the prices: ridge, damping of the beams and of the phases, share of the sensing stream."""


class Decisions(nn.Module):
    """The networks of one layer.

    Attributes:
      constraints: C, of the system.
      width: of the hidden layers.
      state: numbers that an element remembers from layer to layer.
    """

    constraints: int
    width: int
    state: int

    def setup(self) -> None:
        small = nn.initializers.normal(0.1)
        dense = functools.partial(nn.Dense, param_dtype=jnp.result_type(float))
        self.user_in = dense(self.width)
        self.user_mid = dense(self.width)
        self.user_out = dense(1, kernel_init=small)
        self.whole_out = dense(LAYER_NUMBERS + self.constraints, kernel_init=small)
        self.pair_in = dense(self.width)
        self.pair_mid = dense(self.width)
        self.element_in = dense(self.width)
        self.element_out = dense(2 + self.state, kernel_init=small)

    def users(self, features: Array, whole: Array) -> tuple[Array, Array, Array]:
        """`[K, F]` and `[X]` -> (hidden `[K, width]`, log weight `[K]`, numbers of the layer `[4 + C]`)."""
        users = features.shape[0]
        pooled = jnp.concatenate([jnp.mean(features, axis=0), jnp.max(features, axis=0), whole])
        pooled = jnp.broadcast_to(pooled[None], (users, pooled.shape[0]))
        hidden = nn.silu(self.user_in(jnp.concatenate([features, pooled], axis=-1)))
        hidden = nn.silu(self.user_mid(hidden))
        return hidden, self.user_out(hidden)[:, 0], self.whole_out(jnp.mean(hidden, axis=0))

    def elements(self, pairs: Array, hidden: Array, features: Array, state: Array) -> tuple[Array, Array, Array]:
        """(turn `[N]`, change of the logarithmic amplitude `[N]`, state `[N, X]`).

        `pairs[K, N, 2]` holds every user's gradient at every element, `hidden[K, width]` the users, `features[N, F]`
        what the users' sum and the constraints ask for.
        """
        # One weight matrix on both, without laying the users out over the elements.
        of_user = self.pair_mid(hidden)[:, None, :]
        pooled = jnp.mean(nn.silu(self.pair_in(pairs) + of_user), axis=0)
        out = self.element_out(nn.silu(self.element_in(jnp.concatenate([pooled, features, state], axis=-1))))
        return out[:, 0], out[:, 1], jnp.tanh(out[:, 2:])


class Seen(NamedTuple):
    """What the networks of a layer are shown; leaves may lead with layers.

    Attributes:
      users: of every user (`user_features`), `[K, USER_FEATURES]`.
      whole: slack of every priced constraint, and the logarithm of the power, `[C + 1]`.
      pairs: gradient of every user's rate at every element, re/im in the frame of its reflection, `[K, N, 2]`.
      elements: what all users together and the constraints ask of an element, and how it stands,
        `[N, ELEMENT_FEATURES]`.
    """

    users: Array
    whole: Array
    pairs: Array
    elements: Array


class Decided(NamedTuple):
    """What they decide, before it is clipped to what a layer may do; leaves may lead with layers.

    Attributes:
      weight: logarithm of every user's weight, `[K]`.
      numbers: of the layer, `[LAYER_NUMBERS + C]`, the last C being prices.
      turn: of every element beside the step of ascent, `[N]`.
      louder: change of the logarithm of its amplitude, `[N]`.
    """

    weight: Array
    numbers: Array
    turn: Array
    louder: Array


@struct.dataclass
class Point:
    """Where the layers stand.

    Attributes:
      phase: `[N]` [rad].
      gain: amplitude over the largest, `[N]`.
      state: what the elements remember, `[N, X]`.
      beamformer, reflection: the design, within its powers.
    """

    phase: Array
    gain: Array
    state: Array
    beamformer: Array
    reflection: Array


def squashed(x: Array) -> Array:
    """Odd, within (-1, 1)."""
    return x / (1 + jnp.abs(x))


class Heard(NamedTuple):
    """What the users hear, in units of their noise: rows `[K, M]`, T = H W `[K, S]`, and of each user `[K]` its own
    amplitude T_kk, all other power and noise, and the total."""

    rows: Array
    received: Array
    own: Array
    rest: Array
    total: Array


def listen(system: System, channels: Any, W: Array, psi: Array, noise: Array) -> Heard:
    rows = system.effective_channel(channels, psi) / as_complex(jnp.sqrt(noise))[:, None]
    received = matmul(rows, W)
    own = jnp.diagonal(received)
    rest = jnp.sum(abs2(received), axis=-1) - abs2(own) + 1
    return Heard(rows, received, own, rest, rest + abs2(own))


def user_features(power_w: Array, heard: Heard) -> Array:
    """Logarithms of SINR, received power, row norm and overlap with the other users, `[K, USER_FEATURES]`."""
    norm2 = jnp.maximum(jnp.sum(abs2(heard.rows), axis=-1), jnp.finfo(heard.rest.dtype).tiny ** 0.5)
    overlap = jnp.sum(abs2(matmul(heard.rows, hermitian(heard.rows))), axis=-1) / norm2**2
    features = [jnp.log(heard.total / heard.rest), jnp.log(heard.total), jnp.log1p(power_w * norm2) / 2]
    return jnp.stack([*features, jnp.log(jnp.maximum(overlap, 1))], axis=-1) / 2


def rate_gradients(system: System, params: Any, channels: Any, psi: Array, W: Array, heard: Heard) -> Array:
    """d ln(1 + SINR_k)/d psi_n^* in closed form, `[K, N]`.

    With T_ks = d_k w_s + sum_n psi_n h_kn (G w_s)_n over the root of the noise, which amplifiers add to.
    """
    noise = system.user_noise(params, channels, psi)
    field = matmul(channels.bs_to_surface, W)
    everything = matmul(heard.received, hermitian(field))  # sum_s T_ks (G w_s)_n^*
    own = heard.own[:, None] * jnp.conj(field[:, : heard.own.shape[0]]).T
    each = everything / as_complex(heard.total)[:, None] - (everything - own) / as_complex(heard.rest)[:, None]
    added = system.amplified_noise(params, channels) / noise[:, None] * (1 / heard.total - 1 / heard.rest)[:, None]
    h = jnp.conj(channels.surface_to_user) / as_complex(jnp.sqrt(noise))[:, None]
    return h * each + as_complex(added) * psi[None]


def parts(x: Array) -> list[Array]:
    """Real and imaginary part, each within (-1, 1)."""
    return [squashed(jnp.real(x)), squashed(jnp.imag(x))]


def search_levels(system: System, params: Any, channels: Any, point: Point) -> Point:
    """Every element in turn on the level of the largest sum rate, beams and powers fixed.

    A change of one element adds (psi' - psi) h_kn (G w_s)_n to what is received: a level costs K S products, not a
    design. Amplifying elements keep their amplitude.
    """
    W, psi = point.beamformer, point.reflection
    levels = 2**system.spec.phase_bits
    phases = 2 * math.pi * jnp.arange(levels, dtype=point.phase.dtype) / levels
    # Every level at every element, `[N, L]`.
    options = jax.vmap(lambda phase: system.snap(params, channels, jnp.full(psi.shape, phase)), out_axes=-1)(phases)
    loud = jnp.where(system.active(channels), jnp.abs(psi) / jnp.abs(options[:, 0]), 1)
    options = options * as_complex(loud)[:, None]
    noise = system.user_noise(params, channels, psi)
    unit = as_complex(jnp.sqrt(noise))[:, None]
    through = (channels.surface_to_user / unit).T[:, :, None] * matmul(channels.bs_to_surface, W)[:, None, :]
    received = matmul(system.effective_channel(channels, psi) / unit, W)

    def element(received: Array, at: Any) -> tuple[Array, Array]:
        through, now, options = at
        tried = received + (options - now)[:, None, None] * through
        power = abs2(tried)
        own = jnp.diagonal(power, axis1=-2, axis2=-1)
        rest = jnp.sum(power, axis=-1) - own + 1
        best = jnp.argmax(jnp.sum(jnp.log1p(own / rest), axis=-1))
        return tried[best], options[best]

    _, psi = lax.scan(element, received, (through, psi, options))
    return point.replace(reflection=psi)
