"""Java is found and asked its version before Spark starts."""

from pathlib import Path

import pytest

from filon.engines.spark import java
from filon.errors import SetupError


def home(folder: Path, said: str) -> Path:
    program = folder / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize(("spark", "said", "major"), [("3.5.9", '"1.8.0_402"', 8), ("3.5.9", '"17.0.15"', 17), ("4.1.4", '"21"', 21)])
def test_a_java_that_spark_runs_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spark: str, said: str, major: int) -> None:
    monkeypatch.setenv("JAVA_HOME", str(home(tmp_path, f"openjdk version {said} 2024-01-16")))
    assert java.require(spark) == major


@pytest.mark.parametrize(("spark", "said", "needed"), [("4.1.4", '"11.0.2"', "17 or 21"), ("3.5.9", '"21.0.1"', "8, 11 or 17")])
def test_another_java_is_refused_with_the_version_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spark: str, said: str, needed: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(home(tmp_path, f"openjdk version {said}")))
    with pytest.raises(SetupError) as caught:
        java.require(spark)
    assert caught.value.code == "engines.java-wrong"
    assert needed in caught.value.why
    assert said in caught.value.why
    assert "JAVA_HOME" in caught.value.fix


def test_no_java_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SetupError, match=r"engines\.java-missing"):
        java.require("4.1.4")
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"17 or 21"):
        java.require("4.1.4")
