"""Every case of the corpus through the command line: a coded error or a finding with a fix, no traceback, nothing half-written."""

import json
import re
from pathlib import Path

import pytest
from tests.corpus import CASES, Bad

from filon.cli.group import run

EXITS = {"recipe": {2}, "read": {2, 3, 4}, "check": {3}, "split": {2, 3}}
HEADINGS = set(re.findall(r"^## (\S+)", (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE))

each = pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.name, marks=[pytest.mark.slow] if bad.slow else []) for bad in CASES])


@pytest.mark.story
@each
def test_a_bad_table_ends_in_its_code_with_a_fix(bad: Bad, tmp_path, monkeypatch, capfd):
    bad.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in bad.environment:
        monkeypatch.setenv(name, value)
    before = set(tmp_path.rglob("*"))
    blocks = bad.level == "blocker" or bad.kind == "error"
    code = run(["train" if blocks else "check", "filon.toml", "--json", *(["--set", "track.enabled=false"] if blocks else [])])
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    last = json.loads(said.out.strip().splitlines()[-1])
    assert bad.code in HEADINGS, f"docs/errors.md does not explain {bad.code}"
    if bad.kind == "error":
        assert code in EXITS[bad.stage], (code, last)
        assert last["error"]["code"] == bad.code
        assert len(last["error"]["why"]) < 2000
        assert last["error"]["fix"]
    else:
        found = findings(tmp_path, last)
        assert bad.code in found, found.keys()
        assert found[bad.code]["level"] == bad.level
        assert found[bad.code]["evidence"]
        assert found[bad.code]["fix"]
        assert code == (1 if blocks else 0)
    left = set(tmp_path.rglob("*")) - before
    assert not [path for path in left if path.name.endswith((".tmp", ".partial")) or "bundle" in path.parts]


def findings(folder: Path, last: dict) -> dict[str, dict]:
    """Findings by code, of `filon check` or of the run that a blocker stopped."""
    listed = last["result"].get("findings")
    if listed is None:
        (path,) = folder.glob("runs/*/*/findings.json")
        listed = json.loads(path.read_text(encoding="utf-8"))["findings"]
    return {one["code"]: one for one in listed}


def test_the_corpus_has_forty_cases_and_more():
    assert len({bad.name for bad in CASES}) >= 40
