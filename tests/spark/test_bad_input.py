"""Every case of the corpus is told with the same code and the same text on both engines."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.corpus import CASES, Bad

import filon
from filon.cli.group import run
from filon.errors import SetupError

pytestmark = pytest.mark.spark

each = pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.name, marks=[pytest.mark.slow] if bad.slow else []) for bad in CASES])


def said(engine: str, bad: Bad, capfd: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Exit code and what a program hears: the error, or columns and findings."""
    more = ["--set", "places.spark.strategy=cluster"] if engine == "spark" else []
    code = run(["check", "filon.toml", "--json", "--engine", engine, *more])
    heard = capfd.readouterr()
    assert "Traceback" not in heard.out + heard.err
    last = json.loads(heard.out.strip().splitlines()[-1])
    return code, last.get("error") or {name: last["result"][name] for name in ("columns", "findings", "blockers")}


@each
def test_a_bad_table_is_told_in_the_same_words(bad: Bad, tmp_path: Path, monkeypatch, capfd, spark_session) -> None:
    bad.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in bad.environment:
        monkeypatch.setenv(name, value)
    embedded = said("embedded", bad, capfd)
    on_spark = said("spark", bad, capfd)
    assert on_spark == embedded
    told = [embedded[1]["code"]] if bad.kind == "error" else [one["code"] for one in embedded[1]["findings"]]
    assert bad.code in told


OLDER = """import sys, collections
names = 'major minor micro releaselevel serial'
sys.version_info = collections.namedtuple('version_info', names)(3, 10, 0, 'final', 0)
"""
BARE = """import sys
class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == 'filon':
            raise ModuleNotFoundError(f"No module named '{name}'")
sys.meta_path.insert(0, Bare())
"""


@pytest.mark.parametrize(("custom", "code"), [(OLDER, "engines.python-differs"), (BARE, "engines.workers-lack")])
def test_workers_of_another_python_are_told(custom: str, code: str, tmp_path: Path, spark_session: Any) -> None:
    """A worker that says of itself that it is Python 3.10, or that has no Filon: what comes back is said by a real worker."""
    (tmp_path / "sitecustomize.py").write_text(custom)
    python = tmp_path / "python3.10"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path}:$PYTHONPATH exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "t.csv").write_text("a,b\n" + "1,yes\n2,no\n" * 30)
    recipe = {"name": "t", "data": {"source": str(tmp_path / "t.csv"), "label": "b"}}
    spark_session.conf.set("spark.sql.execution.pyspark.python", str(python))
    try:
        with pytest.raises(SetupError) as caught:
            filon.check(recipe, engine="spark")
        assert caught.value.code == code
        exec(f"spark.{caught.value.fix.partition('spark.')[2].partition(', or')[0]}", {"spark": spark_session})  # what the fix says, pasted
        assert filon.check(recipe, engine="spark").checked.findings
    finally:
        spark_session.conf.unset("spark.sql.execution.pyspark.python")
    if code == "engines.python-differs":
        assert "3.10" in caught.value.why.replace("(3, 10)", "3.10")  # Spark 3.5 says it as a tuple
        assert f"{sys.version_info.major}.{sys.version_info.minor}" in caught.value.why
    assert "PYSPARK_PYTHON" in caught.value.fix
