#!/usr/bin/env bash
# The main job: set up, train primal-dual PPO on paper A's system, judge it on held-out channels, write the report.
#   ./scripts/run.sh                 about two minutes of training and evaluation on 2 CPU cores
#   ./scripts/run.sh --quick         a fifth of the training
#   ./scripts/run.sh --seed 1 ...    any option of `thzjax train`
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

make_environment .venv
install .venv .

out=runs/$(date +%Y%m%d-%H%M%S)
for argument in "$@"; do
  case $argument in --out | --out=* | --resume | --resume=*) out= ;; esac
done
if [ -n "$out" ]; then
  exec .venv/bin/thzjax train paper-a --agent ppo --out "$out" "$@"
fi
exec .venv/bin/thzjax train "$@"
