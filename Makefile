# Two commands do everything: `make solve` and `make test`. Each sets itself up in .venv first.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# A worker a core; a worker that is done takes over what another has not begun.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist worksteal
# Constraints hold for build requirements too.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
# The tests' workers, and the commands that tests start, read what one of them compiled.
unexport PYTHONDONTWRITEBYTECODE
REQUEST ?= qpart/mnist-mlp6
NEEDED := pyproject.toml constraints.txt qopt/__init__.py

COVERAGE := --cov=qopt --cov-report=term:skip-covered

.PHONY: solve test test-all coverage lint notebooks docs formulations bench figures clean

solve: $(VENV)/.solve  ## solve the bundled request, print its plan and certificate, and the other methods beside it
	@$(BIN)/qopt solve $(REQUEST)
	@echo
	@echo "The same request under every method:"
	@echo
	@$(BIN)/qopt compare $(REQUEST)
	@echo
	@echo "And with the noise law s 4^-b fitted to the measured table, where real-valued bits make sense:"
	@echo
	@$(BIN)/qopt compare $(REQUEST) --set noise.model=law
	@echo
	@echo "qopt is in $(BIN): to call it by its name, . $(BIN)/activate"

test: $(VENV)/.test  ## run the tests, all but the sweeps
	$(PYTEST) -m "not sweep"

test-all: $(VENV)/.test  ## run every test, sweeps over many instances too
	$(PYTEST)

coverage: $(VENV)/.test  ## the same, and which lines no test runs: half as long again
	$(PYTEST) $(COVERAGE)

lint: $(VENV)/.dev  ## ruff, codespell; the walls between the rooms and mypy on the package as it installs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	rm -rf build/types build/lib build/bdist.*
	$(PIP) install --quiet --no-deps --target build/types .
	cd build/types && $(CURDIR)/$(BIN)/lint-imports --no-cache --no-logo $(CURDIR)/pyproject.toml
	cd build/types && MYPYPATH= $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml -p qopt

notebooks: $(VENV)/.test  ## execute the notebooks in place
	$(BIN)/python docs/execute_notebooks.py

docs: $(VENV)/.docs  ## execute the notebooks, build the site, build/docs/index.html, and move a report's sliders in a browser
	$(BIN)/python docs/build_site.py
	$(BIN)/python -m pytest tests/reporting/test_browser.py

formulations: $(VENV)/.solve  ## what each formulation of the joint model is worth
	$(BIN)/python benchmarks/formulations.py

bench: $(VENV)/.test  ## times beside HiGHS's, some minutes: benchmarks/bench.md and record.csv; warns of what is slower
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/bench.py

figures: $(VENV)/.test  ## what qopt claims of itself, measured here
	$(BIN)/python benchmarks/figures.py

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*

# A stamp for each set of extras; a changed requirement, or version, installs again.
$(VENV)/.solve: $(NEEDED)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/.test: $(NEEDED)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --editable '.[test]'
	touch $@ $(VENV)/.solve

$(VENV)/.docs: $(NEEDED)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --editable '.[docs]'
	touch $@ $(VENV)/.test $(VENV)/.solve

$(VENV)/.dev: $(NEEDED)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.test $(VENV)/.solve
