"""thzjax: terahertz integrated sensing and communication with reflecting surfaces, in JAX.

The packages `physics`, `systems`, `beamforming`, `envs` and `agents` have the parts, `plotting` the pictures; `train`,
`evaluate` and `load_policy` do what the commands of the same names do. Nothing is imported before it is asked for.
"""

from typing import TYPE_CHECKING

from thzjax.lazy import lazy

__version__ = "0.1.0"
__all__ = [
    "Policy",
    "Run",
    "agents",
    "beamforming",
    "envs",
    "errors",
    "evaluate",
    "exported",
    "load_policy",
    "physics",
    "plotting",
    "systems",
    "train",
    "units",
]

if TYPE_CHECKING:
    from thzjax import agents, beamforming, envs, errors, exported, physics, plotting, systems, units
    from thzjax.experiment.api import Run, evaluate, train
    from thzjax.experiment.policy import Policy, load_policy
else:
    modules = ("agents", "beamforming", "envs", "errors", "exported", "physics", "plotting", "systems", "units")
    __getattr__, __dir__ = lazy(
        __name__,
        dict.fromkeys(modules, "")
        | dict.fromkeys(("Run", "evaluate", "train"), "experiment.api")
        | dict.fromkeys(("Policy", "load_policy"), "experiment.policy"),
    )
    del modules
