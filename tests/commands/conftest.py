"""Run folders that nobody trained are made as in the tests of experiment."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "experiment"))
