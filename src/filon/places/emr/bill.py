"""What a run on EMR did cost, by the hours of its instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from filon.places.emr.client import pages
from filon.places.emr.prices import prices
from filon.places.emr.shapes import MONTH_HOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What a cluster or a step cost by its instance hours. `open` while it still runs, so that more will come."""

    cluster: str
    hours: float
    instance_hours: Mapping[str, float]
    machines: float
    emr: float
    disks: float
    shared: bool
    open: bool
    priced: str

    @property
    def dollars(self) -> float:
        """So far."""
        return self.machines + self.emr + self.disks


def paid(aws: Any, cluster: str, *, step: str = "", transient: bool = True, now: datetime | None = None) -> Paid:
    """The actual cost of a job, from the hours of the cluster's instances.

    Parameters
    ----------
    step : of the job; on a standing cluster only the time of the step counts
    transient : the cluster was made for the job, so all of it counts

    Raises
    ------
    PlaceError : `places.*`
    RecipeError : `cost.no-price`
    """
    now = now or datetime.now(UTC)
    window = None if transient or not step else _step_window(aws, cluster, step, now)
    groups = {one["Id"]: one for one in pages(aws, "emr", "list_instance_groups", "InstanceGroups", ClusterId=cluster)}
    found = prices(aws.region, [one["InstanceType"] for one in groups.values()], aws)
    hours, machines, emr, disks, still, longest = dict.fromkeys(found.ec2, 0.0), 0.0, 0.0, 0.0, False, 0.0
    for one in pages(aws, "emr", "list_instances", "Instances", ClusterId=cluster):
        group = groups.get(one.get("InstanceGroupId", ""), {})
        kind = one.get("InstanceType") or group["InstanceType"]
        begun, ended, runs = _lived(one["Status"]["Timeline"], group, now)
        if window is not None:
            begun, ended, runs = max(begun, window[0]), min(ended, window[1]), runs and window[2]
        lived = max(0.0, (ended - begun).total_seconds() / 3600)
        lived = max(lived, 1 / 60) if lived else 0.0  # EC2 charges at least a minute
        still, longest = still or runs, max(longest, lived)
        hours[kind] += lived
        machines += lived * found.machine(kind, spot=one.get("Market", group.get("Market")) == "SPOT")
        emr += lived * found.emr[kind]
        disks += lived * _disk_gib(group) * found.gp3_gib_month / MONTH_HOURS
    return Paid(
        cluster=cluster,
        hours=longest,
        instance_hours={kind: round(one, 4) for kind, one in hours.items() if one},
        machines=machines,
        emr=emr,
        disks=disks,
        shared=window is not None,
        open=still,
        priced=found.told(),
    )


def shares(aws: Any, cluster: str, steps: Sequence[str], now: datetime | None = None) -> list[Paid]:
    """The bills of several jobs on one cluster that was made for the first of them: together they are the cluster's.

    Parameters
    ----------
    steps : of the jobs, in the order in which they were sent

    Returns
    -------
    the time of its own step for each job but the first, which bears all the rest: the cluster's start, and its end
    """
    now = now or datetime.now(UTC)
    whole = paid(aws, cluster, now=now)
    others = [paid(aws, cluster, step=step, transient=False, now=now) for step in steps[1:]]
    rest = {kind: hours - sum(one.instance_hours.get(kind, 0.0) for one in others) for kind, hours in whole.instance_hours.items()}
    own = replace(
        whole,
        hours=max(0.0, whole.hours - sum(one.hours for one in others)),
        instance_hours={kind: round(max(0.0, hours), 4) for kind, hours in rest.items()},
        machines=max(0.0, whole.machines - sum(one.machines for one in others)),
        emr=max(0.0, whole.emr - sum(one.emr for one in others)),
        disks=max(0.0, whole.disks - sum(one.disks for one in others)),
    )
    return [own, *others]


def _step_window(aws: Any, cluster: str, step: str, now: datetime) -> tuple[datetime, datetime, bool]:
    timeline = aws.call("emr", "describe_step", ClusterId=cluster, StepId=step)["Step"]["Status"]["Timeline"]
    begun = timeline.get("StartDateTime") or now
    return begun, timeline.get("EndDateTime") or now, "EndDateTime" not in timeline


def _lived(timeline: Mapping[str, Any], group: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime, bool]:
    """When an instance began and ended to be paid for; its group's times where its own are not told."""
    own = {**group.get("Status", {}).get("Timeline", {}), **{key: value for key, value in timeline.items() if value}}
    begun, ended = own.get("CreationDateTime") or now, own.get("EndDateTime")
    return begun, ended or now, ended is None


def _disk_gib(group: Mapping[str, Any]) -> float:
    return 15.0 + sum(float(one.get("VolumeSpecification", {}).get("SizeInGB", 0)) for one in group.get("EbsBlockDevices", []))
