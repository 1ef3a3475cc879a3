"""What must never be committed: a registry's host, a path of one machine, a key, a data set."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.conftest import ROOT

HOSTS = ("pypi" + ".org", "pythonhosted" + ".org", "registry.npm" + "js.org", "deb." + "debian.org", "proxy." + "golang.org")
PATHS = ("/work" + "/", "/opt/" + "filon", "/opt/" + "pypi", "/opt/" + "wheels", "/ho" + "me/")
KEYS = (
    re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    re.compile(r"\bglpat-[\w-]{20}\b"),
    re.compile(r"(?i)secret_access_key\s*[=:]\s*['\"]?[A-Za-z0-9/+]{40}\b"),
)
LARGEST_BYTES = 1_500_000
"""Pictures of the documentation fit; a data set does not."""


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).exists()]


FILES = tracked()


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def found(words: tuple[str, ...]) -> list[str]:
    return [f"{path.relative_to(ROOT)}: {word}" for path in FILES for word in words if word in text_of(path)]


def test_there_are_files_to_look_at() -> None:
    assert len(FILES) > 50


def test_no_file_names_a_package_registry() -> None:
    assert found(HOSTS) == []


def test_no_file_holds_a_path_of_one_machine() -> None:
    assert found(PATHS) == []


def test_no_file_holds_a_key() -> None:
    assert [str(path.relative_to(ROOT)) for path in FILES for key in KEYS if key.search(text_of(path))] == []


@pytest.mark.parametrize(
    "key", ["AKIA" + "ABCDEFGHIJKLMNOP", "-----BEGIN RSA " + "PRIVATE KEY-----", "aws_secret_access_key = " + "a" * 40]
)
def test_the_patterns_know_a_key(key: str) -> None:
    assert any(pattern.search(key) for pattern in KEYS)


def test_no_tracked_file_is_a_data_set() -> None:
    assert [str(path.relative_to(ROOT)) for path in FILES if path.stat().st_size > LARGEST_BYTES] == []
