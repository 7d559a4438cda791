"""What is sensed: a target seen over a reflecting surface whose own elements listen to the echo."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import as_complex, as_reals, matmul, trailing, unit_phasor
from thzjax.physics.arrays import upa_phase_slopes, upa_steering
from thzjax.physics.propagation import path_amplitude
from thzjax.physics.sensing.radar import radar_amplitude


@struct.dataclass
class SensingScene:
    """Everything the echo depends on apart from the design.

    The echo matrix is E = beta b v^T Psi G ("physical") or beta b a^H Psi G with a = v ("paper"): b the response of
    the sensing elements to the target, v that of the reflecting ones, both `upa_steering` of unit modulus.

    Attributes:
      bs_to_surface: G, complex `[..., N, M]`.
      azimuth_rad, elevation_rad: the target from the surface [rad], `[...]` (`[..., T]` for several targets).
      beta: complex echo amplitude (`radar_amplitude`), `[...]` (`[..., T]`).
      surface_shape: (rows, cols) of the reflecting elements, N = rows*cols; static.
      sensor_shape: (rows, cols) of the sensing elements; static.
      spacing: element spacing of both [wavelengths]; static.
      active: which elements amplify, 0 or 1, `[..., N]`.
      noise_v_w: noise of the amplifying elements [W], `[...]`.
      departure: "physical", or "paper" for paper B's a^H; they differ by mirroring the angle; static.
      origin: phase reference of both arrays, "corner" or "centre"; static.
    """

    bs_to_surface: Array
    azimuth_rad: Array
    elevation_rad: Array
    beta: Array
    surface_shape: tuple[int, int] = struct.field(pytree_node=False)
    sensor_shape: tuple[int, int] = struct.field(pytree_node=False)
    spacing: tuple[float, float] = struct.field(pytree_node=False, default=(0.5, 0.5))
    active: ArrayLike = 0.0
    noise_v_w: ArrayLike = 0.0
    departure: str = struct.field(pytree_node=False, default="physical")
    origin: str = struct.field(pytree_node=False, default="corner")


def sensor_response(scene: SensingScene) -> Array:
    """b, the sensing elements' response to the target, `[..., Nb]`."""
    angles = as_reals(scene.azimuth_rad, scene.elevation_rad)
    return upa_steering(*angles, scene.sensor_shape, scene.spacing, origin=scene.origin)


def departure_row(scene: SensingScene) -> Array:
    """The surface's row towards the target, v^T or a^H, `[..., N]`."""
    angles = as_reals(scene.azimuth_rad, scene.elevation_rad)
    return _row(scene, upa_steering(*angles, scene.surface_shape, scene.spacing, origin=scene.origin))


def _row(scene: SensingScene, v: Array) -> Array:
    if scene.departure == "physical":
        return v
    if scene.departure == "paper":
        return jnp.conj(v)
    raise ConfigError(f"departure={scene.departure!r} is unknown: use 'physical' or 'paper'")


# Of (b, db/daz, db/del) = (b, j slope b, j slope b): what stands before the real slopes.
_TURN = np.array([1, 1j, 1j])


def _slopes(scene: SensingScene, shape: tuple[int, int]) -> Array:
    """(1, dphase/daz, dphase/del) of an array's elements, real `[..., 3, n]`."""
    return upa_phase_slopes(scene.azimuth_rad, scene.elevation_rad, shape, scene.spacing, origin=scene.origin)


def sensor_slopes(scene: SensingScene) -> Array:
    """Slopes of the sensors' phases by azimuth and elevation, real `[..., 2, Nb]`: db = j slope b."""
    return _slopes(scene, scene.sensor_shape)[..., 1:, :]


def sensor_gram(scene: SensingScene) -> Array:
    """Inner products x^H y over (b, db/daz, db/del), `[..., 3, 3]`; the phases of b itself cancel."""
    slopes = _slopes(scene, scene.sensor_shape)
    gram = matmul(slopes, jnp.swapaxes(slopes, -1, -2))
    turn = np.conj(_TURN)[:, None] * _TURN
    return as_complex(gram) * _constant(turn, gram)


def illumination_stack(scene: SensingScene, psi: Array, W: Array) -> Array:
    """(z_0, dz/daz, dz/del): the illumination and its derivatives by the departure's angles, `[..., 3, S]`."""
    light = (departure_row(scene) * psi)[..., None, :]
    slopes = _slopes(scene, scene.surface_shape)
    rows = lax.complex(slopes * jnp.real(light), slopes * jnp.imag(light))
    # Rows first: N x M x S products of G W are what a naive order costs.
    z = matmul(matmul(rows, scene.bs_to_surface), W)
    return z * _constant(_departure_turn(scene), jnp.real(z))


def target_stacks(scene: SensingScene, psi: Array, W: Array) -> tuple[Array, Array]:
    """Of T targets: sensors (b, db/daz, db/del) `[..., T, 3, Nb]` and `illumination_stack` `[..., T, 3, S]`."""
    slopes = _slopes(scene, scene.sensor_shape)
    sensors = as_complex(slopes) * sensor_response(scene)[..., None, :]
    sensors = sensors * _constant(_TURN[:, None], slopes)
    light = (departure_row(scene) * psi[..., None, :])[..., None, :]
    rows = as_complex(_slopes(scene, scene.surface_shape)) * light
    flat = rows.reshape(*rows.shape[:-3], -1, rows.shape[-1])
    z = matmul(matmul(flat, scene.bs_to_surface), W)
    z = z.reshape(*z.shape[:-2], *rows.shape[-3:-1], z.shape[-1])
    return sensors, z * _constant(_departure_turn(scene), jnp.real(z))


def _departure_turn(scene: SensingScene) -> np.ndarray:
    return (_TURN if scene.departure == "physical" else np.conj(_TURN))[:, None]


def _constant(x: np.ndarray, like: Array) -> Array:
    """A constant in the complex precision of `like`, with its number of axes."""
    return jnp.asarray(x.reshape((1,) * (like.ndim - x.ndim) + x.shape), as_complex(like).dtype)


def illumination(scene: SensingScene, psi: Array, W: Array) -> Array:
    """z_0 = v^T Psi G W: the field each stream lays on the target (before beta), `[..., S]`.

    Args:
      scene: one target.
      psi: reflection, `[..., N]`.
      W: beamformer, `[..., M, S]`.
    """
    return matmul(matmul((departure_row(scene) * psi)[..., None, :], scene.bs_to_surface), W)[..., 0, :]


def echo_matrix(scene: SensingScene, psi: Array) -> Array:
    """E = beta b v^T Psi G: from the base station's antennas to the sensing elements, `[..., Nb, M]`.

    For looking at; bounds and estimators never form it. Source: paper B, the echo model.
    """
    row = matmul((departure_row(scene) * psi)[..., None, :], scene.bs_to_surface)
    return as_complex(scene.beta)[..., None, None] * sensor_response(scene)[..., :, None] * row


def line_of_sight_scene(
    freq_hz: ArrayLike,
    k_abs: ArrayLike,
    bs_dist_m: ArrayLike,
    target_dist_m: ArrayLike,
    azimuth_rad: ArrayLike,
    elevation_rad: ArrayLike,
    rcs_m2: ArrayLike,
    bs_shape: tuple[int, int],
    surface_shape: tuple[int, int],
    sensor_shape: tuple[int, int],
    gain_bs: ArrayLike = 1.0,
    gain_surface: ArrayLike = 1.0,
    gain_sensor: ArrayLike = 1.0,
    bs_azimuth_rad: ArrayLike = 0.0,
    bs_elevation_rad: ArrayLike = 0.0,
) -> SensingScene:
    """A base station, a surface and a target, in line of sight: G = g v_surface v_bs^T of rank one.

    Numbers may be arrays `[...]` that broadcast against each other.

    Args:
      freq_hz: carrier [Hz].
      k_abs: power absorption coefficient [1/m].
      bs_dist_m, target_dist_m: distance of the base station and of the target from the surface [m].
      azimuth_rad, elevation_rad: the target from the surface [rad].
      rcs_m2: radar cross section of the target [m^2].
      bs_shape, surface_shape, sensor_shape: (rows, cols) of the half-wavelength arrays.
      gain_bs, gain_surface, gain_sensor: power gain of an element (linear).
      bs_azimuth_rad, bs_elevation_rad: the base station from the surface [rad]; it faces the surface.

    Returns:
      `SensingScene`.

    Raises:
      ConfigError: angles at +-90 degrees, or sensors in a single row or column: no angle pair can be told there.
    """
    if min(sensor_shape) < 2:
        raise ConfigError(f"sensor_shape={sensor_shape}: both angles need at least 2 rows and 2 columns")
    for name, angle in (("azimuth_rad", azimuth_rad), ("elevation_rad", elevation_rad)):
        if not isinstance(angle, jax.core.Tracer) and np.any(np.abs(np.asarray(angle)) >= math.pi / 2 - 1e-6):
            raise ConfigError(
                f"{name}={np.max(np.abs(angle)):g} must lie inside +-pi/2: beyond, the array sees nothing"
            )
    numbers = as_reals(
        freq_hz, k_abs, bs_dist_m, target_dist_m, azimuth_rad, elevation_rad, rcs_m2,
        gain_bs, gain_surface, gain_sensor, bs_azimuth_rad, bs_elevation_rad,
    )  # fmt: skip
    return _line_of_sight(bs_shape, surface_shape, sensor_shape, *numbers)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _line_of_sight(
    bs_shape: tuple[int, int],
    surface_shape: tuple[int, int],
    sensor_shape: tuple[int, int],
    freq_hz: Array,
    k_abs: Array,
    bs_dist_m: Array,
    target_dist_m: Array,
    azimuth_rad: Array,
    elevation_rad: Array,
    rcs_m2: Array,
    gain_bs: Array,
    gain_surface: Array,
    gain_sensor: Array,
    bs_azimuth_rad: Array,
    bs_elevation_rad: Array,
) -> SensingScene:
    hop = path_amplitude(freq_hz, bs_dist_m, k_abs) * as_complex(jnp.sqrt(gain_bs * gain_surface))
    at_surface = upa_steering(bs_azimuth_rad, bs_elevation_rad, surface_shape)
    from_bs = upa_steering(jnp.zeros_like(freq_hz), jnp.zeros_like(freq_hz), bs_shape)
    return SensingScene(
        bs_to_surface=hop[..., None, None] * at_surface[..., :, None] * from_bs[..., None, :],
        azimuth_rad=azimuth_rad,
        elevation_rad=elevation_rad,
        beta=radar_amplitude(freq_hz, target_dist_m, k_abs, rcs_m2, gain_surface * gain_sensor),
        surface_shape=surface_shape,
        sensor_shape=sensor_shape,
        active=jnp.zeros(surface_shape[0] * surface_shape[1], freq_hz.dtype),
        noise_v_w=jnp.zeros((), freq_hz.dtype),
    )


@jax.jit
def focused_illumination(scene: SensingScene, power_w: ArrayLike) -> tuple[Array, Array]:
    """Unit-modulus reflection and one beam that light the target most: (psi `[..., N]`, W `[..., M, 1]`).

    Phases aligned on the arriving beam and the beam matched to them, in turn: the optimum for a rank-one G
    (|z_0|^2 = N^2 M P |g|^2), a stationary point otherwise.

    Args:
      scene: one target.
      power_w: P, the beam's power [W], `[...]`.
    """
    G, row = scene.bs_to_surface, departure_row(scene)
    largest = jnp.max(jnp.abs(G), axis=(-2, -1), keepdims=True)
    G = G / as_complex(jnp.where(largest > 0, largest, 1))

    def matched(x: Array) -> Array:
        return jnp.conj(x) / as_complex(jnp.linalg.norm(x, axis=-1, keepdims=True))

    w = matched(G[..., 0, :])
    for _ in range(8):
        psi = jnp.conj(unit_phasor(row * matmul(G, w[..., None])[..., 0]))
        w = matched(matmul((row * psi)[..., None, :], G)[..., 0, :])
    power_w = jnp.asarray(power_w, w.real.dtype)
    return psi, trailing(as_complex(jnp.sqrt(power_w)), 2) * w[..., None]
