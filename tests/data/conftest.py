"""Tests here share the files that they write."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
