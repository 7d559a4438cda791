"""Small systems whose channels tests here write and read, and files that hold them."""

import functools

import jax
import numpy as np

from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import build

IRS = IrsScenario(num_antennas=3, num_users=2, surface_shape=(2, 2), num_rays=1)
HRIS = HrisScenario(
    bs_shape=(2, 3),
    surface_shape=(2, 4),
    sensor_shape=(2, 2),
    num_active=3,
    num_users=2,
    num_rays_bs=1,
    num_rays_user=1,
)
SMALL = {"irs": IRS, "hris": HRIS}


@functools.cache
def drawn(name, num=7):
    """(system, params, NumPy arrays by name of some channels)."""
    system, params = build(SMALL[name])
    channels = jax.jit(jax.vmap(system.sample, in_axes=(0, None)))(jax.random.split(jax.random.key(0), num), params)
    return system, params, {field: np.asarray(x) for field, x in vars(channels).items()}


def write_hdf5(path, arrays, units=None):
    import h5py

    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
            if units:
                file[name].attrs["units"] = units.get(name, "")


def write_matlab_73(path, arrays):
    """As MATLAB's `save -v7.3` writes arrays: axes in reverse, complex numbers as pairs, a header before all."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            if np.iscomplexobj(array):
                pair = np.empty(array.T.shape, [("real", array.real.dtype), ("imag", array.real.dtype)])
                pair["real"], pair["imag"] = array.T.real, array.T.imag
                array = pair.T
            file.create_dataset(name, data=array.T)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def write_matlab(path, arrays):
    import scipy.io

    scipy.io.savemat(path, arrays)


WRITERS = {
    "a.npz": lambda path, arrays: np.savez(path, **arrays),
    "a.h5": write_hdf5,
    "a.mat": write_matlab,
    "b.mat": write_matlab_73,
}
"""What writes a file of each kind."""
