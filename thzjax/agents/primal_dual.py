"""Constraint handling of every learner: multipliers or a fixed penalty on the named constraints.

The ergodic form is paper A's (32)-(36), corrected and damped:

maximise sum_k x_k  subject to  x_k <= E r_k  and  E slack_c >= margin  for every named constraint c.

With slack = 1 - L_r/threshold, the multiplier of L_r <= threshold itself is mu/threshold.
"""

import dataclasses

import jax.numpy as jnp
from flax import struct
from jax import Array

from thzjax.agents.base import check_settings
from thzjax.errors import ConfigError

KINDS = ("ergodic", "per_realisation", "penalty")


@dataclasses.dataclass(frozen=True)
class PrimalDualConfig:
    """How constraints are priced.

    Attributes:
      kind: "ergodic" multipliers hold the mean slack at the margin; "per_realisation" multipliers hold the mean
        violation, which slack on other channels does not make good, at the tolerance; "penalty" is a fixed price on
        the violation.
      step_x, step_lambda, step_mu: tau_2, tau_3, tau_4 (the paper has 1e-3 for each).
      damping: rho of the augmented Lagrangian. 0 is the paper's iteration, whose x and lambda orbit.
      margin: slack asked for, so that noise does not carry it over the limit.
      tolerance: mean violation that a per-realisation multiplier lets pass.
      penalty: price of a violation, of kind "penalty" [bit/s/Hz].
    """

    kind: str = "ergodic"
    step_x: float = 0.1
    step_lambda: float = 0.1
    step_mu: float = 0.05
    damping: float = 1.0
    margin: float = 0.04
    tolerance: float = 0.003
    penalty: float = 20.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"primal_dual.kind={self.kind!r} is unknown: use one of {', '.join(KINDS)}")
        steps = ("step_x", "step_lambda", "step_mu")
        check_settings(self, not_negative=(*steps, "damping", "tolerance", "penalty"))


@struct.dataclass
class Duals:
    """State of the primal-dual iteration.

    Attributes:
      x: ergodic rate variables, `[K]` [bit/s/Hz].
      lam: multipliers of x <= E r, `[K]`, >= 0.
      mu: multiplier of each named constraint, `[]`, >= 0.
      rate_weights: what a rate is worth to the policy now, `[K]`: lambda, and its damping term.
      slack_weights: what slack is worth to the policy now, by name.
    """

    x: Array
    lam: Array
    mu: dict[str, Array]
    rate_weights: Array
    slack_weights: dict[str, Array]


def init_duals(users: int, constraints: tuple[str, ...], config: PrimalDualConfig | None = None) -> Duals:
    """x = 0, lambda = 1 (its value at the optimum of a sum), mu = 0, or the penalty."""
    one = jnp.ones((users,))
    price = config.penalty if config is not None and config.kind == "penalty" else 0.0
    mu = {name: jnp.asarray(price, one.dtype) for name in constraints}
    return Duals(x=jnp.zeros((users,)), lam=one, mu=mu, rate_weights=one, slack_weights=mu)


def priced(slack: dict[str, Array], config: PrimalDualConfig) -> dict[str, Array]:
    """What the multipliers price, by name, `[...]`: the slack, or less the logarithmic violation, log(1 + shortfall).

    The logarithm keeps a bound that is missed by decades from drowning the rate.
    """
    if config.kind == "ergodic":
        return slack
    return {name: -jnp.log1p(jnp.maximum(config.margin - value, 0)) for name, value in slack.items()}


def update_duals(duals: Duals, mean_rates: Array, mean_slack: dict[str, Array], config: PrimalDualConfig) -> Duals:
    """One step of x, lambda and mu on batch means.

    With the damped multipliers l = [lambda + rho (x - E r)]+ and m_c = [mu_c - rho (E slack_c - margin)]+:

        x      <- x + tau_2 (1 - l)
        lambda <- [lambda - tau_3 (E r - x)]+
        mu_c   <- [mu_c - tau_4 (E slack_c - margin)]+

    Args:
      duals: present state.
      mean_rates: E r, `[K]`.
      mean_slack: mean of `priced` slack by constraint name, `[]` each.
      config: step sizes, damping, margin.

    Source: paper A, eqs. (33)-(36); (34) has -1 for -lambda there. The damping is the augmented Lagrangian of
    Hestenes, Powell and Rockafellar.
    """

    if config.kind == "penalty":
        return duals

    def worth_of_rate(x: Array, lam: Array) -> Array:
        return jnp.maximum(lam + config.damping * (x - mean_rates), 0)

    # A violation is priced against the tolerance: it holds no slack that could have a margin.
    aim = config.margin if config.kind == "ergodic" else -config.tolerance
    excess = {name: value - aim for name, value in mean_slack.items()}
    x = duals.x + config.step_x * (1 - worth_of_rate(duals.x, duals.lam))
    lam = jnp.maximum(duals.lam - config.step_lambda * (mean_rates - x), 0)
    mu = {name: jnp.maximum(duals.mu[name] - config.step_mu * excess[name], 0) for name in duals.mu}
    return Duals(
        x=x,
        lam=lam,
        mu=mu,
        rate_weights=worth_of_rate(x, lam),
        slack_weights={name: jnp.maximum(mu[name] - config.damping * excess[name], 0) for name in mu},
    )


def lagrangian(duals: Duals, rates: Array, slack: dict[str, Array]) -> Array:
    """What the policy ascends: sum_k l_k r_k + sum_c m_c slack_c, `[...]`; `rates [..., K]`, `priced` slack `[...]`."""
    value = jnp.sum(duals.rate_weights * rates, axis=-1)
    for name, weight in duals.slack_weights.items():
        value = value + weight * slack[name]
    return value
