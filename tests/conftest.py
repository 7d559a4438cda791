"""Settings every test runs under: strict dtype promotion, float32 unless a test asks for float64."""

import gc
import getpass
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # `reference`, wherever the tests are run from

# Runs and command lines compile the same few programs again and again, in this process and in others: share them.
CACHE = Path(tempfile.gettempdir()) / f"thzjax-tests-{getpass.getuser()}"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

import jax  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_default_matmul_precision", "highest")

# Compilation makes the first example slow, so no deadline; the everyday profile is small and repeatable.
settings.register_profile(
    "default",
    deadline=None,
    max_examples=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("default")


@pytest.fixture
def x64():
    """Run one test in float64/complex128."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def quickly_compiled():
    """Compile without most optimisations: for many small programs that are each run once."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


MAPS = Path("/proc/self/maps")
MOST_MAPS = 20_000


def pytest_runtest_teardown():
    """Forget compiled programs before they use up the memory maps of a process, of which Linux grants 65 530.

    Every program takes some; past the limit the next compilation aborts the interpreter. One worker of the whole suite
    reached it after 170 tests.
    """
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()
