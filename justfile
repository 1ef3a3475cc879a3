# What a developer does here, each in one word. `just` comes with the dev extra (rust-just).

set shell := ["bash", "-euo", "pipefail", "-c"]

fast := "not slow and not story and not server and not browser and not spark"

# List the recipes
default:
    @just --list --unsorted

# Format, and mend what can be mended
fix:
    ruff format
    ruff check --fix
    python docs/generate.py

# Lint, types, import rules, docstrings, CI file, secrets
check:
    ruff check
    ruff format --check
    mypy
    lint-imports --no-logo
    git ls-files 'src/*.py' | xargs -d '\n' numpydoc lint
    check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml
    git ls-files | xargs -d '\n' detect-secrets-hook --baseline .secrets.baseline

# The fast tests (under three minutes on two cores)
test *words:
    pytest -n 2 -m "{{ fast }}" {{ words }}

# Every test, as CI runs them
test-all *words:
    pytest -n auto {{ words }}

# The engines against a third truth: `just parity spark`
parity engine="embedded" *words:
    pytest tests/parity -k "{{ engine }}" {{ words }}

# The Spark engine, on the Spark of this environment, and on a standalone cluster
spark *words:
    pytest tests/spark tests/parity -m spark {{ words }}

# The journeys through the command line
story *words:
    pytest tests/story -n 2 {{ words }}

# The benchmarks; each script of bench/ says what it measures
bench name="":
    @if [ -z "{{ name }}" ]; then ls bench/*.py; else nice python "bench/{{ name }}.py"; fi

# Generated pages, then the site (into site/), strictly
docs:
    python docs/generate.py --check
    NO_MKDOCS_2_WARNING=1 mkdocs build --strict

# The site while you write it
docs-serve:
    NO_MKDOCS_2_WARNING=1 mkdocs serve

# Rewrite the golden texts from what the product says now
golden:
    pytest tests/golden --update-golden

# The picture of README.md, from the report of `filon demo` in a folder
picture folder="filon-demo":
    chromium --headless=new --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars \
      --force-device-scale-factor=1.25 --window-size=1280,680 --screenshot=docs/img/report.png \
      "file://$(realpath "$(ls -d {{ folder }}/runs/flights/*/report/report.html | tail -1)")"
