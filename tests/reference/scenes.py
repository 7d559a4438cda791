"""Random sensing scenes and designs in float64, and their fields as JAX arrays of one precision."""

import math

import jax.numpy as jnp
import numpy as np
from reference.sensing import Scene
from reference.tools import complex_normal, double

STATIC = ("surface_shape", "sensor_shape", "spacing", "departure", "origin")


def random_scene(seed, antennas=4, surface=(2, 3), sensors=(2, 3), targets=None, rank_one=False, **options):
    """Everything of order one, so that no term of the information hides behind another; half the surface active."""
    rng = np.random.default_rng(seed)
    count = () if targets is None else (targets,)
    elements = math.prod(surface)
    G = complex_normal(seed + 1, elements, antennas)
    if rank_one:
        G = complex_normal(seed + 2, elements, 1) @ complex_normal(seed + 3, 1, antennas)
    azimuth, elevation = rng.uniform(-1.1, 1.1, count), rng.uniform(-1.0, 1.0, count)
    beta = (0.3 + rng.uniform(0, 0.4, count)) * np.exp(2j * np.pi * rng.uniform(size=count))
    fields = {"active": (np.arange(elements) % 2).astype(float), "noise_v_w": 0.2, **options}
    return Scene(G, azimuth, elevation, beta, surface, sensors, **fields)


def random_design(seed, scene, streams=3):
    """psi [N], active elements with up to three times the amplitude, and W [M, S]."""
    elements, antennas = scene.bs_to_surface.shape
    rng = np.random.default_rng(seed + 7)
    amplitude = 1.0 + rng.uniform(0.0, 2.0, elements) * scene.active
    return amplitude * np.exp(2j * np.pi * rng.uniform(size=elements)), complex_normal(seed + 8, antennas, streams)


def paper_b_scene(seed, rank_one=False, **options):
    """Magnitudes of a 0.3 THz link of a few metres: the echo's power is some 1e-12 W against 4e-12 W of noise."""
    scene = random_scene(seed, 64, (8, 10), (4, 5), rank_one=rank_one, **options)
    rng = np.random.default_rng(seed + 5)
    line = 3 * np.exp(2j * np.pi * (np.arange(80)[:, None] * 0.17 + np.arange(64) * 0.05))  # a strong path among many
    G = line if rank_one else line + scene.bs_to_surface
    beta = 1e-5 * np.exp(2j * np.pi * rng.uniform())
    return scene._replace(bs_to_surface=3e-5 * G, beta=np.asarray(beta), noise_v_w=4e-12)


PAPER_B_NOISE_W, PAPER_B_SNAPSHOTS = 4e-12, 4096.0


def round_scene(scene, rounding):
    """The scene whose numbers are exactly what `rounding` (tools.single, say) makes of them."""
    return scene._replace(**{name: rounding(value) for name, value in scene._asdict().items() if name not in STATIC})


def stack(scenes):
    """One scene with a leading batch axis on every traced field."""
    columns = {name: np.stack([getattr(s, name) for s in scenes]) for name in Scene._fields if name not in STATIC}
    return scenes[0]._replace(**columns)


def arrays(*values, rounding=double):
    """JAX arrays of these values, rounded."""
    return tuple(jnp.asarray(rounding(value)) for value in values)


def fields(scene, rounding=double):
    """Keyword arguments of a SensingScene."""
    return {name: value if name in STATIC else jnp.asarray(rounding(value)) for name, value in scene._asdict().items()}
