#!/usr/bin/env bash
# Build the pages into build/docs, warnings as errors: open build/docs/index.html.
#   ./scripts/docs.sh                            in an environment of its own, .venv-docs
#   ENVIRONMENT=.venv-test ./scripts/docs.sh     in one that is there, to which the tools are added
#   ./scripts/docs.sh -E                         any option of sphinx-build; -E reads every page anew
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

environment=${ENVIRONMENT:-.venv-docs}
make_environment "$environment"
install "$environment" ".[docs]"
# In one process: the pages take seconds, and workers would each import jax.
JAX_PLATFORMS=cpu "$environment/bin/python" -m sphinx -b html -W --keep-going -q -c docs "$@" . build/docs
echo "pages: build/docs/index.html"
