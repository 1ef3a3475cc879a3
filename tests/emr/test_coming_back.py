"""Coming back to a job: from two shells at once, after a crash, after a clean-up, and to what was fetched before."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from tests.emr.jobs import RECIPE, job
from tests.servers.aws import BUCKET, Account
from tests.servers.between import Answer, Between

from filon.cli.group import run as filon
from filon.errors import RecipeError
from filon.events import silence
from filon.places.base import Handle
from filon.places.emr.bucket import address
from filon.places.emr.fetch import fetch
from filon.places.emr.place import Emr
from filon.places.emr.settings import EmrSettings
from filon.track.outbox import Outbox
from filon.track.settings import TrackSettings

pytestmark = [pytest.mark.server]

Told = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def told(account: Account, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Told:
    """`filon WORDS --json` in a folder with a recipe: its exit code and its last line."""
    del account
    place = f'[places.emr]\nregion = "us-east-1"\nbucket = "s3://{BUCKET}/filon"\narchive = "{settings.archive}"\n'
    (tmp_path / "filon.toml").write_text(RECIPE + place)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        code = filon([*words, "--json"])
        last: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return code, last

    return run


@pytest.fixture
def failing(account: Account) -> Iterator[None]:
    """Drivers end with exit 1."""
    (account.folder / "fail").touch()
    yield
    (account.folder / "fail").unlink()


def test_sent_from_three_shells_at_once_it_is_one_step(account: Account, settings: EmrSettings, tmp_path: Path) -> None:
    line = Barrier(3)

    def send(_: int) -> Handle:
        place = Emr(settings)
        line.wait()
        return place.submit(job(tmp_path), silence)

    with ThreadPoolExecutor(3) as shells:
        steps = {handle.facts["step"] for handle in shells.map(send, range(3))}
    assert len(steps) == 1
    assert len(account.client("emr").list_clusters()["Clusters"]) == 1


@pytest.fixture
def home(account: Account, settings: EmrSettings, tmp_path: Path) -> tuple[Emr, Handle]:
    """A training that is done, with its outputs in the bucket."""
    place = Emr(settings)
    handle = place.submit(job(tmp_path), silence)
    out = handle.out.removeprefix(f"s3://{BUCKET}/")
    for name, data in {"findings.json": "[]", "bundle/bundle.json": "{}", "manifest.json": '{"run_id": "bank/1", "openings": []}'}.items():
        account.put(f"{out}/{name}", data.encode())
    return place, handle


def test_a_fetch_takes_nothing_from_a_folder_that_has_other_things(
    home: tuple[Emr, Handle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, handle = home
    mine = tmp_path / "results"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(RecipeError) as refused:
        fetch(place.bucket, handle, silence, out=mine)
    assert refused.value.code == "places.folder-taken"
    assert "thesis.txt" in refused.value.why
    assert [one.name for one in mine.iterdir()] == ["thesis.txt"]
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for _ in range(2):  # the folder where we are, and once more
        fetch(place.bucket, handle, silence, out=Path())
        assert sorted(one.name for one in Path.cwd().iterdir()) == ["bundle", "findings.json", "manifest.json"]


def test_a_second_fetch_brings_what_is_lacking_and_keeps_the_rest(home: tuple[Emr, Handle], tmp_path: Path) -> None:
    place, handle = home
    killed = tmp_path / "runs" / "bank" / ".1.999999999.tmp"  # an earlier fetch, which had no time to say anything
    killed.mkdir(parents=True)
    (killed / "findings.json").write_text("[]")
    first = fetch(place.bucket, handle, silence)
    assert not killed.exists()
    assert first == tmp_path / "runs" / "bank" / "1"
    recorded = '{"run_id": "bank/1", "openings": ["compared with another"]}'
    (first / "manifest.json").write_text(recorded)
    (first / "notes.txt").write_text("mine")
    (first / "bundle" / "bundle.json").unlink()
    assert fetch(place.bucket, handle, silence) == first
    assert (first / "bundle" / "bundle.json").read_text() == "{}"
    assert (first / "manifest.json").read_text() == recorded, "law 3: openings of the test fold stay on record"
    assert (first / "notes.txt").read_text() == "mine"


def test_a_run_that_came_home_is_tracked_where_the_recipe_says(home: tuple[Emr, Handle], tmp_path: Path) -> None:
    place, handle = home
    there = {"run_id": "bank/1", "name": "bank", "base": "/container", "recipe": {"name": "bank", "track": {"enabled": False}}}
    place.bucket.write(address(handle.out) / "manifest.json", json.dumps(there).encode())
    recipe = handle.job.recipe + '\n[track]\nuri = "sqlite:///ours.db"\nalias = "champion"\n'
    sent = replace(handle, job=replace(handle.job, recipe=recipe))
    outbox = Outbox(fetch(place.bucket, sent, silence))
    assert (outbox.base, outbox.settings.uri, outbox.settings.alias) == (tmp_path, "sqlite:///ours.db", "champion")
    (outbox.folder / "manifest.json").unlink()
    assert Outbox(fetch(place.bucket, handle, silence)).settings == TrackSettings(), "a recipe that says nothing tracks beside itself"


def test_a_finding_that_stops_the_job_is_exit_1(told: Told, account: Account, failing: None) -> None:
    code, sent = told("train", "filon.toml", "--on", "emr")
    facts = json.loads(account.read(f"filon/jobs/{sent['result']['id']}/job.json"))
    account.put(f"filon/jobs/{sent['result']['id']}/ended-{facts['attempt']}.json", json.dumps({"exit": 1, "out": facts["out"]}).encode())
    assert code == 0, "it was sent, and nobody waited"
    code, back = told("attach", "latest")
    assert (code, back["result"]["state"]) == (1, "failed")
    assert told("cleanup", "latest", "--yes")[0] == 0
    code, back = told("attach", "latest")
    assert (code, back["error"]["code"]) == (6, "places.job-failed"), "after a clean-up its states still tell how it ended"


def test_clean_up_knows_a_job_whose_submission_was_cut_short(
    told: Told, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, sent = told("train", "filon.toml", "--on", "emr", "--evaluate", "s3://mine/data/bank.csv")
    assert sent["result"]["evaluation"]["out"].startswith("s3://mine/filon/results/eval_")
    key = sent["result"]["id"]
    (tmp_path / "runs" / ".jobs" / key / "handle.json").unlink()  # killed before it was kept
    code, refused = told("cleanup", "nada", "--yes")
    assert (code, refused["error"]["code"]) == (2, "places.job-unknown"), "not: nothing of ours is there"
    assert account.keys(f"filon/jobs/{key}/")
    code, refused = told("attach", "latest", "--recipe", "filon.toml")
    assert (code, refused["error"]["code"]) == (2, "places.job-unknown")
    assert key in refused["error"]["why"], "from another machine: which jobs there are"
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, refused = told("cleanup", "latest")
    assert (code, refused["error"]["code"]) == (2, "places.not-confirmed"), "not: stopped by Ctrl-C"
    code, done = told("cleanup", key[:-4], "--yes")
    assert code == 0
    assert any(key in one for one in done["result"]["what"])
    assert account.keys(f"filon/jobs/{key}/") == []


def test_what_cannot_be_is_told_before_anything_is_sent(told: Told, account: Account) -> None:
    for place in ("emr", "dry-run"):
        code, refused = told("train", "filon.toml", "--on", place, "--set", "places.emr.archive=environment.tar.gz")
        assert (code, refused["error"]["code"]) == (2, "places.archive-missing")
        code, refused = told("train", "filon.toml", "--on", place, "--resume")
        assert (code, refused["error"]["code"]) == (2, "places.no-resume"), "the cluster would be paid to find no run there"
    assert account.keys("filon/jobs/") + account.keys("filon/objects/") == []


def test_a_cluster_that_ctrl_c_could_not_end_is_told(told: Told, slow: None, proxy: Between, tmp_path: Path) -> None:
    body = b'{"__type": "AccessDeniedException", "message": "not authorized to perform: elasticmapreduce:TerminateJobFlows"}'
    refused = Answer(status=400, body=body, headers={"Content-Type": "application/x-amz-json-1.1"})
    proxy.fate = lambda one: refused if "TerminateJobFlows" in one.name else "pass"
    words = [sys.executable, "-m", "filon", "train", "filon.toml", "--on", "emr", "--wait", "--json"]
    environment = {**os.environ, "AWS_ENDPOINT_URL": proxy.endpoint}
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                if "step running" in line:
                    process.send_signal(signal.SIGINT)
            assert process.wait(60) == 6
        finally:
            process.kill()
    assert json.loads(line)["error"]["code"] == "places.left-running", "not: nothing was left"
    assert told("cleanup", "latest", "--yes")[0] == 0
