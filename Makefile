# Two commands do everything: `make demo` tells the story, `make test` runs every test.
# What they need (a virtual environment, locked packages, real servers) is set up on the way, once.

SHELL := bash
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 2
FUZZ_SECONDS ?= 300

.DEFAULT_GOAL := help
.PHONY: help install dev demo up test unit check fix bench docs reference parts lock clean image-proof sbom fuzz crash faults flux-judge render-sweep merge-sweep screenshots

help: ## Show the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(VENV)/.installed ## Make .venv with the penstock command in it

dev: $(VENV)/.dev

$(VENV)/.installed: requirements/run.txt requirements/build.txt pyproject.toml
	tools/venv $(VENV) requirements/build.txt requirements/run.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/build.txt pyproject.toml $(VENV)/.installed
	tools/venv $(VENV) requirements/build.txt requirements/dev.txt
	@touch $@

demo: install ## Tell the whole story on a sandbox, with live progress
	$(BIN)/penstock demo

up: install ## Keep a sandbox fleet running, with its web page
	$(BIN)/penstock up

parts: dev ## Build or find the real servers the tests run against
	$(BIN)/python tools/parts/build.py || [ $$? = 3 ]

test: dev check parts ## Run every test, the tier on real servers included
	$(PYTEST) -n $(WORKERS) --dist loadgroup tests

unit: dev ## Run the tests that need no server
	$(PYTEST) -q tests/unit tests/laws tests/conformance

check: dev ## Check style, types and the layer contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.supply advisories

fix: dev ## Format, and mend what can be mended by a tool
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: dev parts ## Measure against the peers, in the same run
	@for file in bench/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

fuzz: dev ## Fuzz every target for FUZZ_SECONDS (300), from the corpus
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

render-sweep: dev parts ## Compare 10,000 random kustomization trees with the real kustomize
	$(BIN)/python -m tests.conformance.generated --trees 10000 --jobs $(WORKERS)

merge-sweep: dev ## Run 10,000 random histories of merges and of gates against their models
	PENSTOCK_HISTORIES=10000 $(PYTEST) -q tests/laws/test_merge_histories.py tests/laws/test_gate_histories.py

crash: dev parts ## Kill the reconciler at every call of every scenario
	PENSTOCK_CRASH=all $(PYTEST) -q -n $(WORKERS) tests/scenarios/test_crash_sweep.py

faults: dev parts ## Put a thousand faults between the reconciler and its API server
	PENSTOCK_FAULTS=1000 $(PYTEST) -q -n $(WORKERS) tests/contract/sync/test_faults.py

reference: dev ## Write the pages that are made from the code: flags, fields, codes, metrics, man page
	$(BIN)/python -m tools.reference

flux-judge: dev parts ## Let real Flux judge the hand-over, and real controllers rollouts and garbage collection
	$(BIN)/python tools/parts/build.py kustomize-controller source-controller kube-controller-manager
	PENSTOCK_JUDGE=flux $(PYTEST) -q tests/judge

screenshots: dev ## Take the pictures of the docs anew, into docs/images
	mkdir -p docs/images
	PENSTOCK_SCREENSHOTS=$(CURDIR)/docs/images $(PYTEST) -q tests/scenarios/web/test_design.py

docs: dev ## Build the documentation site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

lock: ## Renew the locked requirements
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.12 requirements/build.in -o requirements/build.txt
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.12 pyproject.toml -o requirements/run.txt
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.12 --extra tracing --group dev --group docs pyproject.toml -o requirements/dev.txt

image-proof: ## Run the Containerfile's steps on a Debian root, without a container engine (root, debootstrap)
	python3 -m tools.image.prove

sbom: dev ## Write sbom.json (CycloneDX) of what a release depends on
	$(BIN)/python -m tools.supply sbom sbom.json

clean: ## Remove what the build made (not the cached servers)
	rm -rf $(VENV) site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
