# Every target does its own set-up: a fresh Debian 12 needs only python3 python3-venv make git.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCK   := packaging/locks/dev.txt
ARGS   ?=
LANES  ?= 8

.DEFAULT_GOAL := help
.PHONY: help demo test lint unit slow-path soak faults restarts bench bench-wan perf-gate herd screenshots lock packages booted clean

help:            ## Show the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.locked: $(LOCK)
	@command -v $(PYTHON) >/dev/null || { echo "python3 is missing: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is older: set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "python3-venv is missing: apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (once; about a minute) ..."
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(LOCK)
	@touch $@

# The package itself, in place; its metadata (console scripts) follows pyproject.toml.
$(VENV)/.ready: $(VENV)/.locked pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/.ready  ## Run sample store, server and agent and send requests through the tunnel (ARGS=--once to leave after it)
	@$(BIN)/prestashop-agent demo $(ARGS)

test: $(VENV)/.ready lint unit  ## Check style, types and frontiers, then run the tests

lint: $(VENV)/.ready  ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

unit: $(VENV)/.ready  ## The tests only (ARGS=path or -k name)
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

slow-path: $(VENV)/.ready  ## Integration tests and faults once more with the fast path off at both ends (make unit has it on)
	@PRESTASHOP_AGENT_FAST_PATH=0 INTEGRATION_SERVER_FAST_PATH=0 \
	    $(BIN)/python -m pytest tests/integration tests/faults -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

soak: $(VENV)/.ready  ## 10^6 random SSH packets between the fast path and asyncssh's own (ARGS="--packets N --seed S")
	@$(BIN)/python -m tests.bench.fast_path_soak $(ARGS)

herd: $(VENV)/.ready  ## 500 agents lose the server and come back, 100,000 more are simulated (ARGS=--agents N, --json)
	@$(BIN)/python -m tests.bench.herd $(ARGS)

faults: $(VENV)/.ready  ## The fault matrix, every cell (ARGS="--row rst --column post", --repeats N, --faults-markdown FILE)
	@$(BIN)/python -m pytest tests/faults --all-faults -n $(LANES) --dist worksteal $(ARGS)

restarts: $(VENV)/.ready  ## Agent and server restarted 3 times each under 50 requests/s, with a 20 s export at each
	@$(BIN)/python -m pytest tests/e2e/test_restarts.py -m long -s $(ARGS)

# What is compared with, in a folder of its own: none of it is our dependency. Without it the tables say so.
$(VENV)/bench-peers/.ready: packaging/locks/bench.txt | $(VENV)/.ready
	@rm -rf $(@D)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $< --target $(@D) \
		&& touch $@ || { echo "snitun could not be installed and is left out."; rm -rf $(@D); }

bench: $(VENV)/.ready $(VENV)/bench-peers/.ready  ## The same work through several tunnels: CPU, rate, memory; 15 minutes; out/bench.md (ARGS=--help)
	@$(BIN)/python -m tests.bench.tunnels $(ARGS)

bench-wan: $(VENV)/.ready $(VENV)/bench-peers/.ready  ## The same over long lines of 20 to 200 ms; 20 minutes; out/bench-wan.md (ARGS=--help)
	@$(BIN)/python -m tests.bench.tunnels.wan $(ARGS)

perf-gate: $(VENV)/.ready  ## CPU per request against plain asyncssh, and with against without the fast path; fails above the limits
	@$(BIN)/python -m pytest tests/bench/test_gate.py -m long -s $(ARGS)

screenshots: $(VENV)/.ready  ## The panel in Chromium, from first login to a used connection; pictures in out/screenshots
	@PANEL_SCREENSHOTS=$(CURDIR)/out/screenshots $(BIN)/python -m pytest tests/browser $(ARGS)

packages: $(VENV)/.ready  ## Build the .deb and .rpm packages into dist/, then test them (docs/packages.md: what that needs)
	@$(BIN)/python packaging/build.py
	@$(BIN)/python -m pytest tests/packaging -m long -n 2 --dist loadfile $(ARGS)

booted: $(VENV)/.ready  ## Install the packages of dist/ in a Debian that boots, use, upgrade and purge them; two minutes, as root
	@$(BIN)/python -m pytest tests/booted -m long -x -s $(ARGS)

lock: $(VENV)/.ready  ## Write the locked requirements anew (hashes, no index addresses)
	@packaging/lock.sh

clean:           ## Remove the virtual environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist out
