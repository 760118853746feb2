# make demo: the whole pipeline on the digits.  make test: everything that must pass.
# The first target that needs them makes .venv and installs the packages; later ones start at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RESULTS := benchmarks/results
CODE := src tests docs benchmarks experiments

.PHONY: help demo test test-min check bench bench-stages docs site clean

help:
	@echo "make demo    the whole pipeline on the digits, in under a minute (report in fewlabel-demo/)"
	@echo "make test    lint, types, layers, docstrings, docs, tests and doctests"
	@echo "make test-min a part of the tests with the oldest dependencies that are declared (fetches 4 GB)"
	@echo "make check   lint, types and layers only"
	@echo "make bench   the accuracy table of the README into $(RESULTS)/ (about an hour)"
	@echo "make bench-stages what each stage costs, added to $(RESULTS)/stages.jsonl and drawn over commits (needs valgrind)"
	@echo "make docs    write what is made from commands and records anew, and check every page"
	@echo "make site    the documentation as a site, in site/; open site/index.html"
	@echo "make clean   remove $(VENV) and what the tools cached"

# Installed anew when what is installed changes. Running venv on an existing one mends it.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,docs,photos,explain,tensorboard,web,onnx,ray]'
	@touch $@

demo: $(STAMP)
	$(BIN)/fewlabel demo

check: $(STAMP)
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Two processes with a thread each take half the time of one with two: most tests are short. The
# tests of a file stay together, since they share what they set up, and files keep their order: by
# the number of tests the slowest file, of five tests, would be the last.
test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# By hand, and recorded in $(RESULTS)/versions.json: it takes minutes and every package once more.
test-min: $(STAMP)
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(BIN)/python benchmarks/versions.py --lowest

bench: bench-stages
	$(BIN)/fewlabel bench fashion-mnist --labels 20,50,100,500,2000 --seeds 0,1,2 \
		--selection representatives --out $(RESULTS)/fashion-mnist.jsonl
	$(BIN)/fewlabel bench fashion-mnist --labels 20,50,100,500,2000 --seeds 0,1,2 \
		--selection random --out $(RESULTS)/fashion-mnist.jsonl
	$(BIN)/fewlabel bench mnist --labels 10,20,50,100 --seeds 0,1,2 \
		--selection representatives --out $(RESULTS)/mnist.jsonl
	$(BIN)/fewlabel bench mnist --labels 10,20,50,100 --seeds 0,1,2 \
		--selection random --out $(RESULTS)/mnist.jsonl

# Adds to the records, which are kept by commit and machine.
bench-stages: $(STAMP)
	$(BIN)/python benchmarks/stages.py count
	$(BIN)/python benchmarks/stages.py time
	$(BIN)/python benchmarks/stages.py plot

docs: $(STAMP)
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/make_studies.py
	$(BIN)/python docs/make_peers.py
	$(BIN)/python docs/make_methods.py
	$(BIN)/python -m pytest tests/test_docs.py tests/test_docstrings.py

site: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
