# What a person types: `make run`, `make test`. Paths are relative, so a folder's name may hold spaces.
SHELL := /bin/sh
PYTHON := .venv/bin/python
PIP := $(PYTHON) -m pip --quiet --disable-pip-version-check

PLAYGROUND := .venv/share/graphql-api/playground

.PHONY: run test test-all bench load soak lint lock bundled-data

run: .venv/installed $(PLAYGROUND)/installed
	@$(PYTHON) -m graphql_api serve

test: .venv/installed-dev $(PLAYGROUND)/installed
	$(PYTHON) -m pytest -q -n auto --dist loadgroup -m "not slow"

test-all: .venv/installed-dev $(PLAYGROUND)/installed
	$(PYTHON) -m pytest -q -n auto --dist loadgroup

bench: .venv/installed-dev
	$(PYTHON) -m benchmarks

# What clients wait for at four fifths of what one process can do.
load: .venv/installed-dev
	$(PYTHON) -m benchmarks load

# A server among faults for five minutes, or for `make soak SECONDS=60`.
SECONDS ?= 300
soak: .venv/installed-dev
	$(PYTHON) -m benchmarks.soak_benchmark $(SECONDS)

lint: .venv/installed-dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-logo

# Each stamp means: what the file on its right pins is installed, and so is this package.
.venv/installed: requirements.txt pyproject.toml | .venv/bin/python
	@echo "Installing into .venv: this takes a minute, once."
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-index --no-deps --no-build-isolation -e .
	@touch $@

# A convenience: where npm or its network is missing, the page loads its files from elsewhere.
$(PLAYGROUND)/installed: playground/package.json playground/package-lock.json | .venv/bin/python
	@mkdir -p $(@D) && cp $^ $(@D)
	@if ! command -v npm >/dev/null; then \
		echo "npm is not here, so the playground is not installed."; \
	elif ! (cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=silent \
			--fetch-retries=0 --fetch-timeout=10000 >/dev/null); then \
		echo "npm could not download the playground, so it is not installed."; \
	else touch $@; fi

.venv/installed-dev: requirements-dev.txt pyproject.toml | .venv/bin/python
	@echo "Installing into .venv, with what the tests need: this takes a minute, once."
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@$(PIP) install --no-index --no-deps --no-build-isolation -e .
	@touch $@

.venv/bin/python:
	@for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		$$python -c 'import ensurepip, venv' 2>/dev/null \
			|| { echo "$$python lacks the module venv; on Debian, install python3-venv." >&2; exit 1; }; \
		exec $$python -m venv .venv; \
	done; \
	echo "Python 3.11 or newer is needed; none is in PATH." >&2; exit 1

# Pins every dependency by hash, with no address to download from.
COMPILE = $(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml --group build \
	--extra postgresql
lock: .venv/installed-dev
	$(PIP) install uv==0.13.9
	$(COMPILE) -o requirements.txt
	$(COMPILE) --group dev -c requirements.txt -o requirements-dev.txt

# Rebuilds the data that is shipped with the package, and prints what changed. Needs npm.
bundled-data: .venv/installed-dev
	$(PYTHON) scripts/build_bundled_data.py
