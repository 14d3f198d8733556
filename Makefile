# make demo | test | check : each sets up what it needs, from a bare Debian 12 with python3, pip and make.
# Everything is installed into ./.venv; set-up runs again only when pyproject.toml or constraints.txt change.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
JOBS   ?= 2
PYTEST_ARGS ?=

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready

# A log wants silence, a person wants to see that something moves.
PIP_FLAGS := $(if $(CI),--quiet)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format clean

help:
	@echo "make demo    a map, a parcel table and a QGIS project of a small invented town, in ./demo"
	@echo "make test    all tests (JOBS=$(JOBS), PYTEST_ARGS=...)"
	@echo "make check   ruff, mypy, import contracts"
	@echo "make format  let ruff rewrite the sources"
	@echo "make clean   remove .venv, caches and ./demo"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no python3 found; install one: apt-get install python3 python3-venv"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) does not run or is older than 3.11; name another: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(MAKE) --no-print-directory .make-venv
	@echo "Installing sealmap and its libraries into $(VENV): about 3 GB to download and 6.5 GB on disk, once"
	@echo "(PyTorch is nearly all of it). This takes 2 to 10 minutes."
	@$(BIN)/python -m pip install $(PIP_FLAGS) --disable-pip-version-check -c constraints.txt -e '.[dev,lite]'
	@touch $@
	@echo "Set-up is done."

# Debian's python3 comes without ensurepip unless python3-venv is there; the system's pip can step in for it.
.PHONY: .make-venv
.make-venv:
	@rm -rf $(VENV)
	@"$(PYTHON)" -m venv $(VENV) >/dev/null 2>&1 || { \
	  rm -rf $(VENV); \
	  "$(PYTHON)" -m venv --without-pip $(VENV) && \
	  "$(PYTHON)" -m pip --python $(BIN)/python install --quiet --disable-pip-version-check pip; } || { \
	  rm -rf $(VENV); \
	  echo "A virtual environment cannot be made. As root: apt-get install python3-venv"; exit 1; }

demo: setup
	$(BIN)/sealmap demo --out demo --overwrite

test: setup
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis demo
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
