"""Every case of the corpus through the command line: a coded error or a finding with a fix, no traceback, nothing half-written."""

import json
import re
from pathlib import Path

import pytest
from tests.corpus import CASES, Bad

from filon.cli.group import filon, run

EXITS = {"recipe": {2}, "read": {2, 3, 4}, "check": {3}, "split": {2, 3}}
HEADINGS = set(re.findall(r"^## (\S+)", (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE))

SETS = [word for one in ("track.enabled=false", "evaluate.resamples=50", "evaluate.shap_rows=50") for word in ("--set", one)]
"""What a table with a finding is trained with, beside its recipe of five rounds: a report that is soon written."""

DEAR = ("three-thousand-columns",)
"""Only looked at: trained and sealed it takes 20 s (7 of them for ONNX and its golden rows), more than all other findings together."""

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
    trains = bad.name not in DEAR
    code = run(["train", "filon.toml", "--json", *SETS] if trains else ["check", "filon.toml", "--json"])
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    last = json.loads(said.out.strip().splitlines()[-1])
    assert bad.code in HEADINGS, f"docs/errors.md does not explain {bad.code}"
    if bad.kind == "error":
        assert code in EXITS[bad.stage], (code, last)
        assert last["error"]["code"] == bad.code
        assert not list(tmp_path.rglob("trials.jsonl")), "a trial was paid for"
        assert len(last["error"]["why"]) < 2000
        assert last["error"]["fix"]
        lacking = options_in(last["error"]["fix"]) - common_options(bad.stage)
        assert not lacking, f"the fix names {lacking}, which the command does not have"
    else:
        found = findings(tmp_path, last)
        assert bad.code in found, found.keys()
        assert found[bad.code]["level"] == bad.level
        assert found[bad.code]["evidence"]
        assert found[bad.code]["fix"]
        assert options_in(found[bad.code]["fix"]) <= common_options("check")
        assert code == (1 if blocks else 0)
    left = set(tmp_path.rglob("*")) - before
    assert not [path for path in left if path.name.endswith((".tmp", ".partial"))]
    sealed = {path.name for path in left if "bundle" in path.parts}
    assert sealed >= {"bundle.json", "model.onnx", "golden.parquet"} if trains and not blocks else not sealed


def options_in(fix: str) -> set[str]:
    """Options that a fix names for the command that failed: those after another program's or command's name are its own."""
    ours = re.sub(r"`?\b(?:filon|aws|pip|mlflow|iconv|spark-submit) [^`,;]*", "", fix)
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", ours))


def common_options(stage: str) -> set[str]:
    """Options of every command that can fail at a stage: `filon check` reads as `filon train` does, but splits nothing."""
    commands = ["train"] if stage == "split" else ["train", "check"]
    every = [{one for option in filon.get_command(None, name).params for one in option.opts} for name in commands]
    return set.intersection(*every)


@pytest.mark.story
@pytest.mark.parametrize("words", [("check", "filon.toml", "--html", "file/page.html"), ("train", "filon.toml", "--runs", "file/runs")])
def test_a_place_that_cannot_be_written_is_told_with_options_that_the_command_has(words, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "t.csv").write_text("x,label\n" + "".join(f"{k},{'ab'[k % 2]}\n" for k in range(300)))
    (tmp_path / "filon.toml").write_text('name = "t"\n[data]\nsource = "t.csv"\nlabel = "label"\n[track]\nenabled = false\n')
    assert run([*words, "--json"]) == 4
    error = json.loads(capfd.readouterr().out.strip().splitlines()[-1])["error"]
    assert error["code"] == "run.not-writable"
    named = options_in(error["fix"])
    assert named <= {one for option in filon.get_command(None, words[0]).params for one in option.opts}
    assert named == ({"--runs"} if words[0] == "train" else set())


@pytest.mark.story
@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.name) for bad in CASES if bad.stage == "split"])
def test_what_split_and_report_cannot_do_is_told_by_check_already(bad: Bad, tmp_path, monkeypatch, capfd):
    bad.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    code = run(["check", "filon.toml", "--json"])
    error = json.loads(capfd.readouterr().out.strip().splitlines()[-1])["error"]
    assert (code in EXITS["split"], error["code"]) == (True, bad.code)


def findings(folder: Path, last: dict) -> dict[str, dict]:
    """Findings by code, of the run (a blocker has stopped it, others have not), or of `filon check`."""
    listed = last["result"].get("findings")
    if listed is None:
        (path,) = folder.glob("runs/*/*/findings.json")
        listed = json.loads(path.read_text(encoding="utf-8"))["findings"]
    return {one["code"]: one for one in listed}


def test_the_corpus_has_forty_cases_and_more():
    assert len({bad.name for bad in CASES}) >= 40
