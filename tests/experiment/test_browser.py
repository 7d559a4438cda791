"""The report in a real browser, where there is one."""

import shutil
import subprocess

import numpy as np
import pytest
from matplotlib.image import imread
from test_report import data

from thzjax.experiment.report import write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.full
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1100, 500])
def test_the_report_renders_without_running_over_the_side(tmp_path, width):
    page = write(data(), tmp_path / "run")
    shot = tmp_path / "shot.png"
    subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
            "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}",
            f"--window-size={width},5000", page.as_uri(),
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    image = imread(shot)[..., :3]
    ink = image.min(axis=-1) < 0.9
    assert image.shape[1] == width
    # Text and six figures all the way down, and a clean right margin.
    filled = [band.any() for band in np.array_split(ink[:3500], 35)]
    assert sum(filled) >= 30
    assert not ink[:, -4:].any()
