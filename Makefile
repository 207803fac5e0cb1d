# Two commands matter: `make demo` runs the main job on this machine, `make test` proves it.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Without a browser the page's tests are left out, and `make test` says so; BROWSER=required lets them fail instead.
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
ifeq ($(CHROMIUM)$(BROWSER),)
PAGELESS := --ignore tests/browser --ignore tests/e2e/test_page.py
endif

.PHONY: demo test contract description bench lint lock clean
.DEFAULT_GOAL := demo

$(READY): requirements-dev.txt
	@echo "setting up .venv (about a minute)"
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed, this is " + sys.version'
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# TOUR=0 starts without the tour; ONCE=1 plays it, stops, and exits 0 only if every step came true.
demo: $(READY)
	@exec $(BIN)/python -m demo

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

# Two processes at once, a file each; the end-to-end tests come alone: Airflow needs the machine.
test: lint description
	@[ -z "$(PAGELESS)" ] || echo "left out: the tests of the Deployments page; they need Chromium (Debian: apt-get install chromium)"
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/e2e $(PAGELESS)
	$(BIN)/python -m pytest tests/e2e $(PAGELESS)

# Product and sandbox against GitHub's own description of its API.
contract: description
	$(BIN)/python -m pytest tests/contract tests/sandbox/github

# A pinned npm package, checked and kept in .cache/; needs npm.
description: $(READY)
	$(BIN)/python -m tests.contract.github.fetch

# ONLY="planner pass" runs some of them.
bench: $(READY)
	$(BIN)/python -m bench

# Needs uv on PATH; the lock names no package index.
lock:
	uv pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11 requirements-dev.in -o requirements-dev.txt

clean:
	rm -rf .venv .airflow .sandbox .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
