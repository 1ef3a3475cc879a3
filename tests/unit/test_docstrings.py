"""Docstrings: the house's form, codes that exist, `__all__` that is true."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT

from filon.errors import CODES

MODULES = sorted((ROOT / "src").rglob("*.py"))
ROOMS = {code.partition(".")[0] for code in CODES}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")


def docstrings(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, nodes)]


def test_docstrings_keep_the_numpydoc_form() -> None:
    files = [str(path) for path in MODULES if path.stat().st_size > 1]
    program = Path(sys.executable).with_name("numpydoc")
    result = subprocess.run([str(program), "lint", *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_codes_named_in_docstrings_exist(path: Path) -> None:
    for text in docstrings(path):
        for raised in re.findall(r"^\w+Error : (.+)$", text, flags=re.MULTILINE):
            named = re.findall(r"`([a-z-]+\.[a-z0-9-]+)`", raised)
            assert [code for code in named if code.partition(".")[0] in ROOMS and code not in CODES] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_all_names_what_is_there(path: Path) -> None:
    if "__all__" not in path.read_text(encoding="utf-8"):
        return
    module = importlib.import_module(name_of(path))
    assert sorted(module.__all__) == sorted(set(module.__all__))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
