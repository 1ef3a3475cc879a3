"""EMR Serverless: job runs that are sent once, end when they should, and leave nothing; without a cluster and without Terraform."""

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.emr.jobs import RECIPE, job, ran
from tests.emr.test_killed import Victims, kill_at, victims
from tests.servers.aws import BUCKET, Account
from tests.servers.between import Asked, Between

from filon.cli.group import run as filon
from filon.errors import PlaceError
from filon.events import silence
from filon.places.emr.cleanup import delete, find_doomed
from filon.places.emr.doctor import examine
from filon.places.emr.place import emr_of, open_emr
from filon.places.emr.settings import EmrSettings

pytestmark = [pytest.mark.server]

__all__ = ["victims"]

ROLE = "arn:aws:iam::123456789012:role/runtime"


@pytest.fixture
def serverless(settings: EmrSettings) -> EmrSettings:
    return settings.model_copy(update={"serverless": True, "execution_role": ROLE})


def runs_of(account: Account) -> list[dict[str, Any]]:
    """Every job run of every application."""
    client = account.client("emr-serverless")
    found = client.list_applications()["applications"]
    return [one for application in found for one in client.list_job_runs(applicationId=application["id"])["jobRuns"]]


def applications(account: Account) -> list[dict[str, Any]]:
    """Applications that are there."""
    found: list[dict[str, Any]] = account.client("emr-serverless").list_applications()["applications"]
    return [one for one in found if one["state"] != "TERMINATED"]


def all_ended(account: Account) -> None:
    """Wait until no job run goes on."""
    for _ in range(200):
        if not {one["state"] for one in runs_of(account)}.intersection({"SUBMITTED", "RUNNING", "CANCELLING"}):
            return
        time.sleep(0.05)
    raise AssertionError("the job runs did not end")


def clean(account: Account, serverless: EmrSettings) -> None:
    """What `filon cleanup --all` does, and what must be true after it."""
    place = open_emr(serverless)
    delete(place.aws, place.ledger, find_doomed(place.aws, place.ledger, place.bucket), silence)
    assert applications(account) == []
    assert [key for key in account.keys("filon/") if not key.startswith("filon/logs/")] == []


def test_a_job_becomes_a_job_run_with_what_spark_needs(account: Account, serverless: EmrSettings, tmp_path: Path) -> None:
    handle = open_emr(serverless).submit(job(tmp_path), silence)
    client = account.client("emr-serverless")
    (one,) = applications(account)
    told = client.get_application(applicationId=one["id"])["application"]
    assert told["maximumCapacity"] == {"cpu": "18 vCPU", "memory": "72 GB", "disk": "276 GB"}
    assert told["autoStopConfiguration"] == {"enabled": True, "idleTimeoutMinutes": 15}
    assert told["tags"]["filon:made-by"] == "filon"
    run = client.get_job_run(applicationId=one["id"], jobRunId=handle.facts["step"])["jobRun"]
    assert run["executionRole"] == ROLE
    submit = run["jobDriver"]["sparkSubmit"]
    conf = dict(word.partition("=")[::2] for word in shlex.split(submit["sparkSubmitParameters"]) if "=" in word)
    assert conf["spark.archives"].endswith("#environment")
    assert conf["spark.emr-serverless.driverEnv.PYSPARK_PYTHON"] == "./environment/bin/python"
    assert conf["spark.dynamicAllocation.enabled"] == "false", "a barrier stage needs all its slots at once"
    assert conf["spark.executor.instances"] == "1", "a table of a few bytes has no use for two executors"
    assert conf["spark.executor.cores"] == "8"
    memory = [int(conf[f"spark.executor.{name}"].removesuffix("m")) for name in ("memory", "memoryOverhead")]
    assert sum(memory) == 32 * 1024, "the shape that is paid is the shape that is used"
    assert not [name for name in conf if "yarn" in name]
    assert submit["entryPointArguments"][submit["entryPointArguments"].index("--out") + 1] == handle.out


def test_the_same_job_sent_twice_is_one_job_run(account: Account, serverless: EmrSettings, tmp_path: Path) -> None:
    first = open_emr(serverless).submit(job(tmp_path), silence)
    second = open_emr(serverless).submit(job(tmp_path), silence)
    assert (first.facts["step"], first.out) == (second.facts["step"], second.out)
    assert emr_of(first).follow(first, silence).state == "done"
    third = open_emr(serverless).submit(job(tmp_path), silence)
    assert (third.facts["step"], third.state) == (first.facts["step"], "done")
    other = open_emr(serverless).submit(job(tmp_path, key="bank-train-ba9876543210"), silence)
    assert other.facts["cluster"] == first.facts["cluster"], "jobs that need the same share an application"
    all_ended(account)
    assert (ran(account, first.id), ran(account, other.id)) == (1, 1)
    clean(account, serverless)


def test_the_page_of_a_job_run_is_shown_by_its_address(
    account: Account, serverless: EmrSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handle = open_emr(serverless).submit(job(tmp_path), silence)
    words = ["ui", str(tmp_path / "runs"), "--on", "emr", "--recipe", str(tmp_path / "none.toml"), "--no-browser", "--json"]
    assert filon(words) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert said == {"url": f"{account.endpoint}/dashboard/{handle.facts['step']}", "via": "aws"}


def test_an_answer_that_is_lost_makes_no_second_job_run(
    account: Account, proxy: Between, serverless: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    lost: list[str] = []

    def fate(one: Asked) -> str:
        makes = one.name == "POST /applications" or (one.name.startswith("POST") and one.name.endswith("/jobruns"))
        if makes and one.name not in lost:
            lost.append(one.name)
            return "drop-after"
        return "pass"

    proxy.fate = fate
    handle = open_emr(serverless).submit(job(tmp_path), silence)
    assert len(lost) == 2
    assert [one["id"] for one in runs_of(account)] == [handle.facts["step"]]
    assert len(applications(account)) == 1


def test_a_failed_job_run_is_explained_and_may_be_sent_again(account: Account, serverless: EmrSettings, tmp_path: Path) -> None:
    (account.folder / "fail").touch()
    try:
        place = open_emr(serverless)
        handle = place.submit(job(tmp_path), silence)
        with pytest.raises(PlaceError) as failed:
            place.follow(handle, silence)
    finally:
        (account.folder / "fail").unlink()
    assert failed.value.code == "places.job-failed"
    assert "job run" in failed.value.what
    seen = examine(place.aws, place.bucket, handle, silence, wait_s=20)
    assert (seen.step, seen.cluster) == ("FAILED", "STARTED")
    assert seen.lines_read > 0, "the driver's log came from where Serverless writes it"
    again = open_emr(serverless).submit(job(tmp_path), silence)
    assert again.facts["step"] != handle.facts["step"]
    assert open_emr(serverless).follow(again, silence).state == "done"


def test_ctrl_c_cancels_the_job_run_and_looking_in_does_not(account: Account, slow: None, serverless: EmrSettings, tmp_path: Path) -> None:
    place = f'[places.emr]\nregion = "us-east-1"\nbucket = "s3://{BUCKET}/filon"\narchive = "{serverless.archive}"\n'
    (tmp_path / "filon.toml").write_text(RECIPE + place + f'serverless = true\nexecution_role = "{ROLE}"\n')

    def interrupted(*words: str) -> int:
        command = [sys.executable, "-m", "filon", *words, "--json"]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            assert process.stdout
            try:
                for line in process.stdout:
                    if "job run running" in line:
                        process.send_signal(signal.SIGINT)
                return process.wait(60)
            finally:
                process.kill()

    sent = subprocess.run([sys.executable, "-m", "filon", "train", "filon.toml", "--on", "emr"], cwd=tmp_path, check=False)
    assert sent.returncode == 0
    assert interrupted("attach", "latest") == 130
    assert [one["state"] for one in runs_of(account)] == ["RUNNING"]
    assert interrupted("train", "filon.toml", "--on", "emr", "--wait") == 130
    all_ended(account)
    assert [one["state"] for one in runs_of(account)] == ["CANCELLED"]
    clean(account, serverless)


@pytest.mark.slow
def test_killed_at_every_call_that_makes_something_it_leaves_nothing(
    account: Account, proxy: Between, victims: Victims, serverless: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"serverless": True, "execution_role": ROLE}
    assert victims.run("submit", tmp_path / "unhurt", **changes) == 0
    names = [one.name for one in proxy.asked]
    first = names.index("POST /applications")
    for number in range(len(names) - 1, first - 2, -1):  # before it the calls are those of a step, which have a test of their own
        for then in ("clean", "send-again"):
            how = "kill-before" if then == "clean" and number % 2 else "kill-after"
            account.reset()
            account.put("data/bank.csv", b"a,deposit\n1,yes\n")
            (account.folder / "ran").write_text("")
            here = tmp_path / f"{number}-{then}"
            monkeypatch.setenv("FILON_HOME", str(here / "home"))
            proxy.forget()
            proxy.fate = kill_at(number, how)
            assert victims.run("submit", here, **changes) == -9, (number, how)
            if then == "send-again":
                handle = open_emr(serverless).submit(job(here), silence)
                assert [one["id"] for one in runs_of(account)] == [handle.facts["step"]], number
                all_ended(account)
                assert ran(account, handle.id) == 1, number
            clean(account, serverless)
