"""Realisations per second of the physics kernels: well vectorised NumPy, a naive vmap, and thzjax, on one input.

    python -m benchmarks.kernels [--cores 1] [--only NAME ...]

JSON lines on standard output. Each line has the speeds, their ratio, the compile time, and the share of the machine's
measured peaks: operations by XLA's count over the matrix-product peak, and inputs plus outputs over the copy peak.
"""

import argparse

from . import frame


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=1, help="CPU cores to run on (default 1)")
    parser.add_argument("--only", nargs="*", default=None, metavar="NAME", help="kernels to run (default all)")
    parser.add_argument("--quick", action="store_true", help="only those that NumPy has in the same form")
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    frame.pin(options.cores)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from thzjax import beamforming  # noqa: E402
from thzjax.physics import absorption, beampattern, channels, link, sensing  # noqa: E402
from thzjax.systems.scenario import build, preset  # noqa: E402

RNG = np.random.default_rng(0)
TARGETS, WIDTH = np.radians([-40.0, 0.0, 40.0]), np.radians(10.0)
NOISE, SNAPSHOTS = 4e-12, 4096.0


def normal(*shape: int) -> np.ndarray:
    """Complex normal, complex64."""
    return ((RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)) / np.sqrt(2)).astype(np.complex64)


def hermitian(x: np.ndarray) -> np.ndarray:
    """Conjugate transpose."""
    return np.conj(np.swapaxes(x, -1, -2))


class Kernel:
    """One kernel: inputs of a batch, and up to three ways to compute it.

    `numpy` and `thzjax` take the whole batch, `naive` one realisation (it is vmapped and jitted).
    """

    def __init__(self, inputs, numpy=None, naive=None, thzjax=None, numpy_share=1):
        self.inputs, self.numpy, self.naive, self.thzjax = inputs, numpy, naive, thzjax
        self.numpy_share = numpy_share  # NumPy is timed on a part of the batch where the whole takes too long


# --- cascade and SINR ---------------------------------------------------------------------------------------


def cascade_sinr() -> Kernel:
    batch = 1 << 14
    inputs = normal(batch, 4, 5), normal(batch, 4, 16), normal(batch, 16), normal(batch, 16, 5), normal(batch, 5, 4)

    def with_numpy(direct, to_user, psi, G, W):
        H = direct + (to_user * psi[:, None, :]) @ G
        power = np.abs(H @ W) ** 2
        own = np.diagonal(power, axis1=-2, axis2=-1)
        return own / (power.sum(axis=-1) - own + 0.5)

    def one(direct, to_user, psi, G, W):
        power = jnp.abs((direct + to_user @ jnp.diag(psi) @ G) @ W) ** 2
        own = jnp.diagonal(power)
        return own / (power.sum(axis=-1) - own + 0.5)

    def ours(direct, to_user, psi, G, W):
        return link.sinr(link.cascaded_channel(direct, to_user, psi, G), W, 0.5)

    return Kernel(inputs, with_numpy, one, ours)


# --- beam-pattern error -------------------------------------------------------------------------------------


def beam_error() -> Kernel:
    batch = 1 << 14
    W = normal(batch, 5, 4)
    grid = beampattern.pattern_grid()
    desired = beampattern.desired_pattern(grid, TARGETS, WIDTH)
    gram = beampattern.pattern_gram(5, desired, grid)
    a_grid = np.exp(-1j * np.pi * np.arange(5) * np.sin(np.asarray(grid))[:, None]).astype(np.complex64) / np.sqrt(5)
    wanted = np.asarray(desired)

    def with_numpy(W):
        radiated = np.sum(np.abs(a_grid.conj() @ W) ** 2, axis=-1)
        return np.mean((wanted - radiated) ** 2, axis=-1)

    def one(W):
        R = W @ W.conj().T
        radiated = jnp.real(jnp.einsum("lm,mn,ln->l", a_grid.conj(), R, a_grid))
        return jnp.mean((desired - radiated) ** 2)

    def ours(W):
        return beampattern.beam_pattern_error_gram(beampattern.transmit_covariance(W), gram)

    return Kernel((W,), with_numpy, one, ours, numpy_share=16)


def beam_error_from_covariance() -> Kernel:
    batch = 1 << 17
    W = normal(batch, 5, 4)
    R = W @ hermitian(W)
    grid = beampattern.pattern_grid()
    gram = beampattern.pattern_gram(5, beampattern.desired_pattern(grid, TARGETS, WIDTH), grid)
    quadratic, linear, constant = np.asarray(gram.quadratic), np.asarray(gram.linear), float(gram.constant)

    def with_numpy(R):
        lags = np.stack([np.trace(R, offset=-q, axis1=-2, axis2=-1) for q in range(5)], axis=-1)
        t = np.concatenate([lags.real, lags.imag[:, 1:]], axis=-1)
        return np.sum(t * (t @ quadratic), axis=-1) - 2 * t @ linear + constant

    return Kernel((R,), with_numpy, None, lambda R: beampattern.beam_pattern_error_gram(R, gram))


# --- bound --------------------------------------------------------------------------------------------------


def crb() -> Kernel:
    batch = 1024
    G, psi, W = 1e-4 * normal(batch, 80, 64), normal(batch, 80), normal(batch, 64, 5)
    azimuth, elevation = RNG.uniform(-0.5, 0.5, (2, batch)).astype(np.float32)
    inputs = G, psi, W, azimuth, elevation, 1e-5 * normal(batch)
    rows, cols = (np.divmod(np.arange(n), c) for n, c in ((80, 10), (20, 5)))

    def steer(np_, index, az, el):
        r, c = index[0] - index[0].mean(), index[1] - index[1].mean()
        ca, sa, ce, se = (f(x)[..., None] for x in (az, el) for f in (np_.cos, np_.sin))
        v = np_.exp(1j * np.pi * (r * ce * sa + c * se))
        return v, 1j * np.pi * r * ce * ca * v, 1j * np.pi * (c * ce - r * se * sa) * v

    def explicit(np_, G, psi, W, az, el, beta):
        b, b_az, b_el = steer(np_, cols, az, el)
        v, v_az, v_el = steer(np_, rows, az, el)
        PG = psi[..., :, None] * G

        def echo(b, v):
            return (b[..., :, None] * (v[..., None, :] @ PG)) @ W

        slopes = [beta[..., None, None] * (echo(x, v) + echo(b, y)) for x, y in ((b_az, v_az), (b_el, v_el))]
        base = echo(b, v)
        columns = np_.stack([x.reshape(*x.shape[:-2], -1) for x in (*slopes, base, 1j * base)], axis=-1)
        scale = 2 * SNAPSHOTS / NOISE
        J = scale * np_.real(np_.swapaxes(columns.conj(), -1, -2) @ columns)
        return np_.linalg.inv(J)[..., :2, :2]

    def ours(G, psi, W, az, el, beta):
        scene = sensing.SensingScene(G, az, el, beta, (8, 10), (4, 5))
        return sensing.sensing_crb(scene, psi, W, SNAPSHOTS, NOISE)

    return Kernel(inputs, lambda *a: explicit(np, *a), lambda *a: explicit(jnp, *a), ours, numpy_share=4)


# --- beamformers --------------------------------------------------------------------------------------------


def zf() -> Kernel:
    def with_numpy(H):
        W = hermitian(np.linalg.solve(H @ hermitian(H), H))
        return W / np.linalg.norm(W, axis=-2, keepdims=True)

    def one(H):
        W = H.conj().T @ jnp.linalg.inv(H @ H.conj().T)
        return W / jnp.linalg.norm(W, axis=-2, keepdims=True)

    return Kernel((normal(1 << 15, 4, 5),), with_numpy, one, beamforming.zf)


def _wmmse_numpy(H: np.ndarray, W: np.ndarray, iterations: int) -> np.ndarray:
    """The implicit form in K x K matrices, noise 0.1 and power 1."""
    gram = H @ hermitian(H)
    T, power = H @ W, np.sum(np.abs(W) ** 2, axis=(-2, -1))
    eye = np.eye(4, dtype=np.float32)
    for _ in range(iterations):
        total = np.sum(np.abs(T) ** 2, axis=-1) + 0.1 * power[:, None]
        u = np.diagonal(T, axis1=-2, axis2=-1) / total
        omega = 1 / (1 - np.abs(u) ** 2 * total)
        d = omega * np.abs(u) ** 2
        ridge = 0.1 * np.sum(d, axis=-1)[:, None, None] * eye
        Z = np.linalg.solve(d[:, :, None] * gram + ridge, (omega * u)[:, :, None] * eye)
        T = gram @ Z
        power = np.sum((Z.conj() * T).real, axis=(-2, -1))
    W = hermitian(H) @ Z
    return W / np.sqrt(np.sum(np.abs(W) ** 2, axis=(-2, -1), keepdims=True))


def wmmse_20() -> Kernel:
    H = normal(4096, 4, 5)
    W0 = hermitian(H) / np.linalg.norm(H, axis=(-2, -1))[:, None, None]

    def one(H, W):
        def step(W, _):
            received = H @ W
            total = jnp.sum(jnp.abs(received) ** 2, axis=-1) + 0.1 * jnp.sum(jnp.abs(W) ** 2)
            u = jnp.diagonal(received) / total
            omega = 1 / (1 - jnp.abs(u) ** 2 * total)
            d = omega * jnp.abs(u) ** 2
            A = (H.conj().T * d) @ H + 0.1 * jnp.sum(d) * jnp.eye(5)
            return jnp.linalg.solve(A, H.conj().T * (omega * u)), None

        W, _ = jax.lax.scan(step, W, None, length=20)
        return W / jnp.linalg.norm(W)

    def ours(H, W):
        return beamforming.wmmse(H, W, 0.1, 1.0, 20, multiplier="implicit")[0]

    return Kernel((H, W0), lambda H, W: _wmmse_numpy(H, W, 20), one, ours)


def wmmse_20_bisection() -> Kernel:
    H, W0 = wmmse_20().inputs
    return Kernel((H, W0), None, None, lambda H, W: beamforming.wmmse(H, W, 0.1, 1.0, 20)[0])


def wmmse_20_per_antenna() -> Kernel:
    H, W0 = wmmse_20().inputs
    return Kernel((H, W0), None, None, lambda H, W: beamforming.wmmse(H, W, 0.1, 1.0, 20, constraint="per_antenna")[0])


# --- channels -----------------------------------------------------------------------------------------------


def channel_draws() -> Kernel:
    """`paper-a`: three links of a line of sight and three rays each for 4 users, 5 antennas, 16 elements."""
    batch = 1 << 13
    system, params = build(preset("paper-a"))
    rng = np.random.default_rng(1)
    k, m, n, rays = 4, 5, 16, 3
    rows, cols = np.divmod(np.arange(n), 4)

    def direct_link(cosine):
        weight = np.exp(2j * np.pi * rng.random(cosine.shape, np.float32))
        row = np.exp(1j * np.pi * cosine[..., None] * np.arange(m, dtype=np.float32))
        return np.einsum("...p,...pm->...m", weight, row)

    def with_numpy(_):
        uniform = rng.random((batch, k, 2), np.float32)
        radius, angle = 2.5 * np.sqrt(uniform[..., 0]), 2 * np.pi * uniform[..., 1]
        user = np.stack([4 + radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
        distance = np.linalg.norm(user, axis=-1)
        direct_u = np.concatenate([(user[..., 1] / distance)[..., None], rng.random((batch, k, rays), np.float32)], -1)
        direct = direct_link(direct_u) / distance[..., None]
        to_surface = 2 * rng.random((3, batch, rays + 1), np.float32) - 1
        phase = to_surface[0][..., None] * rows + to_surface[1][..., None] * cols
        at_surface = np.exp(1j * np.pi * phase)
        from_bs = np.exp(1j * np.pi * to_surface[2][..., None] * np.arange(m, dtype=np.float32))
        weight = np.exp(2j * np.pi * rng.random((batch, 1, rays + 1), np.float32))
        G = (weight * np.swapaxes(at_surface, -1, -2)) @ from_bs
        angles = 2 * rng.random((2, batch, k, rays + 1), np.float32) - 1
        response = np.exp(1j * np.pi * (angles[0][..., None] * rows + angles[1][..., None] * cols))
        weight = np.exp(2j * np.pi * rng.random((batch, k, 1, rays + 1), np.float32))
        return direct, G, (weight @ response)[..., 0, :]

    draw = jax.vmap(system.sample, in_axes=(0, None))
    return Kernel((np.zeros(batch, np.float32),), with_numpy, None,
                  lambda x: draw(jax.random.split(jax.random.key(x[0].astype(jnp.int32)), batch), params))  # fmt: skip


def wideband() -> Kernel:
    """8 rays between 4 x 4 and 2 x 2 antennas over 64 subcarriers, with squint."""
    batch, offset = 256, channels.subcarrier_offsets(1e10, 64)
    amplitude, delay = normal(batch, 8), RNG.uniform(0, 1e-8, (batch, 8)).astype(np.float32)
    angles = RNG.uniform(-0.8, 0.8, (4, batch, 8)).astype(np.float32)
    shapes = [np.divmod(np.arange(r * c), c) for r, c in ((2, 2), (4, 4))]
    f = np.asarray(offset)

    def with_numpy(amplitude, delay, *angles):
        ratio = (1 + f / 3e11)[:, None]

        def response(az, el, index):
            turn = np.cos(el) * np.sin(az)
            phase = (turn[:, None] * ratio)[..., None] * index[0] + (np.sin(el)[:, None] * ratio)[..., None] * index[1]
            return np.exp(1j * np.pi * phase.astype(np.float32))

        weight = amplitude[:, None] * np.exp(-2j * np.pi * f[:, None] * delay[:, None])
        arrival, departure = response(*angles[:2], shapes[0]), response(*angles[2:], shapes[1])
        return np.swapaxes(weight[..., None] * arrival, -1, -2) @ departure

    def ours(amplitude, delay, *angles):
        return channels.wideband_channel(channels.Rays(amplitude, delay, *angles), offset, 3e11, (2, 2), (4, 4))

    return Kernel((amplitude, delay, *angles), with_numpy, None, ours)


def mimo_rates() -> Kernel:
    def with_numpy(H, W):
        received = np.einsum("bkrm,blmd->bklrd", H, W)
        covariance = received @ hermitian(received)
        every = np.sum(covariance, axis=2) + 0.1 * np.eye(4)
        own = covariance[:, np.arange(4), np.arange(4)]
        return (np.linalg.slogdet(every)[1] - np.linalg.slogdet(every - own)[1]) / np.log(2)

    return Kernel((normal(4096, 4, 4, 5), normal(4096, 4, 5, 4)), with_numpy, None,
                  lambda H, W: link.mimo_rates(H, W, 0.1))  # fmt: skip


def p676() -> Kernel:
    freq = RNG.uniform(1e11, 1e12, 1 << 13).astype(np.float32)
    oxygen, water = (absorption._lines(f"p676_{name}.txt") for name in ("oxygen", "water_vapour"))

    def with_numpy(freq):
        f, p, e, theta = freq[:, None] / 1e9, 1013.25, 7.5 * 288.15 / 216.7, 300 / 288.15
        f0, a1, a2, a3, a4, a5, a6 = oxygen
        strength = a1 * 1e-7 * p * theta**3 * np.exp(a2 * (1 - theta))
        width = np.sqrt((a3 * 1e-4 * (p * theta ** (0.8 - a4) + 1.1 * e * theta)) ** 2 + 2.25e-6)
        delta = (a5 + a6 * theta) * 1e-4 * (p + e) * theta**0.8
        shape = (width - delta * (f0 - f)) / ((f0 - f) ** 2 + width**2)
        shape = f / f0 * (shape + (width - delta * (f0 + f)) / ((f0 + f) ** 2 + width**2))
        total = np.sum(strength * shape, axis=-1)
        f0, b1, b2, b3, b4, b5, b6 = water
        strength = b1 * 0.1 * e * theta**3.5 * np.exp(b2 * (1 - theta))
        width = b3 * 1e-4 * (p * theta**b4 + b5 * e * theta**b6)
        width = 0.535 * width + np.sqrt(0.217 * width**2 + 2.1316e-12 * f0**2 / theta)
        shape = f / f0 * (width / ((f0 - f) ** 2 + width**2) + width / ((f0 + f) ** 2 + width**2))
        total += np.sum(strength * shape, axis=-1)
        d = 5.6e-4 * (p + e) * theta**0.8
        f = f[:, 0]
        continuum = 6.14e-5 / (d * (1 + (f / d) ** 2)) + 1.4e-12 * p * theta**1.5 / (1 + 1.9e-5 * f**1.5)
        return 0.182 * f * (total + f * p * theta**2 * continuum) * np.log(10) / 1e4

    return Kernel((freq,), with_numpy, None, lambda f: absorption.p676_attenuation(f, 101325.0, 288.15, 7.5e-3))


KERNELS = {
    "cascade_sinr (K 4, M 5, N 16)": cascade_sinr,
    "beam_error from W (M 5)": beam_error,
    "beam_error from R (M 5)": beam_error_from_covariance,
    "crb (M 64, N 80, 20 sensors)": crb,
    "zf (4 x 5)": zf,
    "wmmse 20 implicit (4 x 5)": wmmse_20,
    "wmmse 20 bisection (4 x 5)": wmmse_20_bisection,
    "wmmse 20 per antenna (4 x 5)": wmmse_20_per_antenna,
    "channel draws (paper-a)": channel_draws,
    "wideband (64 subcarriers, 8 rays)": wideband,
    "mimo_rates (K 4, R 4, M 5)": mimo_rates,
    "p676 (79 lines)": p676,
}


def run(name: str, kernel: Kernel, peak: dict[str, float]) -> None:
    """Time every way, check that they agree, and print one line."""
    record: dict[str, object] = {"kernel": name}
    batch = len(kernel.inputs[0])
    inputs = tuple(jnp.asarray(x) for x in kernel.inputs)
    if kernel.numpy:
        part = tuple(x[: batch // kernel.numpy_share] for x in kernel.inputs)
        theirs = frame.measure(lambda: kernel.numpy(*part), repeats=5)
        record |= {"numpy_per_s": len(part[0]) / theirs.seconds, "numpy_spread": theirs.slowest / theirs.fastest}
    if kernel.naive:
        naive = jax.jit(jax.vmap(kernel.naive))
        record |= {
            "vmap_per_s": batch / frame.measure(lambda: jax.block_until_ready(naive(*inputs)), repeats=5).seconds
        }
    compiled, compile_s = frame.compiled(jax.jit(kernel.thzjax), *inputs)
    ours = frame.measure(lambda: compiled(*inputs))
    median = ours.seconds
    record |= {"thzjax_per_s": batch / median, "thzjax_spread": ours.slowest / ours.fastest, "compile_s": compile_s}
    if kernel.numpy:
        record["thzjax_over_numpy"] = record["thzjax_per_s"] / record["numpy_per_s"]
        if not name.startswith("channel"):  # draws differ
            count = batch // kernel.numpy_share
            ours, theirs = np.asarray(compiled(*inputs))[:count], kernel.numpy(*part)
            record["largest_difference"] = float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))
    cost = compiled.cost_analysis() or {}
    moved = sum(x.nbytes for x in jax.tree.leaves((inputs, compiled(*inputs))))
    record["share_of_matmul_peak"] = cost.get("flops", float("nan")) / median / 1e9 / peak["matmul_gflops"]
    record["share_of_copy_peak"] = moved / median / 1e9 / peak["copy_gb_s"]
    frame.emit(record | frame.environment())


if __name__ == "__main__":
    measured = frame.peaks()
    frame.emit({"peaks": "this machine"} | measured | frame.environment())
    for label, make in KERNELS.items():
        if options.only is not None and not any(label.startswith(name) for name in options.only):
            continue
        kernel = make()
        if kernel.numpy or not options.quick:
            run(label, kernel, measured)
