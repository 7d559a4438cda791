"""Paper A's system with several antennas at each user: rates by log-determinant, the rest as in `irs_isac`.

Users have half-wavelength linear arrays along y, parallel to the base station's.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array

from thzjax.errors import ConfigError
from thzjax.physics import link
from thzjax.physics.channels import planar_sum
from thzjax.systems.base import Design, Spec
from thzjax.systems.irs_isac import Channels, IrsIsac, Params


@dataclasses.dataclass(frozen=True)
class MimoIsac(IrsIsac):
    """Sizes and options of the system; static and hashable. Channels have an axis R after K.

    Attributes:
      user_antennas: R.
      user_streams: D, data streams of each user; a user's stand side by side in the beamformer `[..., M, K D]`.
    """

    user_antennas: int = 4
    user_streams: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.user_antennas < 2:
            raise ConfigError(f"user_antennas={self.user_antennas} must be at least 2: one antenna is IrsIsac's")
        if not 1 <= self.user_streams <= self.user_antennas:
            raise ConfigError(f"user_streams={self.user_streams} must lie in 1..user_antennas={self.user_antennas}")

    @property
    def spec(self) -> Spec:
        """Sizes."""
        return (
            super()
            .spec._replace(user_antennas=self.user_antennas, user_streams=self.user_streams)
            ._replace(streams=self.num_users * self.user_streams)
        )

    def sample(self, key: Array, params: Params, user_position_m: Array | None = None) -> Channels:
        """One drop as in `IrsIsac`, of the same key the same paths; a ray arrives with a uniform direction cosine.

        Source: paper A, (4)-(9) and (41).
        """
        paths = self.paths(key, params, user_position_m)
        precision = jax.lax.Precision.HIGHEST
        cosine = 2 * jax.random.uniform(jax.random.fold_in(key, 1), (2, self.num_users, self.num_rays)) - 1

        def arrival(towards_user: Array, rays: Array) -> Array:
            los = -towards_user[..., 1:2]
            return self.linear_response(jnp.concatenate([los, rays], axis=-1), self.user_antennas)

        at_user = [arrival(towards, rays) for towards, rays in zip(paths.towards_users, cosine, strict=True)]
        weight_direct, row_direct = paths.direct
        weight_user, rows, cols = paths.surface_to_user
        # A path's weight at each antenna of its user, `[K, R, P]`.
        weight_at = weight_user[:, None, :] * jnp.swapaxes(at_user[1], -1, -2)
        return Channels(
            direct=jnp.einsum("kp,kpr,kpm->krm", weight_direct, at_user[0], row_direct, precision=precision),
            bs_to_surface=self.bs_to_surface(paths),
            surface_to_user=planar_sum(weight_at, rows[:, None], cols[:, None]),
            user_position_m=paths.user_position_m,
        )

    def effective_channel(self, channels: Channels, reflection: Array) -> Array:
        """H_k = direct_k + surface_to_user_k diag(reflection) bs_to_surface, `[..., K, R, M]`."""
        return link.cascaded_channel_mimo(channels.direct, channels.surface_to_user, reflection, channels.bs_to_surface)

    def rates(self, params: Params, channels: Channels, design: Design) -> Array:
        """log2 det(I + H_k W_k W_k^H H_k^H Q_k^-1), Q_k noise and the other users' streams, `[..., K]`."""
        H = self.effective_channel(channels, design.reflection)
        return link.mimo_rates(H, link.by_user(design.beamformer, self.num_users), params.noise_w)
