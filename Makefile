# Everything here makes its own environment in .venv; nothing but python3 >= 3.10 with venv is needed.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.made-from-pyproject
SOURCES := src tests $(wildcard toyworld examples benchmarks)

.PHONY: env demo test check weights pedestrians adherence bench bench-cache bench-controls clean

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is older than 3.10; set PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,toyworld,pose,onnx,exr,scikit-image]'
	touch $@

demo: $(STAMP)
	$(BIN)/python examples/demo.py --output demo

test: $(STAMP)
	$(BIN)/python -m pytest

# Networks that some tests want, from the package index; without them those tests are skipped.
weights: $(STAMP)
	$(BIN)/iclora models fetch blazepose

# A film of small people that a test and the pages want, from Debian's package of OpenCV's documentation.
pedestrians: $(STAMP)
	$(BIN)/python benchmarks/pedestrians.py

check: $(STAMP)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_architecture.py

adherence: $(STAMP)
	$(BIN)/python -m toyworld.adherence $(ADHERENCE)

# One thread, whose time is measured; the other variable keeps PyTorch's profiler from talking. No GPU, so that
# everyone compares the same thing.
bench: $(STAMP)
	OMP_NUM_THREADS=1 KINETO_LOG_LEVEL=99 $(BIN)/python benchmarks/step.py --device cpu --check $(BENCH)

bench-cache: $(STAMP)
	PYTHONPATH=. $(BIN)/python benchmarks/cache.py $(BENCH)

# The table of docs/controls.md, and the pictures of filmed and rendered controls.
bench-controls: $(STAMP)
	OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python benchmarks/controls.py --write docs/controls.md --sheet docs/controls.png
	OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python benchmarks/filmed.py --films docs/filmed.png --pedestrians docs/pedestrians.png

clean:
	rm -rf .venv demo
