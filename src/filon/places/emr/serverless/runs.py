"""Job runs and applications as they stand: listed, found by name, and their states in the words that a step's have."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from filon.errors import PlaceError
from filon.places.base import Handle
from filon.places.emr.client import Aws, pages
from filon.places.emr.follow import Look

SERVICE = "emr-serverless"
TOKEN = ("nextToken", "nextToken")

STATES: Mapping[str, str] = {
    **dict.fromkeys(("SUBMITTED", "PENDING", "SCHEDULED", "QUEUED"), "PENDING"),
    **dict.fromkeys(("RUNNING", "CANCELLING"), "RUNNING"),
    "SUCCESS": "COMPLETED",
    "FAILED": "FAILED",
    "CANCELLED": "CANCELLED",
}
"""A job run's states as those of a step."""

GOING = tuple(state for state, ours in STATES.items() if ours in ("PENDING", "RUNNING"))
ALIVE = ("CREATING", "CREATED", "STARTING", "STARTED", "STOPPING", "STOPPED")
"""States of an application that is there; a stopped one starts with its next job."""

WAIT_S = 180.0
"""For workers to be given back before an application can be stopped or deleted."""


def look(aws: Aws, handle: Handle) -> Look:
    """States of the job run and its application."""
    run = aws.call(SERVICE, "get_job_run", applicationId=handle.facts["cluster"], jobRunId=handle.facts["step"])["jobRun"]
    application = application_of(aws, handle.facts["cluster"])
    state = str(run["state"])
    reason = str(run.get("stateDetails") or "") if state not in ("SUCCESS", "RUNNING") else ""
    if STATES[state] == "PENDING" and application.get("stateDetails"):
        reason = f"{reason} {application['stateDetails']}".strip()
    return Look(step=STATES[state], cluster=str(application.get("state", "UNKNOWN")), reason=reason, names=("job run", "application"))


def application_of(aws: Aws, application: str) -> dict[str, Any]:
    """An application, empty when AWS has forgotten it."""
    try:
        found: dict[str, Any] = aws.call(SERVICE, "get_application", applicationId=application)["application"]
    except PlaceError as exc:
        if exc.code == "places.request-refused":
            return {}
        raise
    return found


def applications(aws: Aws, *, named: str = "", states: Sequence[str] = ALIVE) -> list[dict[str, Any]]:
    """Applications that are there, the oldest first; of one name when it is given."""
    found = pages(aws, SERVICE, "list_applications", "applications", TOKEN, states=list(states))
    return sorted((one for one in found if named in ("", one.get("name"))), key=lambda one: (str(one.get("createdAt")), one["id"]))


def job_runs(aws: Aws, application: str, name: str = "") -> list[dict[str, Any]]:
    """Job runs of an application; of one name when it is given."""
    found = pages(aws, SERVICE, "list_job_runs", "jobRuns", TOKEN, applicationId=application)
    return [one for one in found if name in ("", one.get("name"))]


def cancel(aws: Aws, application: str, run: str) -> None:
    """Ask a job run to end; one that has ended is left alone."""
    try:
        aws.call(SERVICE, "cancel_job_run", applicationId=application, jobRunId=run)
    except PlaceError as exc:
        if exc.code != "places.request-refused":
            raise


def remove(aws: Aws, application: str) -> None:
    """Stop an application and delete it, once its job runs have given their workers back.

    Raises
    ------
    PlaceError : `places.application-busy`
    """
    end = time.monotonic() + WAIT_S
    while any(one["state"] in GOING for one in job_runs(aws, application)):
        _wait(application, end)
    if application_of(aws, application).get("state") in ("STARTING", "STARTED"):
        aws.call(SERVICE, "stop_application", applicationId=application)
    while application_of(aws, application).get("state") not in ("STOPPED", "CREATED", "TERMINATED", None):
        _wait(application, end)
    if application_of(aws, application).get("state") in ("STOPPED", "CREATED"):
        aws.call(SERVICE, "delete_application", applicationId=application)


def _wait(application: str, end: float) -> None:
    if time.monotonic() > end:
        why = f"it still works or stops after {WAIT_S:.0f} s"
        raise PlaceError(
            "places.application-busy", f"the application {application} cannot be deleted yet", why, "filon cleanup --all, again"
        )
    time.sleep(0.5)


def dashboard(aws: Aws, handle: Handle) -> str:
    """The address of a job run's page: Spark's own while it runs, its history after; whoever has it is let in for an hour."""
    answer = aws.call(SERVICE, "get_dashboard_for_job_run", applicationId=handle.facts["cluster"], jobRunId=handle.facts["step"])
    return str(answer["url"])
