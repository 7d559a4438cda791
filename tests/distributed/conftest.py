"""The undisturbed run that all others are compared with."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny import begin, resume_here


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "whole"
    begin(folder)
    assert resume_here(folder) == 0
    return folder
