# Every target sets up what it needs: a virtual environment in .venv, made again when pyproject.toml or
# constraints.txt change. `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Arguments for the command behind a target: make test ARGS="-k diagnostics -x"
ARGS   ?=
JOBS   ?= $(shell getconf _NPROCESSORS_ONLN)
SPEC   ?= specs/gla.spec

# The CPU build of torch where no NVIDIA driver is (see constraints.txt). TORCH= takes any pip requirement.
TORCH_VERSION   := $(shell sed -n 's/^torch==//p' constraints.txt)
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
ifeq ($(shell uname -s)-$(shell command -v nvidia-smi),Linux-)
TORCH ?= torch==$(TORCH_VERSION)+cpu
else
TORCH ?= torch==$(TORCH_VERSION)
endif

# One thread for each test process: the shapes are small, and the processes share the cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(READY) ## make .venv with everything that the other targets need

.PHONY: demo
demo: $(READY) ## compile specs/gla.spec, train a small language model with it, generate text, plot the loss
	$(BIN)/recurrence train --spec $(SPEC) --out out/demo $(ARGS)

.PHONY: test
test: $(READY) ## run the test suite; with ARGS only what they select
	$(PYTEST) -n $(JOBS) $(ARGS)
ifeq ($(ARGS),)
	$(MAKE) --no-print-directory test-kernels
endif

.PHONY: test-kernels
test-kernels: $(READY) ## the suite's last part: Triton's kernels, run by Triton's interpreter
	TRITON_INTERPRET=1 $(PYTEST) -n $(JOBS) tests/kernels $(ARGS)

.PHONY: test-gpu
test-gpu: $(READY) ## run the tests that need an accelerator
	$(BIN)/python -m pytest -m gpu $(ARGS)

.PHONY: test-long
test-long: $(READY) ## run the searches that take minutes
	$(PYTEST) -n $(JOBS) -m long $(ARGS)
	TRITON_INTERPRET=1 $(PYTEST) -n $(JOBS) -m long tests/kernels $(ARGS)

.PHONY: mutation
mutation: $(READY) ## plant faults in the compiler and see `recurrence check` catch every one
	$(BIN)/python -m tests.mutation $(ARGS)

.PHONY: lint
lint: $(READY) ## ruff's rules
	$(BIN)/ruff check $(ARGS)

.PHONY: format
format: $(READY) ## lay the sources out, and apply ruff's safe fixes
	$(BIN)/ruff format
	$(BIN)/ruff check --fix-only

.PHONY: format-check
format-check: $(READY) ## fail where `make format` would change the layout
	$(BIN)/ruff format --check

.PHONY: types
types: $(READY) ## pyright
	$(BIN)/pyright $(ARGS)

.PHONY: golden
golden: $(READY) ## rewrite the golden files; read the diff before committing it
	$(PYTEST) -n $(JOBS) --update-golden $(ARGS)

.PHONY: bench
bench: $(READY) ## measure speed on this machine's CPU (some minutes; keep it otherwise idle)
	$(BIN)/python benchmarks/cpu.py $(ARGS)

.PHONY: bench-gpu
bench-gpu: $(READY) ## check and time the Triton kernels on a GPU, beside fla's; ARGS=--dry runs it small on a CPU
	$(BIN)/python -m benchmarks.gpu $(ARGS)

# .ci/kernels.json keeps what each kernel was found to need, and is brought up to date: commit it with a change of kernels.
RECORD := --known .ci/spills.json --record .ci/kernels.json
.PHONY: spills
spills: $(READY) ## compile the changed ones of the shipped specs' default Triton kernels; fail where one spills more than listed
	$(BIN)/recurrence resources specs/*.spec --unmeasured --again 18 $(RECORD) $(ARGS)

.PHONY: resources
resources: $(READY) ## compile all kernels of all plans, for sm_80, sm_90 and gfx942 (hours)
	$(BIN)/recurrence resources specs/*.spec --known .ci/spills.json $(ARGS)

.PHONY: pictures
pictures: $(READY) ## draw the pictures of the README and the docs again
	$(BIN)/python docs/pictures/draw.py

.PHONY: wheel
wheel: $(READY) ## build a wheel into dist/
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

.PHONY: ci
ci: ## what continuous integration runs
	.ci/run

.PHONY: clean
clean: ## remove what building and testing left, but not .venv
	rm -rf build dist out .pytest_cache .ruff_cache .hypothesis
	find recurrence_dsl tests examples benchmarks docs -name __pycache__ -prune -exec rm -rf {} +

# --- set-up ----------------------------------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Python's venv module is needed (on Debian: apt-get install python3-venv)." >&2; exit 1; }

# torch comes first and alone, so that the choice of build is ours; the fla packages are test oracles of which only the plain
# Python parts are used, hence without their dependencies.
$(READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Setting up $(VENV) ($(TORCH)); the first time takes some minutes."
	@$(BIN)/pip install --quiet '$(TORCH)' || \
	  $(BIN)/pip install --quiet '$(TORCH)' --extra-index-url $(TORCH_CPU_INDEX)
	@grep -v '^torch==' constraints.txt >$(VENV)/constraints.txt
	@$(BIN)/pip install --quiet --constraint $(VENV)/constraints.txt --editable '.[dev]'
	@$(BIN)/pip install --quiet --no-deps fla-core==0.6.0 flash-linear-attention==0.6.0
	@touch $@
