"""Paper A's system as one would write it well in NumPy: every environment at once, no Python loop over any of them.

What `thzjax.envs` is measured against, and stable-baselines3 steps through. It shares no code with thzjax and takes the
same numbers, and `tests/envs/test_numpy_environment.py` finds the same rates and slack on the same channels.
"""

from typing import Any, NamedTuple

import numpy as np

LIGHT = 299_792_458.0


class Drop(NamedTuple):
    """Channels of a batch: direct `[B, K, M]`, base station to surface `[B, N, M]`, surface to users `[B, K, N]`."""

    direct: np.ndarray
    to_surface: np.ndarray
    to_users: np.ndarray


class Seen(NamedTuple):
    """What action and observation derive once from a drop: users by strength, and their paths over the surface."""

    order: np.ndarray
    paths: np.ndarray
    strength: np.ndarray


class NumpyEnvironment:
    """`batch` environments of paper A, structured actions `[B, 4K - 1]` in, a drop kept for `horizon` steps.

    Args:
      numbers: the system's parameters by name, as floats and vectors (`thzjax.systems.irs_params.Params`).
      desired: wanted beam pattern on `grid_rad`.
    """

    def __init__(
        self,
        numbers: dict[str, Any],
        desired: np.ndarray,
        grid_rad: np.ndarray,
        batch: int,
        horizon: int = 1,
        seed: int = 0,
        antennas: int = 5,
        users: int = 4,
        shape: tuple[int, int] = (4, 4),
        rays: int = 3,
        bits: int = 3,
    ) -> None:
        self.p, self.batch, self.horizon, self.rng = numbers, batch, horizon, np.random.default_rng(seed)
        self.M, self.K, self.shape, self.rays, self.levels = antennas, users, shape, rays, 2**bits
        self.N = shape[0] * shape[1]
        self.actions = 4 * users - 1
        self.pairs = np.triu_indices(users, 1)
        # The pattern is (r_0 + 2 Re sum_d r_d e^(j pi d sin))/M in the sums r_d of the covariance's diagonals.
        lags = np.exp(1j * np.pi * np.arange(antennas) * np.sin(grid_rad)[:, None])
        basis = np.concatenate([lags.real[:, :1], 2 * lags.real[:, 1:], -2 * lags.imag[:, 1:]], axis=1) / antennas
        self.quadratic = (basis.T @ basis / len(grid_rad)).astype(np.float32)
        self.linear = (basis.T @ desired / len(grid_rad)).astype(np.float32)
        self.constant = float(np.mean(desired**2))

    # --- drops ----------------------------------------------------------------------------------------------

    def draw(self) -> Drop:
        """A fresh drop for every environment."""
        p, B, K, rays = self.p, self.batch, self.K, self.rays
        uniform = lambda *shape: self.rng.random((B, *shape), np.float32)  # noqa: E731
        radius, turn = p["users_radius_m"] * np.sqrt(uniform(K)), 2 * np.pi * uniform(K)
        spread = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.zeros_like(turn)], axis=-1)
        users = p["users_centre_m"] + spread
        direct, across, onward = (
            users - p["bs_position_m"],
            (p["surface_position_m"] - p["bs_position_m"])[None],
            users - p["surface_position_m"],
        )
        w_direct = self._weights(direct, p["bs_gain"] * p["user_gain"] * p["blockage"], uniform(K, rays + 1))
        w_across = self._weights(across, p["bs_gain"] * p["element_gain"], uniform(rays + 1))
        w_onward = self._weights(onward, p["element_gain"] * p["user_gain"], uniform(K, rays + 1))
        u_direct, u_across, u_onward = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (direct, across, onward))
        join = lambda one, rest: np.concatenate([np.broadcast_to(one[..., None], (*rest.shape[:-1], 1)), rest], -1)  # noqa: E731
        leaves = self._line(join(u_direct[..., 1], np.sin(np.pi * (uniform(K, rays) - 0.5))))
        leaves_bs = self._line(join(u_across[..., 1], 2 * uniform(rays) - 1))
        arrives = self._plane(
            join(-u_across[..., 0], 2 * uniform(rays) - 1), join(-u_across[..., 2], 2 * uniform(rays) - 1)
        )
        goes_on = self._plane(
            join(u_onward[..., 0], 2 * uniform(K, rays) - 1), join(u_onward[..., 2], 2 * uniform(K, rays) - 1)
        )
        return Drop(
            (w_direct[..., None, :] @ leaves)[..., 0, :],
            np.swapaxes(w_across[..., None] * arrives, -1, -2) @ leaves_bs,
            (w_onward[..., None, :] @ goes_on)[..., 0, :],
        )

    def _weights(self, offset: np.ndarray, gain: float, uniform: np.ndarray) -> np.ndarray:
        """Complex weight of the line of sight and of every ray."""
        p, dist = self.p, np.linalg.norm(offset, axis=-1)
        amplitude = LIGHT / (4 * np.pi * p["freq_hz"] * dist) * np.exp(-p["k_abs"] * dist / 2) * np.sqrt(gain)
        factor = p["rician_factor"]
        mix = np.full(self.rays + 1, p["ray_reflection"] / np.sqrt(1 + factor))
        mix[0] = np.sqrt(factor / (1 + factor))
        return (amplitude[..., None] * mix * np.exp(2j * np.pi * uniform)).astype(np.complex64)

    def _line(self, cosine: np.ndarray) -> np.ndarray:
        """Response of the base station's line, `[..., M]`."""
        return np.exp(1j * np.pi * cosine[..., None] * np.arange(self.M, dtype=np.float32)).astype(np.complex64)

    def _plane(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """Response of the surface, `[..., N]`."""
        a, b = (np.exp(1j * np.pi * x[..., None] * np.arange(n)) for x, n in zip((rows, cols), self.shape, strict=True))
        return (a[..., :, None] * b[..., None, :]).reshape(*rows.shape, self.N).astype(np.complex64)

    # --- what is seen -----------------------------------------------------------------------------------------

    def look(self, drop: Drop) -> Seen:
        """Users by the strength that the surface, focused on each, would give them."""
        G, h, d = drop.to_surface, drop.to_users, drop.direct
        first = np.argmax(np.sum(np.abs(G) ** 2, axis=-2), axis=-1)
        w = np.broadcast_to(np.eye(self.M, dtype=np.complex64)[first][:, None], d.shape)
        for _ in range(2):
            through = h * (w @ np.swapaxes(G, -1, -2))
            straight = np.sum(d * w, axis=-1)
            psi = np.exp(1j * (np.angle(straight)[..., None] - np.angle(through)))
            row = d + (h * psi) @ G
            norm2 = np.sum(np.abs(row) ** 2, axis=-1)
            w = np.conj(row) / np.sqrt(norm2)[..., None]
        order = np.argsort(-norm2, axis=-1)
        paths = np.abs(h) * np.conj(psi)
        paths = np.take_along_axis(paths / np.linalg.norm(paths, axis=-1, keepdims=True), order[..., None], axis=-2)
        overlap = np.sum(np.conj(paths[:, :1]) * paths, axis=-1, keepdims=True)
        paths = paths * np.exp(-1j * np.angle(overlap))
        return Seen(order, paths, np.take_along_axis(norm2, order, axis=-1))

    def observe(self, drop: Drop, seen: Seen) -> np.ndarray:
        """Overlaps, gains and directions, real, `[B, 2K(K-1) + 2K + 2KM]`."""
        rows = np.take_along_axis(
            self.rows(drop, self.snap(-np.angle(seen.paths[:, 0]))), seen.order[..., None], axis=-2
        )
        norm = np.linalg.norm(rows, axis=-1)
        direction = rows / norm[..., None]
        direction = direction * np.exp(-1j * np.angle(direction[..., :1]))
        over_noise = self.p["power_w"] / self.p["noise_w"]
        between = [(x @ np.conj(np.swapaxes(x, -1, -2)))[:, *self.pairs] for x in (seen.paths, direction)]
        return np.concatenate(
            [
                *(part for pair in between for part in (pair.real, pair.imag)),
                np.log1p(seen.strength * over_noise) / 2,
                np.log1p(norm**2 * over_noise) / 2,
                direction.real.reshape(self.batch, -1),
                direction.imag.reshape(self.batch, -1),
            ],
            axis=-1,
        ).astype(np.float32)

    def snap(self, phase: np.ndarray) -> np.ndarray:
        """Reflections of the nearest levels."""
        unit = 2 * np.pi / self.levels
        return np.exp(1j * unit * np.round(phase / unit)).astype(np.complex64)

    def rows(self, drop: Drop, psi: np.ndarray) -> np.ndarray:
        """The effective channel, `[B, K, M]`."""
        return drop.direct + (drop.to_users * psi[:, None]) @ drop.to_surface

    # --- designs and what they bring ----------------------------------------------------------------------------

    def design(self, drop: Drop, seen: Seen, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Beams `[B, M, K]` and reflections `[B, N]` of structured actions."""
        p, K = self.p, self.K
        log_power, log_weight, real, imag, level = np.split(action, [K, 2 * K, 3 * K - 1, 4 * K - 2], axis=-1)
        z = np.concatenate([np.ones_like(real[:, :1]), real + 1j * imag], axis=-1)
        psi = self.snap(-np.angle(np.sum(z[..., None] * seen.paths, axis=-2)))
        H = np.take_along_axis(self.rows(drop, psi), seen.order[..., None], axis=-2) * np.sqrt(
            p["power_w"] / p["noise_w"]
        )
        gram = H @ np.conj(np.swapaxes(H, -1, -2))
        gram[:, np.arange(K), np.arange(K)] += K * np.exp(-2 * np.clip(log_weight, -4, 4))
        W = np.conj(np.swapaxes(np.linalg.solve(gram, H), -1, -2))
        share = np.exp(2 * (log_power - log_power.max(axis=-1, keepdims=True)))
        share /= share.sum(axis=-1, keepdims=True)
        W = W * (np.sqrt(share) / np.linalg.norm(W, axis=-2))[:, None]
        W = np.take_along_axis(W, np.argsort(seen.order, axis=-1)[:, None], axis=-1)
        largest = np.sum(np.abs(W) ** 2, axis=-1).max(axis=-1)
        W = W * np.sqrt(p["power_w"] / self.M / largest)[:, None, None]
        linear, quadratic = self._pattern(W)
        budget = np.exp(0.5 * np.clip(level[:, 0], -8, 8)) * p["pattern_threshold"]
        inside = np.maximum(linear**2 - quadratic * (self.constant - budget), 0)
        scale = np.minimum((linear + np.sqrt(inside)) / quadratic, 1)
        return W * np.sqrt(scale)[:, None, None], psi

    def _pattern(self, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(l, q) of the error constant - 2 l s + q s^2 of beams whose powers are multiplied by s."""
        R = W @ np.conj(np.swapaxes(W, -1, -2)) / self.p["p_ref_w"]
        sums = np.stack([np.trace(R, -lag, -2, -1) for lag in range(self.M)], axis=-1)
        r = np.concatenate([sums.real, sums.imag[:, 1:]], axis=-1)
        return r @ self.linear, np.sum(r @ self.quadratic * r, axis=-1)

    def outcome(self, drop: Drop, W: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Rates `[B, K]` and the slack of both constraints `[B]`."""
        power = np.abs(self.rows(drop, psi) @ W) ** 2
        own = np.diagonal(power, axis1=-2, axis2=-1)
        rates = np.log2(1 + own / (power.sum(axis=-1) - own + self.p["noise_w"]))
        linear, quadratic = self._pattern(W)
        error = self.constant - 2 * linear + quadratic
        antenna = np.sum(np.abs(W) ** 2, axis=-1).max(axis=-1)
        return rates, {
            "antenna_power": 1 - antenna * self.M / self.p["power_w"],
            "beam_pattern": 1 - error / self.p["pattern_threshold"],
        }

    # --- episodes -------------------------------------------------------------------------------------------

    def reset(self) -> np.ndarray:
        """New episodes; observations `[B, 72]` at K = 4, M = 5."""
        self.drop = self.draw()
        self.seen = self.look(self.drop)
        self.obs, self.steps = self.observe(self.drop, self.seen), 0
        return self.obs

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool, dict[str, np.ndarray]]:
        """(observations, sum rates `[B]`, whether the episodes ended, slack); ended episodes begin anew."""
        rates, slack = self.outcome(self.drop, *self.design(self.drop, self.seen, action))
        self.steps += 1
        over = self.steps >= self.horizon
        return (self.reset() if over else self.obs), rates.sum(axis=-1), over, slack


def paper_a(batch: int, horizon: int, seed: int = 0) -> NumpyEnvironment:
    """`batch` environments with the numbers of the preset `paper-a`: the one place where thzjax is asked for them."""
    from thzjax.physics.beampattern import desired_pattern, pattern_grid
    from thzjax.systems.scenario import build, preset

    scenario, grid = preset("paper-a"), pattern_grid()
    wanted = desired_pattern(grid, np.radians(scenario.pattern_targets_deg), np.radians(scenario.pattern_width_deg))
    params = vars(build(scenario)[1])
    numbers = {k: np.asarray(v, np.float64) for k, v in params.items() if not hasattr(v, "quadratic")}
    return NumpyEnvironment(numbers, np.asarray(wanted), np.asarray(grid), batch, horizon, seed)
