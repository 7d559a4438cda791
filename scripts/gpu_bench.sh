#!/usr/bin/env bash
# Everything that is measured on a GPU, in one command of under nine minutes: kernels against the measured peaks, training
# and environment steps a second against batch size, policies, and the times to paper A's and paper B's results.
#   ./scripts/gpu_bench.sh OUT        lines into OUT/gpu.jsonl, tables and picture beside them
#   PYTHON=python3.12 CUDA=cuda13 ./scripts/gpu_bench.sh OUT
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

out=${1:?"usage: scripts/gpu_bench.sh OUT"}
begin=$SECONDS
limit=520 # seconds for all of it; what has not begun by then is left out, and said so
mkdir -p "$out"
make_environment .venv-gpu || exit 1
install .venv-gpu ".[${CUDA:-cuda12}]" || exit 1
python=$PWD/.venv-gpu/bin/python
"$python" -c 'import jax, sys; print(jax.devices()); sys.exit(jax.default_backend() != "gpu")' || {
  echo "jax sees no GPU here" >&2
  exit 1
}

failed=0
# measure SECONDS MODULE [OPTIONS]: its lines, unless the time is over.
measure() {
  local most=$1
  shift
  if [ $((SECONDS - begin + most / 3)) -gt $limit ]; then
    echo "left out for lack of time: $*" >&2
    return
  fi
  timeout "$most" "$python" -m "$@" | tee -a "$out/gpu.jsonl" || {
    echo "failed or cut off after $most s: $*" >&2
    failed=1
  }
}

measure 100 benchmarks.kernels --cores 16 --quick
measure 100 benchmarks.environment --cores 16 --batch 65536 --quick
measure 120 benchmarks.training --cores 16 --only ppo apg --quick
measure 90 benchmarks.scaling --cores 16 --only batch elements --quick
measure 90 benchmarks.inference --cores 16 --batches 1 65536 --quick
"$python" -m benchmarks.report "$out/gpu.jsonl" --out "$out" >/dev/null || failed=1
echo "$((SECONDS - begin)) s, in $out"
exit $failed
