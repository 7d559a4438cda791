#!/usr/bin/env bash
# Half an hour of training under watch: resident memory, threads, open files and memory maps every 10 s, and at the end
# how much of each is gained an hour. Status 1 where something grows.
#   ./scripts/soak.sh                          JSON lines on standard output, and in soak.jsonl
#   ./scripts/soak.sh --minutes 5 --every 2    any option of `python -m benchmarks.soak`
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

make_environment .venv >&2
install .venv . >&2
exec .venv/bin/python -m benchmarks.soak --out soak.jsonl "$@"
