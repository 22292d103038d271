# Everything a developer does, and exactly what CI does. `make` alone lists it.
# One recipe is one shell without make's own echo, so that a page of output stays readable.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-from
PYTHON ?= python3
SEEDS ?= 300
WORKERS ?= 2
# xdist would put modules with many tests first; tests/conftest.py knows the long ones.
PYTEST := $(BIN)/python -m pytest -rs -n $(WORKERS) --dist loadscope --no-loadscope-reorder
FAST := $(addprefix tests/,unit services functions commands docs tools) gmail_simulator/tests

.DEFAULT_GOAL := help
.SILENT:
.PHONY: help setup demo up down token why operator tf live-check bench figures pictures rules licences test test-fast cover mutate check fmt lint types imports contract sim fuzz lock clean

help: ## This list
	awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv and install the locked dependencies (only when they changed)

$(STAMP): requirements-dev.lock infra/local/setup.sh
	PYTHON=$(PYTHON) bash infra/local/setup.sh $(VENV)
	touch $@

demo: setup ## See it work: a CRM, a mailbox and real mails, on this machine, in a minute
	exec $(BIN)/python -m infra.local.demo

up: setup ## Run the whole system here, in the foreground, until Ctrl-C or `make down`
	exec $(BIN)/python -m infra.local.up --while-parent

down: setup ## End what `make up` started, and wait for it
	exec $(BIN)/python -m infra.local.down

token: setup ## Mint a caller's token for the local system (SUB=crm SUBACCOUNTS=s1,s2 DEPLOYMENT=1)
	exec $(BIN)/python -m gmail_sync token --sub "$(or $(SUB),crm)" --subaccount "$(or $(SUBACCOUNTS),s1)" $(if $(DEPLOYMENT),--deployment)

why: setup ## Why is this mail (not) in the CRM? ARGS="…", see make why ARGS=--help
	exec $(BIN)/python -m gmail_sync why $(ARGS)

operator: setup ## Quarantine, replay, audit, backfill, pause-sending: make operator ARGS=--help
	exec $(BIN)/python -m gmail_sync $(or $(ARGS),--help)

test-fast: setup ## Tests that need no emulator and no browser, in under a minute
	$(PYTEST) -m "not slow and not emulator and not browser" $(FAST)

test: setup ## All tests (the emulators' ones need java and gcloud's emulators)
	$(PYTEST)

cover: setup ## Every branch of shared/core, by the quick unit tests alone
	$(PYTEST) tests/unit -m "not slow" --ignore tests/unit/test_corpus.py --cov shared/core \
	  --cov-branch --cov-report term-missing:skip-covered --cov-fail-under 100

check: lint types imports cover test ## Everything CI checks

fmt: setup ## Format, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup ## Style, and that everything is formatted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy, strict
	$(BIN)/mypy

imports: setup ## The layers: who may import whom
	PYTHONPATH=. $(BIN)/lint-imports --no-cache

contract: setup ## Gateways against their in-memory twins and the real emulators
	$(PYTEST) tests/contract

sim: setup ## The simulation alone, long: make sim SEEDS=10000
	exec $(BIN)/python -m tests.simulation --seeds $(SEEDS) --jobs $(WORKERS)

mutate: setup ## Mutation testing of shared/core: make mutate ONLY=matching ARGS=--all
	exec $(BIN)/python -m tools.mutation --workers $(WORKERS) $(ONLY) $(ARGS)

fuzz: setup ## Fuzz the parsers, guided by coverage: make fuzz SECONDS=600 ONLY=address
	exec $(BIN)/python -m tests.security.fuzz --seconds $(or $(SECONDS),60) --jobs $(WORKERS) $(ONLY) $(ARGS)

tf: setup ## Terraform: fmt, validate, plan assertions, policies (TERRAFORM_OFFLINE=folder)
	$(PYTEST) tests/infra

live-check: setup ## Ask a real project the open questions (PROJECT= REGION= ADDRESS=, or ARGS=--dry-run)
	exec $(BIN)/python -m tools.live_check $(if $(PROJECT),--project $(PROJECT)) $(if $(REGION),--region $(REGION)) $(if $(ADDRESS),--address $(ADDRESS)) $(ARGS)

bench: setup ## Measure speed, growth and memory into docs/performance.md (QUICK=1: try it)
	$(BIN)/python -m tools.bench $(if $(QUICK),--quick)

figures: setup ## Recompute costs, cold start and the renewal of a million mailboxes
	$(BIN)/python -m tools.costs
	-$(BIN)/python -m tools.cold_start
	$(BIN)/python -m tools.renewal_figures

pictures: setup ## Take the pictures of the settings page anew (docs/pictures; needs chromium)
	SCREENSHOTS=docs/pictures $(BIN)/python -m pytest -q -n 0 tests/browser/test_settings_page.py

rules: setup ## List the code and the tests of each rule into docs/rules-index.md
	$(BIN)/python -m tools.rules_index

licences: setup ## Licences of all dependencies, and known vulnerabilities where reachable
	$(BIN)/python -m tools.supply_chain --check --audit

lock: setup ## Pin and hash all dependencies anew (UPGRADE=--upgrade for newer ones)
	for file in requirements.txt requirements-dev.in; do \
	  $(BIN)/uv pip compile -q --system-certs --universal --python-version 3.11 --generate-hashes \
	    --annotation-style line --no-emit-index-url --custom-compile-command 'make lock' \
	    $(UPGRADE) -o $${file%.*}.lock $$file || exit 1; \
	done

clean: ## Remove what tools left; .venv and the local state too
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
