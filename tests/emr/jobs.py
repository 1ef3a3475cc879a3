"""A job on the emulated account: sent, ended, cleaned up."""

import time
from pathlib import Path

from tests.servers.aws import BUCKET, Account

from filon.events import silence
from filon.places.base import Job
from filon.places.emr.cleanup import delete, find_doomed
from filon.places.emr.place import Emr
from filon.places.emr.settings import EmrSettings

RECIPE = 'name = "bank"\n[data]\nsource = "s3://mine/data/bank.csv"\nlabel = "deposit"\n'


def job(tmp_path: Path, key: str = "bank-train-0123456789ab", recipe: str = RECIPE) -> Job:
    return Job(verb="train", name="bank", key=key, base=str(tmp_path), runs=str(tmp_path / "runs"), recipe=recipe)


def steps_of(account: Account, key: str) -> list[str]:
    """Every step of a job, on whatever cluster."""
    clusters = [one["Id"] for one in account.client("emr").list_clusters()["Clusters"]]
    return [step["Id"] for cluster in clusters for step in account.steps(cluster) if key in step["Name"]]


def ran(account: Account, key: str) -> int:
    """How often the job's driver was started."""
    return (account.folder / "ran").read_text().count(key)


def ended(account: Account) -> None:
    """Wait until no step runs any more."""
    for _ in range(200):
        clusters = account.client("emr").list_clusters()["Clusters"]
        states = {step["Status"]["State"] for one in clusters for step in account.steps(one["Id"])}
        if not states.intersection({"PENDING", "RUNNING"}):
            return
        time.sleep(0.05)
    raise AssertionError("the steps did not end")


def clean(account: Account, settings: EmrSettings) -> None:
    """What `filon cleanup --all` does, and what must be true after it."""
    place = Emr(settings)
    delete(place.aws, place.ledger, find_doomed(place.aws, place.ledger, place.bucket), silence)
    assert account.alive() == []
    assert [key for key in account.keys("filon/") if not key.startswith("filon/logs/")] == []
    uploads = account.client("s3").list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    assert uploads == []
