"""What thzjax is made of: no unpickling, dependencies within bounds, data with their licences, builds that repeat."""

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import thzjax

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(thzjax.__file__).parent
SOURCE = Path(os.environ.get("THZJAX_SOURCE", ROOT))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GROUPS = {"dependencies": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
LOCK = ROOT / "requirements-dev.lock"
FORBIDDEN = {"eval", "exec", "__import__", "compile"}
LEFT_OUT = (".git", ".venv*", "__pycache__", "runs", "dist", "build", ".*_cache", ".hypothesis")
UNPICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}


def dangers(code):
    """What in some code would run what it reads: (line, what)."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        for name in names:
            if name.split(".")[0] in UNPICKLING:
                yield node.lineno, f"import {name}"
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN:
                yield node.lineno, node.func.id
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                ):
                    yield node.lineno, "allow_pickle"
                if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value):
                    yield node.lineno, "shell"
            function = ast.unparse(node.func)
            if function in ("np.load", "numpy.load", "np.fromfile", "jnp.load") and "allow_pickle" not in {
                keyword.arg for keyword in node.keywords
            }:
                yield node.lineno, f"{function} without allow_pickle=False"


def test_nothing_that_is_read_is_run():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 100
    found = [
        f"{path.name}:{line}: {what}" for path in files for line, what in dangers(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle", "from pickle import loads", "import yaml", "eval('1')", "exec(x)", "np.load(f)",
        "np.load(f, allow_pickle=True)", "np.load(f, allow_pickle=x)", "subprocess.run(x, shell=True)",
        "__import__('os')", "from cloudpickle.cloudpickle import load",
    ],
)  # fmt: skip
def test_what_would_be_is_found(code):
    assert list(dangers(code))
    assert not list(
        dangers("np.load(f, allow_pickle=False)\nimport json\nmodel.eval()\nsubprocess.run(x, shell=False)")
    )


@pytest.mark.parametrize("group", GROUPS)
def test_dependencies_have_a_lower_and_an_upper_bound(group):
    for text in GROUPS[group]:
        requirement = Requirement(text)
        if requirement.name == "jax" and requirement.extras:
            continue  # one of the dependencies, with its bounds
        signs = {clause.operator for clause in requirement.specifier}
        assert "==" in signs or (">=" in signs and "<" in signs), text


def locked():
    """Versions by name, as pip spells names."""
    lines = [line for line in LOCK.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    pairs = [re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+!_-]+)", line) for line in lines]
    assert all(pairs), [line for line, pair in zip(lines, pairs, strict=True) if not pair]
    return {pair[1].lower().replace("_", "-"): pair[2] for pair in pairs}


def test_the_lock_has_every_dependency_within_its_bounds():
    versions = locked()
    for text in (*GROUPS["dependencies"], *GROUPS["dev"]):
        requirement = Requirement(text)
        version = versions.get(requirement.name.lower().replace("_", "-"))
        assert version is not None, f"{requirement.name} is not in {LOCK.name}: run scripts/lock.sh"
        assert requirement.specifier.contains(Version(version), prereleases=True), f"{text}: {version} is locked"


def test_the_lock_names_versions_alone():
    text = LOCK.read_text(encoding="utf-8")
    assert "//" not in text
    assert " @ " not in text
    assert "--" not in "".join(line for line in text.splitlines() if not line.startswith("#"))


def test_data_have_their_licences():
    said = (ROOT / "docs" / "data-licences.md").read_text(encoding="utf-8")
    for path in (PACKAGE / "physics" / "data").iterdir():
        assert path.name in said, path.name
    assert "MIT" in said
    for name in ("P.676", "P.2040", "CODATA"):
        assert name in said


@pytest.mark.full
@pytest.mark.skipif(not (SOURCE / "thzjax" / "__init__.py").exists(), reason="no sources beside the tests")
def test_a_build_repeats_to_the_byte(tmp_path):
    digests = []
    for place in ("a", "b with spaces"):
        folder = tmp_path / place / "thzjax"
        shutil.copytree(
            SOURCE, folder,
            ignore=shutil.ignore_patterns(*LEFT_OUT),
        )  # fmt: skip
        for path in folder.rglob("*"):
            os.utime(path, (1e9 + len(digests) * 1e6,) * 2)
        done = subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / place / "dist"), "."],
            cwd=folder, env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}, capture_output=True, text=True,
            timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        built = sorted((tmp_path / place / "dist").iterdir())
        assert {path.suffix for path in built} == {".whl", ".gz"}
        digests.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in built})
    assert digests[0] == digests[1]
