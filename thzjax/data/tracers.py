"""Path lists of ray tracers as `rays.Paths`: Sionna RT's and DeepMIMO's arrays, from files that hold them by name."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from thzjax.data.rays import Paths, unit_vectors
from thzjax.data.sources import opened
from thzjax.errors import ConfigError

Arrays = Mapping[str, np.ndarray]
DEEPMIMO = {
    "phase": ("phase",),
    "delay": ("delay", "ToA", "toa"),
    "aoa_az": ("aoa_az", "DoA_phi"),
    "aoa_el": ("aoa_el", "DoA_theta"),
    "aod_az": ("aod_az", "DoD_phi"),
    "aod_el": ("aod_el", "DoD_theta"),
}
"""DeepMIMO's arrays in version 4, and what they are called in others."""
SUFFIXES = (".npz", ".h5", ".hdf5", ".mat")


def read_paths(where: Path, freq_hz: float) -> Paths:
    """The paths of one link, from a file of a tracer's arrays or a folder with a file for each of them.

    Sionna RT: `a` (complex, or `a_real` and `a_imag`, or the pair of them stacked), `tau`, and `theta_t`, `phi_t`,
    `theta_r`, `phi_r` where arrays are to be made of single antennas; with one transmitter. DeepMIMO: `power`, `phase`,
    `delay`, `aoa_az`, `aoa_el`, `aod_az`, `aod_el` as `[R, P]`, NaN where there is no path; or version 3's names.

    Args:
      where: the file or folder.
      freq_hz: carrier, for the phase of Sionna's delays [Hz].

    Raises:
      ConfigError: nothing there, arrays missing or of other shapes, or numbers that are not finite.
    """
    arrays = read_all(where)
    if "tau" in arrays:
        return sionna_paths(arrays, freq_hz, where)
    if "power" in arrays:
        return deepmimo_paths(arrays, where)
    raise ConfigError(
        f"{where} holds neither Sionna's paths (a, tau) nor DeepMIMO's (power, phase): it has "
        f"{', '.join(sorted(arrays)) or 'no array'}"
    )


def read_all(where: Path) -> dict[str, np.ndarray]:
    """Every array of numbers in a file, or in the files of a folder, by name.

    Raises:
      ConfigError: nothing there, or two arrays of one name, as of several transmitters.
    """
    files = sorted(file for file in where.iterdir() if file.suffix in SUFFIXES) if where.is_dir() else [where]
    arrays: dict[str, np.ndarray] = {}
    origin: dict[str, Path] = {}
    for file in files:
        with opened(file) as source:
            for name, stored in source.arrays.items():
                if not stored.shape:
                    continue
                if name in arrays:
                    raise ConfigError(
                        f"{name} is in {origin[name].name} and in {file.name} of {where}: keep the files of one "
                        "transmitter and one set of receivers there"
                    )
                arrays[name], origin[name] = stored.take(0, None, 0), file
    return arrays


def sionna_paths(arrays: Arrays, freq_hz: float, where: object) -> Paths:
    """Sionna RT's paths: its coefficients are those of the passband, so each is turned by exp(-j 2 pi f tau).

    Args:
      arrays: `a [num_rx, num_rx_ant, 1, num_tx_ant, P]`, `tau` and angles [rad] like it or `[num_rx, 1, P]`, the angles
        of arrival pointing back; a negative `tau`, or `valid` false, is no path. A leading batch axis of 1 (Sionna
        before 1.0) and a trailing time axis of 1 are taken away.
      freq_hz: carrier f [Hz].
      where: what to call them.

    Raises:
      ConfigError: arrays missing or of other shapes, several transmitters, or numbers that are not finite.

    Source: the documentation of sionna.rt.Paths (versions 1 and 2).
    """
    a = _coefficients(arrays, where)
    tau = _like(arrays, "tau", a, where)
    if tau is None:
        raise ConfigError(f"{where} lacks tau")
    valid = _like(arrays, "valid", a, where)
    there = (tau >= 0) & (np.ones_like(tau, bool) if valid is None else valid.astype(bool))
    tau = np.where(there, tau, 0.0)
    cycles = np.modf(freq_hz * tau)[0]
    amplitude = np.where(there, a, 0) * np.exp(-2j * np.pi * cycles)
    angles = {name: _like(arrays, name, a, where) for name in ("theta_t", "phi_t", "theta_r", "phi_r")}
    # The angles of an array are those of its first antenna; of single antennas there is no other.
    first = {name: None if x is None else np.where(there, x, 0)[:, 0, 0] for name, x in angles.items()}
    directions = [
        None if first[f"theta_{end}"] is None or first[f"phi_{end}"] is None
        else unit_vectors(first[f"theta_{end}"], first[f"phi_{end}"])
        for end in ("t", "r")
    ]  # fmt: skip
    return _finite(Paths(amplitude, tau, *directions), where)


def _coefficients(arrays: Arrays, where: object) -> np.ndarray:
    """`a` as complex `[num_rx, num_rx_ant, num_tx_ant, P]`."""
    if "a_real" in arrays and "a_imag" in arrays:
        if arrays["a_real"].shape != arrays["a_imag"].shape:
            raise ConfigError(f"{where}: a_real and a_imag differ in shape")
        a = arrays["a_real"].astype(np.float64) + 1j * arrays["a_imag"]
    elif "a" in arrays:
        a = arrays["a"]
        if not np.iscomplexobj(a) and a.ndim == 6 and len(a) == 2:
            a = a[0].astype(np.float64) + 1j * a[1]  # the pair that `paths.a` is
    else:
        raise ConfigError(f"{where} lacks a: store paths.a as a complex array, or as a_real and a_imag")
    if not np.iscomplexobj(a):
        raise ConfigError(f"{where}: a is real: store paths.a as a complex array, or as a_real and a_imag")
    a = _without_batch(a, 5)
    if a.ndim != 5 or a.shape[2] != 1:
        raise ConfigError(
            f"{where}: a has shape {a.shape}, [receivers, their antennas, 1, antennas of the transmitter, paths] is "
            "needed: keep one transmitter"
        )
    return a[:, :, 0].astype(np.complex128)


def _without_batch(array: np.ndarray, axes: int) -> np.ndarray:
    """Without a leading batch axis, or a trailing time axis, of length 1."""
    if array.ndim == axes + 2 and array.shape[0] == 1:
        array = array[0]
    return array[..., 0] if array.ndim == axes + 1 and array.shape[-1] == 1 else array


def _like(arrays: Arrays, name: str, a: np.ndarray, where: object) -> np.ndarray | None:
    """An array of the paths in the axes of `a [R, Nr, Nt, P]`; none where there is none."""
    if name not in arrays:
        return None
    x = arrays[name]
    receivers, _, _, paths = a.shape
    if x.ndim in (4, 6) and x.shape[0] == 1:  # a batch
        x = x[0]
    if x.shape == (receivers, 1, paths):
        return x[:, 0][:, None, None, :]
    if x.ndim == 5 and x.shape[2] == 1 and x[:, :, 0].shape == a.shape:
        return x[:, :, 0]
    shape = arrays[name].shape
    raise ConfigError(f"{where}: {name} of shape {shape} does not fit a of {receivers} receivers and {paths} paths")


def deepmimo_paths(arrays: Arrays, where: object) -> Paths:
    """DeepMIMO's paths: amplitude sqrt(power) exp(j phase), the power received of 1 W.

    Args:
      arrays: `[R, P]`, or `[P]` of a single receiver: power [dBW] and phase [deg], delay [s], azimuths and polar angles
        from +z [deg], those of arrival pointing back; NaN where there is no path. With version 3's names the power is
        in W.
      where: what to call them.

    Raises:
      ConfigError: arrays missing or of other shapes, or numbers that are not finite.

    Source: the documentation of DeepMIMO (versions 3 and 4) and what its generators do with these arrays.
    """
    found = {"power": arrays["power"]}
    for name, others in DEEPMIMO.items():
        called = next((other for other in others if other in arrays), None)
        if called is None:
            raise ConfigError(f"{where} lacks {name}: DeepMIMO's paths are power, {', '.join(DEEPMIMO)}")
        found[name] = arrays[called]
    found = {name: np.atleast_2d(x).astype(np.float64) for name, x in found.items()}
    if len({x.shape for x in found.values()}) > 1 or found["power"].ndim != 2:
        text = ", ".join(f"{name} {x.shape}" for name, x in found.items())
        raise ConfigError(f"{where}: the arrays of paths differ in shape, or are not [receivers, paths]: {text}")
    linear = "DoA_phi" in arrays and "aoa_az" not in arrays
    power = found["power"] if linear else 10 ** (found["power"] / 10)
    there = np.isfinite(power) & (power > 0)
    found = {name: np.where(there, x, 0) for name, x in found.items()}
    amplitude = np.sqrt(np.where(there, power, 0)) * np.exp(1j * np.deg2rad(found["phase"]))
    departure, arrival = (
        unit_vectors(np.deg2rad(found[f"{end}_el"]), np.deg2rad(found[f"{end}_az"])) for end in ("aod", "aoa")
    )
    return _finite(Paths(amplitude[:, None, None], found["delay"][:, None, None], departure, arrival), where)


def _finite(paths: Paths, where: object) -> Paths:
    if not all(x is None or np.isfinite(x).all() for x in paths):
        raise ConfigError(f"{where} holds numbers that are not finite where there is a path")
    if np.any(paths.delay_s < 0):
        raise ConfigError(f"{where} holds paths of negative delay")
    return paths
