# `make` lists the targets. `make run` and `make test` do all the set-up on a fresh machine.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-gpu bench bench-gpu lint plan status stop repro clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "deepmine needs Python 3.11 or newer; set PYTHON=python3.11"; exit 1; }
	@test -d $(VENV) || { echo "making the virtual environment $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing (about 200 packages, a minute or two; the next time at once)"
	@$(BIN)/pip install --quiet --editable . --constraint constraints.txt
	@touch $@

$(DEV): $(READY)
	@$(BIN)/pip install --quiet --editable '.[dev]' --constraint constraints.txt
	@touch $@

run: $(READY)  ## install, then run every dataset of params.yaml through to its report
	@$(BIN)/deepmine run

test: $(DEV) lint  ## install, then lint, type-check and test (10 to 15 minutes on two cores)
	@$(BIN)/python -m pytest -m "not slow and not gpu" --numprocesses logical --dist loadfile

test-slow: $(DEV)  ## the full-size tests (kills, real server with a worker, CIFAR-10)
	@$(BIN)/python -m pytest -m slow

test-gpu:  ## the GPU tests; needs only torch with CUDA, scikit-learn, pandas, pyarrow, pillow, safetensors
	@$(PYTHON) -m pytest -m gpu -p no:cacheprovider tests/gpu

bench: $(DEV)  ## how fast it is, against the machine's own limits (6 minutes; best on an idle machine)
	@$(BIN)/python -m tests.benchmarks

bench-gpu:  ## the same on a GPU, training and extraction; needs what test-gpu needs
	@$(PYTHON) -m tests.benchmarks --device cuda

lint: $(DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

plan: $(READY)  ## what would run and why
	@$(BIN)/deepmine plan

status: $(READY)  ## what is current, stale, quarantined
	@$(BIN)/deepmine status

stop: $(READY)  ## end the Prefect server that a run started
	@$(BIN)/deepmine stop

repro: $(READY)  ## the same work by DVC alone, without Prefect
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro --keep-going

clean:  ## remove the virtual environment and what tools left; no data
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
