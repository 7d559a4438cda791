# Sourced by the scripts beside it: finds a Python, makes a virtual environment, and says what it does.

# The newest of the supported Pythons that is at hand, or $PYTHON.
find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.12 python3.11 python3.13 python3 python; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "thzjax needs Python 3.11 or newer: install one, or name it in PYTHON=..." >&2
  return 1
}

# find_this_python VERSION: a Python of just that version, of pyenv or on the path; nothing where there is none.
find_this_python() {
  local found
  found=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1"*/bin/python"$1" 2>/dev/null | tail -n 1 || true)
  echo "${found:-$(command -v "python$1" || true)}"
}

# make_environment FOLDER: create a virtual environment unless a whole one is there.
make_environment() {
  if ! "$1/bin/python" -m pip --version >/dev/null 2>&1; then
    local python
    python=$(find_python)
    echo "creating $1 with $("$python" --version)"
    "$python" -m venv --clear "$1"
  fi
}

# install FOLDER WHAT...: quietly, but loud on failure.
install() {
  local environment=$1
  shift
  echo "installing $*"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}
