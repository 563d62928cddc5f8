# make run and make test need Python 3.11 or newer and the package index; nothing else.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help
help: ## What there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[36mmake %-11s\033[0m %s\n", $$1, $$2}'

.PHONY: run
run: $(BIN)/.run ## Start the server on PORT (3000), with its own PostgreSQL in .tenantry/
	@$(BIN)/tenantry serve

.PHONY: demo
demo: $(BIN)/.run ## Play the main job against the running server
	@$(BIN)/tenantry demo

.PHONY: setup
setup: $(BIN)/.run ## Make the environment in .venv, with `tenantry` in .venv/bin

.PHONY: test
test: $(BIN)/.dev ## Run the whole suite against real servers
	@$(BIN)/pytest

.PHONY: check
check: $(BIN)/.dev ## Format, lint, types, layers
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: format
format: $(BIN)/.dev ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

.PHONY: bench
bench: $(BIN)/.dev ## Measure beside Hono, FastAPI and Better Auth, in ten minutes (needs npm, wrk)
	@$(BIN)/python -m bench measure

.PHONY: bench-quick
bench-quick: $(BIN)/.dev ## Measure the reads beside Hono on Bun, in one minute
	@$(BIN)/python -m bench measure reads --only tenantry,hono --rounds 3

.PHONY: bench-scale
bench-scale: $(BIN)/.dev ## Measure the reads on a million organisations (30 GB; FACTOR=0.01 for less)
	@$(BIN)/python -m bench scale --factor $(or $(FACTOR),1)

.PHONY: bench-realtime
bench-realtime: $(BIN)/.dev ## Measure the event stream beside a Bun server that only sends
	@$(BIN)/python -m bench realtime

.PHONY: profile
profile: $(BIN)/.dev ## Draw where a read's time goes: make profile ROUTE=/api/users
	@$(BIN)/python -m bench profile $(or $(ROUTE),/api/users)

.PHONY: clients
clients: $(BIN)/.run ## Generate the TypeScript client in build/clients (needs npm)
	@$(BIN)/tenantry openapi build/openapi.json
	@clients/typescript/generate.sh build/openapi.json
	@echo "The client is in build/clients/typescript; see docs/clients.md."

.PHONY: docs
docs: $(BIN)/.dev ## Build the documentation site in build/site, without a network
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "The site is in build/site; make docs-serve shows it as you write."

.PHONY: docs-serve
docs-serve: $(BIN)/.dev ## Show the site on port 8000, with each change of a page
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --livereload --watch README.md --watch CHANGELOG.md

.PHONY: screenshots
screenshots: $(BIN)/.dev ## Take pictures of the console in build/screenshots (needs Chromium)
	@$(BIN)/python -m tests.screenshots

.PHONY: lock
lock: $(BIN)/.dev ## Write the locks anew from the ranges in pyproject.toml
	@requirements/compile.sh

.PHONY: clean
clean: ## Remove the environment and the caches; the data in .tenantry stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: install it, or say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, and $(PYTHON) is older: say make PYTHON=/path/to/python3"; exit 1; }
	@echo "Making the environment in .venv …"
	@$(PYTHON) -m venv .venv

# The environment for running, then the rest of what developing needs.
$(BIN)/.run: requirements/embedded.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the server needs …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/embedded.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/.dev: requirements/dev.txt $(BIN)/.run
	@echo "Installing what developing needs …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
