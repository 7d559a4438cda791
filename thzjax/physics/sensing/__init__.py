"""Sensing: echoes, Fisher information and Cramér-Rao bounds, detection, estimation, range and velocity."""

from thzjax.physics.sensing.detection import detection_probability, marcum_q
from thzjax.physics.sensing.estimation import ml_angles, simulate_echo
from thzjax.physics.sensing.fisher import (
    autodiff_fisher_information,
    crb,
    crb_rank_one,
    fisher_information,
    multi_target_fisher_information,
    radar_snr,
    sensing_crb,
)
from thzjax.physics.sensing.radar import radar_amplitude, radar_channel, radar_signal, swerling_gain, target_response
from thzjax.physics.sensing.ranging import range_crb, velocity_crb
from thzjax.physics.sensing.scene import (
    SensingScene,
    echo_matrix,
    focused_illumination,
    illumination,
    line_of_sight_scene,
)

__all__ = [
    "SensingScene",
    "autodiff_fisher_information",
    "crb",
    "crb_rank_one",
    "detection_probability",
    "echo_matrix",
    "fisher_information",
    "focused_illumination",
    "illumination",
    "line_of_sight_scene",
    "marcum_q",
    "ml_angles",
    "multi_target_fisher_information",
    "radar_amplitude",
    "radar_channel",
    "radar_signal",
    "radar_snr",
    "range_crb",
    "sensing_crb",
    "simulate_echo",
    "swerling_gain",
    "target_response",
    "velocity_crb",
]
