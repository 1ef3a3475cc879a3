"""What is sent, and that it is sent once: over HTTP against the emulated account, whose steps are a shell script here."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.emr.jobs import RECIPE, clean, ended, job, ran, steps_of
from tests.servers.aws import BUCKET, Account
from tests.servers.between import Answer, Asked, Between

from filon.cli.group import run as filon
from filon.errors import PlaceError, RecipeError
from filon.events import Event, silence
from filon.places.base import Job
from filon.places.emr.cleanup import delete, find_doomed
from filon.places.emr.place import Emr
from filon.places.emr.settings import EmrSettings
from filon.places.emr.submit import step_name

pytestmark = [pytest.mark.server]


@pytest.fixture
def yarn(account: Account) -> Iterator[Path]:
    """Drivers are no children of their step; their process ids, one a line."""
    (account.folder / "yarn").touch()
    drivers = account.folder / "drivers"
    drivers.write_text("")
    yield drivers
    (account.folder / "yarn").unlink()
    for pid in running(drivers):
        os.kill(pid, signal.SIGKILL)


def running(drivers: Path, count: int | None = None) -> list[int]:
    """Drivers that run; with a count, once there are so many (or half a minute has passed)."""
    end = time.monotonic() + 30
    while True:
        found = []
        for pid in map(int, drivers.read_text().split()):
            with suppress(FileNotFoundError):
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found.append(pid)
        if count is None or len(found) == count or time.monotonic() > end:
            return found
        time.sleep(0.1)


def test_a_job_becomes_a_step_with_what_spark_submit_needs(account: Account, settings: EmrSettings, tmp_path: Path) -> None:
    handle = Emr(settings).submit(job(tmp_path), silence)
    words = account.steps(handle.facts["cluster"])[0]["Config"]["Args"]
    assert words[:5] == ["spark-submit", "--deploy-mode", "cluster", "--master", "yarn"]
    conf = dict(words[k + 1].partition("=")[::2] for k, word in enumerate(words) if word == "--conf")
    assert conf["spark.dynamicAllocation.enabled"] == "false"
    assert conf["spark.executor.instances"] == "1", "a table of a few bytes has no use for two executors"
    assert conf["spark.yarn.maxAppAttempts"] == "1"
    assert words[words.index("--archives") + 1].endswith("#environment")
    assert words[words.index("--out") + 1] == handle.out
    assert handle.out.startswith("s3://mine/filon/models/model_")
    recipe = account.read(f"filon/jobs/{handle.id}/recipe.toml").decode()
    assert "places" not in recipe


def test_a_cluster_made_for_a_job_ends_with_it(account: Account, settings: EmrSettings, tmp_path: Path) -> None:
    handle = Emr(settings).submit(job(tmp_path), silence)
    made = account.client("emr").describe_cluster(ClusterId=handle.facts["cluster"])["Cluster"]
    assert {"Key": "filon:job", "Value": handle.id} in made["Tags"]
    assert made["AutoTerminate"]
    ended(account)
    for _ in range(50):
        if not account.alive():
            break
        time.sleep(0.1)
    assert account.alive() == []


def test_the_same_job_sent_twice_is_one_step(account: Account, settings: EmrSettings, tmp_path: Path) -> None:
    first = Emr(settings).submit(job(tmp_path), silence)
    second = Emr(settings).submit(job(tmp_path), silence)
    assert (first.facts["step"], first.out) == (second.facts["step"], second.out)
    ended(account)
    third = Emr(settings).submit(job(tmp_path), silence)
    assert (third.facts["step"], third.state) == (first.facts["step"], "done")
    assert ran(account, first.id) == 1


def test_after_clean_up_the_job_may_be_sent_again(account: Account, settings: EmrSettings, tmp_path: Path) -> None:
    place = Emr(settings)
    first = place.submit(job(tmp_path), silence)
    ended(account)
    delete(place.aws, place.ledger, find_doomed(place.aws, place.ledger, place.bucket, job=first.id), silence)
    again = Emr(settings).submit(job(tmp_path), silence)
    assert again.facts["step"] != first.facts["step"]


def test_a_standing_cluster_takes_the_step_and_goes_on(account: Account, settings: EmrSettings, tmp_path: Path) -> None:
    cluster = account.cluster()
    place = Emr(settings.model_copy(update={"cluster_id": cluster}))
    handle = place.submit(job(tmp_path), silence)
    assert (handle.facts["cluster"], handle.facts["transient"]) == (cluster, "")
    ended(account)
    assert account.alive() == [cluster]
    deleted = find_doomed(place.aws, place.ledger, place.bucket)
    assert not [one for one in deleted if one.kind == "cluster"], "what we did not make is not ours to delete"


@pytest.mark.parametrize("how", ["cleaned-up", "cancelled-by-hand"])
def test_a_cancelled_steps_driver_ends_though_yarn_has_it(
    how: str, account: Account, yarn: Path, settings: EmrSettings, tmp_path: Path
) -> None:
    cluster = account.cluster()
    place = Emr(settings.model_copy(update={"cluster_id": cluster}))
    first = place.submit(job(tmp_path), silence)
    (driver,) = running(yarn, 1)
    time.sleep(1.0)  # the next attempt has a name of its own
    if how == "cleaned-up":
        found = find_doomed(place.aws, place.ledger, place.bucket)
        delete(place.aws, place.ledger, found, silence)
        ended(account)
        assert running(yarn, 0) == [], "the driver has seen that nobody wants it"
        assert account.keys("filon/jobs/") == [], "and has said nothing into a folder that is gone"
    else:
        words = {"ClusterId": cluster, "StepIds": [first.facts["step"]], "StepCancellationOption": "TERMINATE_PROCESS"}
        account.client("emr").cancel_steps(**words)
        ended(account)
        assert running(yarn) == [driver], "the driver outlives its step, as on YARN"
    again = place.submit(job(tmp_path), silence)
    assert again.facts["step"] != first.facts["step"]
    for _ in range(300):
        started = [pid for pid in map(int, yarn.read_text().split()) if pid != driver]
        if started:
            break
        time.sleep(0.1)
    assert running(yarn, 1) == started, "one driver trains, the one sent last"


def test_a_cancellation_that_emr_does_not_take_is_told_and_looked_at_again(
    account: Account, slow: None, proxy: Between, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    place = Emr(settings.model_copy(update={"cluster_id": account.cluster()}))
    step = place.submit(job(tmp_path), silence).facts["step"]
    body = {"CancelStepsInfoList": [{"StepId": step, "Status": "FAILED", "Reason": "CANCELLATION_NOT_SUPPORTED"}]}
    answer = Answer(status=200, body=json.dumps(body).encode(), headers={"Content-Type": "application/x-amz-json-1.1"})
    proxy.fate = lambda one: answer if "CancelSteps" in one.name else "pass"
    heard: list[Event] = []
    delete(place.aws, place.ledger, find_doomed(place.aws, place.ledger, place.bucket), heard.append)
    assert any("CANCELLATION_NOT_SUPPORTED" in event.text for event in heard)
    assert not [key for key in account.keys("filon/jobs/") if key.endswith("job.json")], "the driver ends by itself"
    proxy.fate = lambda _: "pass"
    assert [one.resource for one in find_doomed(place.aws, place.ledger, place.bucket) if one.kind == "step"] == [step]


def test_a_colleagues_cluster_is_left_alone_unless_all_are_meant(
    account: Account, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: None
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("filon.places.emr.transient.maker", lambda: "colleague@elsewhere")
        elsewhere.setenv("FILON_HOME", str(tmp_path / "theirs"))
        theirs = Emr(settings).submit(job(tmp_path), silence)
    place = Emr(settings)
    assert find_doomed(place.aws, place.ledger, place.bucket) == []
    everybodys = find_doomed(place.aws, place.ledger, place.bucket, others=True)
    assert [one.resource for one in everybodys if one.kind == "cluster"] == [theirs.facts["cluster"]]
    assert {one.kind for one in everybodys} == {"cluster", "folder", "object"}
    named = find_doomed(place.aws, place.ledger, place.bucket, job=theirs.id)
    assert [one.text for one in named if one.kind == "cluster"] == [
        f"cluster {theirs.facts['cluster']}, which colleague@elsewhere made for a job: terminated"
    ], "whoever is asked sees whose it is"


def test_an_unchanged_environment_is_not_sent_again(
    account: Account, proxy: Between, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    Emr(settings).submit(job(tmp_path), silence)
    proxy.forget()
    began = time.monotonic()
    Emr(settings).submit(job(tmp_path, key="bank-train-ba9876543210"), silence)
    assert time.monotonic() - began <= 10
    sent = [one.name for one in proxy.asked if one.name.startswith(("PUT", "POST"))]
    assert sent, "the job's own folder is written"
    assert not [name for name in sent if "/objects/" in name]


def test_an_answer_that_is_lost_makes_no_second_cluster(
    account: Account, proxy: Between, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    lost: list[Asked] = []

    def fate(one: Asked) -> str:
        if one.name.endswith("RunJobFlow") and not lost:
            lost.append(one)
            return "drop-after"
        return "pass"

    proxy.fate = fate
    handle = Emr(settings).submit(job(tmp_path), silence)
    assert lost
    assert steps_of(account, handle.id) == [handle.facts["step"]]


def test_local_data_is_refused_before_anything_is_sent(account: Account, settings: EmrSettings, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        Emr(settings).submit(job(tmp_path, recipe=RECIPE.replace("s3://mine/data/bank.csv", "data/bank.csv")), silence)
    assert refused.value.code == "places.local-path"
    assert account.keys("filon/jobs/") == account.keys("filon/objects/") == []


@pytest.mark.parametrize(
    "table",
    ['[track]\nuri = "https://user:${MLFLOW_PASSWORD}@tracker"\n', '[places.emr.conf]\n"spark.x" = "${MLFLOW_PASSWORD}"\n'],
    ids=["in an object", "in the step's arguments"],
)
def test_a_secret_of_this_machine_is_not_sent(account: Account, settings: EmrSettings, tmp_path: Path, table: str) -> None:
    from dataclasses import replace

    recipe = RECIPE + table
    made = replace(job(tmp_path, recipe=recipe), variables={"MLFLOW_PASSWORD": "hush"})  # pragma: allowlist secret
    with pytest.raises(RecipeError) as refused:
        Emr(settings).submit(made, silence)
    assert refused.value.code == "places.variable-secret"
    assert "hush" not in str(refused.value)


def test_a_bucket_of_another_region_is_refused(account: Account, settings: EmrSettings, tmp_path: Path) -> None:
    with pytest.raises(PlaceError) as refused:
        Emr(settings.model_copy(update={"region": "eu-west-1"})).submit(job(tmp_path), silence)
    assert refused.value.code == "places.bucket-region"
    assert "us-east-1" in refused.value.fix


@pytest.mark.parametrize("over", [False, True], ids=["while-it-runs", "after-its-end"])
def test_evaluation_follows_on_the_cluster_of_the_training(
    over: bool, account: Account, slow: None, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Emr(settings)
    trained = place.submit(job(tmp_path), silence)
    if over:  # between our look at the cluster and the step
        account.client("emr").terminate_job_flows(JobFlowIds=[trained.facts["cluster"]])
        monkeypatch.setattr(place, "_open_cluster", lambda: trained.facts["cluster"])
    exam = Job(
        verb="evaluate",
        name="bank",
        key="bank-evaluate-0",
        base=".",
        runs=str(tmp_path / "runs"),
        bundle=f"{trained.out}/bundle",
        data="s3://mine/data/bank.csv",
    )
    second = place.submit(exam, silence)
    assert (second.facts["cluster"] == trained.facts["cluster"]) is not over
    assert second.out.startswith("s3://mine/filon/results/eval_")


def test_a_local_bundle_goes_along(account: Account, settings: EmrSettings, tmp_path: Path, root: Path) -> None:
    exam = Job(
        verb="evaluate",
        name="bank",
        key="bank-evaluate-1",
        base=".",
        runs=str(tmp_path / "runs"),
        bundle=str(root / "tests" / "bundles" / "format-1"),
        data="s3://mine/data/bank.csv",
    )
    handle = Emr(settings).submit(exam, silence)
    words = account.steps(handle.facts["cluster"])[0]["Config"]["Args"]
    assert words[words.index("--bundle") + 1] == "s3://mine/filon/jobs/bank-evaluate-1/bundle"
    assert "filon/jobs/bank-evaluate-1/bundle/model.ubj" in account.keys("filon/jobs/")
    clean(account, settings)


def test_a_prediction_on_a_cluster_is_one_step_and_another_machine_comes_back_to_it(
    account: Account, settings: EmrSettings, tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = account.cluster()
    place = f'[places.emr]\nregion = "us-east-1"\nbucket = "s3://mine/filon"\narchive = "{settings.archive}"\ncluster_id = "{cluster}"\n'
    (tmp_path / "filon.toml").write_text(RECIPE + place)
    monkeypatch.chdir(tmp_path)
    out = "s3://mine/filon/scored/bank.parquet"
    words = ["--data", "s3://mine/data/bank.csv", "--out", out, "--keep", "customer", "--on", "emr", "--json"]
    for _ in range(2):
        assert filon(["predict", str(root / "tests" / "bundles" / "format-1"), *words]) == 0
        sent = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
        assert sent["out"] == out
    (step,) = account.steps(cluster)
    arguments = step["Config"]["Args"]
    own = arguments[arguments.index("--") + 1 :]
    assert own[:2] == ["predict", "bundle"]
    assert own[own.index("--out") + 1] == out, "the engine writes there itself"
    assert own[own.index("--keep") + 1] == "customer"

    monkeypatch.setenv("FILON_HOME", str(tmp_path / "theirs"))
    elsewhere = tmp_path / "elsewhere"
    assert filon(["attach", sent["id"], "--recipe", "filon.toml", "--runs", str(elsewhere), "--json"]) == 0
    back = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert (back["state"], back["out"], back["facts"]["step"]) == ("done", out, step["Id"])
    assert filon(["status", sent["id"], "--runs", str(elsewhere), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert (row["verb"], row["step_state"]) == ("predict", "COMPLETED"), "it is known there from now on"
    assert ran(account, sent["id"]) == 1


def test_task_nodes_are_added_taken_away_and_cleaned_up(
    account: Account, settings: EmrSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = account.cluster()
    place = f'[places.emr]\nregion = "us-east-1"\nbucket = "s3://mine/filon"\ncluster_id = "{cluster}"\n'
    (tmp_path / "filon.toml").write_text(RECIPE + place)
    monkeypatch.chdir(tmp_path)

    def tasks() -> list[tuple[int, str]]:
        groups = account.client("emr").list_instance_groups(ClusterId=cluster)["InstanceGroups"]
        return [(one["RequestedInstanceCount"], one["Market"]) for one in groups if one["InstanceGroupType"] == "TASK"]

    for count, before in ((3, 0), (1, 3), (1, 1)):
        assert filon(["scale", str(count), "--json"]) == 0
        said = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
        assert (said["before"], said["after"], tasks()) == (before, count, [(count, "SPOT")]), "one group, with more or fewer nodes"
    assert filon(["cleanup", "--all", "--yes"]) == 0
    assert tasks() == [(0, "SPOT")]
    assert filon(["scale", "2"]) == 0
    assert tasks() == [(2, "SPOT")]
    assert filon(["cleanup", "--all", "--yes"]) == 0
    assert tasks() == [(0, "SPOT")], "nodes of a group that an earlier clean-up has emptied are in the ledger again"
    assert account.alive() == [cluster], "the cluster is not ours"


def test_a_standing_cluster_is_checked_sent_to_priced_and_read_as_it_is(
    account: Account, slow: None, settings: EmrSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = account.cluster(core_type="m5.xlarge", core_count=3, log_uri=f"s3n://{BUCKET}/elsewhere/")
    account.client("emr").add_instance_groups(
        JobFlowId=cluster,
        InstanceGroups=[{"Name": "t", "InstanceRole": "TASK", "InstanceType": "m5.xlarge", "InstanceCount": 2, "Market": "ON_DEMAND"}],
    )
    place = (
        f'[places.emr]\nregion = "us-east-1"\nbucket = "s3://mine/filon"\narchive = "{settings.archive}"\ncluster_id = "{cluster}"\n'
        "[search.budget]\ndollars = 5\n"
    )
    (tmp_path / "filon.toml").write_text(RECIPE + place)
    monkeypatch.chdir(tmp_path)

    assert filon(["cost", "filon.toml", "--rows", "20000000", "--features", "60", "--json"]) == 0
    price = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert price["nodes"] == f"as {cluster} stands"
    assert price["asked"]["shape"] == "1 x m5.xlarge + 3 x m5.xlarge + 2 x m5.xlarge"

    assert filon(["check", "filon.toml", "--on", "emr", "--json"]) in (0, 1)
    lines = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]["lines"]
    checked = next(one["what"] for one in lines if one["name"] == "executors")

    assert filon(["train", "filon.toml", "--on", "emr", "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    handle = said[-1]["result"]
    told = next(one["event"]["text"] for one in said if "executors: " in one.get("event", {}).get("text", ""))
    assert told.split(" nodes ")[1] == checked.split(" nodes ")[1], "what is sent is what was checked"
    words = account.steps(cluster)[0]["Config"]["Args"]
    conf = dict(words[k + 1].partition("=")[::2] for k, word in enumerate(words) if word == "--conf")
    container = sum(int(conf[f"spark.executor.{name}"].removesuffix("m")) for name in ("memory", "memoryOverhead"))
    assert container <= 12288 - 4096, "YARN has 12 GiB on an m5.xlarge, and the driver stands on one"
    assert conf["spark.executor.cores"] == "4"
    rate = json.loads(account.read(f"filon/jobs/{handle['id']}/job.json"))["variables"]["FILON_DOLLARS_AN_HOUR"]
    assert float(rate) == pytest.approx(price["asked"]["an_hour"], abs=1e-3), "the cap counts by the same hour"
    assert handle["facts"]["logs"] == f"s3://{BUCKET}/elsewhere/{cluster}", "logs are where the cluster writes them"

    Emr(settings.model_copy(update={"cluster_id": cluster})).aws.call("emr", "terminate_job_flows", JobFlowIds=[cluster])
    ended(account)
    account.put(f"elsewhere/{cluster}/steps/{handle['facts']['step']}/stderr", b"26/11/22 06:00:00 ERROR Here: it stands elsewhere\n")
    assert filon(["logs", handle["id"]]) == 0
    assert "it stands elsewhere" in capsys.readouterr().out


@pytest.mark.parametrize("stays", [False, True], ids=["made-for-it", "standing"])
def test_ctrl_c_ends_the_cluster_that_was_made_and_no_other(
    stays: bool, account: Account, slow: None, settings: EmrSettings, tmp_path: Path
) -> None:
    cluster = account.cluster() if stays else ""
    place = f'[places.emr]\nregion = "us-east-1"\nbucket = "s3://mine/filon"\narchive = "{settings.archive}"\ncluster_id = "{cluster}"\n'
    (tmp_path / "filon.toml").write_text(RECIPE + place)
    words = [sys.executable, "-m", "filon", "train", "filon.toml", "--on", "emr", "--wait", "--json"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                if "step running" in line:
                    process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            process.kill()
    assert account.alive() == [cluster] * stays
    if stays:
        clean_steps = Emr(settings.model_copy(update={"cluster_id": cluster}))
        found = find_doomed(clean_steps.aws, clean_steps.ledger, clean_steps.bucket)
        assert [one.kind for one in found if one.kind in ("step", "cluster")] == ["step"]
        delete(clean_steps.aws, clean_steps.ledger, found, silence)
        ended(account)
        assert account.alive() == [cluster]


def test_stopped_while_the_cluster_is_asked_for_leaves_none_but_a_colleagues(
    account: Account, slow: None, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("filon.places.emr.transient.maker", lambda: "colleague@elsewhere")
        elsewhere.setenv("FILON_HOME", str(tmp_path / "theirs"))
        theirs = Emr(settings).submit(job(tmp_path), silence).facts["cluster"]
    place = Emr(settings)
    place.ledger.intend("cluster", step_name(job(tmp_path).key), job=job(tmp_path).key, region="us-east-1")  # then the crash
    assert not [one for one in find_doomed(place.aws, place.ledger, place.bucket) if one.kind == "cluster"]

    def ctrl_c(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as waiting:
        waiting.setattr("filon.places.emr.place.follow", ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            place.follow(place.submit(job(tmp_path), silence), silence)  # the same job: theirs is followed
    assert account.alive() == [theirs]
    place = Emr(settings)
    monkeypatch.setattr(place, "find", lambda _: None)  # both sent it in the same moment
    call = place.aws.call

    def stopped(service: str, operation: str, /, **words: object) -> dict[str, object]:
        answer = call(service, operation, **words)
        if operation == "run_job_flow":
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(place.aws, "call", stopped)
    with pytest.raises(KeyboardInterrupt):
        place.submit(job(tmp_path), silence)
    assert account.alive() == [theirs]
