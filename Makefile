# `make guide` climbs the classic ladder; `make test` runs every test; `make setup` installs only.
# All of them set up .venv first, once, and cost nothing when they are run again.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
INSTALLED := .venv/installed
# The CPU build is a tenth of the size of the one with CUDA. Where its index cannot be reached, the default one serves.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH := torch==$(shell sed -n 's/^torch==//p' constraints.txt)

.PHONY: setup guide test lint check classic speed screenshots notebooks clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "stepladder needs Python 3.11 or newer; none was found. Install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -c 'import torch, sys; sys.exit(torch.__version__.split("+")[0] != "$(TORCH)".split("==")[1])' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --retries 0 --timeout 15 --index-url $(TORCH_INDEX) -c constraints.txt $(TORCH) 2>/dev/null || \
		$(BIN)/python -m pip install --quiet -c constraints.txt $(TORCH)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

guide: $(INSTALLED)
	$(BIN)/stepladder climb

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

# Measures results/classic.md again: five seeds of every step on the full MNIST.
classic: $(INSTALLED)
	$(BIN)/python benchmarks/classic.py

# Measures docs/speed.md again: every benchmark, then the page. About 20 minutes on two cores; they must be idle.
speed: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[bench]' || \
		echo "Lightning, Keras and JAX could not be installed; they are left out"
	$(BIN)/python benchmarks/speed.py --measure

# The pictures in the README and in docs/: the reports of finished climbs on the full MNIST, in headless Chromium.
REPORTS ?= climbs/classic-mnist/report.html climbs/full-mnist/report.html
screenshots: $(INSTALLED)
	$(BIN)/python docs/screenshots.py $(REPORTS)

# Executes the three notebooks on the full MNIST, in place.
notebooks: $(INSTALLED)
	$(BIN)/python notebooks/execute.py

clean:
	rm -rf .venv
