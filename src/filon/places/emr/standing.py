"""The cluster that stands, as it is: its nodes, and where its logs go. Check, submission and price see it by the same eyes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from filon.errors import PlaceError
from filon.places.emr.client import Aws, pages
from filon.places.emr.settings import EmrSettings

UNSEEN = ("places.access-denied", "places.request-refused")
"""Answers after which the recipe's own words must do: we may not look, or the cluster is made of instance fleets."""


def standing(aws: Aws, settings: EmrSettings) -> tuple[EmrSettings, str]:
    """The settings with the nodes of the recipe's own cluster, and why they could not be looked at ("" where they were).

    Raises
    ------
    PlaceError : `places.*`, when AWS does not answer
    """
    if not settings.cluster_id:
        return settings, ""
    try:
        groups = pages(aws, "emr", "list_instance_groups", "InstanceGroups", ClusterId=settings.cluster_id)
    except PlaceError as exc:
        if exc.code not in UNSEEN:
            raise
        return settings, exc.why
    return as_it_stands(settings, groups), ""


def as_it_stands(settings: EmrSettings, groups: Sequence[Mapping[str, Any]]) -> EmrSettings:
    """The settings with the instance groups of a cluster: types, counts, disks and market; unchanged when none is told.

    Task nodes of several groups are counted together, under the type of the largest group.
    """
    by_role = {one["InstanceGroupType"]: one for one in groups}
    if "CORE" not in by_role:
        return settings
    core = by_role["CORE"]
    tasks = sorted((one for one in groups if one["InstanceGroupType"] == "TASK"), key=nodes_of, reverse=True)
    changed: dict[str, Any] = {"core_type": core["InstanceType"], "core_count": max(1, nodes_of(core))}
    changed["task_count"] = sum(nodes_of(one) for one in tasks)
    if tasks:
        changed |= {"task_type": tasks[0]["InstanceType"], "task_spot": tasks[0].get("Market") == "SPOT"}
    if _gib(core):
        changed["core_disk_gib"] = round(_gib(core) / 2)  # a shape has two disks on each core node
    if "MASTER" in by_role:
        primary = by_role["MASTER"]
        changed |= {"primary_type": primary["InstanceType"], "primary_disk_gib": _gib(primary) or settings.primary_disk_gib}
    return settings.model_copy(update=changed)


def nodes_of(group: Mapping[str, Any]) -> int:
    """Nodes that run; those asked for while none does yet."""
    return int(group.get("RunningInstanceCount") or group.get("RequestedInstanceCount", 0))


def _gib(group: Mapping[str, Any]) -> int:
    return sum(int(one.get("VolumeSpecification", {}).get("SizeInGB", 0)) for one in group.get("EbsBlockDevices", []))


def log_uri_of(cluster: Mapping[str, Any]) -> str:
    """Where a cluster, as EMR describes it, writes its logs, as an s3:// address without a slash at its end; "" when it writes none."""
    where = str(cluster.get("LogUri") or "")
    for old in ("s3n://", "s3a://"):
        where = f"s3://{where.removeprefix(old)}" if where.startswith(old) else where
    return where.rstrip("/") if where.startswith("s3://") else ""
