# One command per job; each sets up what it needs. The environment is .venv at the root, from the hashed lock file.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --fork-strategy fewest \
	--python-version 3.11
SOURCES := spanishgas pipelines tests
BUILDER ?= docker build
BUILD_ARGS = $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
	--build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.PHONY: setup spark demo test drill coverage lint format bench bench-save bench-compare ui dashboard serve images audit sbom lock dictionary notebook changelog
.PHONY: clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## make .venv from the lock file; PYTHON=... names an interpreter

$(READY): requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" .ci/make_venv $(VENV)
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

spark: $(VENV)/.spark ## add Spark to .venv, for engine=spark; Java 17 must be there

$(VENV)/.spark: $(READY) requirements-spark.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-config --require-hashes --no-deps -r requirements-spark.lock
	@touch $@

demo: $(READY) ## a demo retailer from raw files to recommendations, as tracked runs
	@PATH="$(CURDIR)/$(BIN):$$PATH" python -m pipelines.run_pipeline $(ARGS)

test: $(READY) ## run the tests, all but the drills
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "not drill" $(ARGS)

drill: $(READY) ## run the tests that are long by nature: kills, load, several workers, a browser, the guide
	@$(BIN)/python -m pytest -n auto --dist worksteal -m drill $(ARGS)

coverage: $(READY) ## run tests and drills with branch coverage, which takes half as long again
	@$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term $(ARGS)

lint: $(READY) ## format check, lint, types, floors and doors, unsafe calls
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml spanishgas pipelines

format: $(READY) ## format and fix what can be fixed
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

bench: $(READY) ## measure; CASE=name for one case
	@$(BIN)/python -m tests.benchmarks $(CASE)

bench-save: $(READY) ## keep the ratios of benchmarks as the baseline; CASE=name for one case
	@$(BIN)/python -m tests.benchmarks save $(CASE)

bench-compare: $(READY) ## say what got slower since the baseline; CASE=name for one case
	@$(BIN)/python -m tests.benchmarks compare $(CASE)

ui: $(READY) ## open the MLflow UI on the local store
	@echo "the runs: http://127.0.0.1:$(or $(PORT),5000)/#/experiments/1?workflowType=machine_learning"
	@PATH="$(CURDIR)/$(BIN):$$PATH" mlflow ui --backend-store-uri sqlite:///mlflow.db --port $(or $(PORT),5000)

serve: $(READY) ## answer POST /score with the champion; settings: docs/serving.md
	@PATH="$(CURDIR)/$(BIN):$$PATH" SPANISHGAS_SERVE_HTTP_PORT=$(or $(PORT),$${SPANISHGAS_SERVE_HTTP_PORT:-8080}) \
		exec python -m spanishgas.serving

dashboard: $(READY) ## open the dashboard on what is published; PORT=8501
	@PORT=$(or $(PORT),8501) exec $(BIN)/python -m spanishgas.dashboard

images: ## build the images; BUILDER="buildah bud --format docker" and BASE_IMAGE=... where there is no Docker; SPARK=1 for that with Spark too
	@$(BUILDER) $(BUILD_ARGS) -t spanishgas-serving -f Dockerfile .
	@$(BUILDER) $(BUILD_ARGS) -t spanishgas-pipelines -f Dockerfile.train .
	@$(if $(SPARK),$(BUILDER) $(BUILD_ARGS) -t spanishgas-spark -f Dockerfile.spark .)

audit: $(READY) ## look the locked dependencies up among known vulnerabilities
	@$(BIN)/uv tool run pip-audit --strict --disable-pip --require-hashes -r requirements.lock

sbom: $(READY) ## a bill of materials per image (CycloneDX), into sbom/; images built afterwards carry theirs
	@$(BIN)/uv run --quiet --no-project --with cyclonedx-bom==7.5.0 python .ci/sbom

dictionary: $(READY) ## generate the documents that are made from declarations
	@$(BIN)/python -m spanishgas.contracts --write docs/DATA_DICTIONARY.md
	@$(BIN)/python -m spanishgas.features --write docs/FEATURES.md
	@$(BIN)/python -m pipelines._pages docs/stages

notebook: $(READY) ## run the notebook on what make demo has published, and keep its outputs
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv run --quiet --no-project --with nbconvert --with ipykernel \
		jupyter nbconvert --to notebook --execute --inplace --log-level=WARN --ExecutePreprocessor.record_timing=False \
		docs/notebooks/first_look.ipynb

changelog: ## gather docs/changes into CHANGELOG.md and raise the version; VERSION=0.2.0
	@.ci/changelog "$(VERSION)" "$(or $(DATE),$(shell date +%F))"

clean: ## remove the environment, outputs and caches
	@rm -rf $(VENV) data mlflow.db mlflow.db-* mlruns sbom/*/*.json .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
	@rm -rf .import_linter_cache *.egg-info

lock: $(READY) ## resolve the dependencies again into requirements.lock, and the images' parts of it
	$(COMPILE) --extra serving --extra monitoring --extra dashboard --extra dev --extra team --extra adbc \
		--extra blend --extra causal --extra delta --extra object-storage pyproject.toml -o requirements.lock
	$(COMPILE) --constraint requirements.lock --extra monitoring --extra dashboard --extra team --extra adbc \
		--extra delta --extra object-storage pyproject.toml -o requirements-pipelines.lock
	$(COMPILE) --constraint requirements.lock --group spark -o requirements-spark.lock
	$(COMPILE) --constraint requirements.lock --group serving-image -o requirements-serving.lock
