"""kill -9 of our process at every call of a submission and of a clean-up: nothing is left, and nothing runs twice."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.emr.jobs import RECIPE, clean, ended, job, ran, steps_of
from tests.servers.aws import Account
from tests.servers.between import Asked, Between

from filon.events import silence
from filon.places.emr.ledger import Ledger
from filon.places.emr.place import Emr
from filon.places.emr.settings import EmrSettings

pytestmark = [pytest.mark.server]

ZYGOTE = """
# imports once, then forks a victim for each line it is told: starting Python fifty times would take most of the time
import json, os, sys
import boto3
from tests.servers import aws
from filon.events import silence
from filon.places.base import Job
from filon.places.emr.cleanup import delete, find_doomed
from filon.places.emr.place import open_emr
from filon.places.emr.settings import EmrSettings

def act(told):
    os.environ.update(told["environment"])
    place = open_emr(EmrSettings(bucket="s3://mine/filon", archive=told["archive"], **told["changes"]))
    if told["verb"] == "submit":
        key = "bank-train-0123456789ab"
        place.submit(Job(verb="train", name="bank", key=key, base=".", runs=told["runs"], recipe=told["recipe"]), silence)
    else:
        delete(place.aws, place.ledger, find_doomed(place.aws, place.ledger, place.bucket), silence)

for service in ("emr", "s3", "sts", "ec2", "iam", "pricing", "cloudwatch"):
    boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
for line in sys.stdin:
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.read(ready, 1)
        try:
            act(json.loads(line))
        except BaseException as exc:
            print(repr(exc), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    os.close(ready)
    print(pid, flush=True)
    sys.stdin.readline()
    os.write(go, b"!")
    os.close(go)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass
class Victims:
    """Processes of ours, each of which does one thing through the proxy."""

    zygote: "subprocess.Popen[str]"
    proxy: Between
    archive: str

    def run(self, verb: str, here: Path, **changes: object) -> int:
        """Do it, with a changed table [places.emr]; the exit code, -9 of one that was killed."""
        environment = {"AWS_ENDPOINT_URL": self.proxy.endpoint, "FILON_HOME": str(here / "home")}
        told = {"verb": verb, "archive": self.archive, "runs": str(here / "runs"), "recipe": RECIPE}
        told |= {"environment": environment, "changes": changes}
        self._say(json.dumps(told))
        self.proxy.victim = int(self._hear())
        self._say("go")
        return int(self._hear())

    def _say(self, line: str) -> None:
        assert self.zygote.stdin
        self.zygote.stdin.write(line + "\n")
        self.zygote.stdin.flush()

    def _hear(self) -> str:
        assert self.zygote.stdout
        return self.zygote.stdout.readline()


@pytest.fixture
def victims(account: Account, proxy: Between, settings: EmrSettings) -> Iterator[Victims]:
    words = [sys.executable, "-c", ZYGOTE]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as zygote:
        yield Victims(zygote, proxy, settings.archive)
        assert zygote.stdin
        zygote.stdin.close()


def kill_at(number: int, how: str) -> Callable[[Asked], str]:
    return lambda one: how if one.number == number else "pass"


@pytest.mark.slow
def test_killed_at_every_call_of_a_submission(
    account: Account, proxy: Between, victims: Victims, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert victims.run("submit", tmp_path / "unhurt") == 0
    calls = len(proxy.asked)
    points = [(number, how) for number in range(calls) for how in ("kill-before", "kill-after")]
    assert len(points) >= 25
    for number, how in reversed(points):  # the creations come last, so they are tried first
        # each call is followed by both once: between an answer and the next question nothing happens on the account
        then = "clean" if (number % 2 == 0) == (how == "kill-before") else "send-again"
        account.reset()
        account.put("data/bank.csv", b"a,deposit\n1,yes\n")
        (account.folder / "ran").write_text("")
        here = tmp_path / f"{number}-{how}"
        monkeypatch.setenv("FILON_HOME", str(here / "home"))
        proxy.forget()
        proxy.fate = kill_at(number, how)
        assert victims.run("submit", here) == -9, (number, how)
        if then == "send-again":
            handle = Emr(settings).submit(job(here), silence)
            assert len(steps_of(account, handle.id)) == 1, (number, how)
            ended(account)
            assert ran(account, handle.id) == 1, (number, how)
        clean(account, settings)


@pytest.mark.slow
def test_killed_at_every_call_of_a_clean_up(
    account: Account, slow: None, proxy: Between, victims: Victims, settings: EmrSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILON_HOME", str(tmp_path / "unhurt" / "home"))
    Emr(settings).submit(job(tmp_path), silence)
    assert victims.run("clean", tmp_path / "unhurt") == 0
    # before a call that only looks is the same as after the one before it
    points = [(one.number, how) for one in proxy.asked for how in ("kill-before", "kill-after") if how == "kill-after" or one.changes]
    killed = 0
    for number, how in points:
        account.reset()
        account.put("data/bank.csv", b"a,deposit\n1,yes\n")
        here = tmp_path / f"{number}-{how}"
        monkeypatch.setenv("FILON_HOME", str(here / "home"))
        Emr(settings).submit(job(here), silence)
        proxy.forget()
        proxy.fate = kill_at(number, how)
        killed += victims.run("clean", here) == -9
        clean(account, settings)
    print(f"killed {killed} times")
    assert killed == len(points) >= 25


def test_a_torn_line_of_the_ledger_hides_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    first = ledger.intend("cluster", "filon-a", job="a", region="us-east-1")
    with ledger.path.open("a") as out:
        out.write('{"id": "torn')
    second = ledger.intend("cluster", "filon-b", job="b", region="us-east-1")
    assert [entry.id for entry in ledger.entries()] == [first.id, second.id]
    ledger.gone(first)
    assert [entry.id for entry in ledger.entries()] == [second.id]
