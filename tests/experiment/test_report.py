"""The report says what its data say."""

import dataclasses
import re

import numpy as np
import pytest

from thzjax.experiment.config import config_json, resolve
from thzjax.experiment.learned import policy_names
from thzjax.experiment.report import PatternData, ReportData, findings, moving_constraints, pictures, render, write


def row(method, surface, rate, learned=False, difference=None, **more):
    low, high = (None, None) if difference is None else (difference - 0.01, difference + 0.01)
    return {
        "method": method, "surface": surface, "rate": rate + 0.5, "rate_feasible": rate, "ci_low": rate - 0.05,
        "ci_high": rate + 0.05, "violation_rate": 0.4, "pattern_error": 2.5, "us_per_channel": 3.2,
        "num_channels": 400, "learned": learned, "difference": difference, "difference_low": low,
        "difference_high": high,
    } | more  # fmt: skip


GRID = np.linspace(-90, 90, 181)


def pattern(errors=1.9, threshold=2.0):
    drawn = {"mean": np.cos(np.deg2rad(GRID)), "low": 0 * GRID, "high": 1 + 0 * GRID, "error": 1.8}
    return PatternData(
        grid_deg=GRID, desired=(abs(GRID) < 5).astype(float), patterns={"ppo": drawn, "zf, focused": drawn},
        p_ref_w=1e-3, channel_errors=np.array([errors - 0.1] * 300 + [errors + 0.3] * 100), threshold=threshold,
        silence_error=0.168, least_error=0.0763, users=np.stack([drawn["mean"] / 4] * 4),
    )  # fmt: skip


def data(difference=0.1, handler="primal_dual", **more):
    learned = row("ppo", "policy", 3.9 + difference, True, difference)
    untrained = row("ppo, untrained", "policy", 2.9, True, -1.0)
    rows = [row("wmmse", "focused", 3.9), row("zf <b>", "focused", 0.6, False, -3.3), untrained, learned]
    records = [{"env_steps": 0, "episodes": 0, "validation/rate_feasible": 2.9, "validation/pattern_error": 2.0}]
    for n in range(1, 6):
        records.append(
            {
                "env_steps": 1000 * n, "episodes": 1000 * n, "updates": n, "sum_rate": 3 + 0.1 * n,
                "episode_return": 3.0, "pattern_error": 2.0, "validation/rate": 3.4, "validation/rate_feasible": 3.3,
                "validation/pattern_error": 1.9, "mu/beam_pattern": 0.1 * n, "slack/beam_pattern": 0.0,
                "mu/antenna_power": 0.0, "slack/antenna_power": 0.0, "lambda_mean": 1.0, "x_sum": 3.0,
            }
        )  # fmt: skip
    given = {
        "title": "PPO & <others>", "scenario": {"power_w": "0.02"}, "settings": {"agent": "ppo"},
        "command": "thzjax train paper-a --out 'runs/<demo>'", "records": records, "rows": rows,
        "lines": {"wmmse, focused": 3.9, "zf, focused": 0.6}, "learned": learned, "untrained": untrained,
        "beside": [], "handler": handler, "pattern": pattern(),
        "shares": {"ppo": {"antenna_power": (0.0, 0.0), "beam_pattern": (0.25, 0.0)},
                   "wmmse, focused": {"antenna_power": (0.0, 0.0), "beam_pattern": (1.0, 0.0)}},
    }  # fmt: skip
    return ReportData(**given | more)


def hybrid_data():
    """A run on a system without a beam pattern, by a learner without returns, episodes or a moving multiplier."""

    def measured(*args):
        made = row(*args, crb_rad2=1e-4, min_sinr=10.0)
        del made["pattern_error"]
        return made

    learned = measured("apg", "policy", 21.0, True, -1.0)
    records = [{"env_steps": 0, "validation/rate_feasible": 18.0}]
    records += [
        {"env_steps": 640 * n, "sum_rate": 20.0, "validation/rate_feasible": 20.0, "slack/crb": -1e5 / n, "mu/crb": 0.2,
         "slack/bs_power": 0.0, "mu/bs_power": 0.0}
        for n in range(1, 4)
    ]  # fmt: skip
    return data(
        rows=[measured("wmmse", "focused", 22.0), learned], learned=learned, untrained=None, records=records,
        shares={"apg": {"crb": (0.1, 0.1), "min_sinr": (0.0, 0.0)}}, pattern=None, handler="projection",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [(0.1, "the learned design is ahead"), (0.0, "the two are level"), (-0.1, "the classical design is ahead")],
)
def test_the_verdict_follows_the_paired_interval(difference, verdict):
    text = " ".join(findings(data(difference)))
    assert verdict in text
    assert "wmmse with focused surface, 3.900" in text
    assert "with the same action map, ppo reaches 2.900" in text


def test_the_mean_error_is_within_or_above_and_single_channels_are_counted():
    # Errors 1.8 on 300 channels and 2.2 on 100: 1.9 on average.
    text = " ".join(findings(data()))
    assert "error is 1.900, within the threshold of 2" in text
    assert "100 of 400 single channels (25.0 %)" in text
    assert "0.168" in text
    assert "0.076" in text
    assert "above the threshold of 2 (" in " ".join(findings(data(pattern=pattern(errors=2.5))))


def test_projection_penalty_and_no_limit_have_sentences_of_their_own():
    held = dataclasses.replace(pattern(), channel_errors=np.full(400, 2.0))
    assert "no single channel exceeds it" in " ".join(findings(data(handler="projection", pattern=held)))
    assert "100 of 400 channels exceed it" in " ".join(findings(data(handler="projection")))
    assert "fixed price" in " ".join(findings(data(handler="penalty")))
    assert "not limited" in " ".join(findings(data(pattern=pattern(threshold=None))))


def test_the_first_sentence_names_the_best_learned_design_whoever_is_the_subject():
    other = row("apg", "policy", 4.2, True, 0.3)
    first, beside, *_ = findings(data(0.1, beside=[other]))
    assert "best learned design, apg, reaches a feasible sum rate of 4.200" in first
    assert "paired difference +0.300" in first
    assert beside == "Beside it: ppo reaches 4.000 (+0.100 to the best classical design)."


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"crb": (0.0, 0.0)}, "keeps every constraint on every held-out channel (crb)"),
        ({"crb": (0.3, 0.0)}, "violates crb on 30.0 % of the channels; after the scaling every constraint holds"),
        ({"crb": (0.3, 0.3)}, "no scaling mends"),
        ({"crb": (0.3, 1e-4)}, "after the scaling, crb on 0.1 % of the channels"),
    ],
)
def test_violations_are_told_as_they_are(shares, words):
    assert words in " ".join(findings(data(shares={"ppo": shares})))


def test_prices_are_told_where_there_are_any():
    assert "at the end of training: beam_pattern 0.5 bit/s/Hz" in " ".join(findings(data()))
    assert "Prices" not in " ".join(findings(data(records=[{"env_steps": 0, "mu/beam_pattern": 0.0}])))


def test_runs_are_named_by_agent_and_told_apart_by_folder(tmp_path):
    runs = {"a": resolve("paper-a"), "b": resolve("paper-a", "apg", handler="primal_dual"), "c": resolve("paper-a")}
    for name, config in runs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(config_json(config))
    a, b, c = (tmp_path / name for name in runs)
    assert policy_names([a, b]) == {"ppo": [a], "apg, primal_dual": [b]}
    assert policy_names([a, c]) == {f"ppo ({a})": [a], f"ppo ({c})": [c]}


def test_a_slack_of_minus_millions_has_plain_numbers_on_its_axis():
    drawn = next(picture.figure for picture in pictures(hybrid_data()) if picture.name == "multipliers")
    drawn.draw_without_rendering()
    assert all("$" not in tick.get_text() for ax in drawn.axes for tick in ax.get_yticklabels())


def test_constraints_that_move_are_drawn():
    assert moving_constraints(data().records) == ["beam_pattern"]
    assert moving_constraints(hybrid_data().records) == ["crb"]
    assert moving_constraints([]) == []


def test_a_system_without_a_pattern_has_its_own_report(tmp_path):
    page = write(hybrid_data(), tmp_path).read_text(encoding="utf-8")
    assert "attern" not in re.sub(r"<style>.*?</style>|<svg.*?</svg>|<pattern", "", page, flags=re.DOTALL)
    assert "min SINR [dB]" in page
    assert "<td>10.0</td><td>0.57</td>" in page
    names = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert names == {
        "learning_curve", "capacity_against_episodes", "method_comparison", "constraint_violations", "multipliers",
    }  # fmt: skip


@pytest.mark.parametrize("threshold", [2.0, None])
def test_the_page_is_whole_escaped_and_needs_no_network(tmp_path, threshold):
    page = write(data(pattern=pattern(threshold=threshold)), tmp_path)
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>")
    assert html.rstrip().endswith("</html>")
    assert html.count("<svg") == 8
    assert "PPO &amp; &lt;others&gt;" in html
    assert "zf &lt;b&gt;" in html
    assert "<script" not in html
    assert not re.search(r"(src|href)=[\"'](?!#)", html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'href="#([^"]+)"', html)) | set(re.findall(r"url\(#([^)]+)\)", html))
    assert used <= set(ids)
    for name in ("learning_curve", "capacity_against_episodes", "beam_patterns", "user_beam_patterns", "pattern_error"):
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
