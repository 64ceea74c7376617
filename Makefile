# `make run` and `make test` need only Python 3.11 or newer (PYTHON=... names another one).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: run test test-faults test-services test-long check format bench bench-check clean

run: $(INSTALLED)
	$(BIN)/harness run experiments/ablation.toml

test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

test-faults: $(INSTALLED)
	$(BIN)/python -m pytest -m "faults and not long"

# Beside Python: PostgreSQL, Slurm, nginx and Chromium. Tests whose program is missing skip, unless HARNESS_SERVICES=required.
test-services: $(INSTALLED)
	$(BIN)/python -m pytest -m "services and not long"

test-long: $(INSTALLED)
	$(BIN)/python -m pytest -m long

# Some 15 minutes, on a machine that does nothing else; bench-check leaves with an error where a ratio got worse.
bench: $(INSTALLED)
	$(BIN)/python benchmarks/bench.py --output bench.json

bench-check: $(INSTALLED)
	$(BIN)/python benchmarks/bench.py --check benchmarks/measured/cpu.json

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(INSTALLED)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
