"""AWS as it is on a bad day: throttling, 5xx, credentials that expire, clocks that differ, logs that are late or never come."""

import gzip
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from tests.servers.aws import BUCKET, Account
from tests.servers.between import Answer, Asked, Between

from filon.errors import PlaceError
from filon.events import Event, silence
from filon.places.base import Handle, Job
from filon.places.emr.client import Client
from filon.places.emr.doctor import LOOK_AGAIN_S, examine
from filon.places.emr.logs import Reader, absent, follow_logs
from filon.places.emr.place import Emr
from filon.places.emr.settings import EmrSettings

pytestmark = [pytest.mark.server]

RECIPE = 'name = "bank"\n[data]\nsource = "s3://mine/data/bank.csv"\nlabel = "deposit"\n'


def job(tmp_path: Path) -> Job:
    return Job(verb="train", name="bank", key="bank-train-0123456789ab", base=".", runs=str(tmp_path / "runs"), recipe=RECIPE)


def refusal(code: str, status: int = 400, **headers: str) -> Answer:
    """How EMR and other JSON services say no."""
    body = json.dumps({"__type": code, "message": f"{code}: said the server"}).encode()
    return Answer(status=status, body=body, headers={"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": "1", **headers})


def first(times: int, part: str, answer: Answer) -> Callable[[Asked], str | Answer]:
    """The first so many requests whose name holds the part are answered so; all others pass."""
    seen: list[Asked] = []

    def fate(one: Asked) -> str | Answer:
        if part in one.name and len(seen) < times:
            seen.append(one)
            return answer
        return "pass"

    return fate


@pytest.mark.parametrize(
    ("part", "answer"),
    [
        ("ElasticMapReduce.ListClusters", refusal("ThrottlingException")),
        ("ElasticMapReduce.RunJobFlow", refusal("ThrottlingException")),
        ("ElasticMapReduce.RunJobFlow", refusal("InternalServerException", 500)),
        ("PUT /mine/filon/jobs", Answer(status=503, body=b"<Error><Code>SlowDown</Code><Message>slow</Message></Error>")),
        ("HEAD /mine", Answer(status=500, body=b"")),
    ],
    ids=["throttled-look", "throttled-creation", "failed-creation", "slow-down", "failed-head"],
)
def test_what_passes_is_tried_again_and_nothing_is_sent_twice(
    part: str, answer: Answer, account: Account, proxy: Between, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    proxy.fate = first(2, part, answer)
    handle = Emr(settings).submit(job(tmp_path), silence)
    assert [step["Id"] for step in account.steps(handle.facts["cluster"])] == [handle.facts["step"]]
    assert len(account.client("emr").list_clusters()["Clusters"]) == 1


@pytest.mark.parametrize(
    ("answer", "code", "retryable"),
    [
        (refusal("ExpiredTokenException"), "places.credentials-expired", True),
        (refusal("UnrecognizedClientException"), "places.credentials-refused", False),
        (refusal("AccessDeniedException"), "places.access-denied", False),
        (refusal("ValidationException"), "places.request-refused", False),
        (refusal("InvalidSignatureException", date=format_datetime(datetime.now(UTC) - timedelta(hours=2))), "places.clock-skew", True),
    ],
    ids=["expired", "unknown", "denied", "refused", "clock"],
)
def test_what_does_not_pass_is_said_in_words(
    answer: Answer, code: str, retryable: bool, account: Account, proxy: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    proxy.fate = first(99, "ElasticMapReduce", answer)
    with pytest.raises(PlaceError) as refused:
        Client("us-east-1").call("emr", "list_clusters")
    assert (refused.value.code, refused.value.retryable) == (code, retryable)
    assert refused.value.fix
    assert "s ahead of" in refused.value.why or code != "places.clock-skew"


def test_a_server_that_is_away_is_said_to_be_away(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(PlaceError) as away:
        Client("us-east-1", attempts=1).call("emr", "list_clusters")
    assert away.value.code == "places.unreachable"
    assert away.value.retryable


def test_credentials_that_expire_while_waiting_lose_nothing(
    account: Account, proxy: Between, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    place = Emr(settings)
    handle = place.submit(job(tmp_path), silence)
    proxy.fate = first(99, "ElasticMapReduce", refusal("ExpiredTokenException"))
    with pytest.raises(PlaceError) as expired:
        place.follow(handle, silence)
    assert expired.value.code == "places.credentials-expired"
    assert "attach" in expired.value.fix
    proxy.fate = lambda _: "pass"
    assert Emr(settings).follow(handle, silence).state == "done"


def expired(one: Asked) -> Answer:
    """How each service says that a session is over: S3 in XML, and without a word to a HEAD; STS and EMR in their own ways."""
    if one.name.startswith("ElasticMapReduce"):
        return refusal("ExpiredTokenException")
    if one.name.startswith("HEAD "):
        return Answer(status=400, body=b"")
    told = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
    return Answer(status=400, body=(f"<ErrorResponse>{told}</ErrorResponse>" if one.name == "POST /" else told).encode())


@pytest.mark.parametrize(
    "part",
    ["HEAD /mine", "PUT /mine/filon/objects", "PUT /mine/filon/jobs", "ElasticMapReduce.RunJobFlow", "ElasticMapReduce.ListSteps"],
    ids=["first-call", "upload", "job-folder", "submission", "after-submission"],
)
def test_credentials_that_expire_while_sending_lose_nothing(
    part: str, account: Account, proxy: Between, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    over: list[Asked] = []

    def fate(one: Asked) -> str | Answer:
        if part in one.name or over:
            over.append(one)
        return expired(one) if over else "pass"

    proxy.fate = fate
    with pytest.raises(PlaceError) as error:
        Emr(settings).submit(job(tmp_path), silence)
    assert (error.value.code, error.value.retryable) == ("places.credentials-expired", True)
    assert "run the same command again" in error.value.fix
    proxy.fate = lambda _: "pass"
    handle = Emr(settings).submit(job(tmp_path), silence)
    assert Emr(settings).follow(handle, silence).state == "done"
    assert len(account.client("emr").list_clusters()["Clusters"]) == 1
    assert [step["Id"] for step in account.steps(handle.facts["cluster"])] == [handle.facts["step"]]
    assert (account.folder / "ran").read_text().count(handle.id) == 1
    uploads = [one.name for one in proxy.asked if one.name.startswith("PUT /mine/filon/objects")]
    assert len(uploads) == len(set(uploads)) + (part in uploads[0]), "what had arrived is not sent again"


def test_a_head_that_is_refused_for_the_clock_is_said_to_be(
    account: Account, proxy: Between, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    late = format_datetime(datetime.now(UTC) - timedelta(hours=2))
    said = b"<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature not yet current</Message></Error></ErrorResponse>"
    sts = Answer(status=403, body=said, headers={"date": late})
    proxy.fate = lambda one: Answer(status=403, body=b"") if one.name.startswith("HEAD ") else sts if one.name == "POST /" else "pass"
    with pytest.raises(PlaceError) as error:
        Emr(settings).submit(job(tmp_path), silence)
    assert error.value.code == "places.clock-skew"
    proxy.fate = lambda one: Answer(status=403, body=b"") if one.name.startswith("HEAD ") else "pass"
    with pytest.raises(PlaceError) as denied:
        Emr(settings).submit(job(tmp_path), silence)
    assert denied.value.code == "places.access-denied", "who asks is known: it is a right that lacks"


def test_a_bad_minute_while_following_is_lived_through(
    account: Account, proxy: Between, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    place = Emr(settings, aws=Client("us-east-1", attempts=1))
    handle = place.submit(job(tmp_path), silence)
    proxy.fate = first(2, "DescribeCluster", refusal("InternalServerException", 500))
    heard: list[Event] = []
    assert place.follow(handle, heard.append).state == "done"
    assert any("the job goes on" in event.text for event in heard)


@pytest.fixture
def failed(account: Account, settings: EmrSettings, tmp_path: Path) -> tuple[Emr, Handle]:
    """A job whose step has ended, of which no log has come."""
    cluster = account.cluster()
    place = Emr(settings.model_copy(update={"cluster_id": cluster}))
    (account.folder / "fail").touch()
    try:
        handle = place.submit(job(tmp_path), silence)
        with pytest.raises(PlaceError) as error:
            place.follow(handle, silence)
    finally:
        (account.folder / "fail").unlink()
    assert error.value.code == "places.job-failed"
    assert "filon doctor" in error.value.fix
    return place, handle


def forget_logs(account: Account, root: str) -> None:
    """Wait until the emulator's own logs have come, and remove them."""
    end = time.monotonic() + 30
    while not any("/containers/" in key and key.endswith("stderr.gz") for key in account.keys(root)) and time.monotonic() < end:
        time.sleep(0.2)
    time.sleep(1.0)
    for key in account.keys(root):
        account.client("s3").delete_object(Bucket=BUCKET, Key=key)


def test_logs_come_late_and_in_pieces_and_are_merged_in_time(failed: tuple[Emr, Handle], account: Account) -> None:
    place, handle = failed
    root = handle.facts["logs"].removeprefix(f"s3://{BUCKET}/")
    step, application = handle.facts["step"], "application_1700000000000_0042"
    early = f"26/11/22 06:00:00 INFO Client: Submitting application {application}\n26/11/22 06:00:09 INFO Client: running\n"
    whole = gzip.compress(early.encode())
    container = f"{root}/containers/{application}/container_1700000000000_0042_01_000001/stderr.gz"
    account.put(f"{root}/steps/{step}/stderr.gz", whole)
    account.put(container, gzip.compress(b"26/11/22 06:00:05 INFO Executor: between\n\tat a.b.c\n")[:-6])
    reader = Reader(bucket=place.bucket, handle=handle)
    texts = [one.line.text for one in reader.news() if "06:00:0" in one.line.text or "a.b.c" in one.line.text]
    assert texts == [*early.splitlines()[:1], "26/11/22 06:00:05 INFO Executor: between", "\tat a.b.c", *early.splitlines()[1:]]
    account.put(container, gzip.compress(b"26/11/22 06:00:05 INFO Executor: between\n\tat a.b.c\n26/11/22 06:00:20 ERROR Executor: late\n"))
    assert [one.line.text for one in reader.news() if "late" in one.line.text] == ["26/11/22 06:00:20 ERROR Executor: late"]
    assert reader.news() == []


def test_the_cause_is_named_as_soon_as_its_logs_are_there(failed: tuple[Emr, Handle], account: Account) -> None:
    place, handle = failed
    root = handle.facts["logs"].removeprefix(f"s3://{BUCKET}/")
    heard: list[float] = []

    def bring(event: Event) -> None:
        """The logs come while the doctor waits for them."""
        if not heard:
            routine = "26/11/22 06:00:00 INFO TaskSetManager: Finished task 1.0 in stage 3.0 (TID 112) in 812 ms (executor 3) (13/200)\n"
            text = "Exit status: 137. Container killed by YARN for exceeding memory limits. 20.1 GB of 20 GB physical memory used.\n"
            text = routine * 50_000 + text
            account.put(f"{root}/steps/{handle.facts['step']}/stdout.gz", gzip.compress(text.encode()))
            heard.extend((time.monotonic(), time.process_time()))

    forget_logs(account, root)
    seen = examine(place.aws, place.bucket, handle, bring, wait_s=60)
    took, ours = time.monotonic() - heard[0], time.process_time() - heard[1]
    print(f"the cause was named {took:.2f} s after its logs, {seen.lines_read:,} lines, had come; {ours:.2f} s of them were our own work")
    assert seen.cause is not None
    assert seen.cause.code == "emr.container-memory"
    assert "20.1 GB of 20 GB" in seen.cause.what
    assert ours + LOOK_AGAIN_S < 2.0, "the longest wait for the next look, and our own time: what others do on this machine is not ours"


def test_logs_that_never_come_are_given_up_on(failed: tuple[Emr, Handle], account: Account) -> None:
    place, handle = failed
    root = handle.facts["logs"].removeprefix(f"s3://{BUCKET}/")
    forget_logs(account, root)
    ended = iter(lambda: True, False)
    assert list(follow_logs(Reader(bucket=place.bucket, handle=handle), ended, poll_s=0.1, patience_s=0.5)) == []
    assert absent(handle).code == "places.logs-absent"
