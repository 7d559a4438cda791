"""`thzjax bench` and the frame its benchmarks stand on."""

import json
import sys

import numpy as np
import pytest

from benchmarks import frame, memory, report, scaling
from thzjax import cli
from thzjax.commands.bench import run_one


def test_an_unknown_benchmark_is_refused(capsys):
    assert cli.main(["bench", "nonsense"]) == cli.BAD_INPUT
    assert "nonsense" in capsys.readouterr().err


def test_lines_that_are_json_are_kept_and_all_are_passed_on(tmp_path, capfd):
    script = """print('{"benchmark": "x"}'); print('a word'); print('[1]')"""
    out = tmp_path / "new" / "lines.jsonl"
    assert run_one([sys.executable, "-c", script], tmp_path, out)
    assert out.read_text() == '{"benchmark": "x"}\n'
    assert capfd.readouterr().out.splitlines() == ['{"benchmark": "x"}', "a word", "[1]"]
    assert not run_one([sys.executable, "-c", "raise SystemExit(3)"], tmp_path, None)


def test_a_timing_is_of_the_runs_after_the_first():
    calls = []
    taken = frame.measure(lambda: calls.append(None), repeats=4)
    assert len(calls) == 5
    assert 0 <= taken.fastest <= taken.seconds <= taken.slowest


def test_the_slope_of_memory_is_the_least_squares_one():
    x = np.linspace(0, 5, 60)
    rise, error = memory.slope(x, 300 + 2 * x + np.random.default_rng(0).normal(0, 1, 60))
    assert abs(rise - 2) < 4 * error
    # The textbook's sigma/(sqrt(n) std x).
    assert error == pytest.approx(1 / (np.sqrt(60) * x.std()), rel=0.3)


def test_scaling_names_surfaces_that_are_as_square_as_they_can_be():
    assert [scaling.square(n) for n in (16, 64, 128, 4096)] == [(4, 4), (8, 8), (8, 16), (64, 64)]


def test_a_report_has_a_table_for_each_benchmark_and_the_roofline(tmp_path):
    machine = {"device": "cpu", "cores": 2, "jax": "0.0", "python": "3"}
    lines = [
        {"kernel": "zf", "thzjax_per_s": 1e5, "share_of_matmul_peak": 0.01, "share_of_copy_peak": 0.2} | machine,
        {"benchmark": "startup", "what": "thzjax --help", "seconds": 0.2} | machine,
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    records = report.read([tmp_path / "a.jsonl"])
    page = report.page(records)
    assert "## kernels (a)" in page
    assert "| thzjax --help | 0.2 |" in page
    assert report.roofline(records, tmp_path)
    assert (tmp_path / "roofline.svg").stat().st_size > 0
    assert not report.roofline(records[1:], tmp_path)
    (tmp_path / "bad.jsonl").write_text("{\n")
    with pytest.raises(SystemExit, match="line 1 is not JSON"):
        report.read([tmp_path / "bad.jsonl"])


@pytest.mark.full
def test_the_quick_benchmarks_run(tmp_path):
    out = tmp_path / "bench.jsonl"
    assert cli.main(["bench", "startup", "environment", "--quick", "--out", str(out)]) == cli.OK
    names = {json.loads(line)["benchmark"] for line in out.read_text().splitlines()}
    assert names == {"startup", "environment"}
