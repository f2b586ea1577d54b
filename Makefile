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

.PHONY: help demo test check lint bench bench-whole gpu gpu-quick gpu-test gpu-bench gpu-bench-stack gpu-bench-lan2017 \
	gpu-bench-r3d gpu-fit study catalogue docs clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@echo "make demo    C3D on a real clip, directly and with generated kernels: speed and error of every layer"
	@echo "make test    all tests and doctests"
	@echo "make check   tests, lint, types, rooms, documentation with its notebooks: what has to pass before a merge"
	@echo "make bench   C3D's stack at batch 1 and 8 against the best direct variants, and proofs against wincnn; into build/"
	@echo "make bench-whole  every suite that figures are published of, into benchmarks/results; then the tables (an hour, on a quiet machine)"
	@echo "make gpu     gpu-test and gpu-bench: the GPU backend's tests, its figures beside cuDNN, on an NVIDIA GPU; into build/"
	@echo "make gpu-quick  the most telling of both in some minutes, and what the kernels attain; GPU_OUT=DIR is where files go"
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
# No command takes longer than GPU_SECONDS: it is interrupted then, prints what it has, and its JSON has every layer until
# then. In the foreground, or Ctrl-C would not reach it.
GPU_OUT     = build
GPU_SECONDS = 540
GPU_UNTIL   = PYTHONPATH=. PYTHONUNBUFFERED=1 timeout --foreground --signal=INT --kill-after=20
GPU_BENCH   = $(GPU_PYTHON) -m winograd.bench --device cuda --batch 32 --tolerance 5e-6
GPU_SUITES  = c3d_stack lan2017 r3d_18
GPU_QUICK   = (errors and conv3b and tf32x3) or (guards and F444) or equal_bit or memory_is or (errors and few)

gpu: $(GPU_NEEDS)  # figures even where a test fails
	@status=0; for half in gpu-test gpu-bench; do $(MAKE) $$half || status=1; done; exit $$status

gpu-quick: $(GPU_NEEDS)
	@mkdir -p $(GPU_OUT)
	@status=0; \
	$(GPU_UNTIL) 120 $(GPU_PYTEST) -k '$(GPU_QUICK)' tests/gpu || status=1; \
	$(GPU_UNTIL) 180 $(GPU_BENCH) --suite c3d_stack --tuning model --without-compiled --repeats 7 \
		--json $(GPU_OUT)/gpu_quick.json || status=1; \
	$(GPU_UNTIL) 60 $(GPU_PYTHON) benchmarks/gpu_fit.py $(GPU_OUT)/gpu_quick.json --json $(GPU_OUT)/gpu_fit_quick.json || status=1; \
	exit $$status

gpu-test: $(GPU_NEEDS)
	$(GPU_UNTIL) $(GPU_SECONDS) $(GPU_PYTEST) tests/gpu

gpu-bench: $(GPU_NEEDS)
	@status=0; for suite in stack lan2017 r3d; do $(MAKE) gpu-bench-$$suite || status=1; done; $(MAKE) gpu-fit || status=1; exit $$status

gpu-bench-stack: $(GPU_NEEDS)
	@mkdir -p $(GPU_OUT)
	$(GPU_UNTIL) $(GPU_SECONDS) $(GPU_BENCH) --suite c3d_stack --json $(GPU_OUT)/gpu_c3d_stack.json

gpu-bench-lan2017: $(GPU_NEEDS)
	@mkdir -p $(GPU_OUT)
	$(GPU_UNTIL) $(GPU_SECONDS) $(GPU_BENCH) --suite lan2017 --tuning model --json $(GPU_OUT)/gpu_lan2017.json

gpu-bench-r3d: $(GPU_NEEDS)
	@mkdir -p $(GPU_OUT)
	$(GPU_UNTIL) $(GPU_SECONDS) $(GPU_BENCH) --suite r3d_18 --only stride1 --tuning model --json $(GPU_OUT)/gpu_r3d_18.json

gpu-fit: $(GPU_NEEDS)
	$(GPU_UNTIL) 120 $(GPU_PYTHON) benchmarks/gpu_fit.py $(wildcard $(GPU_SUITES:%=$(GPU_OUT)/gpu_%.json)) --json $(GPU_OUT)/gpu_fit.json

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
