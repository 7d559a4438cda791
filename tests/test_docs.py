"""The documentation does what it shows: its Python blocks run, their printed comments are true."""

import ast
import contextlib
import importlib.util
import io
import re
from pathlib import Path

import jax
import pytest

import thzjax
from thzjax.beamforming import DESIGNS
from thzjax.envs import MAPS
from thzjax.systems import BUILDERS, PRESETS
from thzjax.systems.irs_constraints import CONSTRAINTS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# These say behind every print what it prints.
CHECKED = {"physics.md", "extending.md"}
# What pages add to these is not for the tests after them.
REGISTRIES = (BUILDERS, CONSTRAINTS, DESIGNS, MAPS, PRESETS)


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
def test_python_blocks_run_and_print_what_they_say(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace, checked = {"__name__": "docs"}, page.name in CHECKED
    before_page = [dict(registry) for registry in REGISTRIES]
    # A page of hundreds of small operations, each compiled once and run once: quickly compiled is quicker.
    before_test = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", checked)
    try:
        for before, code in blocks(page):
            run(code, page.name, before, namespace, checked)
    finally:
        jax.config.update("jax_disable_most_optimizations", before_test)
        for registry, entries in zip(REGISTRIES, before_page, strict=True):
            registry.clear()
            registry.update(entries)


def test_a_wrong_or_missing_comment_is_found():
    run("print(1 + 1)  # 2", "page", 0, {}, True)
    for code in ("print(1 + 1)  # 3", "print(1 + 1)", "for i in range(2):\n    print(i)  # 0"):
        with pytest.raises(AssertionError, match="page"):
            run(code, "page", 0, {}, True)


def test_the_pages_have_blocks():
    assert {page.name for page in PAGES if blocks(page)} >= {"README.md", *CHECKED}


def test_links_between_pages_lead_somewhere():
    for page in [PAGES[0], *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:\s]+)\)", page.read_text(encoding="utf-8")):
            inside = (page.parent / target).resolve().relative_to(ROOT)
            if inside.parts[0] in ("docs", "notebooks"):
                assert (ROOT / inside).exists(), f"{page.name}: {target}"


def messages_of_the_package() -> list[str]:
    """Every text in its code, with … for what is filled in."""
    texts = []
    for path in Path(thzjax.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts


def test_the_messages_that_are_explained_are_those_that_come():
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    cells = [row.split(" | ")[0] for row in page.splitlines() if row.startswith("| `")]
    quoted = [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]
    assert len(quoted) > 40
    known = messages_of_the_package()
    for message in quoted:
        parts = [re.escape(part) for part in message.split("…")]
        assert any(re.search(".*".join(parts), text, re.DOTALL) for text in known), message


def test_docstrings_become_text_without_markup():
    spec = importlib.util.spec_from_file_location("docstrings", ROOT / "docs" / "_sphinx" / "docstrings.py")
    docstrings = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(docstrings)
    lines = ["Power |w_k|^2 of `W[:, k]`s and *all*; x_ too.", "- one", "- two", "", "Then", "", "    y = |x| * 2", "",
             "Args:", "  x_k, *y: C.", "    and D.", "", "Returns:", "  C.", "", "Source: Kay."]  # fmt: skip
    assert [line for line in docstrings.to_rst(lines) if line] == [
        r"Power \|w_k\|^2 of ``W[:, k]``\ s and \*all\*; x\_ too.", "- one", "- two", "Then", "::", "    y = |x| * 2",
        ":Arguments:", r"    - **x_k, \*y**: C.", "      and D.", ":Returns:", r"    \C.", "Source: Kay.",
    ]  # fmt: skip
