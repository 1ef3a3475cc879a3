"""Clean-up: what we made and is still there, by the ledger and by tag; deleted one by one, each struck off once it is gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from filon.errors import PlaceError
from filon.events import Event, Listen
from filon.places.emr.bucket import Bucket, address
from filon.places.emr.client import Aws, pages, patiently
from filon.places.emr.ledger import Entry, Ledger
from filon.places.emr.submit import step_name, word_of
from filon.places.emr.transient import ALIVE, BY, MADE_BY, TAG, maker

MANIFESTS = ("manifest.json", "metrics.json", "_SUCCESS")
"""The last file of an output: where one stands, the output is whole and belongs to the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """One thing to be deleted: what it is in the user's words, and the ledger's line of it (None when only a tag told of it).

    `folder` is the address of a step's job, whose driver looks there whether it is still wanted.
    """

    kind: str
    resource: str
    within: str
    text: str
    entry: Entry | None
    folder: str = ""


def find_doomed(
    aws: Aws, ledger: Ledger, bucket: Bucket | None, *, job: str = "", outputs: bool = False, others: bool = False
) -> list[Doomed]:
    """What is there of ours, in the order in which it may be deleted: steps, groups, clusters, then what they read.

    Parameters
    ----------
    bucket : where to look for things that are in no ledger of this machine; None to trust the ledger alone
    job : the key of one job; "" for all of them, with what jobs share
    outputs : finished models and results too
    others : also what other people and machines have made with the same bucket, by tag and by prefix
    """
    found: dict[tuple[str, str], Doomed] = {}
    for entry in ledger.entries(job):
        if entry.region == aws.region:
            for one in _by_entry(aws, entry, bucket, outputs):
                found.setdefault((one.kind, one.resource), one)
    from filon.places.emr.serverless import leftovers

    for one in (*_unless_refused(lambda: _by_tag(aws, job, others)), *_unless_refused(lambda: leftovers.by_tag(aws, job, others))):
        found.setdefault((one.kind, one.resource), one)
    if bucket is not None and (job or others):
        for one in _by_prefix(bucket, job):
            found.setdefault((one.kind, one.resource), one)
    order = ("nothing", "step", "group", "job-run", "application", "cluster", "folder", "output", "object")
    return sorted(found.values(), key=lambda one: order.index(one.kind))


def _unless_refused(look: Callable[[], list[Doomed]]) -> list[Doomed]:
    """Nothing where we may not look, or the region has no such service: who never used it need not be allowed to."""
    try:
        return look()
    except PlaceError as exc:
        if exc.code in ("places.access-denied", "places.unreachable"):
            return []
        raise


def _by_entry(aws: Aws, entry: Entry, bucket: Bucket | None, outputs: bool) -> list[Doomed]:
    nothing = Doomed(kind="nothing", resource=entry.id, within="", text=f"{entry.kind} {entry.name}: not there", entry=entry)
    if entry.kind == "cluster":
        named = [entry.resource] if entry.resource else own_clusters(aws, entry.name)
        alive = [one for one in named if _cluster_state(aws, one) in ALIVE]
        return [_cluster(one, entry) for one in alive] or [nothing]
    if entry.kind == "step":
        steps = [
            one for one in _steps(aws, entry.within) if entry.resource == one["Id"] or (not entry.resource and one["Name"] == entry.name)
        ]
        going = [one for one in steps if one["Status"]["State"] in ("PENDING", "RUNNING")]
        return [_step(one, entry.within, entry) for one in going] or [nothing]
    if entry.kind == "group":
        return _groups(aws, entry) or [nothing]
    if entry.kind in ("job-run", "application"):
        from filon.places.emr.serverless import leftovers

        return leftovers.by_entry(aws, entry) or [nothing]
    place = address(entry.name)
    there = Bucket(aws, f"s3://{place.bucket}", bucket.ledger if bucket else Ledger())
    try:
        objects = there.listed(place)
        alone = there.has(place)
    except PlaceError as exc:
        if exc.code == "places.bucket-missing":
            return [nothing]
        raise
    names = {str(one["Key"])[len(place.key) + 1 :] for one in objects}
    whole = entry.kind == "output" and names.intersection(MANIFESTS)
    if whole and not outputs:
        return []  # the user's model: it stays, and so does its line in the ledger
    size = sum(int(one["Size"]) for one in objects) + (alone or 0)
    count = len(objects) + (alone is not None)
    begun = there.aws.call("s3", "list_multipart_uploads", Bucket=place.bucket, Prefix=place.key).get("Uploads", [])
    if not count and not begun:
        return [nothing]
    kept = "a finished output, " if whole else "an unfinished output, " if entry.kind == "output" else ""
    text = f"{place.uri}: {kept}{count} objects, {size / 2**20:,.1f} MiB"
    return [Doomed(kind=entry.kind, resource=place.uri, within="", text=text, entry=entry)]


def _by_tag(aws: Aws, job: str, others: bool) -> list[Doomed]:
    """Clusters that carry our tags: a ledger may be lost. A colleague's are ours to end only when their job is named, or all are meant."""
    found = []
    for one in pages(aws, "emr", "list_clusters", "Clusters", ClusterStates=list(ALIVE)):
        if not one["Name"].startswith("filon-") or (job and one["Name"] != step_name(job)):
            continue
        tags = _tags(aws, one["Id"])
        meant = tags.get(TAG) == job if job else others or tags.get(BY) == maker()
        if tags.get(MADE_BY["Key"]) == MADE_BY["Value"] and tags.get(TAG, "") and meant:
            found.append(_cluster(one["Id"], None, by=tags.get(BY, "")))
    return found


def _tags(aws: Aws, cluster: str) -> dict[str, str]:
    """Tags of a cluster; none where we may not look: the policies that we write show nobody another project's."""
    try:
        described = aws.call("emr", "describe_cluster", ClusterId=cluster)["Cluster"]
    except PlaceError as exc:
        if exc.code == "places.access-denied":
            return {}
        raise
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}


def _by_prefix(bucket: Bucket, job: str) -> list[Doomed]:
    """Folders of jobs under the recipe's own prefix, and the shared objects there."""
    shared = [("folder", bucket.root / "jobs"), ("object", bucket.root / "objects")]
    kinds = [("folder", bucket.root / "jobs" / job)] if job else shared
    found = []
    for kind, place in kinds:
        for name, objects in _grouped(bucket, place, deep=not job):
            text = f"{name}: {len(objects)} objects, {sum(objects) / 2**20:,.1f} MiB"
            found.append(Doomed(kind=kind, resource=name, within="", text=text, entry=None))
    return found


def _grouped(bucket: Bucket, place: Any, *, deep: bool) -> list[tuple[str, list[int]]]:
    """Objects under a prefix by the folder (or, for shared objects, the very object) that a ledger's line would name."""
    found: dict[str, list[int]] = {}
    for one in bucket.listed(place):
        rest = str(one["Key"])[len(place.key) + 1 :]
        shared = place.key.endswith("objects")
        name = f"{place.uri}/{rest if shared else rest.split('/')[0]}" if deep else place.uri
        found.setdefault(name, []).append(int(one["Size"]))
    return list(found.items())


def _cluster(resource: str, entry: Entry | None, by: str = "") -> Doomed:
    """`by` is who made it: whoever is asked must see that it was somebody else."""
    made = f"which {by} made for a job" if by and by != maker() else "which was made for a job"
    return Doomed(kind="cluster", resource=resource, within="", text=f"cluster {resource}, {made}: terminated", entry=entry)


def _step(step: dict[str, Any], within: str, entry: Entry) -> Doomed:
    text = f"step {step['Id']} of {within} ({step['Name']}, {step['Status']['State'].lower()}): cancelled"
    return Doomed(kind="step", resource=step["Id"], within=within, text=text, entry=entry, folder=word_of(step["Config"]["Args"], "--job"))


def _groups(aws: Aws, entry: Entry) -> list[Doomed]:
    """Task groups that we added: EMR cannot delete a group, so it is emptied."""
    if _cluster_state(aws, entry.within) not in ALIVE:
        return []
    groups = pages(aws, "emr", "list_instance_groups", "InstanceGroups", ClusterId=entry.within)
    ours = [one for one in groups if one["Id"] == entry.resource or (not entry.resource and one.get("Name") == entry.name)]
    return [
        Doomed(
            kind="group", resource=one["Id"], within=entry.within, text=f"task group {one['Id']} of {entry.within}: to 0 nodes", entry=entry
        )
        for one in ours
        if one.get("RequestedInstanceCount", 0)
    ]


def own_clusters(aws: Aws, name: str) -> list[str]:
    """Clusters of a name that cost money and that we made, by their tags: a colleague who sends this recipe has one of that name."""
    alive = pages(aws, "emr", "list_clusters", "Clusters", ClusterStates=list(ALIVE))
    return [one["Id"] for one in alive if one["Name"] == name and is_ours(aws, one["Id"])]


def is_ours(aws: Aws, cluster: str) -> bool:
    """Whether a cluster carries our own tags."""
    tags = _tags(aws, cluster)
    return tags.get(MADE_BY["Key"]) == MADE_BY["Value"] and tags.get(BY) == maker()


def _cluster_state(aws: Aws, cluster: str) -> str:
    try:
        return str(aws.call("emr", "describe_cluster", ClusterId=cluster)["Cluster"]["Status"]["State"])
    except PlaceError as exc:
        if exc.code == "places.request-refused":
            return "UNKNOWN"  # EMR forgets clusters after two months
        raise


def _steps(aws: Aws, cluster: str) -> list[dict[str, Any]]:
    if _cluster_state(aws, cluster) not in ALIVE:
        return []
    return pages(aws, "emr", "list_steps", "Steps", ClusterId=cluster)


def delete(aws: Aws, ledger: Ledger, doomed: Sequence[Doomed], listen: Listen) -> int:
    """Delete them, one by one; a clean-up that is stopped goes on where it was. Gives how many were there."""
    there = [one for one in doomed if one.kind != "nothing"]
    for done, one in enumerate(there, 1):
        refused = patiently(partial(_delete, aws, ledger, one))
        if one.entry is not None and not refused:
            ledger.gone(one.entry)
        listen(Event(stage="cleanup", text=refused or one.text, done=done, total=len(there)))
    for one in doomed:
        if one.kind == "nothing" and one.entry is not None and _is_settled(one.entry):
            ledger.gone(one.entry)
    return len(there)


def _is_settled(entry: Entry) -> bool:
    """Whether a thing that was intended and is not there will not come: a request may still be on its way for a minute."""
    return entry.state == "made" or (datetime.now(UTC) - datetime.fromisoformat(entry.at)).total_seconds() > 120


def _delete(aws: Aws, ledger: Ledger, one: Doomed) -> str:
    """Delete one thing; what to say instead where AWS did not take it, "" where it did."""
    from filon.places.emr.serverless import runs

    if one.kind == "cluster":
        aws.call("emr", "set_termination_protection", JobFlowIds=[one.resource], TerminationProtected=False)
        aws.call("emr", "terminate_job_flows", JobFlowIds=[one.resource])
    elif one.kind == "step":
        return _cancel(aws, one)
    elif one.kind == "group":
        aws.call(
            "emr", "modify_instance_groups", ClusterId=one.within, InstanceGroups=[{"InstanceGroupId": one.resource, "InstanceCount": 0}]
        )
    elif one.kind == "job-run":
        runs.cancel(aws, one.within, one.resource)
    elif one.kind == "application":
        runs.remove(aws, one.resource)
    else:
        place = address(one.resource)
        Bucket(aws, f"s3://{place.bucket}", ledger).remove(place)
    return ""


def _cancel(aws: Aws, one: Doomed) -> str:
    """End a step and its driver. EMR ends spark-submit and what that started, but in deploy mode "cluster" the driver is YARN's: it ends
    by itself when its job.json is gone (see `on_cluster`), so that goes first."""
    if one.folder:
        place = address(one.folder) / "job.json"
        aws.call("s3", "delete_object", Bucket=place.bucket, Key=place.key)
    asked = aws.call("emr", "cancel_steps", ClusterId=one.within, StepIds=[one.resource], StepCancellationOption="TERMINATE_PROCESS")
    told: dict[str, Any] = next(iter(asked.get("CancelStepsInfoList", [])), {})
    if told.get("Status") != "FAILED":
        return ""
    state = aws.call("emr", "describe_step", ClusterId=one.within, StepId=one.resource)["Step"]["Status"]["State"]
    if state not in ("PENDING", "RUNNING"):
        return ""  # it ended meanwhile
    why = told.get("Reason") or "no reason is given"
    return f"step {one.resource} of {one.within}: EMR did not cancel it ({why}); its driver ends by itself in some seconds, look again then"
