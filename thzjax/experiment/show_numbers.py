"""What is shown of a drop: its link budgets down to what a design leaves of them, radiated fields, and the air."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from thzjax.beamforming.anchors import alone_powers
from thzjax.experiment.show import Drop
from thzjax.physics import absorption, link, sensing
from thzjax.systems.budget import Budget
from thzjax.systems.scenario import Scenario
from thzjax.systems.views import link_budgets, view
from thzjax.units import linear_to_db, per_m_to_db_per_km, watt_to_dbm

WINDOW_DB = 1.0
"""A transmission window is where the air takes no more than this from a link."""
LEFT_OUT = 1e-3
"""A design leaves out a user whose signal it keeps below this share of the noise."""
Terms = list[tuple[str, float | None]]


@dataclasses.dataclass(frozen=True)
class Waterfall:
    """A budget to be drawn: gains and noises as (name, dB), none for a subtotal, and the name of signal over noise."""

    gains: Terms
    noises: Terms
    result: str

    @property
    def result_db(self) -> float:
        """Signal over noise [dB]."""
        gains, noises = (sum(x for _, x in terms if x is not None) for terms in (self.gains, self.noises))
        return gains - noises


# Compiled as a whole: eagerly their operations would be compiled one by one, seconds in all.
_budgets = jax.jit(link_budgets, static_argnums=0)
_powers = jax.jit(alone_powers, static_argnums=0)


def _terms(names: tuple[str, ...], values_db: Array) -> Terms:
    return [(name, float(x)) for name, x in zip(names, values_db, strict=True)]


def waterfalls(seen: Drop) -> dict[str, Waterfall]:
    """The budgets of a drop's user, and the target's, down to what the design leaves of them.

    The closed forms (`systems.views.link_budgets`) come first; what the drop and the design change follows as terms of
    its own, each the simulator's number over the one before.
    """
    budgets = _budgets(seen.system, seen.params, seen.position_m)
    names = [name for name in ("over the surface", "direct", "echo") if name in budgets]  # a compiled dict is sorted
    drawn = {name: _closed_form(budgets[name]) for name in names}
    first = names[0]
    drawn[first] = _in_the_drop(seen, budgets[first])
    if "echo" in drawn:
        drawn["echo"] = _echo_in_the_drop(seen, budgets["echo"])
    return drawn


def _closed_form(of: Budget) -> Waterfall:
    return Waterfall(_terms(of.names, of.gains_db), _terms(of.noise_names, of.noises_db), "SNR")


def _in_the_drop(seen: Drop, base: Budget) -> Waterfall:
    """A user's budget with scattered rays, the hardware's phases, the beam that the design gives it, and the others."""
    system, params, channels, k = seen.system, seen.params, seen.channels, seen.user

    def alone(system: Any) -> float:
        return float(watt_to_dbm(_powers(system, params, channels)[0][k]))

    gains = [*_terms(base.names, base.gains_db), ("alone in line of sight", None)]
    ideal, real = alone(view(system).ideal(system)), alone(system)
    gains.append(("scattered rays", ideal - float(base.received_dbm)))
    if view(system).ideal(system) != system:
        gains.append(("phase levels and losses", real - ideal))
    noises = _terms(base.noise_names, base.noises_db)
    if system.spec.user_antennas > 1:  # rates are log-determinants: no beam has an SINR of its own
        return Waterfall(gains, noises, "SNR of one stream")
    H = system.effective_channel(channels, seen.design.reflection)
    power = link.received_powers(H, seen.design.beamformer)[k]
    noise = system.user_noise(params, channels, seen.design.reflection)[k]
    own, others = power[k], jnp.sum(power.at[k].set(0))
    if own < LEFT_OUT * noise:
        return Waterfall(gains, noises, "SNR alone; the design leaves it out")
    gains.append(("beam of the design", float(watt_to_dbm(own)) - real))
    if len(noises) > 1:
        noises[1] = (noises[1][0], float(linear_to_db(noise / params.noise_w)))
    noises.append(("other streams", float(linear_to_db(1 + others / noise))))
    return Waterfall(gains, noises, "SINR")


def _echo_in_the_drop(seen: Drop, base: Budget) -> Waterfall:
    """The echo's budget with what the design lays on the target."""
    system, params, channels, design = seen.system, seen.params, seen.channels, seen.design
    scene = system.scene(params, channels)
    snr = sensing.radar_snr(scene, design.reflection, design.beamformer, params.snapshots, params.noise_w)
    gains = [*_terms(base.names, base.gains_db), ("alone in line of sight", None)]
    gains.append(("rays and design", float(linear_to_db(snr)) - float(base.snr_db)))
    return Waterfall(gains, _terms(base.noise_names, base.noises_db), "SNR of the dwell")


def angle_errors(seen: Drop) -> dict[str, float]:
    """Root of the trace of the angles' bound [deg]: with everything on the target in line of sight, and as designed."""
    shown = view(seen.system)
    if not hasattr(shown, "crb_at_unit_snr"):
        return {}
    echo = _budgets(seen.system, seen.params, seen.position_m)["echo"]
    alone = float(shown.crb_at_unit_snr(seen.system, seen.params)) / 10 ** (float(echo.snr_db) / 10)
    designed = float(seen.system.crb_rad2(seen.params, seen.channels, seen.design))
    return {name: math.degrees(math.sqrt(x)) for name, x in (("target alone", alone), ("as designed", designed))}


# --- radiation ----------------------------------------------------------------------------------------------------


def _by_receiver(system: Any, power_w: Array) -> dict[str, np.ndarray]:
    """EIRP of each user's streams together, and of those that sense, `[S, ...]` to `[...]` by label."""
    spec, power = system.spec, np.asarray(power_w, float)
    found = {
        f"user {k + 1}": power[k * spec.user_streams : (k + 1) * spec.user_streams].sum(axis=0)
        for k in range(spec.users)
    }
    return found | ({"sensing": power[spec.data_streams :].sum(axis=0)} if spec.sensing_streams else {})


def bs_patterns(seen: Drop, angle_deg: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """(EIRP [W] of the base station by receiver, `[L]`, and the direction of what it reaches [deg] by name)."""
    shown = view(seen.system)
    marks, elevation = shown.bs_angles(seen.system, seen.params, seen.channels.user_position_m)
    angle = jnp.deg2rad(jnp.asarray(angle_deg, float))
    power = shown.bs_eirp(seen.system, seen.params, seen.design.beamformer, angle, elevation)
    return _by_receiver(seen.system, power), {name: math.degrees(x) for name, x in marks.items()}


def surface_directions(seen: Drop) -> dict[str, tuple[float, float]]:
    """(azimuth, elevation) [deg] from the surface of everybody who receives, by the label of what is for them."""
    shown = view(seen.system)

    def degrees(position_m: Any) -> tuple[float, float]:
        azimuth, elevation = np.rad2deg(np.asarray(shown.surface_angles(seen.params, jnp.asarray(position_m, float))))
        return float(azimuth), float(elevation)

    nodes = {name: node for name, node in seen.layout.nodes.items() if node.kind in ("user", "target")}
    return {name: degrees(node.position_m) for name, node in nodes.items()}


def surface_patterns(seen: Drop, angle_deg: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """(EIRP [W] of the surface by receiver, each at its receiver's elevation, `[L]`, and its azimuth [deg])."""
    shown = view(seen.system)
    azimuth = jnp.deg2rad(jnp.asarray(angle_deg, float))
    curves, marks = {}, {}
    for name, (own_azimuth, elevation) in surface_directions(seen).items():
        level = jnp.full_like(azimuth, math.radians(elevation))
        power = shown.surface_eirp(seen.system, seen.params, seen.channels, seen.design, azimuth, level)
        by_receiver = _by_receiver(seen.system, power)
        label = f"{name}, elevation {elevation:.0f}°"
        curves[label] = by_receiver.get("sensing" if name == "target" else name, 0 * np.asarray(angle_deg, float))
        marks[label] = own_azimuth
    return curves, marks


def surface_field(seen: Drop, azimuth_deg: np.ndarray, elevation_deg: np.ndarray) -> np.ndarray:
    """EIRP [W] of the surface, all streams together, over azimuth and elevation, `[E, A]`."""
    azimuth, elevation = jnp.meshgrid(*(jnp.deg2rad(jnp.asarray(x, float)) for x in (azimuth_deg, elevation_deg)))
    power = view(seen.system).surface_eirp(seen.system, seen.params, seen.channels, seen.design, azimuth, elevation)
    return np.asarray(jnp.sum(power, axis=0), float)


# --- air ----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Air:
    """Absorption round a carrier [dB/km], and its windows.

    Attributes:
      freq_hz: `[F]`.
      curves: by label, `[F]`.
      windows: (lower, upper) edges [Hz].
      limit_db_per_km: of a window.
      path_m: of the link that the limit is meant for.
      carrier_hz, carrier_db_per_km: what the scenario reckons with.
    """

    freq_hz: np.ndarray
    curves: dict[str, np.ndarray]
    windows: list[tuple[float, float]]
    limit_db_per_km: float
    path_m: float
    carrier_hz: float
    carrier_db_per_km: float


def air(scenario: Scenario, seen: Drop, points: int = 1200) -> Air | None:
    """ITU-R P.676's absorption of the scenario's air from 0.6 to 1.5 times the carrier; none outside its band.

    A window is where the path to the user loses at most `WINDOW_DB`.
    """
    low, high = absorption.P676_BAND_HZ
    if not low <= scenario.freq_hz <= high:
        return None
    freq = np.linspace(max(0.6 * scenario.freq_hz, low), min(1.5 * scenario.freq_hz, high), points)
    medium = (scenario.dry_pressure_pa, scenario.temperature_k, scenario.vapour_density_kg_m3)
    k = {label: np.asarray(absorption.p676_attenuation(freq, *medium, part=part), float)
         for label, part in (("P.676, the scenario's air", "total"), ("P.676, its dry part", "dry"))}  # fmt: skip
    name = f"user {seen.user + 1}"
    through = [link for link in seen.layout.links if {link.start, link.end} in ({"BS", "surface"}, {"surface", name})]
    straight = [link for link in seen.layout.links if {link.start, link.end} == {"BS", name}]
    path = sum(link.length_m for link in through or straight)
    limit = WINDOW_DB * math.log(10) / 10 / path
    return Air(
        freq_hz=freq,
        curves={label: per_m_to_db_per_km(values) for label, values in k.items()},
        windows=absorption.transmission_windows(freq, k["P.676, the scenario's air"], limit),
        limit_db_per_km=per_m_to_db_per_km(limit),
        path_m=path,
        carrier_hz=scenario.freq_hz,
        carrier_db_per_km=per_m_to_db_per_km(float(seen.params.k_abs)),
    )
