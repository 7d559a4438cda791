"""The house stands: imports point down, the command line is light, and the public names are there."""

import subprocess
import sys
from pathlib import Path

import thzjax.beamforming

HERE = Path(__file__).parent


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


def test_imports_only_point_down(tmp_path):
    command = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [command, "--config", HERE / "importlinter.toml", "--no-cache"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_help_needs_no_jax():
    result = python(
        "import sys, thzjax.cli\n"
        "try: thzjax.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'jax' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    assert result.returncode == 0, result.stderr
    assert "train" in result.stdout


def test_the_package_is_typed():
    assert (Path(thzjax.__file__).parent / "py.typed").exists()


def test_the_public_beamforming_names():
    assert sorted(thzjax.beamforming.__all__) == [
        "DESIGNS", "aligned_reflections", "clip_rows", "focused", "get_design", "mrt", "rzf", "scale_per_antenna",
        "scale_total", "wmmse", "wmmse_mimo", "zf",
    ]  # fmt: skip
