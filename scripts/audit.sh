#!/usr/bin/env bash
# Ask for known vulnerabilities of everything in requirements-dev.lock, by pip-audit in an environment of its own. It needs
# a network that reaches the vulnerability service (of PyPI, or --vulnerability-service osv).
#   ./scripts/audit.sh
#   ./scripts/audit.sh --vulnerability-service osv    any option of pip-audit
# Status 0: nothing is known; 1: something is, or the service is out of reach or does not know a package, and the last lines
# say which.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

make_environment .venv-audit
install .venv-audit "pip-audit>=2.7"
# Versions as they are locked, without resolving or installing anything.
exec .venv-audit/bin/pip-audit --requirement requirements-dev.lock --no-deps --disable-pip --strict --progress-spinner off "$@"
