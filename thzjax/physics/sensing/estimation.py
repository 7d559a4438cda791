"""Maximum-likelihood estimation of a target's angles, to see the Cramér-Rao bound attained."""

import functools

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.numeric import abs2, as_complex, matmul, trailing
from thzjax.physics.sensing.radar import add_noise
from thzjax.physics.sensing.scene import SensingScene, illumination, sensor_response


def simulate_echo(
    key: Array, scene: SensingScene, psi: Array, W: Array, snapshots: ArrayLike, noise_w: ArrayLike
) -> Array:
    """One echo, matched to the streams' known waveforms: sqrt(L) beta b z_0 + CN(0, sigma^2), `[..., Nb, S]`.

    The waveforms are orthogonal and of unit power, so this is a sufficient statistic of the L snapshots in white
    noise. Arguments as in `fisher_information`.
    """
    mean = as_complex(scene.beta)[..., None, None] * sensor_response(scene)[..., :, None]
    mean = mean * illumination(scene, psi, W)[..., None, :]
    integrated = trailing(as_complex(jnp.sqrt(jnp.asarray(snapshots, mean.real.dtype))), 2) * mean
    return add_noise(key, integrated, noise_w)


@functools.partial(jax.jit, static_argnames="steps")
def ml_angles(
    data: Array,
    scene: SensingScene,
    psi: Array,
    W: Array,
    azimuth_grid_rad: Array,
    elevation_grid_rad: Array,
    steps: int = 8,
) -> tuple[Array, Array]:
    """Maximum-likelihood angles: argmax |<D_0, Y>|^2/||D_0||^2, D_0 = b z_0, over a grid, then refined.

    With the amplitude unknown the likelihood depends on the angles through that matched-filter output alone. The
    grid must be finer than the main lobe; the refinement is Newton's with Levenberg damping.

    Args:
      data: Y from `simulate_echo`, `[..., Nb, S]`.
      scene: what is known of the scene (unbatched); its own angles and beta are not used.
      psi, W: the design, `[N]`, `[M, S]`.
      azimuth_grid_rad, elevation_grid_rad: `[A]`, `[E]` [rad].
      steps: refinement steps.

    Returns:
      (azimuth, elevation), `[...]` each [rad].

    Source: Kay, 1993, ch. 7 and 15.
    """
    scene = scene.replace(origin="centre")

    def parts(azimuth: Array, elevation: Array) -> tuple[Array, Array]:
        there = scene.replace(azimuth_rad=azimuth, elevation_rad=elevation)
        return sensor_response(there), illumination(there, psi, W)

    azimuth, elevation = (x.ravel() for x in jnp.meshgrid(azimuth_grid_rad, elevation_grid_rad, indexing="ij"))
    grid_b, grid_z = jax.vmap(parts)(azimuth, elevation)
    light = jnp.sum(abs2(grid_z), axis=-1)
    # A direction that gets no light has no likelihood.
    floor = jnp.finfo(light.dtype).eps * jnp.max(light)

    def objective(angles: Array, Y: Array) -> Array:
        b, z = parts(angles[0], angles[1])
        match = jnp.sum(matmul(jnp.conj(b)[None, :], Y)[0] * jnp.conj(z))
        return abs2(match) / (b.shape[-1] * (jnp.sum(abs2(z)) + floor))

    def estimate(Y: Array) -> tuple[Array, Array]:
        # In physical units the squares leave float32.
        Y = Y / as_complex(jnp.max(jnp.abs(Y)))
        match = jnp.sum(matmul(jnp.conj(grid_b), Y) * jnp.conj(grid_z), axis=-1)
        best = jnp.argmax(abs2(match) / (light + floor))
        start = jnp.stack([azimuth[best], elevation[best]])

        def refine(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
            angles, value, damping = carry
            slope = jax.grad(objective)(angles, Y)
            bend = -jax.hessian(objective)(angles, Y)
            size = jnp.sqrt(jnp.sum(bend**2))
            loaded = bend + damping * size * jnp.eye(2, dtype=bend.dtype)
            a, b, d = loaded[0, 0], loaded[0, 1], loaded[1, 1]
            determinant = a * d - b * b
            uphill = (determinant > 0) & (a > 0)
            newton = jnp.stack([d * slope[0] - b * slope[1], a * slope[1] - b * slope[0]])
            step = newton / jnp.where(uphill, determinant, 1)
            step = jnp.where(uphill, step, slope / jnp.where(size > 0, size, 1))
            trial = angles + step
            new = objective(trial, Y)
            # The last steps change the angles by more than the rounding of the objective shows.
            better = new >= value * (1 - 8 * jnp.finfo(value.dtype).eps)
            carry = (jnp.where(better, trial, angles), jnp.maximum(new, value), damping * jnp.where(better, 0.1, 10.0))
            return carry, None

        damping = jnp.asarray(1e-3, light.dtype)
        (angles, _, _), _ = lax.scan(refine, (start, objective(start, Y), damping), None, length=steps)
        return angles[0], angles[1]

    flat = data.reshape(-1, *data.shape[-2:])
    found = jax.vmap(estimate)(flat)
    return tuple(x.reshape(data.shape[:-2]) for x in found)
