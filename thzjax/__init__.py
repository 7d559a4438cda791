"""thzjax: terahertz integrated sensing and communication with reflecting surfaces, in JAX."""

import importlib.metadata
import os

__version__ = "0.1.0"


def _avoid_miscompiled_sums() -> None:
    """Keep jaxlib 0.10.2 from computing some sums of products wrongly on a CPU.

    That release alone hands them to a library whose results are of the wrong batch entries (jax issue 39103: of
    `vmap(lambda s: sum(p * (p - s), -1) * sum(s))` all beyond the 32nd of 256 were wrong at 1024 points). The option
    does not exist in every release, and XLA refuses what it does not know. XLA reads it when it is first used, so that
    thzjax has to be imported before anything is computed.
    """
    option = "--xla_cpu_experimental_ynn_fusion_type"
    flags = os.environ.get("XLA_FLAGS", "")
    if option in flags:
        return
    try:
        affected = importlib.metadata.version("jaxlib") == "0.10.2"
    except importlib.metadata.PackageNotFoundError:
        return
    if affected:
        os.environ["XLA_FLAGS"] = f"{flags} {option}=-reduce".strip()


_avoid_miscompiled_sums()
