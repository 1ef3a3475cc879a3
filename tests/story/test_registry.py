"""Promote, compare and roll back, as a user's shell sees them."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers.mlflow import Server, mlflow_server, tracking_database

__all__ = ["mlflow_server", "tracking_database"]
pytestmark = [pytest.mark.story, pytest.mark.slow]


def trained(filon: Callable, bank: Path, *sets: str, uri: str = "sqlite:///mlflow.db") -> Path:
    """A run whose records are sent by hand, so that no second process is at work."""
    words = [word for one in (*sets, f"track.uri={uri}") for word in ("--set", one)]
    said = filon("train", str(bank / "filon.toml"), "--json", *words)
    assert said.code == 0, said.err
    return Path(said.result["result"]["run"])


def ledger(bank: Path) -> list[dict]:
    return [json.loads(line) for line in (bank / "runs" / "registry.jsonl").read_text(encoding="utf-8").splitlines()]


def promoted(filon: Callable, run: Path, *words: str) -> tuple[int, dict]:
    said = filon("promote", str(run), "--runs", str(run.parents[1]), "--json", *words, FILON_USER="ana")
    assert said.code in (0, 1), said.out + said.err
    return said.code, said.result["result"]


def test_the_life_of_an_alias_on_a_real_server(filon: Callable, bank: Path, mlflow_server: Server) -> None:
    good = trained(filon, bank, uri=mlflow_server.uri)
    weak = trained(filon, bank, "search={xgboost={num_round=1, max_depth=1}}", uri=mlflow_server.uri)  # a single question
    code, first = promoted(filon, good, "--why", "the first one")
    assert (code, first["version"], first["before"]) == (0, "1", "")
    shutil.rmtree(good)  # the champion's bundle now comes out of the registry
    code, refused = promoted(filon, weak, "--to", "champion")
    by_name = {gate["gate"]: gate for gate in refused["gates"]}
    assert (code, refused["done"], by_name["champion"]["passed"]) == (1, False, False)
    assert re.search(r"areaUnderPR \d\.\d+ against \d\.\d+ of version 1 on 180 rows: .*, worse", by_name["champion"]["told"])
    assert all(gate["passed"] for name, gate in by_name.items() if name != "champion")
    code, forced = promoted(filon, weak, "--force", "--why", "an experiment of Ana's")
    assert (code, forced["version"]) == (0, "2")
    openings = json.loads((weak / "manifest.json").read_text())["openings"]
    assert "promotion to champion: against version 1" in openings
    (bank / "filon.toml").write_text((bank / "filon.toml").read_text() + f'uri = "{mlflow_server.uri}"\n', encoding="utf-8")
    back = filon("rollback", str(bank / "filon.toml"), "--json", "--why", "complaints").result["result"]
    assert (back["version"], back["before"]) == ("1", "2")
    assert filon("rollback", str(bank / "filon.toml")).code == 2
    assert filon("rollback", str(bank / "filon.toml"), "--to", "9").code == 2
    lines = ledger(bank)
    assert lines[0]["who"] == "ana"
    assert lines[-1]["did"] == "rolled-back"
    assert lines[-1]["why"] == "complaints"
    told = seen_by_mlflow(mlflow_server)
    assert told["champion"] == "1"
    assert json.loads(told["tags"]["filon.alias.champion"])["why"] == "complaints"


def test_the_alias_of_a_recipe_goes_through_the_gates_once(filon: Callable, bank: Path) -> None:
    good = trained(filon, bank, "track.alias=live", "search.xgboost.num_round=5")
    said = filon("track", str(good), "--runs", str(good.parents[1]), FILON_USER="ana")
    assert (said.code, "live -> version 1" in said.out) == (0, True), said.out + said.err
    weak = trained(filon, bank, "track.alias=live", "gates.at_least.areaUnderROC=0.999", "search.xgboost.num_round=5")
    child = subprocess.run([sys.executable, "-m", "filon.track", str(weak)], capture_output=True, text=True, check=False)  # as train does
    assert "live stays at version 1" in child.stdout, child.stdout + child.stderr
    assert [(line["did"], line["alias"], line["who"] == "ana", line["why"]) for line in ledger(bank)] == [
        ("promoted", "live", True, "track.alias of its recipe"),
        ("refused", "live", False, "track.alias of its recipe"),
    ]
    assert all(line["gates"] for line in ledger(bank))
    code, _ = promoted(filon, weak, "--to", "live", "--force", "--why", "by hand")
    assert code == 0
    assert filon("track", str(good), "--runs", str(good.parents[1])).code == 0
    assert [line["did"] for line in ledger(bank)] == ["promoted", "refused", "promoted"]  # sending it again does not move it back


def seen_by_mlflow(server: Server) -> dict:
    code = (
        "import json, sys, mlflow; c = mlflow.MlflowClient(sys.argv[1], sys.argv[1])\n"
        "v = c.get_model_version_by_alias('bank', 'champion')\n"
        "print(json.dumps({'champion': str(v.version), 'tags': dict(v.tags)}))"
    )
    done = subprocess.run([server.python, "-W", "ignore", "-c", code, server.uri], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_gates_hold_a_run_back_and_force_needs_a_reason(filon: Callable, bank: Path) -> None:
    run = trained(filon, bank, "gates.at_least.areaUnderROC=0.999")
    code, said = promoted(filon, run)
    assert (code, said["done"], said["before"]) == (1, False, "")
    assert ledger(bank)[0]["did"] == "refused"
    without = filon("promote", str(run), "--runs", str(run.parents[1]), "--force")
    assert without.code == 2
    assert "error[registry.why-missing]" in without.err
    code, said = promoted(filon, run, "--force", "--why", "the only one there is")
    assert (code, said["forced"]) == (0, True)
    assert [line["did"] for line in ledger(bank)] == ["refused", "promoted"]


def test_two_runs_side_by_side_in_both_languages(filon: Callable, bank: Path, tmp_path: Path) -> None:
    one, other = trained(filon, bank), trained(filon, bank, "search.xgboost.num_round=3", "split.seed=42")
    for lang, title in (("en", "Settings side by side"), ("es", "Ajustes, lado a lado")):
        words = ["--runs", str(one.parents[1]), "--out", str(tmp_path / f"{lang}.html"), "--lang", lang]
        said = filon("compare", str(one), str(other), *words, "--json")
        assert said.code == 0, said.err
        page = (tmp_path / f"{lang}.html").read_text(encoding="utf-8")
        assert title in page
        assert "search.xgboost.num_round" in page
        assert "http://" not in page.replace("http://www.w3.org", "")
    assert said.result["result"]["paired"]["rows"] == 180
    assert said.result["result"]["paired"]["metrics"]["areaUnderROC"]["left"] == pytest.approx(
        json.loads((one / "metrics" / "summary.json").read_text())["winner"]["test_metrics_retrained"]["areaUnderROC"], abs=1e-9
    )


def test_rows_that_changed_are_not_taken_for_the_test_fold(filon: Callable, bank: Path) -> None:
    one, other = trained(filon, bank), trained(filon, bank, "search.xgboost.num_round=3")
    lines = (bank / "bank.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (bank / "bank.csv").write_text("".join(lines[:1000]), encoding="utf-8")
    said = filon("compare", str(one), str(other), "--runs", str(one.parents[1]))
    assert said.code == 3
    assert "error[registry.rows-changed]" in said.err
    given = filon("compare", str(one), str(other), "--runs", str(one.parents[1]), "--data", str(bank / "bank.csv"))
    assert given.code == 0, given.err
