"""The public names: pinned, found without importing anything before its time, and on the API pages."""

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import thzjax
import thzjax.agents
import thzjax.envs
import thzjax.physics
import thzjax.systems

HERE = Path(__file__).resolve().parent
PINNED = HERE / "public_names.txt"
LAZY = (thzjax, thzjax.agents, thzjax.envs, thzjax.physics, thzjax.systems)


def source(module):
    """Its syntax tree, without importing it: one needs an extra."""
    return ast.parse(Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8"))


def defined(tree):
    """Names that a module defines or passes on under their own name, without an underscore; or what it lists."""
    names = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if getattr(target, "id", "") == "__all__":
                    return sorted(ast.literal_eval(node.value))
                names += [target.id] if isinstance(target, ast.Name) else []
        elif isinstance(node, ast.ImportFrom):
            names += [alias.name for alias in node.names if alias.asname == alias.name]
    return sorted(name for name in names if not name.startswith("_"))


def pinned():
    lines = (line for line in PINNED.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#"))
    return {module: names.split() for module, _, names in (line.partition(": ") for line in lines)}


@pytest.mark.parametrize("module", pinned())
def test_public_names_are_the_pinned_ones(module):
    """What is taken away here breaks someone's code: docs/stability.md says how a name goes."""
    assert defined(source(module)) == sorted(pinned()[module]), f"then change {PINNED.name}, and the changelog"


def test_every_module_that_is_public_by_name_is_pinned():
    inside = {f"thzjax.{name}" for name in thzjax.__all__ if importlib.util.find_spec(f"thzjax.{name}")}
    inside |= {f"thzjax.physics.{name}" for name in thzjax.physics.__all__}
    assert inside | {"thzjax", "thzjax.gym"} <= set(pinned())


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_names_looked_up_late_are_those_that_type_checkers_see(package):
    branch = next(node for node in source(package.__name__).body if isinstance(node, ast.If))
    seen = [alias.name for node in branch.body for alias in node.names]
    assert sorted(seen) == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is getattr(package, name)
        assert name in dir(package)
    with pytest.raises(AttributeError, match="'surf'"):
        package.surf  # noqa: B018


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, thzjax, thzjax.physics, thzjax.systems, thzjax.envs, thzjax.agents\n"
        "dir(thzjax), dir(thzjax.physics), thzjax.__version__\n"
        "assert not {'jax', 'numpy', 'matplotlib', 'tyro'} & set(sys.modules), sorted(sys.modules)\n"
        "from thzjax import *\n"
        "assert physics.link.rates and callable(train) and 'jax' in sys.modules\n"
        "assert 'gymnasium' not in sys.modules and 'distrax' not in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr


def test_every_public_module_is_on_an_api_page():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in sorted((HERE.parent / "docs" / "api").glob("*.md")))
    shown = set(re.findall(r"^\.\. automodule:: (\S+)$", pages, re.MULTILINE))
    assert shown == set(pinned())
