"""Task nodes of a cluster, up and down: one group of ours, in the ledger before it is made."""

from __future__ import annotations

from dataclasses import dataclass

from filon.errors import PlaceError
from filon.events import Event, Listen
from filon.places.emr.client import Aws, pages, patiently
from filon.places.emr.ledger import Ledger
from filon.places.emr.settings import EmrSettings

NAME = "filon-task"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """What the task group was and is asked to be."""

    cluster: str
    group: str
    before: int
    after: int


def scale(aws: Aws, ledger: Ledger, settings: EmrSettings, cluster: str, count: int, listen: Listen) -> Scaled:
    """Set the number of task nodes; the group is made when there is none.

    Raises
    ------
    PlaceError : `places.request-refused`, and what AWS answers
    """
    kind = settings.task_type or settings.core_type

    def once() -> Scaled:
        groups = pages(aws, "emr", "list_instance_groups", "InstanceGroups", ClusterId=cluster)
        task = next((one for one in groups if one.get("Name") == NAME), None)
        if task is not None:
            before = int(task.get("RequestedInstanceCount", 0))
            if before != count:
                # after a clean-up there is no line of the group any more, and nodes come into it again
                ledger.made(ledger.intend("group", NAME, job="", region=aws.region, within=cluster), str(task["Id"]))
                change = [{"InstanceGroupId": task["Id"], "InstanceCount": count}]
                aws.call("emr", "modify_instance_groups", ClusterId=cluster, InstanceGroups=change)
            return Scaled(cluster=cluster, group=str(task["Id"]), before=before, after=count)
        if count == 0:
            return Scaled(cluster=cluster, group="", before=0, after=0)
        entry = ledger.intend("group", NAME, job="", region=aws.region, within=cluster)
        group = {
            "Name": NAME,
            "InstanceRole": "TASK",
            "InstanceType": kind,
            "InstanceCount": count,
            "Market": "SPOT" if settings.task_spot else "ON_DEMAND",
        }
        answer = aws.call("emr", "add_instance_groups", JobFlowId=cluster, InstanceGroups=[group])
        made = str(answer["InstanceGroupIds"][0])
        ledger.made(entry, made)
        return Scaled(cluster=cluster, group=made, before=0, after=count)

    done: Scaled = patiently(once)
    listen(Event(stage="scale", text=f"{cluster}: {done.before} to {done.after} task nodes ({kind})"))
    return done


def cluster_to_scale(settings: EmrSettings, cluster: str) -> str:
    """The cluster named, else the recipe's.

    Raises
    ------
    PlaceError : `places.cluster-unnamed`
    """
    found = cluster or settings.cluster_id
    if not found:
        raise PlaceError(
            "places.cluster-unnamed",
            "it is not said which cluster to scale",
            "the recipe has no places.emr.cluster_id",
            "filon scale 4 --cluster j-XXXXXXXX",
        )
    return found
