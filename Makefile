# Everything a newcomer needs: `make demo`, `make test`. Each sets up what it needs and stops at the first error.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help
help:
	@echo "make demo    set up and run the demo project in containers"
	@echo "make test    set up everything, run all checks and all tests"
	@echo "             (PYTEST_ARGS=\"-k name\" chooses; make test-quick leaves the integration tests out)"
	@echo "make chaos   kill engine and workers at random moments, 100 times (ROUNDS=20 SEED=1 chooses)"
	@echo "make unprivileged run all of the engine's tests that use a session as an ordinary user"
	@echo "make check   ruff, mypy, import-linter, documentation"
	@echo "make bench   measure, and print each figure beside its goal (BENCH_ARGS=\"--quick\" is faster)"
	@echo "make fuzz    try the REST API and the MCP tools with thousands of invented requests"
	@echo "make docs    run the documentation and write down what is printed (PAGE=name chooses one page)"
	@echo "make reference write the pages that are made from the code"
	@echo "make golden  note changes of public interfaces (CHANGE=\"what changed\" is the line for CHANGELOG.md)"
	@echo "make openapi write the REST API's document to docs/reference/openapi.json"
	@echo "make lock    resolve the dependencies of pyproject.toml anew"
	@echo "make clean   remove the virtual environment and caches"

$(BIN)/uv: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; name one with: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

# One virtual environment; a stamp for each lock file that has been installed into it. Schemathesis is a program there:
# as a plugin, each pytest that a task starts would load it, for more than a second.
$(VENV)/.%: $(BIN)/uv requirements/%.txt pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/$*.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@find $(VENV)/lib -path '*/schemathesis-*/entry_points.txt' -exec sed -i '/^\[pytest11\]/,$$d' {} +
	@touch $@

.PHONY: demo
demo: $(VENV)/.demo
	$(BIN)/task-manager demo

.PHONY: setup
setup: $(VENV)/.dev

.PHONY: check
check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/test_links.py

# Tests run in one process more than there are processors, up to four; those that measure time run after them, alone.
PYTEST := $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal -m "not alone"
PYTEST_ALONE := $(BIN)/pytest --numprocesses 0 -m alone
PYTEST_ARGS ?=
# Arguments may choose tests of one kind only; pytest ends with 5 where it has none to run.
NONE_CHOSEN := $(if $(PYTEST_ARGS),|| test $$? -eq 5)

.PHONY: test
test:
	$(MAKE) --no-print-directory --jobs 2 --output-sync prebuilt check
	$(PYTEST) $(PYTEST_ARGS) $(NONE_CHOSEN)
	$(PYTEST_ALONE) $(PYTEST_ARGS) $(NONE_CHOSEN)

.PHONY: test-quick
test-quick: $(VENV)/.dev
	$(PYTEST) --ignore tests/integration $(PYTEST_ARGS)

.PHONY: bench
BENCH_ARGS ?=
bench: packages
	$(BIN)/python -m benchmarks --json build/benchmarks.json --plot build/benchmarks.png $(BENCH_ARGS)

ROUNDS ?= 100
SEED ?=

.PHONY: chaos
chaos: packages
	CHAOS_ROUNDS=$(ROUNDS) CHAOS_SEED=$(SEED) $(BIN)/pytest tests/embedded_engine/test_chaos.py $(PYTEST_ARGS)
	RUN_CHAOS_ROUNDS=$(ROUNDS) RUN_CHAOS_RUNS=50 RUN_CHAOS_SHARED_RUNS=200 CHAOS_SEED=$(SEED) $(BIN)/pytest --numprocesses 0 \
	  tests/orchestration/test_workers.py -k "whatever_is_killed or two_workers" $(PYTEST_ARGS)

.PHONY: unprivileged
unprivileged: packages
	UNPRIVILEGED_WHOLE=1 $(BIN)/pytest --numprocesses 0 tests/embedded_engine/test_unprivileged.py $(PYTEST_ARGS)

.PHONY: fuzz
CASES ?= 2000
fuzz: $(VENV)/.dev
	API_CASES=$(CASES) $(BIN)/pytest --numprocesses 0 --timeout 3600 tests/rest_api/test_invented_requests.py $(PYTEST_ARGS)
	FUZZ_EXAMPLES=$$(( $(CASES) / 30 + 1 )) $(BIN)/pytest --numprocesses 0 --timeout 3600 -s tests/mcp_server/test_bad_arguments.py \
	  $(PYTEST_ARGS)

# Output that the pages show is written down anew where it differs; read the changes before you keep them.
.PHONY: docs
PAGE ?=
docs: packages reference
	WRITE_DOCS=1 $(BIN)/pytest --numprocesses 0 tests/test_documentation.py $(if $(PAGE),-k "$(PAGE)") $(PYTEST_ARGS)

.PHONY: reference
reference: $(VENV)/.dev
	$(BIN)/python -m tests.documentation.generated

# Takes over what changed of the interfaces that others rely on, with a line in CHANGELOG.md.
.PHONY: golden
CHANGE ?=
golden: $(VENV)/.dev
	$(BIN)/python -m tests.compatibility.golden "$(CHANGE)"

.PHONY: openapi
openapi: $(VENV)/.dev
	$(BIN)/python -m tests.rest_api.publish_document

.PHONY: packages
packages: $(VENV)/.dev
	$(BIN)/python -m tests.environment.packages --install

.PHONY: prebuilt
prebuilt: packages
	$(BIN)/python -m tests.environment.prebuilt

.PHONY: lock
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
lock: $(BIN)/uv
	$(BIN)/$(COMPILE) --extra demo --extra dev --extra postgresql pyproject.toml -o requirements/dev.txt
	$(BIN)/$(COMPILE) --extra demo -c requirements/dev.txt pyproject.toml -o requirements/demo.txt
	$(BIN)/$(COMPILE) --extra postgresql --extra redis --extra s3 -c requirements/dev.txt pyproject.toml -o requirements/server.txt
	echo "uv" | $(BIN)/$(COMPILE) - -o requirements/bootstrap.txt

.PHONY: clean
clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist
