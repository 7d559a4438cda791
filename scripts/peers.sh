#!/usr/bin/env bash
# thzjax beside other libraries, on the CPU: installs them from PyPI in an environment of their own and measures.
#   ./scripts/peers.sh                          all of them, on one core; JSON lines on standard output
#   ./scripts/peers.sh --quick                  the smallest case of each
#   ./scripts/peers.sh --only sb3 --cores 2     any option of `python -m benchmarks.peers`
#   TORCH="torch==2.13.0" ./scripts/peers.sh    another build of torch than the one that pip finds first
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

peers=()
options=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) exec "$(find_python)" -m benchmarks.peers --help ;;
    --only=*) peers+=("${1#--only=}") ;;
    --only)
      while [ $# -gt 1 ] && [[ $2 != -* ]]; do
        peers+=("$2")
        shift
      done
      ;;
    *) options+=("$1") ;;
  esac
  shift
done
[ ${#peers[@]} -gt 0 ] || peers=(sb3 sbx sionna cvxpy)

# All of them agree on one environment. The release of torch is that of the measurements.
torch=${TORCH:-torch==2.13.0}
packages=()
for peer in "${peers[@]}"; do
  case $peer in
    sb3) packages+=("$torch" stable-baselines3) ;;
    sbx) packages+=("$torch" stable-baselines3 sbx-rl) ;;
    sionna) packages+=("$torch" sionna-no-rt) ;;
    cvxpy) packages+=(cvxpy) ;;
    *)
      echo "peer $peer is unknown: use sb3, sbx, sionna or cvxpy" >&2
      exit 2
      ;;
  esac
done
venv=.venv-peers
make_environment "$venv" >&2
install "$venv" "${packages[@]}" ".[gym,baselines]" >&2

# Each in a process of its own, beside thzjax and none of the others.
for peer in "${peers[@]}"; do
  "$venv/bin/python" -m benchmarks.peers --only "$peer" ${options[@]+"${options[@]}"}
done
