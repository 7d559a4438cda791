"""Make `reference` importable wherever the tests are run from."""

import sys
from pathlib import Path

folder = str(Path(__file__).parents[1])
if folder not in sys.path:
    sys.path.insert(0, folder)
