"""Classical beamformers and designs."""

from thzjax.beamforming.designs import DESIGNS, get_design
from thzjax.beamforming.linear import mrt, rzf, zf
from thzjax.beamforming.phases import aligned_reflections, focused
from thzjax.beamforming.wmmse import wmmse
from thzjax.beamforming.wmmse_mimo import wmmse_mimo
from thzjax.physics.power import clip_rows, scale_per_antenna, scale_total

__all__ = [
    "DESIGNS",
    "aligned_reflections",
    "clip_rows",
    "focused",
    "get_design",
    "mrt",
    "rzf",
    "scale_per_antenna",
    "scale_total",
    "wmmse",
    "wmmse_mimo",
    "zf",
]
