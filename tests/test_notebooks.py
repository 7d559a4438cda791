"""The notebooks run from top to bottom, draw, and are the same as text and as notebooks."""

import itertools
import re
from pathlib import Path

import jupytext
import nbclient
import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EVERYDAY = {"link_budget"}
"""The quickest; the others take up to two minutes each."""


def test_each_is_a_pair_that_the_page_lists():
    listed = re.findall(
        r"\]\(\.\./notebooks/(\w+)\.ipynb\)", (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    )
    assert {path.stem for path in NOTEBOOKS} == {path.stem for path in (ROOT / "notebooks").glob("*.py")} == set(listed)
    assert len(listed) == len(set(listed)) >= 7


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_both_of_a_pair_say_the_same_and_hold_no_output(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    text = jupytext.read(path.with_suffix(".py"))
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [(c.cell_type, c.source) for c in text.cells]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.stem in EVERYDAY else pytest.mark.full, id=path.stem) for path in NOTEBOOKS],
)
def test_it_runs_and_draws(path, tmp_path):
    notebook = nbformat.read(path, 4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    outputs = list(itertools.chain.from_iterable(cell.get("outputs", ()) for cell in notebook.cells))
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
