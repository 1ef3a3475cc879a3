"""EMR Serverless as the place `emr`: a job becomes a job run of an application, the recipe's own or one made for the project."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from filon.errors import PlaceError
from filon.events import Event, Listen
from filon.places.base import Handle, Job
from filon.places.emr.client import patiently
from filon.places.emr.place import STANDS, Emr
from filon.places.emr.serverless import requests
from filon.places.emr.serverless.runs import ALIVE, GOING, SERVICE, STATES, application_of, applications, cancel, job_runs
from filon.places.emr.serverless.workers import workers_of
from filon.places.emr.submit import Order, out_of, step_name


class Serverless(Emr):
    """Runs jobs on EMR Serverless. A job run is sent with a token of its own, so that the same one sent twice is one; and it is found
    again by its name, as a step is."""

    def find(self, job: Job) -> Handle | None:
        """The job run of this very job, if it was sent and has not failed."""
        application = self._application(job)
        if not application:
            return None
        for one in job_runs(self.aws, application, step_name(job.key)):
            state = STATES[one["state"]]
            if state not in STANDS or one["state"] == "CANCELLING":
                continue
            run = self.aws.call(SERVICE, "get_job_run", applicationId=application, jobRunId=one["id"])["jobRun"]
            out = out_of(run["jobDriver"]["sparkSubmit"].get("entryPointArguments", []))
            if state != "COMPLETED" or self._is_current(job, out):
                return self._taken(job, application, one["id"], out, state)
        return None

    def _application(self, job: Job) -> str:
        """The recipe's own application, else the one that was made for jobs like this; "" when there is none yet."""
        if self.settings.application_id:
            return self.settings.application_id
        named = requests.application_name(self.settings, job.name, workers_of(self.settings))
        there = applications(self.aws, named=named)
        return str(there[0]["id"]) if there else ""

    def _send(self, order: Order, listen: Listen) -> Handle:
        application = self._standing(order.job) or self._make_application(order.job, listen)
        before = [one for one in job_runs(self.aws, application, order.name) if one["state"] not in GOING]
        token = hashlib.sha256(f"{application} {order.job.key} {len(before)}".encode()).hexdigest()[:32]
        entry = self.ledger.intend("job-run", order.name, job=order.job.key, region=self.aws.region, within=application)
        role = self._role()
        words = {"application_id": application, "token": token, "role": role, "log_uri": self.log_uri, "region": self.aws.region}
        request = requests.job_run(order, self.settings, **words)
        try:
            run = str(self.aws.call(SERVICE, "start_job_run", **request)["jobRunId"])
        except PlaceError as exc:
            if "Conflict" not in exc.why:
                raise
            exc.retryable = True  # the token was taken a moment ago, by ourselves: the next look finds the run
            raise
        self.ledger.made(entry, run)
        listen(Event(stage="submit", text=f"job run {run} on {application}"))
        return self._taken(order.job, application, run, order.out, "PENDING")

    def _standing(self, job: Job) -> str:
        """The application, if it is one that takes jobs.

        Raises
        ------
        PlaceError : `places.cluster-ended`
        """
        application = self._application(job)
        if not self.settings.application_id:
            return application
        state = application_of(self.aws, application).get("state", "not there")
        if state not in ALIVE:
            fix = "leave places.emr.application_id out: one is found or made"
            raise PlaceError("places.cluster-ended", f"the application {application} is {state.lower()}", "it takes no jobs", fix)
        return application

    def _make_application(self, job: Job, listen: Listen) -> str:
        workers = workers_of(self.settings)
        name = requests.application_name(self.settings, job.name, workers)
        entry = self.ledger.intend("application", name, job="", region=self.aws.region)
        listen(Event(stage="submit", text=f"an application for {job.name}, which stops when idle: {workers}"))
        request = requests.application(self.settings, name=name, token=f"filon-{entry.id}", project=job.name, workers=workers)
        made = str(self.aws.call(SERVICE, "create_application", **request)["applicationId"])
        self.ledger.made(entry, made)
        return made

    def _role(self) -> str:
        """ARN of the execution role.

        Raises
        ------
        PlaceError : `places.role-unnamed`
        """
        role = self.settings.execution_role
        if not role:
            raise PlaceError(
                "places.role-unnamed",
                "the recipe does not say which role a job on EMR Serverless takes on",
                "places.emr.execution_role is empty, and EMR Serverless has no default role",
                '[places.emr] execution_role = "..."; filon infra init writes its policy and its trust, filon infra up makes it',
            )
        if role.startswith("arn:"):
            return role
        who = self.aws.call("sts", "get_caller_identity")
        partition = str(who.get("Arn", "arn:aws:")).split(":")[1] or "aws"
        return f"arn:{partition}:iam::{who['Account']}:role/{role}"

    def _machine(self) -> str:
        return "x86_64"  # as the application is made

    def _lane(self) -> str:
        if not self.settings.application_id:
            return self.settings.release
        return str(application_of(self.aws, self.settings.application_id).get("releaseLabel") or self.settings.release)

    def _taken(self, job: Job, application: str, run: str, out: str, state: str) -> Handle:
        handle = self._handle(job, application, run, out, state, transient=False)
        facts = {"serverless": "yes", "logs": f"{self.log_uri}/applications/{application}/jobs/{run}"}
        return replace(handle, facts={**handle.facts, **facts})

    def _end_what_was_made(self, job: Job, listen: Listen) -> None:
        """Stopped while a job run was asked for: whether the request arrived is seen by its name."""
        found: Any = self.find(job)
        if found is not None and found.state != "done":
            listen(Event(stage="stop", text=f"cancelling the job run {found.facts['step']}"))
            cancel(self.aws, found.facts["cluster"], found.facts["step"])

    def _stopped(self, handle: Handle, listen: Listen) -> None:
        if not self.ends_on_stop:
            listen(Event(stage="stop", text=f"the job run goes on: filon attach {handle.id} comes back, filon cleanup {handle.id} ends it"))
            return
        listen(Event(stage="stop", text=f"cancelling the job run {handle.facts['step']}; its application stops by itself"))
        patiently(lambda: cancel(self.aws, handle.facts["cluster"], handle.facts["step"]))
        self._keep(replace(handle, state="cancelled"))
