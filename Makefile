# Every target makes what it needs: a Python 3.11 or newer and a package index that pip can reach are enough.
#   make test PYTHON=python3.13            another interpreter (after `make clean`)
#   make test TEST_ARGS="-k retry --no-cov"
#   make demo DEMO_ARGS="--files 200"      make bench BENCH_ARGS="--jobs 20000"

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

BIN := .venv/bin
READY := .venv/.ready
export PYTHON

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## Measure a whole Python standard library with background jobs, in under a minute
	@$(BIN)/lineshaft demo $(DEMO_ARGS)

test: $(READY) ## Run every test on SQLite and PostgreSQL, random order; fails under 90 % of branches
	@$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term $(TEST_ARGS)

lint: $(READY) ## Check style, types, layers, the lock file and known vulnerabilities
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/uv lock --check --offline
	$(BIN)/python tools/audit.py

format: $(READY) ## Format the code and apply the safe fixes
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(READY) ## Measure this machine on SQLite and on a temporary PostgreSQL
	@$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

states: $(READY) ## Write docs/states.md from the table of moves
	@$(BIN)/python tools/states.py > docs/states.md

lock: $(READY) ## Take the newest versions of every dependency into uv.lock
	$(BIN)/uv lock --upgrade --system-certs --default-index https://pypi.org/simple

clean: ## Remove .venv, caches, build outputs and what the demo left
	rm -rf .venv build dist htmlcov lineshaft-demo .coverage .coverage.* coverage.xml \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache src/*.egg-info
	rm -f lineshaft.db lineshaft.db-shm lineshaft.db-wal
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(READY): pyproject.toml uv.lock tools/setup.sh
	@sh tools/setup.sh
	@touch $@

.PHONY: help demo test lint format bench states lock clean
