"""How runs stand, told from folders alone."""

import json
import os

import pytest
from made_up import STEPS, group, record, run_folder

from thzjax.errors import ConfigError
from thzjax.experiment.learned import TOGETHER, runs_in
from thzjax.experiment.lock import hold
from thzjax.experiment.runs import find_runs, pooled, run_state, states_in

STATES = {-1: "not begun", 0: "interrupted", 4: "interrupted", 10: "finished"}


@pytest.mark.parametrize(("done", "state"), STATES.items())
def test_a_run_that_nobody_trains_stands_where_its_records_end(tmp_path, done, state):
    config = run_folder(tmp_path / "run", done)
    seen = run_state(tmp_path / "run")
    assert (seen.state, seen.record, seen.records, seen.seconds_left) == (state, max(done, 0), 10, None)
    assert (seen.agent, seen.policy, seen.preset, seen.seed) == ("ppo", "structured", "paper-a", config.seed)
    assert seen.steps == 10 * STEPS
    if done >= 0:
        assert seen.env_steps == done * STEPS
        assert seen.curve[-1] == seen.metrics["validation/rate_feasible"] == pytest.approx(2.0 + 0.1 * done)
        assert len(seen.curve) == done + 1


def test_a_run_whose_lock_is_held_is_running_and_says_how_long(tmp_path):
    run_folder(tmp_path / "run", 4, seconds=0.5)
    with hold(tmp_path / "run"):
        seen = run_state(tmp_path / "run")
    assert seen.state == "running"
    assert f"process {os.getpid()}" in seen.why
    assert seen.seconds_left == pytest.approx(6 * 0.5)
    assert seen.steps_per_second == pytest.approx(STEPS / 0.5)


def test_lines_cut_short_and_records_made_again_do_no_harm(tmp_path):
    run_folder(tmp_path / "run", 4)
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(record(4)) + "\n[1]\n7\n" + '{"record": 5, "half')
    seen = run_state(tmp_path / "run")
    assert (seen.record, len(seen.curve)) == (4, 5)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"agent": "dqn"}', '{"preset": ["x"]}', '{"horizon": "x"}', "\0"])
def test_a_damaged_run_is_said_to_be_and_hides_no_other(tmp_path, content):
    run_folder(tmp_path / "a", 2)
    run_folder(tmp_path / "b", 2)
    (tmp_path / "a" / "config.json").write_text(content)
    a, b = find_runs(tmp_path)
    assert (a.state, b.state) == ("unreadable", "interrupted")
    assert a.why
    assert json.loads(json.dumps(a.numbers()))["feasible_rate"] is None


def test_runs_are_found_alone_in_groups_and_in_folders_but_not_too_deep(tmp_path):
    run_folder(tmp_path / "alone", 10)
    run_folder(tmp_path / "day" / "apg", 3)
    group(tmp_path / "group", 2, seeds=2)
    run_folder(tmp_path / "a" / "b" / "c" / "d", 1)
    (tmp_path / "notes").mkdir()
    found = [str(state.folder.relative_to(tmp_path)) for state in find_runs(tmp_path)]
    assert found == ["alone", "day/apg", "group/seed-0", "group/seed-1"]
    assert find_runs(tmp_path / "nowhere") == []
    assert [state.folder for state in find_runs(tmp_path / "alone")] == [tmp_path / "alone"]
    with pytest.raises(ConfigError, match="is no run folder"):
        states_in(tmp_path / "notes")


def test_seeds_are_pooled_at_the_one_that_is_furthest_behind(tmp_path):
    group(tmp_path / "g", 6, seeds=2)
    run_folder(tmp_path / "other", 4, seed=2)
    states = [*states_in(tmp_path / "g"), run_state(tmp_path / "other")]
    mean = pooled(states)
    assert (mean.record, len(mean.curve)) == (4, 5)
    assert mean.curve[0] == pytest.approx(2.01)
    assert mean.metrics["sum_rate"] == pytest.approx(3.25)
    assert pooled(states[:1]) == states[0]


@pytest.mark.parametrize("name", ["..", "../other", "/etc", "a/b", "", ".", "a\0b", 3])
def test_a_list_of_runs_names_none_outside_its_folder(tmp_path, name):
    run_folder(tmp_path / "other", 2)
    group(tmp_path / "g", 2, seeds=1)
    (tmp_path / "g" / TOGETHER).write_text(json.dumps({"": [name]}))
    with pytest.raises(ConfigError, match="is not a list of runs") as refused:
        runs_in(tmp_path / "g")
    assert "\n" not in str(refused.value)
    assert [state.state for state in find_runs(tmp_path / "g")] == ["unreadable"]


@pytest.mark.parametrize("content", [{}, {"": []}])
def test_an_empty_list_of_runs_is_refused(tmp_path, content):
    (tmp_path / TOGETHER).write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="is not a list of runs"):
        runs_in(tmp_path)
