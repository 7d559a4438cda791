#!/usr/bin/env bash
# The main job: set up, train two learners on paper A's system, an unfolded optimiser by its exact gradient and
# primal-dual PPO, judge both on held-out channels beside the classical designs, and write one report.
#   ./scripts/run.sh                 within six minutes on 2 CPU cores, the installation included
#   ./scripts/run.sh --quick         a shorter training of both
#   ./scripts/run.sh --out DIR       into DIR/apg (with the report) and DIR/ppo
#   ./scripts/run.sh --seed 1 ...    any option of `thzjax train`; --agent NAME, --steps N, --configuration NAME,
#                                    --config FILE and --resume RUN mean that one run alone
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

preset=(paper-a)
folder=runs/$(date +%Y%m%d-%H%M%S)
place=(--out "$folder")
single=
report=yes
shared=() # what both runs are given
arguments=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --resume | --resume=*) preset=() place=() single=yes ;;
    --config | --config=*) preset=() single=yes ;;
    --agent | --agent=* | --steps | --steps=* | --configuration | --configuration=* | -h | --help) single=yes ;;
  esac
  case $1 in
    --out=*) folder=${1#--out=} place=() ;;
    --out)
      folder=${2:?--out needs a folder} place=()
      shift
      ;;
    --no-report) report= ;;
    *) shared+=("$1") ;;
  esac
  shift
done

make_environment .venv
install .venv .

if [ -n "$single" ]; then
  exec .venv/bin/thzjax train ${preset[@]+"${preset[@]}"} ${place[@]+"${place[@]}"} "${arguments[@]}"
fi
for agent in apg ppo; do
  .venv/bin/thzjax train paper-a --agent $agent --no-report --out "$folder/$agent" ${shared[@]+"${shared[@]}"}
done
if [ -n "$report" ]; then
  exec .venv/bin/thzjax report "$folder/apg" "$folder/ppo"
fi
