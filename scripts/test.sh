#!/usr/bin/env bash
# Lint, build the wheel, and test it installed, from another folder.
#   ./scripts/test.sh                what every change must pass
#   ./scripts/test.sh --full         also what takes longer (random kills, whole training runs, a browser if one is there)
#   ./scripts/test.sh --locked       with the versions of requirements-dev.lock, in an environment of their own
#   ./scripts/test.sh -k name ...    anything else goes to pytest
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
. scripts/environment.sh

selection=(-m "not full")
versions=()
suffix=
while [ "${1:-}" = --full ] || [ "${1:-}" = --locked ]; do
  if [ "$1" = --full ]; then
    selection=()
  else
    versions=(-c requirements-dev.lock)
    suffix=-locked
  fi
  shift
done

# Another Python has another environment: PYTHON=python3.13 ./scripts/test.sh
venv=$root/.venv-test${PYTHON:+-$(basename "$PYTHON")}$suffix
make_environment "$venv"
install "$venv" ${versions[@]+"${versions[@]}"} ".[dev]"
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
cp -r tests benchmarks pyproject.toml requirements-dev.lock README.md docs notebooks "$work/"
cd "$work"
"$venv/bin/python" -c 'import pathlib, sys, thzjax; p = pathlib.Path(thzjax.__file__); sys.exit("site-packages" not in p.parts)'
THZJAX_SOURCE=$root "$venv/bin/python" -m pytest -n "${PYTEST_WORKERS:-2}" ${selection[@]+"${selection[@]}"} "$@"
