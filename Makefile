# `make demo`, `make test`, `make storm`: each sets up by itself what it needs, in .venv, and is quick the second time.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
SECONDS ?=

.PHONY: demo test bench bench-quick storm nightly check format clean

demo: $(READY)
	$(BIN)/tocsin demo $(if $(SECONDS),--seconds $(SECONDS))

test: check
	$(BIN)/pytest --quiet -m alone
	$(BIN)/python -m benchmarks.quick
	$(BIN)/pytest -n 2 -m 'not alone' --cov --cov-report=term

bench: $(READY)
	$(BIN)/python -m benchmarks.report

bench-quick: $(READY)
	$(BIN)/python -m benchmarks.quick

storm: $(READY)
	$(BIN)/python -m tests.storm $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS))

nightly: $(READY)
	HYPOTHESIS_PROFILE=nightly $(BIN)/pytest -n 2 tests/tormentor tests/unit/rest tests/integration/backfill/test_backfill_memory.py
	TOCSIN_ROUNDS=20 $(BIN)/pytest tests/acceptance/test_redis_dies.py tests/acceptance/test_odd_tasks.py tests/acceptance/test_worker_stops.py

check: $(READY)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tocsin needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* .import_linter_cache build *.egg-info
