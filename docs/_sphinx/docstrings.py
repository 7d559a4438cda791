"""Docstrings of this house as reStructuredText: plain text with formulas in it, read here by Sphinx.

Backticks mark code, lines indented by four are formulas, `Args:` and the like begin lists; what reStructuredText would
take for markup is not meant so.
"""

import re
from typing import Any

SECTIONS = {
    "Args:": "Arguments", "Attributes:": "Attributes", "Returns:": "Returns", "Raises:": "Raises",
    "Example:": "Example", "Examples:": "Examples",
}  # fmt: skip
NAMED = ("Args:", "Attributes:", "Raises:")
"""Sections of one entry a name, or several names, and a colon."""
ENTRY = re.compile(r"^([\\*\w., ]+): (.*)$")
ENUMERATOR = re.compile(r"^(\s*)(\(?(?:[0-9]+|[A-Za-z]|[ivx]+)[.)])(?=\s|$)")
MARKUP = re.compile(r"[\\*|]|(?<=\w)_(?!\w)")


def escape(text: str) -> str:
    """Plain text with `code` in it, of which nothing else is markup."""
    parts = re.split(r"`([^`]+)`", text)
    for i, part in enumerate(parts):
        if i % 2 == 0:
            parts[i] = MARKUP.sub(r"\\\g<0>", part)
            continue
        # Markup needs a border on both sides: an escaped space is one that does not show.
        before = "\\ " if re.search(r"\w$", parts[i - 1]) else ""
        after = "\\ " if re.match(r"\w", parts[i + 1]) else ""
        parts[i] = f"{before}``{part}``{after}"
    return "".join(parts)


def indent(line: str) -> int:
    """Spaces before a line's text."""
    return len(line) - len(line.lstrip())


def parts(lines: list[str]) -> list[tuple[str, list[str]]]:
    """(kind, lines) in turn: "text", "formula" (after an empty line, indented by four or more), or a section's head."""
    found: list[tuple[str, list[str]]] = [("text", [])]
    kind = "text"
    for i, line in enumerate(lines):
        now = kind
        if line.strip() in SECTIONS and indent(line) == 0:
            now = line.strip()
        elif line.strip() and indent(line) == 0:
            now = "text"
        elif line.strip() and kind == "text" and indent(line) >= 4 and not lines[i - 1].strip():
            now = "formula"
        if now != kind or now == line.strip():
            found.append((now, []))
            kind = now
        if line.strip() != kind:
            found[-1][1].append(line)
    return found


def text(lines: list[str]) -> list[str]:
    """Escaped text in which lists stand apart from the paragraph before them."""
    result: list[str] = []
    for line in escape("\n".join(lines)).split("\n"):
        item = line.startswith("- ")
        if item and result and result[-1].strip() and not result[-1].startswith(("- ", "  ")):
            result.append("")
        result.append(ENUMERATOR.sub(r"\1\\\2", line))
    return result


def section(head: str, lines: list[str]) -> list[str]:
    """A field with the section's text in it, or a list of its entries."""
    lines = [line for line in lines if line.strip()]
    least = min(map(indent, lines), default=0)
    body = text([line[least:] for line in lines])
    if head in NAMED:
        for i, line in enumerate(body):
            entry = ENTRY.match(line)
            body[i] = f"- **{entry[1]}**: {entry[2]}" if entry else f"  {line.strip()}"
    return ["", f":{SECTIONS[head]}:", *(f"    {line}" for line in body), ""]


def to_rst(lines: list[str]) -> list[str]:
    """A docstring's lines as reStructuredText."""
    result: list[str] = []
    for kind, part in parts(lines):
        if kind == "formula":
            result += ["", "::", "", *part, ""]
        else:
            result += text(part) if kind == "text" else section(kind, part)
    return result


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Sphinx's hook: the lines are changed in place."""
    lines[:] = to_rst(lines)


def skip(app: Any, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out what tools added: fields of named tuples, which the class describes, and `replace` of pytrees."""
    made = type(obj).__name__ == "_tuplegetter" or (name == "replace" and "flax" in getattr(obj, "__module__", ""))
    return True if made else None


def setup(app: Any) -> dict[str, Any]:
    """Connect both."""
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-skip-member", skip)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
