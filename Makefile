# One command per job; each sets up what it needs. The environment is .venv at the root, from the hashed lock file.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV_PIN := $(shell sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements.lock)
SOURCES := spanishgas pipelines tests

.PHONY: setup demo test lint format bench ui lock dictionary clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## make .venv from the lock file

$(READY): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(UV_PIN)"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

lock: $(READY) ## resolve the dependencies again into requirements.lock
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--extra dev pyproject.toml -o requirements.lock
