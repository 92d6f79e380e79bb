# Two commands on a fresh machine: `make talk` and `make test`. Both set up whatever is missing first (tools/setup.sh).
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help talk test check lint wheel-check venv starter docs clean

PYTHON_IN_VENV := .venv/bin/python

help:  ## show this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

talk: starter  ## talk with the companion (ARGS="--text" and other options of `familiar talk`)
	-.venv/bin/familiar models bench --once
	.venv/bin/familiar talk $(ARGS)

test:  ## run the tests (ARGS="-k name" and other options of pytest)
	tools/setup.sh test
	.venv/bin/familiar models pull starter
	$(PYTHON_IN_VENV) -m pytest $(ARGS)

check: lint wheel-check test  ## run everything that CI runs

lint:  ## check style, types and who imports whom
	tools/setup.sh test
	$(PYTHON_IN_VENV) -m ruff check
	$(PYTHON_IN_VENV) -m ruff format --check
	$(PYTHON_IN_VENV) -m mypy
	.venv/bin/lint-imports

wheel-check:  ## build the wheel and try it in a clean environment
	tools/setup.sh test
	$(PYTHON_IN_VENV) -m tools.wheel_check

venv:  ## set up .venv with everything for development
	tools/setup.sh test

starter:  ## fetch the starter model
	tools/setup.sh talk
	.venv/bin/familiar models pull starter

docs:  ## write the generated documentation anew
	$(PYTHON_IN_VENV) -m tools.write_docs

clean:  ## remove the virtual environment and all build products
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
