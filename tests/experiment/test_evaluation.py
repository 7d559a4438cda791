"""Held-out channels, intervals and rows."""

import jax
import numpy as np
import pytest
from scipy.stats import bootstrap

from thzjax.experiment.compare import compare
from thzjax.experiment.evaluation import (
    HELD_OUT,
    TRAIN,
    VALIDATION,
    classical_rules,
    compile_rules,
    draw_channels,
    make_row,
    stream_key,
)
from thzjax.experiment.statistics import mean_interval
from thzjax.systems.scenario import build, preset

FIELDS = (
    "method", "surface", "rate", "rate_feasible", "ci_low", "ci_high", "violation_rate", "us_per_channel",
    "num_channels",
)  # fmt: skip


def test_channel_i_is_the_same_whatever_the_number():
    system, params = build(preset("paper-a"))
    few, many = (draw_channels(system, params, num, seed=2) for num in (3, 9))
    np.testing.assert_array_equal(few.user_position_m, many.user_position_m[:3])


def test_streams_share_no_channel():
    system, params = build(preset("paper-a"))
    seen = {}
    for stream in (TRAIN, VALIDATION, HELD_OUT):
        for seed in (0, 1, 2):
            channels = draw_channels(system, params, 16, seed, stream)
            for position in np.asarray(channels.user_position_m).reshape(16, -1):
                assert seen.setdefault(position.tobytes(), (stream, seed)) == (stream, seed)
    assert len(seen) == 9 * 16
    keys = {tuple(np.asarray(jax.random.key_data(stream_key(s, t)))) for s in range(50) for t in (1, 2, 3)}
    assert len(keys) == 150


def test_designs_compiled_in_parts_are_the_designs():
    system, params = build(preset("paper-a"))
    channels, key = draw_channels(system, params, 8, 2), stream_key(2, HELD_OUT)
    rules = classical_rules(system, ("rzf/focused", "rzf/random", "mrt/random", "random"))
    said = []
    for name, rule in compile_rules(rules, params, channels, key, said.append).items():
        parts, whole = rule(params, channels, key), jax.jit(rules[name])(params, channels, key)
        np.testing.assert_allclose(parts.reflection, whole.reflection, rtol=1e-5, err_msg=str(name))
        np.testing.assert_allclose(parts.beamformer, whole.beamformer, rtol=1e-3, atol=1e-5, err_msg=str(name))
    assert len(rules) == 4
    assert not said


def test_the_interval_is_scipys_bootstrap():
    values = np.random.default_rng(0).gamma(2.0, size=400)
    ours = mean_interval(values)
    theirs = bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=1).confidence_interval
    # Both quantiles come from thousands of resamples: their own error is a few percent of the width.
    np.testing.assert_allclose(ours, theirs, atol=0.06 * (theirs.high - theirs.low))
    assert mean_interval(values) == ours
    assert mean_interval(np.array([3.0])) == (3.0, 3.0)


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        low, high = mean_interval(rng.normal(size=80))
        hits += low <= 0 <= high
    # 95 % less a little for 80 samples; five deviations of a binomial of 300 are 19.
    assert 300 * 0.94 - 19 <= hits <= 300


@pytest.mark.full
def test_a_comparison_has_every_method_and_field():
    result = compare(preset("paper-a"), [], 64, 2, lambda text: None)
    names = {(row["method"], row["surface"]) for row in result.rows}
    assert {(m, s) for m in ("mrt", "zf", "rzf", "wmmse") for s in ("random", "focused")} <= names
    for row, judgement in zip(result.rows, result.judgements, strict=True):
        assert set(FIELDS) <= set(row)
        assert row["num_channels"] == 64
        assert row["ci_low"] <= row["rate_feasible"] <= row["ci_high"]
        assert row["violation_rate_feasible"] == 0
        assert row["rate_feasible"] <= row["rate"] + 1e-6
        np.testing.assert_allclose(row["rate_feasible"], judgement.rate_feasible.mean(), rtol=1e-6)
    assert sum(row["difference"] is None for row in result.rows) == 1
    best = max(result.rows, key=lambda r: r["rate_feasible"])
    assert best["difference"] is None
    assert make_row("a", "b", result.judgements[0], 1.0, False)["method"] == "a"
