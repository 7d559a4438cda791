"""Greedy search: what paper B's baseline of that name must mean, written down."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from thzjax.beamforming.coordinate import phase_levels, search_beams, search_elements
from thzjax.beamforming.linear import unit_columns
from thzjax.beamforming.receive import stream_rows
from thzjax.numeric import abs2, as_complex, hermitian, matmul
from thzjax.systems.base import Design, System

# On 64 drops of `paper-b` 2 sweeps give 5.3 (59 % feasible), 4 give 8.0 (78 %), 8 give 9.1 (83 %), 16 give 9.5 (84 %);
# on 1024 of `paper-a` 2.59, 2.70 and 2.71 for 2, 4 and 8.
SWEEPS = 4
HARD_SWEEPS = 8
"""With amplifiers or a least SINR to meet."""
POWER_AMPLITUDES = (1.0, 0.5, 0.25, 0.0)
AMPLITUDES = (1.0, 0.5)
"""Amplitudes an amplifying element tries, over the largest."""


def dft_codebook(shape: tuple[int, int]) -> np.ndarray:
    """Orthonormal beams of a planar array, the two-dimensional discrete Fourier transform, `[rows*cols, rows*cols]`."""

    def transform(n: int) -> np.ndarray:
        return np.exp(2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n) / n**0.5

    return np.kron(transform(shape[0]), transform(shape[1]))


def greedy(system: System, params: Any, channels: Any, basis: Array | None, sweeps: int | None = None) -> Design:
    """Coordinate-wise greedy search over beams of a codebook and levels of the surface.

    1. Every element at its first level (an amplifying one at its largest amplitude); every user's stream on the beam of
       the array's DFT codebook that its row hears best, at equal power; a sensing stream silent.
    2. Stream after stream takes the beam and amplitude (whole, half, a quarter or none) of the best score, all else
       fixed but the common scale, as the whole power is always used; then element after element the level (and, if it
       amplifies, the amplitude, whole or half) of the best score. `SWEEPS` or `HARD_SWEEPS` times over.

    Beams count by their part that reaches anything (`subspace`), at unit norm.

    The score is that of `coordinate`: the sum rate after the system's projection and scaling, less a penalty where a
    constraint does not hold then. No step lowers it.

    Args:
      system, params, channels: `[...]` channels, compact if there is a basis.
      basis: `[..., M, r]` of the compact channels.

    Source: paper B names a greedy baseline without a definition; this is the one used here.
    """
    spec = system.spec
    code = jnp.asarray(dft_codebook(spec.antenna_shape), channels.bs_to_surface.dtype)
    batch = channels.bs_to_surface.shape[:-2]
    code = jnp.broadcast_to(code, (*batch, *code.shape))
    if basis is not None:
        code = unit_columns(matmul(hermitian(basis), code))
    phase = jnp.zeros((*batch, spec.elements), code.real.dtype)
    psi = system.snap(params, channels, phase)
    rows = stream_rows(system, system.effective_channel(channels, psi))
    heard = jnp.argmax(abs2(matmul(rows, code)), axis=-1)
    W = jnp.take_along_axis(code, heard[..., None, :], axis=-1)
    silent = jnp.zeros((*W.shape[:-1], spec.sensing_streams), W.dtype)
    design = Design(system.fit_power(params, jnp.concatenate([W, silent], axis=-1)), psi)
    levels = phase_levels(system, AMPLITUDES if spec.active else (1.0,))
    beams = jnp.concatenate([level * code for level in POWER_AMPLITUDES], axis=-1)
    beams = as_complex(jnp.sqrt(params.power_w / spec.data_streams)) * beams
    if sweeps is None:
        hard = bool(spec.active) or "min_sinr" in system.constraints
        sweeps = HARD_SWEEPS if hard else SWEEPS

    def sweep(design: Design, _: None) -> tuple[Design, None]:
        design, _ = search_beams(system, params, channels, design, beams)
        return search_elements(system, params, channels, design, levels)[0], None

    return lax.scan(sweep, design, None, length=sweeps)[0]
