"""`thzjax explore` from the command line: it says where it is, ends with Ctrl-C, and refuses in one line."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from thzjax import cli

pytest.importorskip("bokeh", reason="the extra `explore` is not installed")

SMALL = ["--method", "mrt/focused", "--set", "num_users=2", "surface_shape=2,3"]


def test_it_serves_until_ctrl_c():
    command = [sys.executable, "-m", "thzjax", "explore", "paper-a", "--no-open", *SMALL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+/", running.stdout.readline())
            assert url, running.communicate(timeout=60)
            with urllib.request.urlopen(url[0], timeout=60) as page:
                assert page.status == 200
                assert "thzjax explore paper-a" in page.read().decode()
            running.send_signal(signal.SIGINT)
            _, errors = running.communicate(timeout=120)
        finally:
            running.kill()
    assert running.returncode == 130
    assert errors.splitlines()[-1] == "thzjax: interrupted"
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("method 'magic' is unknown", ["--method", "magic"]),
        ("drop=-1 must lie in", ["--drop", "-1"]),
        ("port=99999 must lie in", ["--port", "99999"]),
        ("place '1,2' is not of the form", ["--users-at", "1,2"]),
        ("1 places for K=2 users", ["--users-at", "4,0,0"]),
        ("user 1 cannot stand at", ["--users-at=4,9,0;4,0,0"]),
        ("option 'colour' is unknown", ["--set", "colour=red"]),
        ("does not exist: is this a run folder", ["nowhere"]),
    ],
)
def test_what_cannot_be_explored_is_refused_in_a_line(message, arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = [] if "--set" in arguments else ["--set", "num_users=2", "surface_shape=2,3"]
    assert cli.main(["explore", "paper-a", *arguments, *options]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if "warning" not in line]
    assert len(error) == 1
    assert message in error[0]
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_refused_before_anything_is_compiled(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["explore", "paper-a", "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 cannot be used" in error
    assert "compiling" not in error


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "bokeh", None)
    assert cli.main(["explore", "paper-a"]) == 2
    assert capsys.readouterr().err == "thzjax: thzjax explore needs Bokeh: pip install 'thzjax[explore]'\n"
