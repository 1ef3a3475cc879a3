"""What a job did cost, from the hours of its cluster's instances."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from filon.cli.group import run as filon
from filon.errors import PlaceError
from filon.files import write_atomic
from filon.places.base import Handle, Job
from filon.places.emr.bill import paid, shares
from filon.places.job_words import handle_text

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def hours(count: float) -> datetime:
    return NOON + timedelta(hours=count)


class Cluster:
    """A cluster of three instances, as EMR lists it; prices are the table's."""

    region = "us-east-1"

    def __init__(self, ended: float | None = 2.0, spot: bool = False) -> None:
        end = {"EndDateTime": hours(ended)} if ended is not None else {}
        timeline = {"CreationDateTime": NOON, **end}
        self.groups = [
            self._group("ig-1", "MASTER", "m5.xlarge", 64, 1, "ON_DEMAND"),
            self._group("ig-2", "CORE", "m5.2xlarge", 128, 2, "SPOT" if spot else "ON_DEMAND"),
        ]
        self.instances = [
            {"Id": "i-1", "InstanceGroupId": "ig-1", "InstanceType": "m5.xlarge", "Status": {"Timeline": timeline}},
            {"Id": "i-2", "InstanceGroupId": "ig-2", "InstanceType": "m5.2xlarge", "Status": {"Timeline": timeline}},
            {"Id": "i-3", "InstanceGroupId": "ig-2", "InstanceType": "m5.2xlarge", "Status": {"Timeline": timeline}},
        ]
        self.instances = [
            {**one, "Market": group["Market"]} for one in self.instances for group in self.groups if group["Id"] == one["InstanceGroupId"]
        ]
        self.step = {"StartDateTime": hours(0.5), "EndDateTime": hours(1.0)}

    @staticmethod
    def _group(name: str, role: str, kind: str, gib: int, disks: int, market: str) -> dict[str, Any]:
        devices = [{"VolumeSpecification": {"SizeInGB": gib, "VolumeType": "gp3"}}] * disks
        return {
            "Id": name,
            "InstanceGroupType": role,
            "InstanceType": kind,
            "Market": market,
            "EbsBlockDevices": devices,
            "Status": {"Timeline": {"CreationDateTime": NOON}},
        }

    def call(self, service: str, operation: str, /, **words: Any) -> dict[str, Any]:
        if operation == "list_instance_groups":
            return {"InstanceGroups": self.groups}
        if operation == "list_instances":
            return {"Instances": self.instances}
        if operation == "describe_step":
            return {"Step": {"Status": {"Timeline": self.step}}}
        raise PlaceError("places.access-denied", f"may not {operation}", "no", "allow it")


@pytest.fixture(autouse=True)
def _no_prices_but_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(region: str, kinds: Any) -> Any:
        raise PlaceError("places.unreachable", "AWS does not answer", "no network", "wait")

    monkeypatch.setattr("filon.places.emr.prices.by_api", refuse)


def test_two_hours_of_three_instances_are_as_by_hand() -> None:
    bill = paid(Cluster(), "j-1", now=hours(5))
    assert bill.instance_hours == {"m5.xlarge": 2.0, "m5.2xlarge": 4.0}
    assert bill.machines == pytest.approx(2 * 0.192 + 4 * 0.384)
    assert bill.emr == pytest.approx(2 * 0.048 + 4 * 0.096)
    assert bill.disks == pytest.approx((2 * (15 + 64) + 4 * (15 + 256)) * 0.08 / 730)
    assert bill.hours == pytest.approx(2.0)
    assert (bill.shared, bill.open) == (False, False)
    assert "days old" in bill.priced


def test_a_running_cluster_is_counted_up_to_now_and_said_to_be_open() -> None:
    bill = paid(Cluster(ended=None), "j-1", now=hours(3))
    assert bill.instance_hours["m5.2xlarge"] == 6.0
    assert bill.open


def test_on_a_standing_cluster_only_the_steps_time_counts() -> None:
    bill = paid(Cluster(ended=None), "j-1", step="s-1", transient=False, now=hours(3))
    assert bill.instance_hours == {"m5.xlarge": 0.5, "m5.2xlarge": 1.0}
    assert bill.shared
    assert not bill.open


def test_spot_instances_are_priced_by_the_market() -> None:
    assert paid(Cluster(spot=True), "j-1", now=hours(5)).machines == pytest.approx(2 * 0.192 + 4 * 0.384 * 0.4)


def test_two_jobs_on_one_cluster_are_billed_it_once() -> None:
    first, second = shares(Cluster(), "j-1", ["s-train", "s-exam"], now=hours(5))
    whole = paid(Cluster(), "j-1", now=hours(5))
    assert first.dollars + second.dollars == pytest.approx(whole.dollars)
    assert second.instance_hours == {"m5.xlarge": 0.5, "m5.2xlarge": 1.0}, "the time of its own step"
    assert first.instance_hours == {"m5.xlarge": 1.5, "m5.2xlarge": 3.0}
    assert (first.shared, second.shared) == (False, True)


def test_the_list_of_runs_counts_a_shared_cluster_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("filon.places.emr.client.Client", lambda _: Cluster())
    (tmp_path / "filon.toml").write_text('name = "bank"\n[data]\nsource = "s3://mine/bank.csv"\nlabel = "deposit"\n')
    verbs: tuple[Literal["evaluate", "train"], ...] = ("evaluate", "train")
    for verb in verbs:  # the training's handle is the newer file: somebody has looked at it again
        job = Job(verb=verb, name="bank", key=f"bank-{verb}-1", base=str(tmp_path), runs=str(tmp_path / "runs"))
        facts = {"cluster": "j-1", "step": f"s-{verb}", "transient": "yes"}
        handle = Handle(place="emr", id=job.key, job=job, state="done", out="s3://mine/out", facts=facts)
        write_atomic(tmp_path / "runs" / ".jobs" / job.key / "handle.json", handle_text(handle))
    assert filon(["cost", str(tmp_path / "filon.toml"), "--runs", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert said["dollars"] == pytest.approx(paid(Cluster(), "j-1").dollars, abs=2e-4)
    dollars = {one["job"]: one["dollars"] for one in said["runs"]}
    assert dollars["bank-train-1"] == pytest.approx(3 * dollars["bank-evaluate-1"], rel=0.01), "an hour and a half, and half an hour"
