"""Imports point down, heavy libraries stay behind their doors, and the command line starts at once."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = {
    *("boto3", "duckdb", "jinja2", "matplotlib", "mlflow", "numpy", "onnx", "onnxruntime", "optuna", "pandas"),
    *("pyarrow", "pydantic", "pyspark", "rich", "scipy", "sqlglot", "xgboost"),
}
"""No command needs one of these before it knows what it was asked."""


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter as the developer runs it."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [str(program), "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder / "src")},
    )


def copy(root: Path, folder: Path) -> Path:
    shutil.copytree(root / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / ".importlinter", folder)
    return folder


def test_imports_point_down(root: Path) -> None:
    result = lint(root)
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.mark.parametrize(
    ("room", "line", "broken"),
    [
        ("split/__init__.py", "import duckdb", "duckdb has one door"),
        ("check/__init__.py", "from filon.engines import embedded", "Stages see the engines' interface"),
        ("trees/__init__.py", "import filon.search.records", "Imports point down the story"),
        ("evaluate/__init__.py", "import matplotlib.pyplot", "matplotlib and jinja2 have one door"),
        ("novelties.py", "", "Imports point down the story"),
    ],
)
def test_a_broken_rule_is_seen(room: str, line: str, broken: str, root: Path, tmp_path: Path) -> None:
    file = copy(root, tmp_path) / "src" / "filon" / room
    file.write_text((file.read_text(encoding="utf-8") if file.exists() else "") + f"\n{line}\n", encoding="utf-8")
    result = lint(tmp_path)
    assert result.returncode == 1, result.stdout[-2000:]
    assert broken in "".join(row for row in result.stdout.splitlines() if " BROKEN" in row)


def test_the_command_line_imports_nothing_heavy() -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import filon, filon.cli"], capture_output=True, text=True, check=True
    )
    loaded = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in result.stderr.splitlines() if line.startswith("import time:")}
    assert "click" in loaded
    assert not loaded.intersection(HEAVY)


def test_help_is_quick() -> None:
    """`bench/start.py` measures the 0.3 s of the promise; here the best of three may take twice that beside other tests."""
    command = [sys.executable, "-c", "import sys; from filon.cli import main; main(sys.argv[1:])", "--help"]
    best = 9.0
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        best = min(best, time.perf_counter() - began)
    assert best <= 0.6
