# Every target makes what it needs: a Python 3.11 or newer and a package index that pip can reach are enough.
#   make test PYTHON=python3.13            another interpreter (after `make clean`)
#   make test TEST_ARGS="-k retry --no-cov"
#   make demo DEMO_ARGS="--files 200"      make bench ONLY=rq BENCH_ARGS="--repetitions 1"

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

BIN := .venv/bin
READY := .venv/.ready
export PYTHON

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## Measure a whole Python standard library with background jobs, in under a minute
	@$(BIN)/lineshaft demo $(DEMO_ARGS)

test: $(READY) ## Run every test on SQLite and PostgreSQL, random order; fails under 90 % of branches
	@$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term $(TEST_ARGS)

chaos: $(READY) ## Kill, stop and starve workers and stores at every point that is known, twenty minutes
	@$(BIN)/python -m pytest tests/chaos -m "chaos or not chaos" -n 2 --dist worksteal $(TEST_ARGS)

schedules: $(READY) ## Measure how punctual 10,000 schedules are and what they cost, in four minutes (RECORD=1)
	@$(BIN)/python -m benchmarks.schedules $(if $(RECORD),--record) $(SCHEDULES_ARGS)

flow: $(READY) ## Measure what limits cost and how exact they are, a quarter of an hour (RECORD=1)
	@$(BIN)/python -m benchmarks.flow $(if $(RECORD),--record) $(FLOW_ARGS)

pictures: $(READY) ## Draw the pictures of docs/flow-control.md from real runs (SCENES="rate order")
	@$(BIN)/python -m benchmarks.pictures $(SCENES)

compare: $(READY) ## Compare the rate of jobs with another revision, in turns (BASE=main, COMPARE_ARGS="--pairs 30")
	@$(BIN)/python -m benchmarks.compare $(or $(BASE),main) $(COMPARE_ARGS)

chaos-soak: $(READY) ## Run a million jobs under random faults (MINUTES=30 JOBS=1000000 STORE=sqlite SEED=1)
	@$(BIN)/python -m tests.chaos.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(JOBS),--jobs $(JOBS)) \
		$(if $(STORE),--store $(STORE)) $(if $(SEED),--seed $(SEED)) $(SOAK_ARGS)

simulate: $(READY) ## Run seeds of the simulated fleet, 2,000 in under a minute (SEEDS=5000:9000, STORE=file; SEED=7: its trace)
	@$(BIN)/python -m tests.simulation.run $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),0:2000)) \
		$(if $(STORE),--store $(STORE))

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

bench: $(READY) ## Measure Lineshaft beside its peers, an hour (QUICK=1: only what got slower; ONLY=rq,lineshaft-sqlite)
	@$(BIN)/python -m benchmarks.run $(if $(QUICK),--quick) $(if $(RECORD),--record) $(if $(ONLY),--only $(ONLY)) $(BENCH_ARGS)

profile: $(READY) ## Show where a worker's time goes at full rate, in microseconds a job (needs py-spy)
	@$(BIN)/python -m benchmarks.profile $(PROFILE_ARGS)

growth: $(READY) ## Compare the rates of a small and a large store, and beside a held transaction; needs 20 GB of disk
	@$(BIN)/python -m benchmarks.growth $(GROWTH_ARGS)

soak: $(READY) ## Enqueue and drain at full rate for MINUTES (20) on each store: do sizes stay stable?
	@$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),20)

states: $(READY) ## Write docs/states.md from the table of moves
	@$(BIN)/python -m tools.states > docs/states.md

docs: $(READY) ## Build the documentation as a site in site/; a link that leads nowhere fails
	@$(BIN)/python -m zensical build --strict --clean

docs-serve: $(READY) ## Show the documentation on http://localhost:8000, and each change of it
	@$(BIN)/python -m zensical serve

lock: $(READY) ## Take the newest versions of every dependency into uv.lock
	$(BIN)/uv lock --upgrade --system-certs --default-index https://pypi.org/simple

clean: ## Remove .venv, caches, build outputs and what the demo left
	rm -rf .venv .cache build dist htmlcov lineshaft-demo site .coverage .coverage.* coverage.xml \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache src/*.egg-info
	rm -f lineshaft.db lineshaft.db-shm lineshaft.db-wal
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(READY): pyproject.toml uv.lock tools/setup.sh
	@sh tools/setup.sh
	@touch $@

.PHONY: help demo test chaos chaos-soak simulate lint format bench compare flow growth pictures schedules soak profile states docs docs-serve lock clean
