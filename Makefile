# make demo · make gallery · make pages · make test · make test-all · make lint · make types · make bench ·
# make test-gpu · make bench-gpu · make settle-gpu: each sets up what it needs in .venv, with nothing but python3, its
# venv module and make; make types needs npx.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GALLERY := one-from-three two-from-three three-from-six one-from-nine

.PHONY: demo gallery pages test test-all test-gpu lint types format bench bench-gpu settle-gpu clean

demo: $(VENV)/base
	$(BIN)/mlsolve run examples/chelsea.jpg --guide rosette:1:ember --guide mosaic:4:lagoon \
	  --guide kaleidoscope:3:dusk --size 480 --exposure 0.05 --out demo/chelsea --overwrite
	@echo "all in    $(CURDIR)/demo/chelsea"

# The pictures of README.md: docs/gallery is written anew from the runs.
gallery: $(VENV)/film
	for name in $(GALLERY); do \
	  $(BIN)/mlsolve run --job examples/$$name.toml --out gallery/$$name --overwrite && \
	  $(BIN)/mlsolve animate gallery/$$name --overwrite || exit 1; \
	done
	$(BIN)/python bench/gallery.py gallery docs/gallery
	$(BIN)/python bench/colour.py docs/gallery/colour.png

# docs/cli.md and docs/options.md, from what the source declares.
pages: $(VENV)/base
	$(BIN)/python -m mlsolve_cli.pages

# The quick tests, and all of them. What is slow is marked so (pyproject.toml).
test: $(VENV)/dev
	$(BIN)/python -m pytest -n auto --dist loadfile -m 'not gpu and not slow'

test-all: test
	$(BIN)/python -m pytest -n auto --dist loadfile -m 'slow and not gpu'

test-gpu: $(VENV)/dev
	$(BIN)/python -m mlsolve_kernels.iteration.cuda
	$(BIN)/python -m pytest -m gpu

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The pages' modules, by what their comments say of types.
types:
	npx --yes -p typescript@5.9.3 tsc -p jsconfig.json

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/bench
	$(BIN)/python -m pytest bench -o filterwarnings=default

bench-gpu: $(VENV)/bench
	$(BIN)/python -m mlsolve_kernels.iteration.cuda
	$(BIN)/python -m mlsolve_records.record_gpu

# Whatever needs a GPU, within five minutes; settled/ has tables and logs.
settle-gpu: $(VENV)/bench
	$(BIN)/python -m mlsolve_records.settle_gpu --out settled

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/base: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/film: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[film]'
	@touch $@ $(VENV)/base

$(VENV)/dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/base $(VENV)/film

$(VENV)/bench: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,bench]'
	@touch $@ $(VENV)/base $(VENV)/film $(VENV)/dev

clean:
	rm -rf $(VENV) demo gallery settled build dist .pytest_cache .mypy_cache .ruff_cache kernels/mlsolve_kernels/__pycache__/kernels-*
