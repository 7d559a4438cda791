"""The report says what its data say."""

import dataclasses
import re

import numpy as np
import pytest

from thzjax.experiment.report import ReportData, findings, pictures, render, write


def row(method, surface, rate, learned=False, difference=None, **more):
    low, high = (None, None) if difference is None else (difference - 0.01, difference + 0.01)
    return {
        "method": method, "surface": surface, "rate": rate + 0.5, "rate_feasible": rate, "ci_low": rate - 0.05,
        "ci_high": rate + 0.05, "violation_rate": 0.4, "pattern_error": 2.5, "us_per_channel": 3.2,
        "num_channels": 400, "learned": learned, "difference": difference, "difference_low": low,
        "difference_high": high,
    } | more  # fmt: skip


def data(difference=0.1, errors=1.9, handler="primal_dual", threshold=2.0):
    learned = row("ppo", "policy", 3.9 + difference, True, difference)
    untrained = row("ppo, untrained", "policy", 2.9, True, -1.0)
    rows = [row("wmmse", "focused", 3.9), row("zf <b>", "focused", 0.6, False, -3.3), untrained, learned]
    grid = np.linspace(-90, 90, 181)
    pattern = {"mean": np.cos(np.deg2rad(grid)), "low": 0 * grid, "high": 1 + 0 * grid, "error": 1.8}
    records = [{"env_steps": 0, "episodes": 0, "validation/rate_feasible": 2.9, "validation/pattern_error": 2.0}]
    for n in range(1, 6):
        records.append(
            {
                "env_steps": 1000 * n, "episodes": 1000 * n, "updates": n, "sum_rate": 3 + 0.1 * n,
                "episode_return": 3.0, "pattern_error": 2.0, "validation/rate": 3.4, "validation/rate_feasible": 3.3,
                "validation/pattern_error": 1.9, "mu/beam_pattern": 0.1 * n, "lambda_mean": 1.0, "x_sum": 3.0,
            }
        )  # fmt: skip
    return ReportData(
        title="PPO & <others>", scenario={"power_w": "0.02"}, settings={"agent": "ppo"},
        command="thzjax train paper-a --out 'runs/<demo>'", records=records, rows=rows,
        lines={"wmmse, focused": 3.9, "zf, focused": 0.6}, grid_deg=grid, desired=(abs(grid) < 5).astype(float),
        patterns={"ppo": pattern, "zf, focused": pattern}, p_ref_w=1e-3,
        channel_errors=np.array([errors - 0.1] * 300 + [errors + 0.3] * 100), threshold=threshold,
        silence_error=0.168, least_error=0.0763, untrained=untrained, learned=learned, handler=handler,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [(0.1, "the learned design is ahead"), (0.0, "the two are level"), (-0.1, "it is ahead of the learned design")],
)
def test_the_verdict_follows_the_paired_interval(difference, verdict):
    text = " ".join(findings(data(difference)))
    assert verdict in text
    assert "wmmse with focused surface, reaches 3.900" in text
    assert "untrained, with the same action map, it reaches 2.900" in text


def test_the_mean_error_is_within_or_above_and_single_channels_are_counted():
    # Errors 1.8 on 300 channels and 2.2 on 100: 1.9 on average.
    text = " ".join(findings(data()))
    assert "error is 1.900, within the threshold of 2" in text
    assert "100 of 400 single channels (25.0 %)" in text
    assert "0.168" in text
    assert "0.076" in text
    assert "above the threshold of 2 (" in " ".join(findings(data(errors=2.5)))


def test_projection_and_no_limit_have_sentences_of_their_own():
    held = dataclasses.replace(data(handler="projection"), channel_errors=np.full(400, 2.0))
    assert "no single channel exceeds it" in " ".join(findings(held))
    assert "100 of 400 channels exceed it" in " ".join(findings(data(handler="projection")))
    assert "not limited" in " ".join(findings(data(threshold=None)))


@pytest.mark.parametrize("threshold", [2.0, None])
def test_the_page_is_whole_escaped_and_needs_no_network(tmp_path, threshold):
    page = write(data(threshold=threshold), tmp_path)
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>")
    assert html.rstrip().endswith("</html>")
    assert html.count("<svg") == 6
    assert "PPO &amp; &lt;others&gt;" in html
    assert "zf &lt;b&gt;" in html
    assert "<script" not in html
    assert not re.search(r"(src|href)=[\"'](?!#)", html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'href="#([^"]+)"', html)) | set(re.findall(r"url\(#([^)]+)\)", html))
    assert used <= set(ids)
    for name in ("learning_curve", "capacity_against_episodes", "beam_patterns", "pattern_error"):
        assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 5000
        assert (tmp_path / "figures" / f"{name}.svg").exists()


def test_axes_have_units():
    for picture in pictures(data()):
        axes = picture.figure.axes
        assert any("[" in ax.get_ylabel() or "p_ref" in ax.get_ylabel() or ax.get_xlabel().endswith("]") for ax in axes)
        assert picture.caption.endswith(".")


def test_learned_rows_are_marked():
    page = render(data(), [])
    assert page.count('<tr class="learned">') == 2
