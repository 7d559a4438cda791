"""Paper B's system: a base station reaches K users and one target only over a hybrid surface that senses by itself.

Geometry: the surface is a planar array in the y-z plane at the origin, facing +x, rows along y and columns along z.
Some of its elements amplify, the others are passive; sensing elements beside them hear the target's echo. The base
station is a planar array of its own, and every angle is taken from the normal of the array it is seen from.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import Array

from thzjax.errors import ConfigError
from thzjax.numeric import abs2, as_complex, cis, matmul, trailing, unit_phasor
from thzjax.physics import link, propagation, sensing, surface
from thzjax.physics.arrays import axis_responses, direction_vector, spherical_coordinates, upa_steering
from thzjax.physics.channels import planar_sum, ray_channel
from thzjax.physics.power import scale_total
from thzjax.physics.sensing.fisher import NOISE_MODELS
from thzjax.systems.base import Design, Outcome, Spec
from thzjax.systems.common import Uniforms, estimated_links, gaussian_beams, random_phases
from thzjax.systems.hris_constraints import CONSTRAINTS, LIMITS
from thzjax.systems.hris_params import Channels, Params


@dataclasses.dataclass(frozen=True)
class HrisIsac:
    """Sizes and options of the system; static and hashable.

    Attributes:
      bs_shape: (rows, columns) of the base station, M = rows*columns.
      surface_shape: (rows, columns) of the reflecting elements, N = rows*columns.
      sensor_shape: (rows, columns) of the sensing elements.
      num_active: how many elements amplify, at positions drawn with the channel; 0 is a passive surface.
      num_users: K.
      num_rays_bs, num_rays_user: scattered rays of the two hops beside the line of sight.
      phase_bits: phase resolution of an element; 0 is continuous.
      noise_model: of the bound, "white" (paper B), "colored" or "full" (see `sensing.fisher_information`).
      departure: "physical", or "paper" for paper B's a^H (see `sensing.SensingScene`).
      estimated: designers see channels with an estimation error instead of the true ones.
      constraints: names from `CONSTRAINTS`.
    """

    bs_shape: tuple[int, int] = (8, 8)
    surface_shape: tuple[int, int] = (8, 10)
    sensor_shape: tuple[int, int] = (4, 5)
    num_active: int = 30
    num_users: int = 4
    num_rays_bs: int = 5
    num_rays_user: int = 2
    phase_bits: int = 0
    noise_model: str = "white"
    departure: str = "physical"
    estimated: bool = False
    constraints: tuple[str, ...] = tuple(CONSTRAINTS)

    def __post_init__(self) -> None:
        least = {"num_users": 1, "num_active": 0, "num_rays_bs": 0, "num_rays_user": 0, "phase_bits": 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least {value}")
        for name in ("bs_shape", "surface_shape"):
            if min(getattr(self, name)) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} must have at least 1 row and 1 column")
        if min(self.sensor_shape) < 1:
            raise ConfigError(f"sensor_shape={self.sensor_shape} is no sensing element: the echo would not be heard")
        if min(self.sensor_shape) < 2:
            raise ConfigError(
                f"sensor_shape={self.sensor_shape} leaves one angle unobservable: at least 2 rows and 2 columns"
            )
        elements = self.surface_shape[0] * self.surface_shape[1]
        if self.num_active > elements:
            raise ConfigError(f"num_active={self.num_active} is more than the {elements} elements of the surface")
        for name, allowed in (("noise_model", NOISE_MODELS), ("departure", ("physical", "paper"))):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name}={getattr(self, name)!r} is unknown: use one of {', '.join(allowed)}")
        for name in self.constraints:
            if name not in CONSTRAINTS:
                raise ConfigError(f"constraint {name!r} is unknown: use some of {', '.join(CONSTRAINTS)}")

    @property
    def spec(self) -> Spec:
        """Sizes: K + 1 streams, the last of which senses; no more paths to the surface, no more rank."""
        antennas = self.bs_shape[0] * self.bs_shape[1]
        elements = self.surface_shape[0] * self.surface_shape[1]
        paths = min(antennas, elements)
        return Spec(
            antennas=antennas,
            users=self.num_users,
            streams=self.num_users + 1,
            elements=elements,
            phase_bits=self.phase_bits,
            rank=paths if self.estimated else min(paths, 1 + self.num_rays_bs),
            antenna_shape=self.bs_shape,
            active=self.num_active,
        )

    @property
    def continuous(self) -> "HrisIsac":
        """The same system with continuous phases."""
        return dataclasses.replace(self, phase_bits=0)

    @property
    def projected(self) -> tuple[str, ...]:
        """Constraints that `project` meets entry by entry."""
        return ("bs_power", "amplitude")

    # --- channels -------------------------------------------------------------------------------------------

    def sample(self, key: Array, params: Params, user_position_m: Array | None = None) -> Channels:
        """One drop: users and active elements placed, then every hop as line of sight plus rays.

        A ray has gain CN(0, 1) at `ray_power` times the line of sight's, and angles uniform in `ray_spread_rad` at
        both ends. With `user_position_m` `[K, 3]` the users stand there, and all else is as drawn.

        Source: paper B, eqs. (1)-(3), with multipath; departures by reciprocity.
        """
        users = self.num_users
        key_active, key_draw = jax.random.split(key)
        draw = Uniforms(key_draw, 3 * users + 6 * self.num_rays_bs + 4 * users * self.num_rays_user)
        dist_m = params.user_dist_m[0] + (params.user_dist_m[1] - params.user_dist_m[0]) * draw((users,))
        user_angles = params.user_spread_rad[:, None] * (2 * draw((2, users)) - 1)
        if user_position_m is not None:
            seen = jnp.moveaxis(spherical_coordinates(user_position_m), -1, 0)
            dist_m, user_angles = seen[0], seen[1:]

        def rays(*shape: int) -> Array:
            return params.ray_spread_rad.reshape(2, *(1,) * len(shape)) * (2 * draw((2, *shape)) - 1)

        def gains(line_of_sight: Array, *shape: int) -> Array:
            """Amplitudes of all paths, line of sight first, in its units."""
            power, turn = draw((2, *shape, 1))
            scattered = jnp.sqrt(-jnp.log1p(-power) * params.ray_power)
            scattered = (as_complex(scattered) * cis(2 * jnp.pi * turn))[..., 0]
            one = jnp.ones((*shape[:-1], 1), scattered.dtype)
            return line_of_sight[..., None] * jnp.concatenate([one, scattered], axis=-1)

        def with_rays(line_of_sight: Array, angles: Array) -> Array:
            return jnp.concatenate([line_of_sight[..., None], angles], axis=-1)

        hop = propagation.path_amplitude(params.freq_hz, params.bs_dist_m, params.k_abs)
        hop = hop * as_complex(jnp.sqrt(params.bs_gain * params.element_gain))
        arrival = with_rays(params.bs_arrival_rad, rays(self.num_rays_bs))
        departure = with_rays(params.bs_departure_rad, rays(self.num_rays_bs))
        G = ray_channel(
            gains(hop, self.num_rays_bs),
            upa_steering(arrival[0], arrival[1], self.surface_shape),
            jnp.conj(upa_steering(departure[0], departure[1], self.bs_shape)),
        )
        hop = propagation.path_amplitude(params.freq_hz, dist_m, params.k_abs)
        hop = hop * as_complex(jnp.sqrt(params.element_gain * params.user_gain))
        angles = with_rays(user_angles, rays(users, self.num_rays_user))
        amplitude = gains(hop, users, self.num_rays_user)
        rows, cols = axis_responses(jnp.cos(angles[1]) * jnp.sin(angles[0]), jnp.sin(angles[1]), self.surface_shape)
        if self.departure != "physical":
            rows, cols = jnp.conj(rows), jnp.conj(cols)
        elements = self.spec.elements
        mask = jnp.asarray(jnp.arange(elements) < self.num_active, G.real.dtype)
        return Channels(
            direct=jnp.zeros((users, self.spec.antennas), G.dtype),
            bs_to_surface=G,
            surface_to_user=planar_sum(amplitude, rows, cols),
            active=jax.random.permutation(key_active, mask),
            user_position_m=dist_m[:, None] * direction_vector(user_angles[0], user_angles[1]),
        )

    def observe(self, key: Array, params: Params, channels: Channels) -> Channels:
        """The channels as a designer sees them; the true ones where the system is not `estimated`."""
        return estimated_links(key, channels, params.csi_error) if self.estimated else channels

    # --- outcome --------------------------------------------------------------------------------------------

    def effective_channel(self, channels: Channels, reflection: Array) -> Array:
        """H = surface_to_user diag(reflection) bs_to_surface, `[..., K, M]`."""
        return link.cascaded_channel(channels.direct, channels.surface_to_user, reflection, channels.bs_to_surface)

    def user_noise(self, params: Params, channels: Channels, reflection: Array) -> Array:
        """Noise of each user, its own and the amplified [W], `[..., K]`."""
        return surface.user_noise(
            channels.surface_to_user, reflection, channels.active, params.noise_w, params.noise_v_w
        )

    def sinr(self, params: Params, channels: Channels, design: Design) -> Array:
        """SINR of each user, linear, `[..., K]`. Source: paper B, (5)."""
        # Through the field at the surface, G W, which every constraint needs too: H is never formed.
        through = channels.surface_to_user * design.reflection[..., None, :]
        noise = self.user_noise(params, channels, design.reflection)
        return link.sinr(through, _arriving(channels, design), noise)

    def scene(self, params: Params, channels: Channels) -> sensing.SensingScene:
        """The target as the surface's sensing elements see it."""
        gain = params.element_gain * params.sensor_gain
        beta = sensing.radar_amplitude(params.freq_hz, params.target_dist_m, params.k_abs, params.rcs_m2, gain)
        return sensing.SensingScene(
            bs_to_surface=channels.bs_to_surface,
            azimuth_rad=params.target_azimuth_rad,
            elevation_rad=params.target_elevation_rad,
            beta=beta,
            surface_shape=self.surface_shape,
            sensor_shape=self.sensor_shape,
            active=channels.active,
            noise_v_w=params.noise_v_w,
            departure=self.departure,
            origin="centre",
        )

    def fisher_information(self, params: Params, channels: Channels, design: Design) -> Array:
        """Information on (azimuth, elevation, Re beta, Im beta) in one dwell, `[..., 4, 4]`; linear in W W^H."""
        # The scene with G W for G and the identity for W is the same echo, and G W is at hand.
        scene = self.scene(params, channels).replace(bs_to_surface=_arriving(channels, design))
        streams = design.beamformer.shape[-1]
        eye = jnp.eye(streams, dtype=design.beamformer.dtype)
        eye = eye.reshape((1,) * (design.beamformer.ndim - 2) + eye.shape)
        return sensing.fisher_information(
            scene, design.reflection, eye, params.snapshots, params.noise_w, self.noise_model
        )

    def crb_rad2(self, params: Params, channels: Channels, design: Design) -> Array:
        """Trace of the angles' Cramér-Rao bound [rad^2], `[...]`; inf where there is none."""
        bound = sensing.crb(self.fisher_information(params, channels, design))
        return bound[..., 0, 0] + bound[..., 1, 1]

    def amplifier_power(self, params: Params, channels: Channels, design: Design) -> Array:
        """What the active elements radiate [W], `[...]`."""
        return surface.amplifier_power(
            design.reflection, channels.active, channels.bs_to_surface, design.beamformer, params.noise_v_w
        )

    def target_noise(self, params: Params, channels: Channels, design: Design) -> Array:
        """Amplified noise at the target [W], `[...]`."""
        return surface.target_noise(design.reflection, channels.active, self._target_gain(params), params.noise_v_w)

    def _target_gain(self, params: Params) -> Array:
        """Amplitude from an element to the target."""
        gain = propagation.path_amplitude(params.freq_hz, params.target_dist_m, params.k_abs)
        return jnp.abs(gain) * jnp.sqrt(params.element_gain)

    def outcome(self, params: Params, channels: Channels, design: Design) -> Outcome:
        """Rates and slack of the named constraints."""
        rates = jnp.log1p(self.sinr(params, channels, design)) / math.log(2)
        slack = {name: CONSTRAINTS[name](self, params, channels, design) for name in self.constraints}
        return Outcome(rates=rates, slack=slack)

    def measures(self, params: Params, channels: Channels, design: Design) -> dict[str, Array]:
        """`crb_rad2`, `min_sinr` (linear), and the powers `surface_power_w`, `target_noise_w`."""
        return {
            "min_sinr": jnp.min(self.sinr(params, channels, design), axis=-1),
            "crb_rad2": self.crb_rad2(params, channels, design),
            "surface_power_w": self.amplifier_power(params, channels, design),
            "target_noise_w": self.target_noise(params, channels, design),
        }

    @property
    def relaxable(self) -> tuple[str, ...]:
        """Constraints in force whose limit is a parameter."""
        return tuple(name for name in self.constraints if name in LIMITS)

    def without(self, params: Params, constraint: str) -> Params:
        """The parameters with one named constraint's limit taken away."""
        if constraint not in LIMITS:
            raise ConfigError(f"constraint {constraint!r} is unknown: use some of {', '.join(LIMITS)}")
        name, factor = LIMITS[constraint]
        return params.replace(**{name: factor * getattr(params, name)})

    # --- designs --------------------------------------------------------------------------------------------

    def snap(self, params: Params, channels: Channels, phase_rad: Array) -> Array:
        """Reflection of the nearest phase the hardware has: passive elements at 1, active ones at a_max, `[..., N]`."""
        return surface.hybrid_reflection(
            jnp.broadcast_to(trailing(params.max_amplitude), phase_rad.shape),
            self._nearest(phase_rad),
            channels.active,
            params.max_amplitude,
        )

    def aim(self, params: Params, channels: Channels, direction: Array) -> Array:
        """`snap` of the phases of complex numbers, `[..., N]`."""
        loudest = jnp.where(channels.active > 0, trailing(params.max_amplitude), 1)
        return self._phasor(direction) * as_complex(loudest)

    def _phasor(self, direction: Array) -> Array:
        return surface.nearest_phasor(direction, self.phase_bits) if self.phase_bits else unit_phasor(direction)

    def _nearest(self, phase_rad: Array) -> Array:
        if not self.phase_bits:
            return phase_rad
        level = surface.nearest_level(phase_rad, self.phase_bits)
        return surface.quantised_phase(level, self.phase_bits).astype(phase_rad.dtype)

    def project(self, params: Params, channels: Channels, design: Design) -> Design:
        """The design with every power and amplitude within its limit.

        W is scaled to the power budget if it is above; passive elements are set to 1 and active ones to at most
        a_max; then all active ones are scaled by one factor, the largest <= 1 with which both the surface power and
        the noise at the target hold, as both are quadratic in it.
        """
        total = jnp.sum(abs2(design.beamformer), axis=(-2, -1))
        over = jnp.where(total > params.power_w, params.power_w / jnp.where(total > 0, total, 1), 1)
        W = design.beamformer * as_complex(jnp.sqrt(over))[..., None, None]

        phasor = self._phasor(design.reflection)
        norm2 = abs2(design.reflection)
        amplitude = jnp.where(norm2 > 0, jnp.sqrt(jnp.where(norm2 > 0, norm2, 1)), 0)
        amplitude = jnp.minimum(amplitude, trailing(params.max_amplitude))
        active = channels.active > 0
        psi = phasor * as_complex(jnp.where(active, amplitude, 1))

        spent = jnp.sum(self.amplifier_costs(params, channels, W) * abs2(psi)[..., None, :], axis=-1)
        share = 1 / jnp.maximum(jnp.max(spent, axis=-1, initial=0), 1)
        # An ulp under, so that rounding does not lift the powers over their limits again.
        factor = jnp.where(share < 1, jnp.sqrt(share) * (1 - 4 * jnp.finfo(share.dtype).eps), 1)
        return Design(beamformer=W, reflection=jnp.where(active, psi * as_complex(factor)[..., None], psi))

    def active(self, channels: Channels) -> Array:
        """Which elements amplify, bool `[..., N]`."""
        return channels.active > 0

    def amplified_noise(self, params: Params, channels: Channels) -> Array:
        """Noise that each element of unit amplitude adds at each user [W], `[..., K, N]`."""
        return params.noise_v_w * channels.active[..., None, :] * abs2(channels.surface_to_user)

    def amplifier_costs(self, params: Params, channels: Channels, beamformer: Array) -> Array:
        """Shares of the surface's power budget and of the target's noise limit, for those in force, `[..., B, N]`.

        What an active element spends of each at unit amplitude; quadratic in the amplitude, 0 for a passive element.
        """
        arriving = jnp.sum(abs2(matmul(channels.bs_to_surface, beamformer)), axis=-1)
        power = (arriving + trailing(params.noise_v_w)) / trailing(params.surface_power_w)
        gain = self._target_gain(params)
        noise = params.noise_v_w * gain**2 / params.max_target_noise_w
        costs = {"surface_power": power, "target_noise": jnp.broadcast_to(trailing(noise), power.shape)}
        kept = [channels.active * cost for name, cost in costs.items() if name in self.constraints]
        return jnp.stack(kept, axis=-2) if kept else jnp.zeros((*power.shape[:-1], 0, power.shape[-1]), power.dtype)

    def meet(self, params: Params, channels: Channels, design: Design, budget: float | Array = 1.0) -> Design:
        """The design as it is: what has a closed-form scaling is in `project`; the bound and the SINR have none."""
        del params, channels, budget
        return design

    def fit_power(self, params: Params, beamformer: Array) -> Array:
        """One scalar so that the beamformer radiates exactly the budget."""
        return scale_total(beamformer, params.power_w)

    def random_design(self, key: Array, params: Params, channels: Channels) -> Design:
        """Gaussian beamformer at full power and uniform phases, active elements as loud as they may be."""
        key_beam, key_phase = jax.random.split(key)
        design = Design(
            beamformer=self.fit_power(params, gaussian_beams(key_beam, channels, self.spec.streams)),
            reflection=self.snap(params, channels, random_phases(key_phase, channels, self.spec.elements)),
        )
        return self.project(params, channels, design)


def _arriving(channels: Channels, design: Design) -> Array:
    """G W: the field that each stream lays on the surface's elements, `[..., N, S]`."""
    return matmul(channels.bs_to_surface, design.beamformer)
