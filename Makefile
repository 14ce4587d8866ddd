# Two commands: `make repro` trains and evaluates on the embedded world, `make test` runs the tests.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
export PATH := $(abspath $(BIN)):$(PATH)
export DVC_NO_ANALYTICS := 1
# One thread by default, so that artifacts come out the same whatever the number of cores; override it to go faster.
export OMP_NUM_THREADS ?= 1

.PHONY: setup repro study figures test unit seeds lint types

setup: $(VENV)/.installed

$(if $(PYTHON),,$(error Python 3.11, 3.12 or 3.13 is needed; none found on PATH. Give one: make setup PYTHON=/path/to/python3.12))

# openai-clip's own build needs pkg_resources, hence no build isolation and setuptools first.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt pip setuptools wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -c constraints.txt -e ".[dev]"
	touch $@

repro: setup
	dvc repro
	weakhoi summary --dataset toyworld

study: setup
	dvc repro
	dvc --cd study repro
	weakhoi summary --dataset toyworld --write

figures: setup
	dvc repro
	dvc --cd study repro figures/dvc.yaml

test: setup
	python -m pytest -n auto --dist loadfile --no-loadscope-reorder

unit: setup
	python -m pytest -m "not slow" -n auto --dist loadfile

# Tests that take a seed, over ten of them, with this CPU's kernels and those of older ones (CONTRIBUTING.md).
KERNELS := OWN=1 ATEN_CPU_CAPABILITY=default ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=SSE41

seeds: setup
	for kernels in $(KERNELS); do \
		echo "$$kernels" && env $$kernels python -m pytest -m "not slow" -k seed --seeds 10 -n auto --dist loadfile || exit 1; \
	done

lint: setup
	ruff check .
	ruff format --check .

types: setup
	mypy
