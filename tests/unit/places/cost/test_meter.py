"""A job that is sent with a sum knows its price, and its cluster its project."""

import json
from pathlib import Path
from typing import Any

import pytest

from filon.events import Event
from filon.places import open_place
from filon.places.base import Job
from filon.places.settings import PlacesSettings

RECIPE = 'name = "bank"\n[data]\nsource = "s3://mine/data/bank.csv"\nlabel = "deposit"\n'
SETTINGS = PlacesSettings.model_validate({"emr": {"region": "us-east-1", "bucket": "s3://mine/filon", "subnet": "subnet-1"}})


def sent(recipe: str, runs: Path) -> list[dict[str, Any]]:
    heard: list[Event] = []
    job = Job(verb="train", name="bank", key="bank-train-1", base=".", runs=str(runs), recipe=recipe)
    open_place("dry-run", SETTINGS).submit(job, heard.append)
    return [{"text": event.text, **event.fields} for event in heard if event.stage == "dry-run"]


def variables(said: list[dict[str, Any]]) -> dict[str, str]:
    body = next(one["request"]["Body"]["text"] for one in said if "job.json" in one["text"] and one["text"].startswith("s3:put_object"))
    found: dict[str, str] = json.loads(body)["variables"]
    return found


@pytest.fixture(autouse=True)
def _nobody_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("FILON_HOME", str(tmp_path / "home"))


def test_a_sum_is_sent_as_the_price_of_an_hour(tmp_path: Path) -> None:
    told = variables(sent(RECIPE + "[search.budget]\ndollars = 5\n", tmp_path / "runs"))
    assert float(told["FILON_DOLLARS_AN_HOUR"]) == pytest.approx(1.27, abs=0.05)
    assert float(told["FILON_PAID_HOURS_BEFORE"]) > 0


def test_without_a_sum_nothing_is_said(tmp_path: Path) -> None:
    assert "FILON_DOLLARS_AN_HOUR" not in variables(sent(RECIPE, tmp_path / "runs"))


def test_a_cluster_made_for_a_job_carries_the_projects_tag(tmp_path: Path) -> None:
    said = sent(RECIPE, tmp_path / "runs")
    request = next(one["request"] for one in said if one["text"].startswith("emr:run_job_flow"))
    assert {"Key": "filon-project", "Value": "bank"} in request["Tags"]
