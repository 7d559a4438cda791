"""Fisher information of a target's angles and echo amplitude, and the Cramér-Rao bounds that follow.

The public functions are compiled as a whole: eagerly their operations would be compiled one by one, seconds in all.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.linalg import solve_hermitian
from thzjax.numeric import abs2, as_complex, hermitian, matmul, trailing
from thzjax.physics.sensing.scene import (
    SensingScene,
    illumination,
    illumination_stack,
    sensor_gram,
    sensor_slopes,
    target_stacks,
)
from thzjax.physics.surface import target_noise

NOISE_MODELS = ("white", "colored", "full")


@functools.partial(jax.jit, static_argnames="noise_model")
def fisher_information(
    scene: SensingScene,
    psi: Array,
    W: Array,
    snapshots: ArrayLike,
    noise_w: ArrayLike,
    noise_model: str = "white",
) -> Array:
    """Fisher information of (azimuth, elevation, Re beta, Im beta) from L snapshots of the echo.

    The echo's mean is beta b z_0 with z_0 the illumination. With D_0 = b z_0, D_i = db_i z_0 + b z_i and
    <X, Y> = tr(X^H Y): J_ij = (2 L |beta|^2/sigma^2) Re <D_i, D_j>, J_{i,beta} = (2 L/sigma^2)
    Re(conj(beta) <D_i, D_0> [1, j]), J_bb = (2 L/sigma^2) <D_0, D_0> I. Only inner products of b, db and z are
    formed, never the echo matrix.

    Args:
      scene: one target.
      psi: reflection, `[..., N]`.
      W: beamformer, `[..., M, S]` [sqrt(W)].
      snapshots: L, `[...]`.
      noise_w: sigma^2 at a sensing element [W], `[...]`.
      noise_model: "white"; "colored" adds the surface's amplified noise that the target sends back, covariance
        sigma^2 I + rho b b^H with rho = |beta|^2 sigma_v^2 sum_active |psi|^2, in the mean's term; "full" adds
        what that covariance itself tells, L tr(R^-1 dR_i R^-1 dR_j).

    Returns:
      J, `[..., 4, 4]`.

    Raises:
      ConfigError: unknown noise model.

    Source: Slepian-Bangs formula (Kay, 1993, ch. 15); paper B's bound with white noise.
    """
    if noise_model not in NOISE_MODELS:
        raise ConfigError(f"noise_model={noise_model!r} is unknown: use one of {', '.join(NOISE_MODELS)}")
    beta = as_complex(scene.beta)
    z = illumination_stack(scene, psi, W)
    gram = sensor_gram(scene)
    real = gram.real.dtype
    noise_w, snapshots = jnp.asarray(noise_w, real), jnp.asarray(snapshots, real)
    if noise_model != "white":
        # R^-1 = (I - kappa b b^H)/sigma^2: the sensors' Gram matrix takes it all. Powers over sigma^2, for float32.
        over_noise = target_noise(psi, scene.active, 1.0, jnp.asarray(scene.noise_v_w, real) / noise_w)
        rho = abs2(beta) * over_noise
        kappa = rho / (1 + rho * jnp.real(gram[..., 0, 0]))
        gram = gram - as_complex(kappa)[..., None, None] * gram[..., :, :1] * gram[..., :1, :]
    J = _mean_information(gram[..., None, :, None, :], z[..., None, :, :], beta[..., None], snapshots, noise_w)
    if noise_model == "full":
        J = J + trailing(snapshots, 2) * _covariance_information(gram, rho, over_noise, beta)
    return J


@jax.jit
def multi_target_fisher_information(
    scene: SensingScene, psi: Array, W: Array, snapshots: ArrayLike, noise_w: ArrayLike
) -> Array:
    """Fisher information of T targets at once, white noise: `[..., 4T, 4T]`, target by target.

    As `fisher_information`, with `scene.azimuth_rad`, `elevation_rad` and `beta` `[..., T]`; the parameters are
    (az_1, el_1, Re beta_1, Im beta_1, az_2, ...). `crb` of it bounds every angle with all targets unknown.
    """
    sensors, z = target_stacks(scene, psi, W)
    targets = sensors.shape[-3]
    flat = sensors.reshape(*sensors.shape[:-3], 3 * targets, sensors.shape[-1])
    gram = matmul(jnp.conj(flat), jnp.swapaxes(flat, -1, -2))
    gram = gram.reshape(*gram.shape[:-2], targets, 3, targets, 3)
    real = gram.real.dtype
    snapshots, noise_w = jnp.asarray(snapshots, real), jnp.asarray(noise_w, real)
    return _mean_information(gram, z, as_complex(scene.beta), snapshots, noise_w)


def _mean_information(gram: Array, z: Array, beta: Array, snapshots: Array, noise_w: Array) -> Array:
    """(2 L/sigma^2) Re <D_p, D_q> over all parameters, `[..., 4T, 4T]`.

    Args:
      gram: inner products of b and its derivatives, `[..., T, 3, T, 3]`.
      z: illumination and its derivatives, `[..., T, 3, S]`.
      beta: `[..., T]`.
    """
    targets, streams = z.shape[-3], z.shape[-1]
    flat = z.reshape(*z.shape[:-3], 3 * targets, streams)
    light = matmul(jnp.conj(flat), jnp.swapaxes(flat, -1, -2))
    light = light.reshape(*light.shape[:-2], targets, 3, targets, 3)
    g, h = jnp.swapaxes(gram, -3, -2), jnp.swapaxes(light, -3, -2)  # [..., T, T, 3, 3]
    corner_g, corner_h = g[..., :1, :1], h[..., :1, :1]
    # <x_i r_k, y_j r_m> = <x_i, y_j> <r_k, r_m>.
    angles = (
        g[..., 1:, 1:] * corner_h
        + g[..., 1:, :1] * h[..., :1, 1:]
        + g[..., :1, 1:] * h[..., 1:, :1]
        + corner_g * h[..., 1:, 1:]
    )
    mixed = g[..., 1:, :1] * corner_h + corner_g * h[..., 1:, :1]
    mixed_back = g[..., :1, 1:] * corner_h + corner_g * h[..., :1, 1:]
    power = corner_g * corner_h
    left, right = jnp.conj(beta)[..., :, None, None, None], beta[..., None, :, None, None]
    angles, mixed, mixed_back = left * right * angles, left * mixed, right * mixed_back
    # The echo amplitude may have batch axes that the design lacks.
    lead = jnp.broadcast_shapes(angles.shape[:-2], power.shape[:-2])
    angles, mixed, mixed_back, power = (
        jnp.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (angles, mixed, mixed_back, power)
    )
    imaginary = jnp.asarray(1j, power.dtype)
    top = jnp.concatenate([angles, mixed, imaginary * mixed], axis=-1)
    middle = jnp.concatenate([mixed_back, power, imaginary * power], axis=-1)
    bottom = jnp.concatenate([-imaginary * mixed_back, -imaginary * power, power], axis=-1)
    blocks = jnp.real(jnp.concatenate([top, middle, bottom], axis=-2))
    J = jnp.swapaxes(blocks, -3, -2).reshape(*blocks.shape[:-4], 4 * targets, 4 * targets)
    return trailing(2 * snapshots / noise_w, 2) * J


def _covariance_information(gram: Array, rho: Array, over_noise: Array, beta: Array) -> Array:
    """tr(R^-1 dR_i R^-1 dR_j) with R = sigma^2 I + |beta|^2 c b b^H, `[..., 4, 4]`.

    Args:
      gram: sigma^2 x^H R^-1 y over b and its derivatives, `[..., 3, 3]`.
      rho: |beta|^2 c/sigma^2, `[...]`.
      over_noise: c/sigma^2, `[...]`.
      beta: `[...]`.
    """
    power, along = jnp.real(gram[..., 0, 0]), gram[..., :1, 1:]
    rho = rho[..., None, None]
    outer = jnp.real(jnp.swapaxes(along, -1, -2) * along)
    angles = 2 * rho**2 * (outer + power[..., None, None] * jnp.real(gram[..., 1:, 1:]))
    parts = jnp.stack([jnp.real(beta), jnp.imag(beta)], axis=-1)
    by_beta = 2 * (over_noise * power)[..., None] * parts
    mixed = 2 * rho * jnp.real(jnp.swapaxes(along, -1, -2)) * by_beta[..., None, :]
    top = jnp.concatenate([angles, mixed], axis=-1)
    bottom = jnp.concatenate([jnp.swapaxes(mixed, -1, -2), by_beta[..., :, None] * by_beta[..., None, :]], axis=-1)
    return jnp.concatenate([top, bottom], axis=-2)


@jax.jit
def crb(J: Array) -> Array:
    """Cramér-Rao bound of the angles with the echo amplitudes unknown: (J_ee - J_eb J_bb^-1 J_eb^T)^-1.

    Args:
      J: Fisher information, `[..., 4T, 4T]`, target by target (`fisher_information`,
        `multi_target_fisher_information`).

    Returns:
      `[..., 2T, 2T]` [rad^2] over (az_1, el_1, az_2, ...); inf where J is singular to rounding. The equilibrated
      Schur complement: no ridge, no inverse.

    Source: Kay, 1993, ch. 3 and 15.
    """
    targets = J.shape[-1] // 4
    diagonal = jnp.diagonal(J, axis1=-2, axis2=-1)
    positive = jnp.all(diagonal > 0, axis=-1)
    scale = 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1))
    J = J * scale[..., :, None] * scale[..., None, :]
    angle = [4 * t + i for t in range(targets) for i in (0, 1)]
    nuisance = [4 * t + i for t in range(targets) for i in (2, 3)]

    def block(rows: list[int], cols: list[int]) -> Array:
        return J[..., jnp.asarray(rows)[:, None], jnp.asarray(cols)]

    if targets == 1:
        schur = J[..., :2, :2] - _quadratic_2x2(J[..., :2, 2:], J[..., 2:, 2:])
        inverse, regular = _inverse_2x2(schur)
    else:
        cross = block(angle, nuisance)
        solved = solve_hermitian(block(nuisance, nuisance), jnp.swapaxes(cross, -1, -2))
        schur = block(angle, angle) - matmul(cross, solved)
        # Of the whole matrix: two targets that fall together leave the amplitudes undetermined, too.
        regular = jnp.linalg.eigvalsh(J)[..., 0] > _floor(J)
        eye = jnp.broadcast_to(jnp.eye(2 * targets, dtype=J.dtype), schur.shape)
        inverse = solve_hermitian(jnp.where(regular[..., None, None], schur, eye), eye)
    scale = scale[..., jnp.asarray(angle)]
    bound = inverse * scale[..., :, None] * scale[..., None, :]
    return jnp.where((positive & regular)[..., None, None], bound, jnp.inf)


def _floor(x: Array) -> float:
    """Below this an equilibrated matrix is singular: its entries carry the rounding of sums of tens of terms."""
    return 32 * float(jnp.finfo(x.dtype).eps)


def _quadratic_2x2(cross: Array, middle: Array) -> Array:
    """cross middle^-1 cross^T for 2 x 2 blocks of an equilibrated matrix."""
    a, b, d = middle[..., 0, 0], middle[..., 0, 1], middle[..., 1, 1]
    determinant = a * d - b * b
    adjugate = jnp.stack([jnp.stack([d, -b], axis=-1), jnp.stack([-b, a], axis=-1)], axis=-2)
    inner = matmul(matmul(cross, adjugate), jnp.swapaxes(cross, -1, -2))
    return inner / jnp.where(determinant > 0, determinant, 1)[..., None, None]


def _inverse_2x2(x: Array) -> tuple[Array, Array]:
    """(inverse, whether it exists to rounding) of symmetric `[..., 2, 2]` whose entries are good to ulps of 1."""
    a, b, d = x[..., 0, 0], (x[..., 0, 1] + x[..., 1, 0]) / 2, x[..., 1, 1]
    floor = _floor(x)
    determinant = a * d - b * b
    regular = (a > floor) & (d > floor) & (determinant > floor * (a + d))
    adjugate = jnp.stack([jnp.stack([d, -b], axis=-1), jnp.stack([-b, a], axis=-1)], axis=-2)
    return adjugate / jnp.where(regular, determinant, 1)[..., None, None], regular


def sensing_crb(
    scene: SensingScene,
    psi: Array,
    W: Array,
    snapshots: ArrayLike,
    noise_w: ArrayLike,
    noise_model: str = "white",
) -> Array:
    """`crb` of `fisher_information`, `[..., 2, 2]` [rad^2], with both arrays' phases counted from their centres.

    The bound does not depend on the phase reference, but float32 does: from the centre it is good to a few 1e-7.
    Its trace is the constraint of paper B, (15).
    """
    return crb(fisher_information(scene.replace(origin="centre"), psi, W, snapshots, noise_w, noise_model))


@jax.jit
def crb_rank_one(scene: SensingScene, psi: Array, W: Array, snapshots: ArrayLike, noise_w: ArrayLike) -> Array:
    """Closed form of the bound for a rank-one G and white noise, exact there.

    CRB = sigma^2/(2 L |beta|^2 ||z_0||^2) [Re(dB^H P dB)]^-1, dB = [db_az, db_el], P the projector off b: the
    design enters only through the illumination ||z_0||^2.

    Args: as in `fisher_information`. Returns `[..., 2, 2]` [rad^2], inf where singular.
    """
    slopes = sensor_slopes(scene.replace(origin="centre"))
    # P off b takes away what moves all phases alike; where nothing is left beside that, it is rounding.
    own = slopes - jnp.mean(slopes, axis=-1, keepdims=True)
    shape = matmul(own, jnp.swapaxes(own, -1, -2))
    diagonal = jnp.diagonal(shape, axis1=-2, axis2=-1)
    whole = jnp.sum(slopes**2, axis=-1)
    positive = jnp.all(diagonal > _floor(shape) * whole, axis=-1) & jnp.all(whole > 0, axis=-1)
    scale = 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1))
    inverse, regular = _inverse_2x2(shape * scale[..., :, None] * scale[..., None, :])
    snr = radar_snr(scene, psi, W, snapshots, noise_w) / slopes.shape[-1]
    seen = snr > 0
    bound = inverse * scale[..., :, None] * scale[..., None, :] / trailing(jnp.where(seen, 2 * snr, 1), 2)
    return jnp.where((positive & regular & seen)[..., None, None], bound, jnp.inf)


@jax.jit
def radar_snr(scene: SensingScene, psi: Array, W: Array, snapshots: ArrayLike, noise_w: ArrayLike) -> Array:
    """Signal to noise of the echo after coherent integration: L |beta|^2 ||b||^2 ||z_0||^2/sigma^2, `[...]`.

    Arguments as in `fisher_information`. It is what `detection_probability` takes.
    """
    light = jnp.sum(abs2(illumination(scene, psi, W)), axis=-1)
    elements = scene.sensor_shape[0] * scene.sensor_shape[1]
    snapshots, noise_w = jnp.asarray(snapshots, light.dtype), jnp.asarray(noise_w, light.dtype)
    return snapshots * elements * (abs2(as_complex(scene.beta)) / noise_w) * light


def autodiff_fisher_information(mean_fn: Callable[[Array], Array], params: Array, noise_w: ArrayLike) -> Array:
    """Fisher information of any model in white noise: (2/sigma^2) Re(Jac^H Jac), Jac by forward differentiation.

    Args:
      mean_fn: real parameters `[P]` to the complex mean of all samples, any shape.
      params: where, `[P]`.
      noise_w: sigma^2 of a complex sample [W].

    Returns:
      `[P, P]`.

    Source: Slepian-Bangs formula with a covariance that does not depend on the parameters (Kay, 1993).
    """
    jacobian = jax.jacfwd(mean_fn)(params)
    jacobian = jacobian.reshape(-1, params.shape[-1])
    return 2 / jnp.asarray(noise_w, jacobian.real.dtype) * jnp.real(matmul(hermitian(jacobian), jacobian))
