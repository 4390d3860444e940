#!/usr/bin/env bash
# Writes packaging/locks/*.txt from pyproject.toml: pinned, with hashes, without index addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools/venv"
"$tools/venv/bin/pip" install --quiet --disable-pip-version-check pip-tools
compile() {
    CUSTOM_COMPILE_COMMAND="make lock" "$tools/venv/bin/pip-compile" --quiet --upgrade --generate-hashes --allow-unsafe \
        --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-annotate "$@" </dev/null
}
compile pyproject.toml --output-file packaging/locks/agent.txt
compile pyproject.toml --extra server --output-file packaging/locks/server.txt
compile pyproject.toml --extra server --extra dev --output-file packaging/locks/dev.txt
compile packaging/locks/bench.in --output-file packaging/locks/bench.txt
