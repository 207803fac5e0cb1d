# Two commands matter: `make demo` runs the main job on this machine, `make test` proves it. `make check` says soon what
# is wrong with a change.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Without a browser the page's tests are left out, and `make test` says so; NEEDS=required lets them fail instead,
# as it does with every test that leaves itself out since something is missing.
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
ifeq ($(CHROMIUM)$(NEEDS),)
PAGELESS := --ignore tests/browser $(patsubst %,--ignore tests/e2e/test_%.py,page forms pressing)
endif
# The tests of what decides: no Airflow, network or process.
PURE := tests/unit/core
# Airflow starts a process per task, and each would compile the product anew.
unexport PYTHONDONTWRITEBYTECODE
FIND_PYTHON = @command -v $(PYTHON) >/dev/null \
  || { echo "error: Python 3.11 or newer is needed, and $(PYTHON) is not on PATH" >&2; exit 1; }
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
COMPILE = $(BIN)/uv pip compile --quiet --universal --no-emit-index-url --python-version 3.11
# What PostgreSQL and Celery need beside that; the lock names only what requirements-dev.txt does not, so it is no closed set.
CELERY_READY := .venv/.celery
LOCK = $(COMPILE) --generate-hashes --custom-compile-command "make lock"
# The tools that only look at what the image is made of have an environment of their own, beside that of the tests.
SUPPLY := .supply
SUPPLY_READY := $(SUPPLY)/.ready

.PHONY: demo check test lint style types imports pure unit e2e celery test-celery contract description axe bench faults chaos snapshots replay audit sbom lock policy doctor clean
.DEFAULT_GOAL := demo

# uv takes a fifth of pip's time, but knows none of pip's settings: where they are what reaches an index, pip does it.
$(READY): requirements-uv.txt requirements-dev.txt
	$(FIND_PYTHON)
	@$(PYTHON) demo/needs.py
	@echo "setting up .venv (about a minute)"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) -r requirements-uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements-dev.txt \
	  || $(PIP) -r requirements-dev.txt
	@touch $@

# Names and numbers of what is to be played: what is not there is told before anything is installed or begun for it.
PLAYED := $(filter bench faults chaos,$(MAKECMDGOALS))
ifneq ($(PLAYED),)
$(READY): | asked
asked:
	$(FIND_PYTHON)
	@$(PYTHON) bench/asked.py $(PLAYED)
endif

$(SUPPLY_READY): requirements-supply.txt $(READY)
	@$(BIN)/python -m venv --clear $(SUPPLY)
	@$(BIN)/uv pip install --quiet --python $(SUPPLY)/bin/python --require-hashes -r $< \
	  || $(SUPPLY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(CELERY_READY): requirements-celery.txt $(READY)
	@EXECUTOR=celery $(BIN)/python demo/needs.py
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --no-deps --require-hashes -r $< \
	  || $(PIP) --no-deps -r $<
	@touch $@

# TOUR=0 starts without the tour; ONCE=1 plays it, stops, and exits 0 only if every step came true; EXECUTOR=celery puts
# Airflow on PostgreSQL and Celery.
demo: $(if $(filter celery,$(EXECUTOR)),$(CELERY_READY),$(READY))
	@exec $(BIN)/python -m demo

# What starts neither Airflow nor the sandbox, two things at once; it says how long that took.
check: $(READY)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target pure lint && echo "all is well after $$SECONDS s"

lint: style imports types

style: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	PYTHONPATH=. $(BIN)/lint-imports

pure: $(READY)
	$(BIN)/python -m pytest -n 2 $(PURE)

# With --jobs=3, as in CI, lint and the kinds of tests go on at once: an end-to-end test mostly waits for its turn in
# Airflow, and the others need all that a machine has.
test: lint unit e2e celery

# Nothing is installed beside what runs already.
ifneq ($(filter test,$(MAKECMDGOALS)),)
style types imports unit e2e: | $(CELERY_READY)
endif

# Two processes at once, a file each, the long ones (@pytest.mark.long) first.
unit: description axe $(SUPPLY_READY)
	@[ -z "$(PAGELESS)" ] || echo "left out: the tests of the Deploys page; they need Chromium (Debian: apt-get install chromium)"
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/e2e $(PAGELESS)

# One process: all of them share one Airflow.
e2e: $(READY)
	$(BIN)/python -m pytest tests/e2e -m "not distributed" $(PAGELESS)

# On PostgreSQL and Celery: here a life of a preview and a release, below all end-to-end tests.
celery: $(CELERY_READY)
	EXECUTOR=celery $(BIN)/python -m pytest tests/e2e -m distributed

test-celery: $(CELERY_READY)
	EXECUTOR=celery $(BIN)/python -m pytest tests/e2e $(PAGELESS)

# Product and sandbox against what GitHub and Astro say of their APIs.
contract: description
	$(BIN)/python -m pytest tests/contract tests/sandbox/github tests/sandbox/astro tests/sandbox/cli

# A pinned npm package, checked and kept in .cache/; needs npm.
description: $(READY)
	$(BIN)/python -m tests.contract.github.fetch

# Another one, which the tests of the page put into it: it finds what not everybody can use.
axe: $(READY)
	$(BIN)/python -m tests.browser.axe

# ONLY="planner polling" runs some of them; fleet needs PostgreSQL and Celery, and SCENARIOS="idle-5 pushes-10" plays
# some of it. EXECUTOR=celery puts the Airflow of latency there, too.
bench: $(if $(and $(ONLY),$(if $(filter fleet,$(ONLY))$(filter celery,$(EXECUTOR)),,1)),$(READY),$(CELERY_READY))
	$(BIN)/python -m bench

# What dies while runs are in flight, on PostgreSQL and Celery: how soon they go on. ONLY="worker redis" plays some.
faults: $(CELERY_READY)
	$(BIN)/python -m bench.faults

# A whole project in the storm: lives of SEED, STEPS in all. One that fails is made short, and told so that REPLAY=FILE
# plays it again. FIRST=34 goes on where an earlier play of the seed ended.
SEED ?= 1
STEPS ?= 1500
FIRST ?= 0
chaos: $(READY)
	@$(BIN)/python -m tests.chaos --seed $(SEED) --steps $(STEPS) --first-life $(FIRST) $(if $(REPLAY),--replay "$(REPLAY)")

# What control kept of a project's passes (`snapshots` in the policy), from the Airflow of AIRFLOW_URL, with the token of
# AIRFLOW_TOKEN, into FILE.
FILE ?= snapshots.json
snapshots: $(READY)
	@$(BIN)/python -m replay.fetch "$(PROJECT)" "$(FILE)"

# The same passes decided again by the policy of POLICY, offline. ONLY=dev-x tells of one environment in each pass;
# HASH=1 shows no names.
POLICY ?= include/deploy_ops.yaml
replay: $(READY)
	@$(BIN)/python -m replay "$(FILE)" --policy "$(POLICY)" $(if $(ONLY),--only "$(ONLY)") $(if $(HASH),--hash)

# Known holes in what the locks name. Says so and fails when nobody can be asked; `python -m supply.audit` tells the two
# apart by its exit code.
audit: $(SUPPLY_READY)
	@$(BIN)/python -m supply.audit

# What the image is made of, as CycloneDX.
sbom: $(SUPPLY_READY)
	@$(BIN)/python -m supply.sbom sbom.json

# The locks name no package index. requirements.txt leaves out what the base image has: Airflow, and all that it needs.
lock: $(READY)
	$(LOCK) requirements-dev.in -o requirements-dev.txt
	$(LOCK) requirements.in --constraints requirements-dev.txt -o requirements.txt --excludes \
	  <(grep '^apache-airflow==' requirements-dev.in | $(COMPILE) --constraints requirements-dev.txt -)
	$(LOCK) requirements-celery.in --constraints requirements-dev.txt -o requirements-celery.txt \
	  --excludes requirements-dev.txt --constraints <($(COMPILE) requirements-celery.in --constraints requirements-dev.txt)
	echo uv | $(LOCK) - -o requirements-uv.txt
	printf '%s\n' cyclonedx-bom pip-audit | $(LOCK) - -o requirements-supply.txt

# What is wrong with the policy, offline. `python -m include.deploy_ops.check_policy FILE` checks others, or a team's.
policy: $(READY)
	@$(BIN)/python -m include.deploy_ops.check_policy

# Every check of the DAG deploy_ops.doctor that needs no scheduler, with connections from the environment
# (AIRFLOW_CONN_...). `python -m include.deploy_ops.doctor` tells by its exit code whether something fails (1) or the
# policy cannot be read (2).
doctor: $(READY)
	@AIRFLOW_HOME=$${AIRFLOW_HOME:-$(CURDIR)/.cache/airflow} $(BIN)/python -m include.deploy_ops.doctor

clean:
	rm -rf .venv $(SUPPLY) sbom.json .airflow .sandbox .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
