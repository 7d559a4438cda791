"""The soak's arithmetic: what a process holds, and when that counts as growth."""

import os
import subprocess
import threading

import numpy as np
import pytest

from benchmarks import soak


def looks(drift, minutes=30, noise=0.5, seed=0):
    """Half an hour of looks at 300 MiB that drift by so many an hour."""
    random = np.random.default_rng(seed)
    at = np.arange(1, minutes * 6 + 1) / 6
    # Neighbours are alike, as resident memory is between two collections.
    rough = np.convolve(random.normal(0, noise, len(at) + 5), np.ones(6) / 6, "valid")
    return [
        {"minutes": float(m), "records": int(10 * m), "resident_mib": 300 + drift * m / 60 + r, "threads": 9.0,
         "files": 12.0, "maps": 800.0}
        for m, r in zip(at, rough, strict=True)
    ]  # fmt: skip


def test_what_this_process_holds_is_counted():
    before = soak.look(os.getpid())
    assert before["resident_mib"] > 10
    ready, leave = threading.Event(), threading.Event()

    def wait():
        ready.set()
        leave.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    ready.wait()
    with open(os.devnull) as _, open(os.devnull) as _:
        after = soak.look(os.getpid())
    leave.set()
    thread.join()
    assert after["threads"] == before["threads"] + 1
    assert after["files"] >= before["files"] + 1
    assert after["maps"] > 0


def test_a_process_that_is_gone_holds_nothing_that_is_known():
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert all(np.isnan(value) for value in soak.look(ended.pid).values())


@pytest.mark.parametrize("drift", [-100.0, 0.0, 37.0, 500.0])
def test_the_interval_has_the_drift_in_it(drift):
    """Nineteen in twenty do; of twenty, fewer than fifteen happen less than once in 10 000."""
    inside = 0
    for seed in range(20):
        found = looks(drift, seed=seed)
        minutes, held = (np.array([each[name] for each in found]) for name in ("minutes", "resident_mib"))
        rise, low, high = soak.growth(minutes, held)
        assert low < rise < high
        inside += low <= drift <= high
    assert inside >= 15


def test_what_is_flat_does_not_grow_and_a_leak_does():
    flat = soak.summary(looks(0.0))
    assert flat["grows"] == []
    assert flat["threads_per_hour"] == pytest.approx(0.0, abs=1e-9)
    assert flat["records"] == 300
    assert soak.summary(looks(300.0))["grows"] == ["resident_mib"]
    leaking = [each | {"files": 12 + each["minutes"]} for each in looks(0.0)]
    assert soak.summary(leaking)["grows"] == ["files"]


def test_too_few_looks_tell_nothing():
    found = soak.summary(looks(0.0, minutes=2))
    assert np.isnan(found["resident_mib_per_hour"])
    assert found["grows"] == []
