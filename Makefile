# Two commands: `make repro` trains and evaluates on the embedded world, `make test` runs the tests.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
export PATH := $(abspath $(BIN)):$(PATH)
export DVC_NO_ANALYTICS := 1
# One thread by default, so that artifacts come out the same whatever the number of cores; override it to go faster.
export OMP_NUM_THREADS ?= 1
# How many stages run side by side, which changes no byte: as many as there are cores for their threads.
JOBS ?= $(shell jobs=$$(($$(getconf _NPROCESSORS_ONLN) / $(OMP_NUM_THREADS))); echo $$((jobs < 1 ? 1 : jobs)))

SHELL := bash

.PHONY: setup repro study figures test unit seeds lint types docs

setup: $(VENV)/.installed

$(if $(PYTHON),,$(error Python 3.11, 3.12 or 3.13 is needed; none found on PATH. Give one: make setup PYTHON=/path/to/python3.12))

# openai-clip's own build needs pkg_resources, hence no build isolation and setuptools first.
$(VENV)/.installed: pyproject.toml constraints.txt .ci/install.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt pip setuptools wheel
	$(BIN)/python .ci/install.py --no-build-isolation -c constraints.txt -e ".[dev]"
	touch $@

# Stages of a group do not depend on each other, and all that they share is made by the groups before.
GROUPS := prepare "detect|encode_prompts" "label|encode_images" train infer

# Freed memory is kept for the next tensors, where the C library would hand it back and ask for it again.
repro: export MALLOC_MMAP_THRESHOLD_ = 1073741824
repro: export MALLOC_TRIM_THRESHOLD_ = 4294967296
repro: setup
	@set -o pipefail; stages=$$(dvc stage list --name-only) && for group in $(GROUPS); do \
		sed -nE "/^($$group)/p" <<< "$$stages" | xargs -r -n 1 -P $(JOBS) dvc --wait-for-lock repro -s 2>&1 | cat || exit 1; \
	done
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

# Material's announcement of mkdocs 2 is left out.
docs: setup
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
