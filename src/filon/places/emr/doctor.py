"""What `filon doctor` does: looks at the states, reads the logs that are there, and names the cause."""

from __future__ import annotations

import time
from dataclasses import dataclass

from filon.events import Event, Listen
from filon.places.base import Handle
from filon.places.emr.bucket import Bucket
from filon.places.emr.causes import Cause, Evidence, Line, diagnose
from filon.places.emr.client import Aws
from filon.places.emr.follow import Ears, attempt_of, look
from filon.places.emr.logs import Reader, complete

LOOK_AGAIN_S = 0.5
"""The cause is to be named within two seconds of the logs' arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found: the states as EMR tells them, the cause (None when there is none), and how many lines were read."""

    step: str
    cluster: str
    reason: str
    cause: Cause | None
    lines_read: int
    healthy: bool


def examine(aws: Aws, bucket: Bucket, handle: Handle, listen: Listen, *, wait_s: float = 0.0) -> Examination:
    """Look for the cause of a failure.

    Parameters
    ----------
    wait_s : how long to wait for logs that have not come yet; the cause is told as soon as the logs that hold it are there
    """
    state = look(aws, handle)
    reader = Reader(bucket=bucket, handle=handle)
    lines: list[Line] = list(_last_word(bucket, handle))
    began = time.monotonic()
    cause, first = None, True
    while True:
        news = [one.line for one in reader.news()]
        lines += news
        if (news or first) and state.step != "COMPLETED":
            first = False
            cause = diagnose(Evidence(step=state.step, cluster=state.cluster, reason=state.reason, lines=lines))
        sure = cause is not None and cause.code != "emr.unknown"
        if sure or not state.ended or state.step == "COMPLETED" or complete(reader) or time.monotonic() - began >= wait_s:
            break
        listen(Event(stage="doctor", text=f"the logs have not come yet, {time.monotonic() - began:.0f} s"))
        time.sleep(LOOK_AGAIN_S)
    return Examination(
        step=state.step,
        cluster=state.cluster,
        reason=state.reason,
        cause=cause,
        lines_read=len(lines),
        healthy=state.step in ("COMPLETED", "RUNNING", "PENDING") and not state.cluster.startswith("TERMINATED_WITH"),
    )


def _last_word(bucket: Bucket, handle: Handle) -> list[Line]:
    """The error that the job itself sent home, as the line it printed."""
    import json

    from filon.errors import PlaceError

    try:
        ears = Ears(bucket=bucket, folder=handle.facts["folder"], attempt=attempt_of(bucket, handle))
        said = ears.ended()
    except PlaceError as exc:
        if exc.code == "places.object-missing":
            return []
        raise
    return [Line(file="the job's last word", text=json.dumps({"error": said["error"]}))] if said and said.get("error") else []
