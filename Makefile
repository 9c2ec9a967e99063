# Everything runs in a virtual environment of its own, which is made when it is needed.
# Another Python than `python3`: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_BROWSER := $(VENV)/.installed-browser
TESTS := -m pytest --numprocesses auto --maxprocesses 4
QUICK := not (kfp or slow or exhaustive)

.PHONY: demo test test-kfp test-slow test-browser test-all coverage lint docs probe bench fuzz campaigns clean

demo: $(INSTALLED)  ## run the demo notebook and show what its pipeline says
	@$(BIN)/python demo_notebooks/demo.py demo_notebooks/cancer_screening.ipynb build/demo

test: $(INSTALLED)  ## the tests that a change needs, in a few minutes
	$(BIN)/python $(TESTS) -m '$(QUICK)'

test-kfp: $(INSTALLED)  ## pipelines in KFP's runner, and on a server that runs them with it
	$(BIN)/python $(TESTS) -m kfp

test-slow: $(INSTALLED)  ## random hunts, large inputs, and all cases in the embedded engine
	$(BIN)/python $(TESTS) -m slow

test-browser: $(INSTALLED_BROWSER)  ## the notebooks in JupyterLab in Chromium, as a user sees them; screenshots in build/browser
	.ci/chromium
	$(BIN)/python -m pytest tests/browser

test-all:  ## the tests on every supported Python that is found, and with the oldest dependencies; all that there are on the last one
	PYTHONS="$(PYTHONS)" .ci/test-all

coverage: $(INSTALLED)  ## which lines `make test` executes; of the runtime of steps only what runs outside of a step
	$(BIN)/coverage erase
	$(BIN)/coverage run $(TESTS) -m '$(QUICK)'
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(INSTALLED)  ## style, types, what may import what, lengths, names and words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_layout.py tests/test_language.py

docs: $(INSTALLED)  ## docs/diagnostics.md, and the parts of README and docs that repeat the code
	$(BIN)/python -m tests.catalogue
	$(BIN)/python -m tests.reference

probe: $(INSTALLED)  ## call the functions of the installed libraries, and show how their effects differ from the data (UPDATE=1 writes it)
	$(BIN)/python -m tests.probe $(if $(UPDATE),--update) $(LIBRARY)

bench: $(INSTALLED)  ## what marking, compiling, running and a pod's start cost, beside KFP, the notebook, the disk, Kale
	$(BIN)/python tests/benchmarks/bench.py
	$(BIN)/python tests/benchmarks/engine_bench.py
	$(BIN)/python tests/benchmarks/check_bench.py
	$(BIN)/python tests/benchmarks/pod_bench.py

fuzz: $(INSTALLED)  ## hunt for wrong answers with N random notebooks (SEED: those of an earlier hunt; LEVEL: ordinary, vicious or data)
	$(BIN)/python -m tests.fuzz $(or $(N),1000) $(if $(SEED),--seed $(SEED)) $(if $(LEVEL),--level $(LEVEL))

campaigns: $(INSTALLED)  ## make faults by the hundred, and see that all is well (NAME: one of the campaigns)
	$(BIN)/python -m tests.campaigns $(NAME)

clean:  ## remove what the other targets have made
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("kale_magics needs Python 3.10 or newer, as in: make PYTHON=python3.12" if sys.version_info < (3, 10) else 0)'
	@echo "Installing kale_magics and what it needs into $(VENV) ..."
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

$(INSTALLED_BROWSER): $(INSTALLED)
	$(BIN)/pip install --quiet --quiet --disable-pip-version-check --editable '.[test,browser]'
	@touch $@
