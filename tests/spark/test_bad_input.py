"""Every case of the corpus is told with the same code and the same text on both engines."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.corpus import CASES, Bad

from filon.cli.group import run

pytestmark = pytest.mark.spark

each = pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.name, marks=[pytest.mark.slow] if bad.slow else []) for bad in CASES])


def said(engine: str, bad: Bad, capfd: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Exit code and what a program hears: the error, or columns and findings."""
    verb = "train" if bad.stage == "split" else "check"
    more = ["--set", "track.enabled=false"] if verb == "train" else []
    more += ["--set", "places.spark.strategy=cluster"] if engine == "spark" else []
    code = run([verb, "filon.toml", "--json", "--engine", engine, *more])
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
