#!/usr/bin/env bash
# Write requirements-dev.lock anew: the exact version of everything that developing and testing installs, as pip resolves
# it today in a fresh environment of the oldest supported Python. No hashes and no addresses: any index will do.
#   ./scripts/lock.sh
#   PYTHON=python3.12 ./scripts/lock.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PYTHON=${PYTHON:-$(find_this_python 3.11)}
make_environment "$work/venv"
install "$work/venv" ".[dev]"
{
  echo "# Made by scripts/lock.sh with $("$work/venv/bin/python" --version), on $(uname -s) $(uname -m)."
  echo "# Used by scripts/test.sh --locked, or: pip install -c requirements-dev.lock '.[dev]'"
  "$work/venv/bin/python" -m pip freeze --exclude thzjax --disable-pip-version-check | LC_ALL=C sort -f
} >"$work/lock"
if grep -E '//| @ ' "$work/lock" >&2; then
  echo "these are no plain versions: requirements-dev.lock is left as it was" >&2
  exit 1
fi
mv "$work/lock" requirements-dev.lock
echo "$(grep -vc '^#' requirements-dev.lock) packages in requirements-dev.lock"
