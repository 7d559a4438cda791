#!/usr/bin/env bash
# The built wheel on every supported Python that is at hand, with the oldest and the newest supported jax, as a user runs
# it: no display, CPU only, a home that cannot be written, spaces and letters beyond ASCII in every path. Prints a table.
#   ./scripts/platforms.sh                     all of them; some 5 minutes each on 2 free cores, and 2 GB at a time
#   ./scripts/platforms.sh 3.12                this Python alone
#   ./scripts/platforms.sh --jax newest 3.13   or --jax oldest
#   ./scripts/platforms.sh --lowest            instead: every dependency at its lower bound, on the oldest Python
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
. scripts/environment.sh

pythons=()
kinds=(oldest newest)
while [ $# -gt 0 ]; do
  case $1 in
    --jax)
      kinds=("${2:?--jax needs oldest or newest}")
      shift
      ;;
    --lowest) kinds=(lowest) pythons=(3.11) ;;
    3.*) pythons+=("$1") ;;
    *)
      echo "unknown: $1; see the head of $0" >&2
      exit 2
      ;;
  esac
  shift
done
[ ${#pythons[@]} -gt 0 ] || pythons=(3.11 3.12 3.13)

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
place="$work/Prüf stand 太赫兹"
mkdir -p "$place"

# A home that cannot be written: root may write where permissions say no, but in no file system of the kernel's.
home="$work/home"
mkdir "$home"
chmod a-w "$home"
if touch "$home/try" 2>/dev/null; then home=/proc; fi

# lower_bounds: every dependency at the least version that pyproject.toml admits, as constraints.
lower_bounds() {
  sed -n '/^dependencies = \[/,/^\]/p' pyproject.toml | sed -nE 's/^ *"([A-Za-z0-9_-]+)>=([0-9][0-9.]*).*/\1==\2/p'
}

user() { # a command as a user has it
  (cd "$place" && env -u DISPLAY -u WAYLAND_DISPLAY -u XDG_CACHE_HOME -u JAX_COMPILATION_CACHE_DIR -u THZJAX_CACHE \
    HOME="$home" JAX_PLATFORMS=cpu JAX_DISABLE_MOST_OPTIMIZATIONS=1 PYTHONDONTWRITEBYTECODE=1 "$@")
}

# step NAME COMMAND...: whether it ends well, and within ten minutes; what it said is shown where it does not.
step() {
  local name=$1 begin=$SECONDS
  shift
  if user timeout 600 "$@" >"$place/said" 2>&1 && ! grep -q Traceback "$place/said"; then
    results+=("$name ok $((SECONDS - begin)) s")
  else
    results+=("$name FAILED")
    failed=1
    tail -n 30 "$place/said" >&2
  fi
}

small=(num_envs=32 minibatches=2 epochs=1 hidden=8,8 updates_per_record=2 validation_channels=16)
tests=(tests/systems/test_irs_isac.py tests/physics/test_propagation.py tests/experiment/test_overrides.py
  tests/experiment/test_sweep_spec.py)

# try_out PYTHON KIND: a fresh environment, what a user does in it, and a line of the table.
try_out() {
  local version=$1 kind=$2 python venv run constraints="$work/constraints"
  python=$(find_this_python "$version")
  if [ -z "$python" ]; then
    table+=("$version|$kind|-|-|no such Python is at hand")
    return
  fi
  venv="$place/umgebung $version $kind"
  run="$place/läufe $version $kind"
  results=()
  echo "Python $version, $kind" >&2
  case $kind in
    lowest) lower_bounds >"$constraints" ;;
    oldest) lower_bounds | grep '^jax==' >"$constraints" ;;
    *) : >"$constraints" ;;
  esac
  if ! "$python" -m venv --clear "$venv" || ! install "$venv" -c "$constraints" "$wheel" pytest pytest-timeout hypothesis >&2; then
    table+=("$version|$kind|-|-|FAILED to install")
    failed=1
  else
    local thzjax="$venv/bin/thzjax"
    step info "$thzjax" info
    step train "$thzjax" train paper-a --quick --steps 512 --no-report --out "$run" --set "${small[@]}"
    step evaluate "$thzjax" evaluate "$run" --channels 16 --json "$run/zeilen.json"
    step compare "$thzjax" compare paper-a --channels 16 --methods rzf/focused mrt/focused --out "$run/bilder"
    step export "$thzjax" policy "$run" --export "$run/policy"
    step use "$thzjax" policy "$run/policy"
    step show "$thzjax" show paper-a --method rzf/focused --grid 3 --out "$run/karte"
    cp -r "$root/tests" "$root/benchmarks" "$root/pyproject.toml" "$place/"
    step tests "$venv/bin/python" -m pytest -q -p no:cacheprovider -m "not full" "${tests[@]}"
    local versions
    versions=$("$venv/bin/python" -c 'import jax, numpy; print(f"{jax.__version__}|{numpy.__version__}")')
    table+=("$version|$kind|$versions|$(printf '%s; ' "${results[@]}")")
  fi
  rm -rf "$venv" "$place/tests" "$place/benchmarks" "$place/pyproject.toml"
}

failed=0
table=()
first=$(find_this_python "${pythons[0]}")
"${first:-$(find_python)}" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work/dist" . || exit 1
wheel=$(ls "$work"/dist/*.whl)
for version in "${pythons[@]}"; do
  for kind in "${kinds[@]}"; do
    try_out "$version" "$kind"
  done
done

echo "| Python | jax asked for | jax | NumPy | what was done |"
echo "|---|---|---|---|---|"
for line in "${table[@]}"; do
  echo "| ${line//|/ | } |"
done
if [ "$home" != /proc ] && [ -n "$(ls -A "$home")" ]; then
  echo "something was written to a home that cannot be written" >&2
  failed=1
fi
exit $failed
