"""What clean-up finds of EMR Serverless: job runs that go on, and applications that we made."""

from __future__ import annotations

from filon.errors import PlaceError
from filon.places.emr.cleanup import Doomed
from filon.places.emr.client import Aws
from filon.places.emr.ledger import Entry
from filon.places.emr.serverless.runs import GOING, application_of, applications, job_runs
from filon.places.emr.submit import step_name
from filon.places.emr.transient import BY, MADE_BY, TAG, maker


def by_entry(aws: Aws, entry: Entry) -> list[Doomed]:
    """What a line of the ledger speaks of, as far as it is still there."""
    if entry.kind == "job-run":
        return [_run(one, entry.within, entry) for one in _going(aws, entry.within, entry.name)]
    ids = [entry.resource] if entry.resource else [one["id"] for one in applications(aws, named=entry.name)]
    return [_application(one, entry) for one in ids if application_of(aws, one).get("state", "TERMINATED") != "TERMINATED"]


def by_tag(aws: Aws, job: str, others: bool) -> list[Doomed]:
    """What carries our tags: applications when everything is meant, and the job runs of a job that is named."""
    found: list[Doomed] = []
    for one in applications(aws):
        if not str(one.get("name", "")).startswith("filon-"):
            continue
        tags = _tags(aws, one["id"])
        if tags.get(MADE_BY["Key"]) != MADE_BY["Value"]:
            continue
        if job:
            found += [
                _run(run, one["id"], None) for run in _going(aws, one["id"], step_name(job)) if _is_of(aws, one["id"], run["id"], job)
            ]
        elif others or tags.get(BY) == maker():
            found += [_run(run, one["id"], None) for run in _going(aws, one["id"], "")]
            found.append(_application(one["id"], None))
    return found


def _tags(aws: Aws, application: str) -> dict[str, str]:
    """Tags of an application; none where we may not look, at another project's."""
    try:
        found: dict[str, str] = application_of(aws, application).get("tags", {})
    except PlaceError as exc:
        if exc.code == "places.access-denied":
            return {}
        raise
    return found


def _is_of(aws: Aws, application: str, run: str, job: str) -> bool:
    tags = aws.call("emr-serverless", "get_job_run", applicationId=application, jobRunId=run)["jobRun"].get("tags", {})
    return bool(tags.get(TAG) == job)


def _going(aws: Aws, application: str, name: str) -> list[dict[str, str]]:
    try:
        return [one for one in job_runs(aws, application, name) if one["state"] in GOING]
    except PlaceError as exc:
        if exc.code == "places.request-refused":
            return []  # the application is gone, and its job runs with it
        raise


def _run(run: dict[str, str], application: str, entry: Entry | None) -> Doomed:
    text = f"job run {run['id']} of {application} ({run.get('name', '')}, {run['state'].lower()}): cancelled"
    return Doomed(kind="job-run", resource=run["id"], within=application, text=text, entry=entry)


def _application(application: str, entry: Entry | None) -> Doomed:
    text = f"application {application} of EMR Serverless: stopped and deleted"
    return Doomed(kind="application", resource=application, within="", text=text, entry=entry)
