# Every target sets up what it needs in .venv, with plain pip and constraints.txt; a second call is instant.
#   make test PYTHON=python3.12         another Python (3.11 or newer), for a .venv that is not there yet
#   make test ARGS="-k beam -x"         options for pytest
#   make test WORKERS=8                 processes that share the tests; 0 = all in one, as --pdb needs it

PYTHON ?= python3
ARGS ?=
WORKERS ?= 2
BIN := .venv/bin
SPEED := $(sort $(patsubst benchmarks/speed/%.py,%,$(wildcard benchmarks/speed/*.py)))

.DEFAULT_GOAL := help
.PHONY: help quickstart test lint check bench engine wheel clean

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

quickstart: .venv/ready-quickstart ## set up, train a pronunciation model in minutes, look at its attention
	$(BIN)/jumok quickstart

test: .venv/ready-library ## set up and run the tests (slow ones: ARGS="-m slow")
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

lint: .venv/ready-dev ## format and lint (ruff), types (mypy)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test ## all that a change must pass: lint, then test

bench: .venv/ready-library ## run the benchmarks of speed, one JSON line each
	@for name in $(SPEED); do $(BIN)/python -m benchmarks.speed.$$name || exit 1; done

engine: .venv/ready-engine ## build the engine for all platforms and wasm, with zig (400 MB in .venv)
	$(BIN)/python -m jumok.engine.build --all

wheel: engine ## a wheel for any platform, with the engine's libraries, in dist/
	JUMOK_LIBRARIES=$(CURDIR)/jumok/engine/libraries $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls -l dist

clean: ## remove .venv, caches and built files
	rm -rf .venv build dist *.egg-info .pytest_cache .hypothesis .ruff_cache .mypy_cache
	find jumok tests benchmarks docs examples -name __pycache__ -type d -prune -exec rm -rf {} +

# pip itself comes first: --group (the dev tools in pyproject.toml) needs 25.1, and Python 3.11 brings 23.2.
.venv/ready-pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); Jumok needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@

.venv/ready-quickstart: .venv/ready-pip pyproject.toml constraints.txt
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[quickstart]"
	@touch $@

.venv/ready-dev: .venv/ready-pip pyproject.toml constraints.txt
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[train,quickstart,plots]" --group dev
	@touch $@

# The engine's library for this machine, again where its source has changed; without a C compiler NumPy computes.
.venv/ready-library: .venv/ready-dev $(wildcard jumok/engine/source/*) jumok/engine/build.py jumok/engine/platforms.py
	$(BIN)/python -m jumok.engine.build || true
	@touch $@

.venv/ready-engine: .venv/ready-dev
	$(BIN)/python -m pip install --group engine
	@touch $@

# What browser tests of the page need beside node and Chromium; nothing of it is in the page.
.venv/ready-page: .venv/ready-pip tests/page/package.json
	@mkdir -p .venv/page
	cp tests/page/package.json .venv/page/
	npm install --prefix .venv/page --no-audit --no-fund --ignore-scripts --silent
	@touch $@
