"""Following a job: what it says itself (its events in the bucket), and the states of its step and cluster around that."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from filon.errors import FilonError, PlaceError
from filon.events import Event, Listen
from filon.places.base import Handle
from filon.places.emr.bucket import Bucket, address
from filon.places.emr.client import Aws
from filon.places.job_words import hear

POLL_S = 2.0
QUIET_S = 4.0
"""Law 8: a sign of life at least so often."""
PATIENCE_S = 900.0
"""How long AWS may be away, or slow us down, before we stop following; the job goes on all the same."""
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED")


@dataclass(slots=True, kw_only=True)
class Ears:
    """What was heard so far: the last object read, and whether somebody spoke lately."""

    bucket: Bucket
    folder: str
    attempt: str
    last: str = ""
    error: FilonError | None = None
    result: dict[str, Any] = field(default_factory=dict)

    def listen(self) -> Iterator[Event]:
        """Events that came since the last time."""
        place = address(self.folder) / "events"
        for one in self.bucket.listed(place, after=self.last):
            self.last = str(one["Key"])
            if self.attempt and not self.last.rpartition("/")[2].startswith(self.attempt):
                continue  # an earlier attempt of the same job
            for line in self.bucket.read(replace(place, key=self.last)).decode().splitlines():
                heard = hear(line)
                self.error = heard.error or self.error
                self.result = dict(heard.result or self.result)
                if heard.event is not None:
                    yield heard.event

    def ended(self) -> dict[str, Any] | None:
        """The job's last word, None while there is none."""
        try:
            said = self.bucket.read(address(self.folder) / f"ended-{self.attempt}.json")
        except PlaceError as exc:
            if exc.code == "places.object-missing":
                return None
            raise
        found: dict[str, Any] = json.loads(said)
        return found


def follow(aws: Aws, bucket: Bucket, handle: Handle, listen: Listen) -> Handle:
    """Tell progress until the step has ended.

    Raises
    ------
    FilonError : as the job raised it
    PlaceError : `places.job-failed`, `places.job-cancelled`, `places.cluster-ended`
    """
    ears = Ears(bucket=bucket, folder=handle.facts["folder"], attempt=attempt_of(bucket, handle))
    began = spoke = time.monotonic()
    away_since = 0.0
    said = ""
    while True:
        try:
            state = look(aws, handle)
            for event in ears.listen():
                listen(event)
                spoke = time.monotonic()
            away_since = 0.0
        except PlaceError as exc:
            away_since = away_since or time.monotonic()
            if not exc.retryable or exc.code == "places.credentials-expired" or time.monotonic() - away_since > PATIENCE_S:
                raise
            listen(Event(stage="wait", text=f"{exc.what}; the job goes on, and so do we"))
            time.sleep(POLL_S)
            continue
        if state.ended:
            return conclude(handle, state, ears)
        if state.text != said or time.monotonic() - spoke > QUIET_S:
            said, spoke = state.text, time.monotonic()
            listen(Event(stage="wait", text=f"{state.text}, {time.monotonic() - began:.0f} s"))
        time.sleep(POLL_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The step and its cluster at one moment, as EMR tells them."""

    step: str
    cluster: str
    reason: str = ""
    log: str = ""
    names: tuple[str, str] = ("step", "cluster")

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        return self.step in ENDED or self.cluster.startswith("TERMINATED")

    @property
    def text(self) -> str:
        """One line."""
        return f"{self.names[0]} {self.step.lower()}, {self.names[1]} {self.cluster.lower()}"


def look(aws: Aws, handle: Handle) -> Look:
    """States of the step and the cluster; of the job run and the application, where there is no cluster."""
    if handle.facts.get("serverless"):
        from filon.places.emr.serverless import runs

        return runs.look(aws, handle)
    cluster = aws.call("emr", "describe_cluster", ClusterId=handle.facts["cluster"])["Cluster"]["Status"]
    step = aws.call("emr", "describe_step", ClusterId=handle.facts["cluster"], StepId=handle.facts["step"])["Step"]["Status"]
    details = step.get("FailureDetails", {})
    said = [details.get("Reason"), details.get("Message"), step.get("StateChangeReason", {}).get("Message")]
    if step["State"] not in ("COMPLETED",):
        said.append(cluster.get("StateChangeReason", {}).get("Message"))
    reason = "; ".join(dict.fromkeys(text for text in said if text))
    return Look(step=step["State"], cluster=cluster["State"], reason=reason, log=details.get("LogFile", ""))


def attempt_of(bucket: Bucket, handle: Handle) -> str:
    """Which attempt of the job the handle speaks of; "" after a clean-up, when only the states tell how it ended."""
    try:
        facts = json.loads(bucket.read(address(handle.facts["folder"]) / "job.json"))
    except PlaceError as exc:
        if exc.code == "places.object-missing":
            return ""
        raise
    return str(facts.get("attempt", ""))


def conclude(handle: Handle, state: Look, ears: Ears) -> Handle:
    """The last state of a job that has ended, or its error."""
    if state.step == "COMPLETED":
        return replace(handle, state="done")
    said = ears.ended()
    if said is not None and said.get("exit") == 1:
        return replace(handle, state="failed")  # a finding stopped it: the run folder tells which
    error = hear(json.dumps({"error": said["error"]})).error if said and said.get("error") else ears.error
    if error is not None:
        raise error
    where = f"filon doctor {handle.id}"
    step, cluster = state.names
    if state.step == "CANCELLED":
        why = state.reason or "somebody cancelled it, or an earlier one failed"
        raise PlaceError("places.job-cancelled", f"the {step} {handle.facts['step']} was cancelled", why, where)
    if state.step in ("PENDING", "RUNNING"):
        why = f"{state.text}: {state.reason or 'EMR gives no reason'}"
        raise PlaceError("places.cluster-ended", f"the {cluster} {handle.facts['cluster']} ended before the job did", why, where)
    why = state.reason or "EMR gives no reason; the logs come some minutes later"
    raise PlaceError(
        "places.job-failed",
        f"the {step} {handle.facts['step']} failed without a word of ours",
        why,
        f"{where} (logs come late: up to 5 minutes)",
    )
