"""The documentation does what it shows: its Python blocks run, their printed comments are true, the notebook runs."""

import ast
import contextlib
import io
import json
import re
from pathlib import Path

import jax
import matplotlib
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# These say behind every print what it prints.
CHECKED = {"physics.md"}


def blocks(page: Path) -> list[tuple[int, str]]:
    """(line before the code, code) of every Python block."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, match.start(1)), match[1]) for match in BLOCK.finditer(text)]


def run(code: str, name: str, before: int, namespace: dict, checked: bool) -> None:
    """Run the statements one by one, and compare what each printed with the comment on its last line."""
    lines = code.splitlines()
    for statement in ast.parse(code).body:
        ast.increment_lineno(statement, before)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.Module([statement], []), name, "exec"), namespace)
        if checked and printed.getvalue():
            last = lines[statement.end_lineno - before - 1]
            _, _, expected = last.partition(")  # ")
            assert printed.getvalue().strip() == expected, f"{name}:{statement.end_lineno}: {last}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run_and_print_what_they_say(page):
    namespace, checked = {"__name__": "docs"}, page.name in CHECKED
    # A page of hundreds of small operations, each compiled once and run once: quickly compiled is quicker.
    before_test = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", checked)
    try:
        for before, code in blocks(page):
            run(code, page.name, before, namespace, checked)
    finally:
        jax.config.update("jax_disable_most_optimizations", before_test)


def test_a_wrong_or_missing_comment_is_found():
    run("print(1 + 1)  # 2", "page", 0, {}, True)
    for code in ("print(1 + 1)  # 3", "print(1 + 1)", "for i in range(2):\n    print(i)  # 0"):
        with pytest.raises(AssertionError, match="page"):
            run(code, "page", 0, {}, True)


def test_the_pages_have_blocks():
    assert {page.name for page in PAGES if blocks(page)} >= {"README.md", *CHECKED}


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:\s]+)\)", page.read_text(encoding="utf-8")):
            inside = (page.parent / target).resolve().relative_to(ROOT)
            if inside.parts[0] in ("docs", "notebooks"):
                assert (ROOT / inside).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.name)
def test_notebook_runs(notebook):
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    content = json.loads(notebook.read_text(encoding="utf-8"))
    namespace = {"__name__": "notebook"}
    try:
        for cell in content["cells"]:
            if cell["cell_type"] == "code":
                assert not cell["outputs"]
                assert cell["execution_count"] is None
                exec(compile("".join(cell["source"]), f"{notebook.name}:{cell['id']}", "exec"), namespace)
        assert plt.get_fignums()
        for number in plt.get_fignums():
            figure = plt.figure(number)
            figure.canvas.draw()  # layout and fonts, too
            # Only what shares its x axis with a plot below goes without a label.
            assert all(axes.get_ylabel() for axes in figure.axes)
            assert figure.axes[-1].get_xlabel()
    finally:
        plt.close("all")


def test_there_is_a_notebook():
    assert NOTEBOOKS
