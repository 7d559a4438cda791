#!/usr/bin/env bash
# The main job: set up, train primal-dual PPO on paper A's system, judge it on held-out channels, write the report.
#   ./scripts/run.sh                 about two minutes on 2 CPU cores, the installation included
#   ./scripts/run.sh --quick         a tenth of the training
#   ./scripts/run.sh --seed 1 ...    any option of `thzjax train`, --resume RUN and --config FILE among them
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

make_environment .venv
install .venv .

preset=(paper-a)
out=(--out "runs/$(date +%Y%m%d-%H%M%S)")
for argument in "$@"; do
  case $argument in
    --resume | --resume=*) preset=() out=() ;;
    --config | --config=*) preset=() ;;
    --out | --out=*) out=() ;;
  esac
done
exec .venv/bin/thzjax train ${preset[@]+"${preset[@]}"} ${out[@]+"${out[@]}"} "$@"
