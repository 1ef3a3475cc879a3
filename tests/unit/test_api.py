"""What `import filon` gives."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import filon
from filon.api import Run
from filon.cli.terminal import Terminal
from filon.cli.train import tell_run

FUNCTIONS = ("check", "evaluate", "load", "predict", "submit", "train")


@pytest.mark.parametrize("before", ["", "import filon.check, filon.evaluate, filon.pipeline", "import filon.api"])
def test_functions_stay_functions_when_rooms_of_their_name_are_imported(before: str) -> None:
    asked = f"import filon\n{before}\nprint([name for name in {FUNCTIONS} if callable(getattr(filon, name))])"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(list(FUNCTIONS))


def test_a_name_that_is_not_there_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = filon.trian  # type: ignore[attr-defined]


@pytest.mark.parametrize(("memory_mib", "said"), [(1024, "1.0 GiB to stay within"), (256, "the process alone needs more"), (None, "fits")])
def test_check_tells_the_memory_that_training_stays_within(memory_mib: int | None, said: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{k * 7919 % 307},{'ab'[k % 2]}\n" for k in range(300)), encoding="utf-8")
    looked = filon.check({"name": "t", "data": {"source": str(tmp_path / "t.csv"), "label": "y"}}, memory_mib=memory_mib)
    assert said in looked.cost_lines[1]
    assert looked.cost.within_mib >= 256


def test_a_notebook_is_offered_what_is_not_imported_yet() -> None:
    assert set(filon.__all__) <= set(dir(filon))


def test_every_trial_of_the_report_has_its_line_though_it_is_another_ones_twin(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,z,y\n" + "".join(f"{k * 7919 % 307},{k * 31 % 97},{'ab'[k % 2]}\n" for k in range(300)), "utf-8")
    forest = {"numTrees": [2, 3], "maxDepth": 2, "featureSubsetStrategy": ["sqrt", "log2", "onethird"]}  # of two features: one each
    recipe = {"name": "t", "data": {"source": str(tmp_path / "t.csv"), "label": "y"}, "search": {"random_forest": forest}}
    run = filon.train({**recipe, "track": {"enabled": False}}, base=tmp_path)
    lines = [json.loads(line) for line in (run.path / "trials.jsonl").read_text("utf-8").splitlines()]
    assert sorted(line["number"] for line in lines) == list(range(1, 7))
    assert len({line["key"] for line in lines}) < 6


def test_a_run_that_a_finding_stopped_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocker = {"level": "blocker", "code": "check.one-class", "what": "all rows are <no>", "evidence": "900 rows", "fix": "bring others"}
    (tmp_path / "findings.json").write_text(json.dumps({"findings": [blocker, {"level": "info", "code": "check.constant"}]}), "utf-8")
    run = Run(tmp_path, {"run_id": "t/1", "state": "stopped"})
    assert tell_run(Terminal(True), run) == 1
    assert json.loads(capsys.readouterr().out)["result"]["blockers"] == [blocker]
    assert "blocker[check.one-class] all rows are <no>: bring others" in repr(run)
    assert "all rows are &lt;no&gt;" in run._repr_html_()
