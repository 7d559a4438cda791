"""Link budgets: what a signal gains and loses on its way and the noise that it meets, term by term in dB."""

import math
from collections.abc import Mapping

import jax.numpy as jnp
from flax import struct
from jax import Array
from jax.typing import ArrayLike

from thzjax.numeric import as_reals
from thzjax.units import SPEED_OF_LIGHT, linear_to_db


@struct.dataclass
class Budget:
    """Terms that add up: the SNR is the sum of the gains less that of the noises.

    Attributes:
      names: of the gains, in the order in which the signal meets them; static.
      gains_db: `[..., I]`, the transmit power [dBm] first, the others [dB], losses negative.
      noise_names: static.
      noises_db: `[..., J]`, the receiver's noise [dBm] first, the others what they add to it [dB].
    """

    names: tuple[str, ...] = struct.field(pytree_node=False)
    gains_db: Array
    noise_names: tuple[str, ...] = struct.field(pytree_node=False)
    noises_db: Array

    @property
    def received_dbm(self) -> Array:
        """Power of the signal at the receiver [dBm], `[...]`."""
        return jnp.sum(self.gains_db, axis=-1)

    @property
    def noise_dbm(self) -> Array:
        """Power of the noise there [dBm], `[...]`."""
        return jnp.sum(self.noises_db, axis=-1)

    @property
    def snr_db(self) -> Array:
        """Signal over noise [dB], `[...]`."""
        return self.received_dbm - self.noise_dbm


def budget(gains_db: Mapping[str, ArrayLike], noises_db: Mapping[str, ArrayLike]) -> Budget:
    """A budget of terms by name, which broadcast against each other."""

    def stacked(terms: Mapping[str, ArrayLike]) -> Array:
        return jnp.stack(jnp.broadcast_arrays(*as_reals(*terms.values())), axis=-1)

    return Budget(tuple(gains_db), stacked(gains_db), tuple(noises_db), stacked(noises_db))


def spreading_db(freq_hz: ArrayLike, dist_m: ArrayLike) -> Array:
    """Gain of a hop between isotropic antennas without absorption: 20 log10(c/(4 pi f d)) [dB], `[...]`.

    Args:
      freq_hz: carrier f [Hz].
      dist_m: length d of the hop [m].

    Source: Friis, 1946.
    """
    freq_hz, dist_m = as_reals(freq_hz, dist_m)
    return 2 * linear_to_db(SPEED_OF_LIGHT / (4 * math.pi) / freq_hz / dist_m)


def absorption_db(dist_m: ArrayLike, k_abs: ArrayLike) -> Array:
    """Gain of a hop through air that absorbs: -10 log10(e) k d [dB], `[...]`, k the power absorption [1/m]."""
    dist_m, k_abs = as_reals(dist_m, k_abs)
    return -10 / math.log(10) * k_abs * dist_m


def array_db(num: int) -> float:
    """Power gain of `num` antennas or sensors that act in phase on one side of a link: 10 log10(num) [dB]."""
    return 10 * math.log10(num)


def aperture_db(num: int) -> float:
    """Power gain of `num` reflecting elements in phase, which gather and send: 20 log10(num) [dB]."""
    return 20 * math.log10(num)


def in_phase_db(ratio_db: Array, alike_sending: Array, alike_receiving: Array) -> Array:
    """What a second path adds to a link when it arrives in the best phase [dB], `[...]`.

    Two paths of powers 1 and r between arrays make a channel of rank two. With s = 1 + r + 2 sqrt(r) a b and
    q = r (1 - a^2)(1 - b^2) the square of its largest singular value is (s + sqrt(s^2 - 4 q))/2. For one antenna at the
    receiver b = 1 and it is s.

    Args:
      ratio_db: r, power of the second path over the first's [dB].
      alike_sending, alike_receiving: a and b, modulus of the correlation of the two paths' array responses, 0 to 1.
    """
    r = 10 ** (ratio_db / 10)
    total = 1 + r + 2 * jnp.sqrt(r) * alike_sending * alike_receiving
    product = r * (1 - alike_sending**2) * (1 - alike_receiving**2)
    return linear_to_db((total + jnp.sqrt(jnp.maximum(total**2 - 4 * product, 0))) / 2)
