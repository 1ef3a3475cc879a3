"""A run folder as `runs.py` leaves it, grown step by step, with a real bundle in it when asked."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.package.conftest import rows

TRIALS = [
    {
        "number": number,
        "key": f"key{number}",
        "family": "xgboost" if number % 2 else "random_forest",
        "settings": {"max_depth": number, "eta": 0.1},
        "seed": 7,
        "state": "failed" if number == 3 else "done",
        "metrics": {} if number == 3 else {"areaUnderPR": 0.5 + number / 100, "f1": None},
        "rounds": 10 * number,
        "trees": 10 * number,
        "seconds": 0.5,
        "shared": "",
        "error": "it broke" if number == 3 else "",
        "curve_metric": "aucpr",
        "curve": [{"round": step, "train": 0.5, "valid": 0.4 + step / 1000} for step in range(10 * number)],
    }
    for number in range(1, 6)
]
SUMMARY = {
    "metric_used": "areaUnderPR",
    "winner": {
        "name": "XGBoost",
        "best_params": {"max_depth": 5},
        "val_metrics": {"areaUnderPR": 0.55},
        "test_metrics_retrained": {
            "accuracy": 0.9,
            "areaUnderROC": 0.8,
            "weightedPrecision": 0.7,
            "weightedRecall": 0.6,
            "f1": 0.65,
            "areaUnderPR": 0.54,
            "logLoss": None,
        },
    },
    "decision": {"threshold": 0.4, "metrics": {"precision": 0.75}},
}


LOAD = """
import sys
import mlflow, pandas
from filon.package import open_bundle
mlflow.set_tracking_uri(sys.argv[1])
frame = pandas.read_parquet(sys.argv[3])
model = mlflow.pyfunc.load_model(sys.argv[2])
print("same" if model.predict(frame).equals(open_bundle(sys.argv[4]).predict(frame)) else "different")
"""


def assert_mlflow_answers_as_the_bundle(tracking_uri: str, model_uri: str, bundle: Path, folder: Path) -> None:
    """In a process of its own: MLflow's way of setting its addresses stays with the process, and with its children."""
    rows(50).to_pandas().to_parquet(folder / "rows.parquet")
    words = [sys.executable, "-c", LOAD, tracking_uri, model_uri, str(folder / "rows.parquet"), str(bundle)]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    assert said.stdout.strip().endswith("same"), said.stderr[-2000:]


class RunFolder:
    """Writes what a run writes, when the test says so."""

    def __init__(self, base: Path, uri: str, name: str = "bank-deposit", **track: Any) -> None:
        self.path = base / "runs" / name / "20260101_120000-ab12cd34"
        self.path.mkdir(parents=True)
        self.manifest: dict[str, Any] = {
            "format": 1,
            "name": name,
            "run_id": f"{name}/{self.path.name}",
            "state": "running",
            "created_at": "2026-01-01T12:00:00+00:00",
            "fingerprint": "ab12cd34",
            "base": str(base),
            "engine": "embedded",
            "recipe": {
                "name": name,
                "data": {"source": "bank.csv", "label": "deposit"},
                "search": {"gbt": {"maxIter": [10, 20]}},
                "track": {"uri": uri, **track},
            },
            "versions": {"filon": "0.1.0"},
            "stages": {"read": {"seconds": 0.5, "ended_at": "2026-01-01T12:00:01+00:00"}},
            "openings": [],
        }
        self.save()

    def save(self) -> None:
        (self.path / "manifest.json").write_text(json.dumps(self.manifest), encoding="utf-8")

    def add_trials(self, *numbers: int) -> None:
        with (self.path / "trials.jsonl").open("a", encoding="utf-8") as out:
            for number in numbers:
                out.write(json.dumps(TRIALS[number - 1]) + "\n")

    def end(self, state: str = "done", bundle: Path | None = None) -> None:
        (self.path / "metrics").mkdir(exist_ok=True)
        (self.path / "metrics" / "summary.json").write_text(json.dumps(SUMMARY), encoding="utf-8")
        (self.path / "report").mkdir(exist_ok=True)
        (self.path / "report" / "report.html").write_text("<h1>Report</h1>", encoding="utf-8")
        if bundle is not None:
            shutil.copytree(bundle, self.path / "bundle")
        self.manifest["folds"] = {"train": {"rows": 700, "by_class": [600, 100], "digest": "00ff00ff00ff00ff"}}
        self.manifest |= {"state": state, "ended_at": "2026-01-01T12:01:00+00:00", "headlines": ["It found something."]}
        self.save()


@pytest.fixture(autouse=True)
def _no_second_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is away is away at once: MLflow's own retries would only make the tests long."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., RunFolder]:
    """`new_run(uri, **track)`: a run folder that has just begun."""

    def make(uri: str = "sqlite:///mlflow.db", name: str = "bank-deposit", **track: Any) -> RunFolder:
        return RunFolder(tmp_path, uri, name, **track)

    return make
