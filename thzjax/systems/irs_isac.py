"""Paper A's system, MISO: a base station serves K users past a reflecting surface and shapes its beam pattern.

Geometry: the base station is a half-wavelength linear array along y, broadside +x. The surface lies in an x-z
plane with its normal along -y: rows along x, columns along z. Users stand in a disc in front of it.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array

from thzjax.errors import ConfigError
from thzjax.numeric import angle_or_zero, as_complex, cis, trailing, unit_phasor
from thzjax.physics import beampattern, link, propagation, surface
from thzjax.physics.arrays import axis_responses, linear_phases, planar_response
from thzjax.physics.channels import planar_sum
from thzjax.physics.power import clip_rows, scale_per_antenna
from thzjax.systems.base import Design, Outcome, Spec
from thzjax.systems.common import Uniforms, estimated_links, gaussian_beams, random_phases
from thzjax.systems.irs_constraints import CONSTRAINTS, LIMITS
from thzjax.systems.irs_params import Channels, Params, Paths


@dataclasses.dataclass(frozen=True)
class IrsIsac:
    """Sizes and options of the system; static and hashable.

    Attributes:
      num_antennas: M.
      num_users: K.
      surface_shape: (rows, columns) of the surface, N = rows*columns; (0, 0) is no surface.
      num_rays: scattered rays per link beside the line of sight.
      phase_bits: phase resolution of an element; 0 is continuous.
      phase_levels: "standard" or "paper" (see `surface.quantised_phase`).
      amplitude: "ideal" or "practical".
      channel_steering: "unit_modulus", or "literal" for paper A's (5) with the cosine and (6) with unit norm.
      path_gain: "amplitude", or "power" for paper A's (9) taken at its word.
      estimated: designers see channels with an estimation error instead of the true ones.
      constraints: names from `CONSTRAINTS`.
    """

    num_antennas: int = 5
    num_users: int = 4
    surface_shape: tuple[int, int] = (4, 4)
    num_rays: int = 3
    phase_bits: int = 3
    phase_levels: str = "standard"
    amplitude: str = "ideal"
    channel_steering: str = "unit_modulus"
    path_gain: str = "amplitude"
    estimated: bool = False
    constraints: tuple[str, ...] = ("antenna_power", "beam_pattern")

    def __post_init__(self) -> None:
        for name, least in (("num_antennas", 1), ("num_users", 1), ("num_rays", 0), ("phase_bits", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least {least}")
        options = {
            "phase_levels": ("standard", "paper"),
            "amplitude": ("ideal", "practical"),
            "channel_steering": ("unit_modulus", "literal"),
            "path_gain": ("amplitude", "power"),
        }
        for name, allowed in options.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name}={getattr(self, name)!r} is unknown: use one of {', '.join(allowed)}")
        for name in self.constraints:
            if name not in CONSTRAINTS:
                raise ConfigError(f"constraint {name!r} is unknown: use some of {', '.join(CONSTRAINTS)}")
        if min(self.surface_shape) < 0:
            raise ConfigError(f"surface_shape={self.surface_shape} must not be negative")

    @property
    def spec(self) -> Spec:
        """Sizes."""
        elements = self.surface_shape[0] * self.surface_shape[1]
        return Spec(
            antennas=self.num_antennas,
            users=self.num_users,
            streams=self.num_users,
            elements=elements,
            phase_bits=self.phase_bits,
            rank=self.num_antennas,
            antenna_shape=(self.num_antennas, 1),
        )

    @property
    def continuous(self) -> "IrsIsac":
        """The same system with continuous phases."""
        return dataclasses.replace(self, phase_bits=0)

    @property
    def projected(self) -> tuple[str, ...]:
        """Constraints that `project` meets entry by entry."""
        return ("antenna_power",)

    # --- channels -------------------------------------------------------------------------------------------

    def sample(self, key: Array, params: Params, user_position_m: Array | None = None) -> Channels:
        """One drop: users placed, then every link as line of sight plus rays, mixed by the Rician factor.

        Each path has its own uniform phase. A ray has `ray_reflection` times the line-of-sight amplitude; it
        leaves the base station at an angle uniform in +-90 degrees on the direct links; on the surface's links
        every direction cosine is uniform in [-1, 1]. With `user_position_m` `[K, 3]` the users stand there, and all
        else is as drawn.

        Source: paper A, eqs. (4)-(9).
        """
        paths = self.paths(key, params, user_position_m)
        precision = jax.lax.Precision.HIGHEST
        return Channels(
            direct=jnp.einsum("kp,kpm->km", *paths.direct, precision=precision),
            bs_to_surface=self.bs_to_surface(paths),
            surface_to_user=planar_sum(*paths.surface_to_user),
            user_position_m=paths.user_position_m,
        )

    def bs_to_surface(self, paths: Paths) -> Array:
        """G as the sum of its paths, `[N, M]`."""
        return jnp.einsum("p,pn,pm->nm", *paths.bs_to_surface, precision=jax.lax.Precision.HIGHEST)

    def paths(self, key: Array, params: Params, user_position_m: Array | None = None) -> Paths:
        """The paths of one drop, of which `sample` makes channels."""
        users, paths = self.num_users, self.num_rays + 1
        draw = Uniforms(key, users * 2 + (2 * users + 1) * paths + self.num_rays * (users * 3 + 3))
        position = self._user_positions(draw((users, 2)), params)
        position = position if user_position_m is None else user_position_m
        offset_direct = position - params.bs_position_m
        offset_surface = params.surface_position_m - params.bs_position_m
        offset_user = position - params.surface_position_m

        phase_direct, phase_bs = draw((users, paths)), draw((paths,))
        phase_user = draw((users, paths))
        angle_direct = jnp.pi * (draw((users, self.num_rays)) - 0.5)
        cosine_bs = 2 * draw((3, self.num_rays)) - 1
        cosine_user = 2 * draw((2, users, self.num_rays)) - 1

        gain_direct = params.bs_gain * params.user_gain * params.blockage
        weight_direct = self._path_weights(params, offset_direct, gain_direct, phase_direct)
        weight_bs = self._path_weights(params, offset_surface, params.bs_gain * params.element_gain, phase_bs)
        weight_user = self._path_weights(params, offset_user, params.element_gain * params.user_gain, phase_user)

        # Base-station departures by sin(angle) = u_y; surface directions by (u_x, u_z).
        u_direct = _cosines(offset_direct)
        row_direct = self.departure_row(_join(u_direct[..., 1], jnp.sin(angle_direct)))
        row_bs = self.departure_row(_join(_cosines(offset_surface)[1], cosine_bs[0]))
        towards_bs, towards_user = _cosines(-offset_surface), _cosines(offset_user)
        at_surface = planar_response(
            _join(towards_bs[0], cosine_bs[1]), _join(towards_bs[2], cosine_bs[2]), self.surface_shape
        )
        rows, cols = axis_responses(
            _join(towards_user[..., 0], cosine_user[0]), _join(towards_user[..., 2], cosine_user[1]), self.surface_shape
        )
        return Paths(
            direct=(weight_direct, row_direct),
            bs_to_surface=(weight_bs * self._surface_norm, at_surface, row_bs),
            surface_to_user=(weight_user * self._surface_norm, rows, cols),
            user_position_m=position,
            towards_users=(u_direct, towards_user),
        )

    def observe(self, key: Array, params: Params, channels: Channels) -> Channels:
        """The channels as a designer sees them: each link with its own error, relative to its own mean power.

        The true ones where the system is not `estimated`.
        """
        if not self.estimated:
            return channels
        return estimated_links(key, channels, params.csi_error)

    def _user_positions(self, uniform: Array, params: Params) -> Array:
        """Uniform in the disc round `users_centre_m` in the x-y plane, `[K, 3]` [m]."""
        radius = params.users_radius_m * jnp.sqrt(uniform[:, 0])
        angle = 2 * jnp.pi * uniform[:, 1]
        offset = jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle), jnp.zeros_like(angle)], axis=-1)
        return params.users_centre_m + offset

    def _path_weights(self, params: Params, offset_m: Array, gain: Array, uniform: Array) -> Array:
        """Complex weight of every path, line of sight first: `[..., 1 + num_rays]`."""
        dist_m = jnp.linalg.norm(offset_m, axis=-1)
        amplitude = propagation.path_magnitude(params.freq_hz, dist_m, params.k_abs)
        if self.path_gain == "power":
            amplitude = amplitude**2
        amplitude = amplitude * jnp.sqrt(gain)
        ray = jnp.broadcast_to(params.ray_reflection, (self.num_rays,))
        los = jnp.concatenate([jnp.ones((1,), ray.dtype), jnp.zeros_like(ray)])
        nlos = jnp.concatenate([jnp.zeros((1,), ray.dtype), ray])
        mixed = propagation.rician(as_complex(los), as_complex(nlos), params.rician_factor)
        return as_complex(amplitude)[..., None] * mixed * cis(2 * jnp.pi * uniform)

    def departure_row(self, cosine: Array) -> Array:
        """The base station's departure row conj(a) for sin(angle) = cosine, `[..., M]`."""
        return self.linear_response(cosine, self.num_antennas)

    def linear_response(self, cosine: Array, num: int) -> Array:
        """A linear array's response v to a wave from sin(angle) = cosine, and its departure row v^T, `[..., num]`."""
        if self.channel_steering == "literal":
            axis_cosine = jnp.sqrt(jnp.maximum(1 - cosine**2, 0))
            return cis(linear_phases(axis_cosine, num)) / num**0.5
        return cis(linear_phases(cosine, num))

    @property
    def _surface_norm(self) -> float:
        """What a response of the surface is multiplied by: paper A's literal formula gives it unit norm."""
        return max(self.spec.elements, 1) ** -0.5 if self.channel_steering == "literal" else 1.0

    # --- outcome --------------------------------------------------------------------------------------------

    def effective_channel(self, channels: Channels, reflection: Array) -> Array:
        """H = direct + surface_to_user diag(reflection) bs_to_surface, `[..., K, M]`."""
        return link.cascaded_channel(channels.direct, channels.surface_to_user, reflection, channels.bs_to_surface)

    def outcome(self, params: Params, channels: Channels, design: Design) -> Outcome:
        """Rates and slack of the named constraints."""
        rates = self.rates(params, channels, design)
        slack = {name: CONSTRAINTS[name](self, params, channels, design) for name in self.constraints}
        return Outcome(rates=rates, slack=slack)

    def rates(self, params: Params, channels: Channels, design: Design) -> Array:
        """log2(1 + SINR_k), `[..., K]`."""
        H = self.effective_channel(channels, design.reflection)
        return link.rates(H, design.beamformer, params.noise_w)

    def user_noise(self, params: Params, channels: Channels, reflection: Array) -> Array:
        """The receivers' noise, the same for all and under any reflection [W], `[..., K]`."""
        del reflection
        # Users are the axis before M, or before R and M.
        return jnp.broadcast_to(trailing(params.noise_w), channels.direct.shape[: channels.bs_to_surface.ndim - 1])

    def measures(self, params: Params, channels: Channels, design: Design) -> dict[str, Array]:
        """`pattern_error`: L_r(W W^H)."""
        del channels
        return {"pattern_error": self.pattern_error(params, design)}

    @property
    def relaxable(self) -> tuple[str, ...]:
        """Constraints in force whose limit is a parameter."""
        return tuple(name for name in self.constraints if name in LIMITS)

    def without(self, params: Params, constraint: str) -> Params:
        """The parameters with one named constraint's limit taken away; the power's raised by 20 dB."""
        if constraint not in LIMITS:
            raise ConfigError(f"constraint {constraint!r} is unknown: use some of {', '.join(LIMITS)}")
        name, factor = LIMITS[constraint]
        return params.replace(**{name: factor * getattr(params, name)})

    def pattern_error(self, params: Params, design: Design) -> Array:
        """L_r(W W^H), `[...]`. Source: paper A, eq. (16)."""
        covariance = beampattern.transmit_covariance(design.beamformer)
        return beampattern.beam_pattern_error_gram(covariance, params.pattern, params.p_ref_w)

    def user_pattern_errors(self, params: Params, design: Design) -> Array:
        """L_r(W_k W_k^H) of each user's own beams, `[..., K]`."""
        own = beampattern.transmit_covariance(link.by_user(design.beamformer, self.num_users))
        return beampattern.beam_pattern_error_gram(own, params.pattern, params.p_ref_w)

    # --- designs --------------------------------------------------------------------------------------------

    def snap(self, params: Params, channels: Channels, phase_rad: Array) -> Array:
        """Reflection of the nearest phase the hardware has, with the amplitude that phase brings, `[..., N]`."""
        del channels
        if self.phase_bits:
            level = surface.nearest_level(phase_rad, self.phase_bits, self.phase_levels)
            phase_rad = surface.quantised_phase(level, self.phase_bits, self.phase_levels).astype(phase_rad.dtype)
        amplitude = jnp.ones_like(phase_rad)
        if self.amplitude == "practical":
            amplitude = surface.practical_amplitude(
                phase_rad, params.min_amplitude, params.horizontal_rad, params.steepness
            )
        return surface.reflection(amplitude, phase_rad)

    def aim(self, params: Params, channels: Channels, direction: Array) -> Array:
        """`snap` of the phases of complex numbers, `[..., N]`."""
        if self.amplitude == "practical":
            return self.snap(params, channels, angle_or_zero(direction))
        if self.phase_bits:
            return surface.nearest_phasor(direction, self.phase_bits, self.phase_levels)
        return unit_phasor(direction)

    def project(self, params: Params, channels: Channels, design: Design) -> Design:
        """Rows clipped to P/M and phases snapped to the hardware's levels: both exact and idempotent."""
        return Design(
            beamformer=clip_rows(design.beamformer, params.power_w),
            reflection=self.aim(params, channels, design.reflection),
        )

    def meet(self, params: Params, channels: Channels, design: Design, budget: float | Array = 1.0) -> Design:
        """W scaled by the largest factor <= 1 that meets `budget` times the pattern threshold.

        A closed form, as the error is quadratic in the power. Where no factor meets it, the one of least error.
        """
        del channels
        threshold = budget * params.pattern_threshold
        if "beam_pattern" in self.constraints:
            design = self._within(params, design, beampattern.transmit_covariance(design.beamformer), threshold)
        if "user_beam_pattern" in self.constraints:
            own = beampattern.transmit_covariance(link.by_user(design.beamformer, self.num_users))
            design = self._within(params, design, own, trailing(threshold))
        return design

    def _within(self, params: Params, design: Design, covariance: Array, threshold: Array) -> Design:
        """W scaled so that the pattern of every covariance, `[..., M, M]` or `[..., K, M, M]`, meets the threshold."""
        scale = beampattern.largest_power_scale(covariance, params.pattern, threshold, params.p_ref_w)
        if scale.ndim == design.beamformer.ndim - 1:
            scale = jnp.min(scale, axis=-1)
        # An ulp under, so that rounding does not lift the error over the threshold again.
        root = jnp.sqrt(scale) * (1 - 4 * jnp.finfo(scale.dtype).eps)
        return design.replace(beamformer=design.beamformer * as_complex(root)[..., None, None])

    def active(self, channels: Channels) -> Array:
        """No element amplifies, bool `[..., N]`."""
        return jnp.zeros((*channels.bs_to_surface.shape[:-2], self.spec.elements), bool)

    def amplified_noise(self, params: Params, channels: Channels) -> Array:
        """None, `[..., K, N]`."""
        del params
        return jnp.zeros(channels.surface_to_user.shape, channels.direct.real.dtype)

    def amplifier_costs(self, params: Params, channels: Channels, beamformer: Array) -> Array:
        """No element amplifies: no budget, `[..., 0, N]`."""
        del params, beamformer
        shape = channels.bs_to_surface.shape[:-2]
        return jnp.zeros((*shape, 0, self.spec.elements), channels.bs_to_surface.real.dtype)

    def fit_power(self, params: Params, beamformer: Array) -> Array:
        """One scalar so that the strongest antenna has exactly P/M."""
        return scale_per_antenna(beamformer, params.power_w)

    def random_design(self, key: Array, params: Params, channels: Channels) -> Design:
        """Gaussian beamformer at full antenna budget and uniform phases."""
        key_beam, key_phase = jax.random.split(key)
        return Design(
            beamformer=self.fit_power(params, gaussian_beams(key_beam, channels, self.spec.streams)),
            reflection=self.snap(params, channels, random_phases(key_phase, channels, self.spec.elements)),
        )


def _cosines(offset_m: Array) -> Array:
    """Direction cosines of an offset, `[..., 3]`."""
    return offset_m / jnp.linalg.norm(offset_m, axis=-1, keepdims=True)


def _join(line_of_sight: Array, rays: Array) -> Array:
    """Line-of-sight value before the rays' along the last axis."""
    return jnp.concatenate([line_of_sight[..., None], rays], axis=-1)
