# Commands for people, such as `make run`. Relative paths, so the folder's name may have spaces.
SHELL := /bin/sh
PYTHON := .venv/bin/python
PIP := $(PYTHON) -m pip --quiet --disable-pip-version-check

# Images of containers set it; every process would compile the program, and pytest each test, again.
unexport PYTHONDONTWRITEBYTECODE

PLAYGROUND := .venv/share/graphql-api/playground

.PHONY: run test test-all bench load soak lint lock bundled-data

run: .venv/installed $(PLAYGROUND)/installed
	@$(PYTHON) -m graphql_api serve

# loadfile: the tests of a file share a process, and so the servers that its fixtures start.
# In the order of folders, the files that take longest come first.
PYTEST = $(PYTHON) -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

test: .venv/installed-dev $(PLAYGROUND)/installed
	$(PYTEST) -m "not slow"

test-all: .venv/installed-dev $(PLAYGROUND)/installed
	$(PYTEST)

bench: .venv/installed-dev
	$(PYTHON) -m benchmarks

# Latency at half of one process's capacity.
load: .venv/installed-dev
	$(PYTHON) -m benchmarks load

# A server under injected faults for SECONDS seconds. Default 300.
SECONDS ?= 300
soak: .venv/installed-dev
	$(PYTHON) -m benchmarks.soak_benchmark $(SECONDS)

lint: .venv/installed-dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -m mypy --no-warn-unused-ignores --platform win32 graphql_api
	$(PYTHON) -m mypy --no-warn-unused-ignores --platform darwin graphql_api
	$(PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-logo

# A stamp file means that the pinned requirements and this package are installed.
.venv/installed: requirements.txt pyproject.toml | .venv/bin/python
	@echo "Installing into .venv; the first time takes a minute."
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-index --no-deps --no-build-isolation -e .
	@touch $@

# Optional: without npm or its registry, the server has no playground.
$(PLAYGROUND)/installed: $(wildcard playground/*.* playground/src/*) | .venv/bin/python
	@mkdir -p $(@D) && cp -R playground/. $(@D)
	@if ! command -v npm >/dev/null; then \
		echo "npm is not installed; the server will have no playground."; \
	elif ! (cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=silent \
			--fetch-retries=0 --fetch-timeout=30000 && npm run build && rm -rf node_modules) >/dev/null; then \
		echo "npm could not build the playground; the server will have none."; \
	else touch $@; fi

.venv/installed-dev: requirements-dev.txt pyproject.toml | .venv/bin/python
	@echo "Installing into .venv, with test dependencies; the first time takes a minute."
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@$(PIP) install --no-index --no-deps --no-build-isolation -e .
	@touch $@

.venv/bin/python:
	@for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		$$python -c 'import ensurepip, venv' 2>/dev/null \
			|| { echo "$$python has no module venv. On Debian, install python3-venv." >&2; exit 1; }; \
		exec $$python -m venv .venv; \
	done; \
	echo "Python 3.11 or newer is required, but PATH has none. Install one." >&2; exit 1

# Pins every dependency by hash, without the address of a registry.
COMPILE = $(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml --group build \
	--extra otel --extra postgresql
lock: .venv/installed-dev
	$(PIP) install uv==0.13.9
	$(COMPILE) -o requirements.txt
	$(COMPILE) --group dev -c requirements.txt -o requirements-dev.txt

# Rebuilds the bundled data and prints the differences. Requires npm.
bundled-data: .venv/installed-dev
	$(PYTHON) scripts/build_bundled_data.py
	$(PYTHON) -m scripts.build_graph_data
	$(PYTHON) -m scripts.build_map_data
