# Everything from a fresh clone: each target first builds .venv with what it needs. Only Python 3.11 or newer, a C compiler and make are
# expected on the machine; `PYTHON=...` names another interpreter.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/stamps
STUDIES := model_study model_limits few_channels bound_check model_speed model_ranking search_table front_3d lavin_gray tensor_core_errors
CLIP   := examples/clips/bigbuckbunny.mp4

EXTRAS_demo  := torch,video,plot
EXTRAS_bench := torch,bench,plot
EXTRAS_test  := torch,triton,video,plot,checkpoints,search,dask,test
EXTRAS_check := $(EXTRAS_test),notebooks,docs,dev

.PHONY: help demo test check lint bench bench-whole gpu gpu-test gpu-bench study catalogue docs clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@echo "make demo    C3D on a real clip, directly and with generated kernels: speed and error of every layer"
	@echo "make test    all tests and doctests"
	@echo "make check   tests, lint, types, rooms, documentation with its notebooks: what has to pass before a merge"
	@echo "make bench   C3D's stack at batch 1 and 8 against the best direct variants, and proofs against wincnn; into build/"
	@echo "make bench-whole  every suite that figures are published of, into benchmarks/results; then the tables (an hour, on a quiet machine)"
	@echo "make gpu     gpu-test and gpu-bench: the GPU backend's tests, its figures beside cuDNN, on an NVIDIA GPU; into build/"
	@echo "make study   how well the error model fits, what the search finds, how fast both are; into build/*.json (an hour)"
	@echo "make catalogue  search the best known algorithms again; into build/catalogue.json"
	@echo "make docs    documentation into docs/_build/html"
	@echo "make clean   remove what was built (.venv stays)"

demo: $(STAMPS)/demo
	@mkdir -p build
	$(BIN)/python -m winograd.run c3d --clip $(CLIP) --json build/demo.json --plot build/demo.png

bench: $(STAMPS)/bench
	@mkdir -p build
	for batch in 1 8; do \
		$(BIN)/python -m winograd.bench --suite c3d_stack --batch $$batch --tolerance 2e-6 \
			--json build/c3d_batch$$batch.json --plot build/c3d_batch$$batch.png || exit 1; \
	done
	$(BIN)/python benchmarks/proof.py --json build/proof.json

bench-whole: $(STAMPS)/bench
	PYTHON=$(BIN)/python sh benchmarks/whole.sh benchmarks/results
	$(BIN)/python benchmarks/tables.py --pages benchmarks/results/bench_*.json benchmarks/results/networks_*.json benchmarks/results/training.json

# On a machine that has torch with CUDA, Triton and pytest already, and maybe nothing else: make gpu GPU_PYTHON=python3
GPU_PYTHON = $(BIN)/python
GPU_NEEDS  = $(if $(filter command line environment,$(origin GPU_PYTHON)),,$(STAMPS)/test)
# Neither plugins nor the options of pyproject.toml, which name them; processes side by side where xdist is there.
GPU_PYTEST = $(GPU_PYTHON) -m pytest -c /dev/null --rootdir=. --import-mode=importlib -p no:cacheprovider -q \
	$$($(GPU_PYTHON) -c 'import xdist; print("-n 6")' 2>/dev/null)
GPU_BENCH  = PYTHONPATH=. $(GPU_PYTHON) -m winograd.bench --device cuda --batch 32 --tolerance 5e-6

gpu: $(GPU_NEEDS)  # figures even where a test fails
	@status=0; for half in gpu-test gpu-bench; do $(MAKE) $$half || status=1; done; exit $$status

gpu-test: $(GPU_NEEDS)
	PYTHONPATH=. $(GPU_PYTEST) tests/gpu

gpu-bench: $(GPU_NEEDS)
	@mkdir -p build
	@status=0; set -x; \
	$(GPU_BENCH) --suite c3d_stack --json build/gpu_c3d_stack.json || status=1; \
	$(GPU_BENCH) --suite lan2017 --tuning model --json build/gpu_lan2017.json || status=1; \
	$(GPU_BENCH) --suite r3d_18 --only stride1 --tuning model --json build/gpu_r3d_18.json || status=1; \
	exit $$status

study: $(STAMPS)/test
	@mkdir -p build
	for study in $(STUDIES); do $(BIN)/python benchmarks/$$study.py --json build/$$study.json || exit 1; done

catalogue: $(STAMPS)/test
	@mkdir -p build
	$(BIN)/python -m winograd.search --catalogue build/catalogue.json

test: $(STAMPS)/test
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2 --dist worksteal

check: test lint docs

lint: $(STAMPS)/check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMPS)/check
	$(BIN)/python -m sphinx -W --keep-going -q -j 2 -b html docs docs/_build/html

clean:
	rm -rf build dist docs/_build docs/api docs/networks docs/notebooks .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find winograd tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, PYTHON is %d.%d" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(STAMPS)/%: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS_$*)]"
	@mkdir -p $(STAMPS)
	@touch $@
