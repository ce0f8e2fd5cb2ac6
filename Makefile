# `make demo`, `make test`, `make storm`: each sets up by itself what it needs, in .venv, and is quick the second time.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
SECONDS ?=
ROOM_KB := 4000000
FREE_KB = "0$$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1 | tr -d ' ')"
IN_MEMORY = grep -qs ' /dev/shm .*noexec' /proc/mounts || [ $(FREE_KB) -lt $(ROOM_KB) ] || export TMPDIR=/dev/shm;

.PHONY: demo test bench bench-quick storm nightly check format clean

demo: $(READY)
	$(BIN)/tocsin demo $(if $(SECONDS),--seconds $(SECONDS))

# Tests write where writing needs no disc, if there is room, and programs may run there: SQLite would wait for the disc at
# each of 100,000 commits.
# They run one more at a time than two cores can, as many a test waits; who has none left takes some of another's.
test: check
	$(BIN)/pytest --quiet -m alone
	$(BIN)/python -m benchmarks.quick
	$(IN_MEMORY) $(BIN)/pytest -n 3 --dist worksteal -m 'not alone' --cov --cov-report=term

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
