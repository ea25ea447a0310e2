# Two commands do everything on a fresh machine with Python 3.10+: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=
COMPILED := hatch_build.py exporter/modelwatch/recorder/_rows.c
PYTEST_ARGS ?= -n 2 --dist loadfile

.PHONY: help demo test quality bench soak lint format generated clean
.DEFAULT_GOAL := help

help: ## Show what there is to run
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: $(VENV)/.demo ## Real flights, a fault, an alert (ARGS="--exit-on-alert" passes options on)
	@$(BIN)/python -m modelwatch demo $(ARGS)

test: lint ## Everything that must hold: lint, types, import contracts, all tests
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(ARGS)

quality: $(VENV)/.dev $(VENV)/quality-peers/.done ## What takes long: every change to every rule; false alarms and delays beside peers, JSON in build/quality
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m quality $(ARGS)
	@mkdir -p build/quality
	$(BIN)/python benchmarks/alarm_quality.py --peers $(VENV)/quality-peers/bin/python --json build/quality/alarms.json

bench: $(VENV)/.dev $(VENV)/peers/.done ## Cost of recording, exposing, importing and scoring beside peers; tables, and JSON in build/bench
	@mkdir -p build/bench
	$(BIN)/python benchmarks/recording.py --peers $(VENV)/peers/bin/python --json build/bench/recording.json $(ARGS)
	$(BIN)/python benchmarks/exposition.py --json build/bench/exposition.json $(ARGS)
	$(BIN)/python benchmarks/import_time.py --json build/bench/import_time.json $(ARGS)
	$(BIN)/python benchmarks/latency.py --json build/bench/latency.json $(ARGS)
	$(BIN)/python benchmarks/drift.py --json build/bench/drift.json $(ARGS)

soak: $(VENV)/.dev ## Ten million records, a thousand kills: ten minutes, with figures
	$(BIN)/python -m pytest -m soak -s $(ARGS)

lint: $(VENV)/.dev ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# numpy's type stubs for Python 3.10 are of an older numpy and say other things about the same code.
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then echo $(BIN)/mypy; $(BIN)/mypy; \
		else echo "mypy: not run on Python 3.10"; fi
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Sort imports, format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generated: $(VENV)/.dev ## Write rules/generated and grafana/dashboards again
	$(BIN)/modelwatch rules generate --config examples/models.yaml --out rules/generated
	$(BIN)/modelwatch rules generate --config compose/models.yaml --out rules/generated/compose --timing demo \
		--scrape app=app:9100 --scrape sidecar=sidecar:9877 --alertmanager alertmanager:9093 \
		--log-url http://sidecar:9877/api/v1/alerts
	$(BIN)/modelwatch dashboards generate --out grafana/dashboards

clean: ## Remove what the commands above made
	rm -f exporter/modelwatch/recorder/_rows.*.so
	rm -rf $(VENV) .demo build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "modelwatch needs Python 3.10 or newer; name one with: make PYTHON=python3.12 …" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "$(PYTHON) can't make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 2; }

# A stamp per set of packages: repeated calls cost nothing, a changed pyproject or lock installs again.
$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt $(COMPILED)
	@echo "Installing modelwatch into $(VENV) (about a minute, once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt $(COMPILED)
	@echo "Installing modelwatch and its tools into $(VENV) (about a minute, once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/quality-peers/.done: $(VENV)/bin/python benchmarks/requirements-quality-peers.txt
	@echo "Installing the libraries that alarms are compared with into $(VENV)/quality-peers …"
	@$(PYTHON) -m venv $(VENV)/quality-peers
	@$(VENV)/quality-peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements-quality-peers.txt
	@touch $@

$(VENV)/peers/.done: $(VENV)/bin/python benchmarks/requirements-peers.txt
	@echo "Installing the peers that are measured into $(VENV)/peers …"
	@$(PYTHON) -m venv $(VENV)/peers
	@$(VENV)/peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements-peers.txt
	@touch $@
