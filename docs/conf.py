"""How `scripts/docs.sh` builds the pages: from the repository's root, so that links are those of a code host."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_sphinx"), str(HERE.parent)]

import thzjax  # noqa: E402

project = "thzjax"
author = "The thzjax authors"
copyright = author
version = release = thzjax.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "docstrings", "pages"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
include_patterns = [
    "docs/**", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/results/README.md",
]  # fmt: skip
exclude_patterns = [
    ".*",
    "build",
    "dist",
    "runs",
    "sweeps",
    "pictures",
    "scripts",
    "tests",
    "thzjax",
    "**/node_modules",
]
highlight_language = "none"
smartquotes = False  # in code and docstrings a quote is a quote
html_math_renderer = "mathml"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings have shapes and units, which say more
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"thzjax {release}"
html_show_sourcelink = False
html_copy_source = False
