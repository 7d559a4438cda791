"""Pure functions of the physics: trailing axes are the physics, leading axes a batch that broadcasts."""

from typing import TYPE_CHECKING

from thzjax.lazy import lazy

__all__ = [
    "absorption",
    "arrays",
    "beampattern",
    "beampattern_optimum",
    "channels",
    "drops",
    "fading",
    "geometry",
    "lines",
    "link",
    "materials",
    "power",
    "propagation",
    "sensing",
    "surface",
    "utility",
]

if TYPE_CHECKING:
    from thzjax.physics import (
        absorption,
        arrays,
        beampattern,
        beampattern_optimum,
        channels,
        drops,
        fading,
        geometry,
        lines,
        link,
        materials,
        power,
        propagation,
        sensing,
        surface,
        utility,
    )
else:
    __getattr__, __dir__ = lazy(__name__, dict.fromkeys(__all__, ""))
