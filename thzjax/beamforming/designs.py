"""Every classical design by name, with one signature: `solve(system, params, channels, key) -> Design`.

A design is a beamformer rule with a rule for the surface phases. All are scaled by one scalar to the antenna
budget; clipping rows instead would bend the nulls of zero forcing.
"""

from collections.abc import Callable
from typing import Any

from jax import Array

from thzjax.beamforming import linear, phases
from thzjax.beamforming.wmmse import wmmse
from thzjax.errors import ConfigError
from thzjax.physics.power import scale_per_antenna
from thzjax.systems.base import Design, System

Solve = Callable[[System, Any, Any, Array], Design]
# On 1024 drops of `paper-a` with focused phases 20 iterations give 3.88 bit/s/Hz, 50 give 3.99 and 150 give 4.00.
WMMSE_ITERATIONS = 50


def _mrt(params: Any, H: Array) -> Array:
    return linear.mrt(H)


def _zf(params: Any, H: Array) -> Array:
    return linear.zf(H)


def _rzf(params: Any, H: Array) -> Array:
    return linear.rzf(H, params.noise_w, params.power_w)


def _wmmse(constraint: str) -> Callable[[Any, Array], Array]:
    # For a sum power the implicit form is 8 times faster than bisection, and ends higher in float32 at high SNR.
    options = {"constraint": constraint} | ({"multiplier": "implicit"} if constraint == "sum" else {})

    def beam(params: Any, H: Array) -> Array:
        start = scale_per_antenna(linear.rzf(H, params.noise_w, params.power_w), params.power_w)
        W, _ = wmmse(H, start, params.noise_w, params.power_w, WMMSE_ITERATIONS, **options)
        return W

    return beam


BEAMFORMERS: dict[str, Callable[[Any, Array], Array]] = {
    "mrt": _mrt,
    "zf": _zf,
    "rzf": _rzf,
    "wmmse": _wmmse("per_antenna"),
    "wmmse_sum": _wmmse("sum"),
}
SURFACES: dict[str, Callable[[System, Any, Array], Array]] = {
    "random": lambda system, channels, key: system.random_phases(key, channels),
    "focused": lambda system, channels, key: phases.focused(channels),
}


def _compose(beamformer: str, surface: str) -> Solve:
    def solve(system: System, params: Any, channels: Any, key: Array) -> Design:
        reflection = system.snap(params, SURFACES[surface](system, channels, key))
        H = system.effective_channel(channels, reflection)
        return Design(beamformer=system.fit_power(params, BEAMFORMERS[beamformer](params, H)), reflection=reflection)

    solve.__doc__ = f"{beamformer} beams with {surface} surface phases."
    return solve


def _random(system: System, params: Any, channels: Any, key: Array) -> Design:
    """A random beamformer and random phases."""
    return system.random_design(key, params, channels)


DESIGNS: dict[tuple[str, str], Solve] = {("random", "random"): _random} | {
    (beam, surface): _compose(beam, surface) for surface in SURFACES for beam in BEAMFORMERS
}
"""(method, surface) -> solve."""


def get_design(method: str, surface: str) -> Solve:
    """The registered design.

    Raises:
      ConfigError: no such method and surface.
    """
    if (method, surface) not in DESIGNS:
        known = ", ".join(f"{m}/{s}" for m, s in DESIGNS)
        raise ConfigError(f"design {method}/{surface} is unknown: use one of {known}")
    return DESIGNS[method, surface]
