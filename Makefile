# make demo   train, evaluate and show the main job on real data (some minutes)
# make test   everything that CI checks
# Both make a virtual environment in .venv; PYTHON names the interpreter to make it with.

PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
BIN := .venv/bin
RUN ?= runs/demo

.PHONY: demo test format clean

demo: .venv/installed-demo
	$(BIN)/medjax train configs/mri_unrolled.py --run $(RUN) --cpu-devices 2
	$(BIN)/medjax evaluate $(RUN)

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadgroup

format: .venv/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/installed-%: pyproject.toml
	$(if $(PYTHON),,$(error medjax needs Python 3.11 or newer; name one with PYTHON=...))
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info
