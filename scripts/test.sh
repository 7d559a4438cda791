#!/usr/bin/env bash
# Lint, build the wheel, and test it installed, from another folder.
#   ./scripts/test.sh                what every change must pass
#   ./scripts/test.sh --full         also what takes longer (random kills, whole training runs, a browser if one is there)
#   ./scripts/test.sh -k name ...    anything else goes to pytest
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
. scripts/environment.sh

selection=(-m "not full")
if [ "${1:-}" = --full ]; then
  shift
  selection=()
fi

# Another Python has another environment: PYTHON=python3.13 ./scripts/test.sh
venv=$root/.venv-test${PYTHON:+-$(basename "$PYTHON")}
make_environment "$venv"
install "$venv" ".[dev]"
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "building the wheel"
"$venv/bin/python" -m build --wheel --no-isolation --outdir "$work/dist" . >"$work/build.log" 2>&1 || {
  cat "$work/build.log"
  exit 1
}
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$work"/dist/*.whl

# The tests, their settings and the documentation they run; what they import is the installed wheel.
cp -r tests benchmarks pyproject.toml README.md docs notebooks "$work/"
cd "$work"
"$venv/bin/python" -c 'import pathlib, sys, thzjax; p = pathlib.Path(thzjax.__file__); sys.exit("site-packages" not in p.parts)'
"$venv/bin/python" -m pytest -n "${PYTEST_WORKERS:-2}" "${selection[@]}" "$@"
