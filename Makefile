# Every target sets up what it needs in .venv, with plain pip and constraints.txt; a second call is instant.
#   make test PYTHON=python3.12         another Python (3.11 or newer), for a .venv that is not there yet
#   make test ARGS="-k beam -x"         options for pytest

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
SPEED := $(sort $(patsubst benchmarks/speed/%.py,%,$(wildcard benchmarks/speed/*.py)))

.DEFAULT_GOAL := help
.PHONY: help quickstart test lint check bench clean

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

quickstart: .venv/ready-quickstart ## set up, train a pronunciation model in minutes, look at its attention
	$(BIN)/jumok quickstart

test: .venv/ready-dev ## set up and run the tests (slow ones: ARGS="-m slow")
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/ready-dev ## format and lint (ruff), types (mypy)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test ## all that a change must pass: lint, then test

bench: .venv/ready-dev ## run the benchmarks of speed, one JSON line each
	@for name in $(SPEED); do $(BIN)/python -m benchmarks.speed.$$name || exit 1; done

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
