PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The outer pip fills the environment, since Debian's python3 may come without ensurepip.
PIP := $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# Arguments for the program that a target ends in: make test ARGS='-k waiting'
ARGS ?=
# What is compiled is kept, even where Python is told not to: hundreds of servers start, and five times every test is read.
unexport PYTHONDONTWRITEBYTECODE
# Four files of tests at once, since many wait more than they work, and in their order, since the longest have few tests.
# `make test ARGS='-n 0'` runs one after the other, and like all ARGS only the tests.
SIDE_BY_SIDE := --numprocesses 4 --dist loadfile --no-loadscope-reorder

define install
	$(PIP) install --quiet --require-hashes --requirement $(1)
	$(PIP) install --quiet --no-build-isolation --no-deps --editable .
	@touch $@
endef

.DEFAULT_GOAL := help
# What tests start beside Python; each is called like its Debian package.
PROGRAMS := chromium faketime g++ nginx nodejs npm openssl strace wrk
# What benchmarks compare with, in a folder that Node.js is told of; g++ builds SQLite for it where no build is to be had.
PEERS := build/peers/node_modules
PEERS_NEED := tests/benchmarks/peers/package.json tests/benchmarks/peers/package-lock.json

.PHONY: help setup dev programs $(PROGRAMS) peers run test tests check coverage prove fuzz bench screenshots lock clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

setup: $(VENV)/.setup ## Install what the server needs into .venv

run: setup ## Serve on 127.0.0.1:3000
	@$(BIN)/python -m webapp serve $(ARGS)

# At once what works on one core alone. Benchmarks last, since what they compare with is built meanwhile.
test: dev programs ## Check the code and run every test; with ARGS, only those tests
ifdef ARGS
	@$(MAKE) --no-print-directory peers
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)
else
	@$(MAKE) --jobs --no-print-directory check coverage peers tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) tests/benchmarks
endif

tests: dev programs
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --ignore tests/benchmarks

check: dev ## Lint, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# With few seeds, since a branch is reached or not, and without what tests the tests, kills processes or starts servers.
coverage: UNCOVERED := not broken and not goes_away and not kill and not upgrades and not of_then_can and not of_twice
coverage: export FIRST_SEED := 1
coverage: export INTERLEAVINGS := 2
coverage: export OTHER_INTERLEAVINGS := 2
coverage: export MODEL_RUNS := 50
coverage: export SERVICE_RUNS := 3
coverage: export MODEL_STEPS := 20
coverage: export WAITING_MANY := 1024
coverage: dev ## See that tests reach every branch of what keeps the guarantees
	$(BIN)/python -m coverage run -m pytest -q -k '$(UNCOVERED)' tests/booking tests/service tests/storage \
		tests/web/test_auth.py tests/reliability/test_damage.py::test_what_is_damaged_while_it_is_served_is_not_shown $(ARGS)
	$(BIN)/python -m coverage report

prove: dev programs ## Put the guarantees under fire for hours, and report in build/proof; ARGS=--help says what can be set
	$(BIN)/python -m tests.reliability $(ARGS)

fuzz: dev ## Ask the server ten times as much that its description allows or not
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-600} $(BIN)/python -m pytest tests/web/test_fuzz.py $(ARGS)

bench: dev chromium wrk peers ## Measure how fast the server is beside others, and report in build/bench
	$(BIN)/python -m tests.benchmarks $(ARGS)

screenshots: dev chromium ## Take the README's pictures
	$(BIN)/python -m tests.screenshots

# One version of a package for every Python, so that what was tested is what runs.
lock: LOCK := --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--custom-compile-command 'make lock'
lock: ## Renew the locked versions
	$(PYTHON) -m venv --without-pip --clear $(VENV)-lock
	$(PYTHON) -m pip --python $(VENV)-lock/bin/python install --quiet uv
	$(VENV)-lock/bin/uv pip compile $(LOCK) --group build --output-file requirements.lock pyproject.toml
	$(VENV)-lock/bin/uv pip compile $(LOCK) --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml
	rm -r $(VENV)-lock

clean: ## Remove what can be made again; data/ stays
	rm -rf $(VENV) $(VENV)-lock build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -r {} +

dev: $(VENV)/.dev

programs: $(PROGRAMS)

peers: $(PEERS)/.installed

$(PEERS)/.installed: $(PEERS_NEED) | g++ nodejs npm
	@mkdir -p build/peers
	cp $^ build/peers
	cd build/peers && npm ci --omit=optional --no-audit --no-fund --loglevel=error
	@touch $@

$(PROGRAMS):
	@PATH="$$PATH:/usr/sbin" command -v $@ >/dev/null \
		|| { $(SUDO) apt-get update && $(SUDO) apt-get install -y --no-install-recommends $@; } \
		|| { echo "Please install $@: \`make $@\` could not." >&2; exit 1; }

$(BIN)/python:
	@$(PYTHON) -m pip --version >/dev/null 2>&1 \
		|| { echo "$(PYTHON) has no pip. Install it, on Debian with: apt install python3-pip" >&2; exit 1; }
	$(PYTHON) -m venv --without-pip --clear $(VENV)

$(VENV)/.setup: requirements.lock pyproject.toml $(BIN)/python
	$(call install,requirements.lock)

$(VENV)/.dev: requirements-dev.lock $(VENV)/.setup
	$(call install,requirements-dev.lock)
