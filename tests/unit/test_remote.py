"""A recipe as a job, its evaluation after it, and who is waited for. The places here take jobs and do nothing."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from filon import remote
from filon.errors import RecipeError
from filon.events import Listen, silence
from filon.places import Handle, Job

RECIPE = {"name": "bank", "data": {"source": "bank.csv", "label": "deposit"}}


@dataclass
class Quiet:
    """A place that writes down what it is asked; `out` is what it knows of the results when it takes a job."""

    goes_on: bool = True
    out: str = "s3://mine/model"
    state: str = "done"
    name: str = "quiet"
    heard: list[str] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    def submit(self, job: Job, listen: Listen) -> Handle:
        self.heard.append(f"submit {job.verb}")
        self.jobs.append(job)
        return Handle(place=self.name, id=str(len(self.jobs)), job=job, state="running", out=self.out)

    def follow(self, handle: Handle, listen: Listen) -> Handle:
        self.heard.append(f"follow {handle.job.verb}")
        return replace(handle, state=self.state, out=self.out or "runs/bank/1")  # type: ignore[arg-type]


def sent(place: Quiet, monkeypatch: pytest.MonkeyPatch, **words: object) -> remote.Submitted:
    monkeypatch.setattr(remote, "open_place", lambda name, settings: place)
    return remote.submit({**RECIPE, **words.pop("recipe", {})}, on="quiet", **words)  # type: ignore[arg-type,dict-item]


def test_a_place_that_goes_on_takes_both_jobs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Quiet()
    both = sent(place, monkeypatch, evaluate="exam.csv")
    assert place.heard == ["submit train", "submit evaluate"]
    assert place.jobs[1].bundle == "s3://mine/model/bundle"
    assert place.jobs[1].data == str(Path.cwd() / "exam.csv")
    assert both.evaluation is not None


def test_a_place_that_lives_by_us_is_waited_for_before_its_bundle_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Quiet(goes_on=False)
    sent(place, monkeypatch, evaluate="exam.csv", wait=False)
    assert place.heard == ["submit train", "follow train", "submit evaluate", "follow evaluate"]


def test_a_run_that_a_finding_stopped_is_not_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Quiet(goes_on=False, state="failed")
    assert sent(place, monkeypatch, evaluate="exam.csv").evaluation is None


def test_the_recipe_s_own_test_table_is_examined_on_when_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Quiet()
    sent(place, monkeypatch, evaluate="", recipe={"split": {"test_source": "s3://b/test.csv"}})
    assert place.jobs[1].data == "s3://b/test.csv"


def test_which_of_several_sources_to_examine_on_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError) as caught:
        sent(Quiet(), monkeypatch, evaluate="", recipe={"data": {"source": ["a.csv", "b.csv"], "label": "y"}})
    assert caught.value.code == "places.evaluate-what"


def test_a_job_is_heard_to_its_end_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Quiet()
    assert sent(place, monkeypatch, wait=True, listen=silence).train.state == "done"
    assert place.heard == ["submit train", "follow train"]
