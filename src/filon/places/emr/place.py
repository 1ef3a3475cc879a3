"""The place `emr`: a job becomes a step of a cluster, the recipe's own or one made for it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filon.errors import PlaceError, RecipeError
from filon.events import Event, Listen
from filon.places.base import Handle, Job
from filon.places.emr.bucket import Bucket
from filon.places.emr.client import Aws, Client, pages, patiently
from filon.places.emr.follow import follow
from filon.places.emr.handles import keep_handle
from filon.places.emr.ledger import Ledger
from filon.places.emr.settings import EmrSettings
from filon.places.emr.shapes import machine_of, shape_of
from filon.places.emr.standing import log_uri_of, standing
from filon.places.emr.submit import Order, out_of, prepare, step_name, tell_plan
from filon.places.emr.transient import ALIVE, PYTHON_SCRIPT, run_job_flow

LOOK_BACK = timedelta(days=14)
"""How far back a cluster of the same job is looked for."""

STANDS = ("PENDING", "RUNNING", "COMPLETED")
"""States of a step that is this very submission; one that failed or was cancelled may be sent again."""


class Emr:
    """Runs jobs on EMR. Every creation is in the ledger first; a job that was sent is found again by the name of its step."""

    name = "emr"
    goes_on = True

    def __init__(
        self, settings: EmrSettings, *, aws: Aws | None = None, ledger: Ledger | None = None, strategy: str = "auto", keep: bool = True
    ) -> None:
        self.settings, self.strategy, self._keeps = settings, strategy, keep
        self.aws: Aws = aws or Client(settings.region)
        self.ledger = ledger or Ledger()
        self.bucket = Bucket(self.aws, settings.bucket, self.ledger)
        self.log_uri = settings.log_uri or (self.bucket.root / "logs").uri
        self.ends_on_stop = True
        self._cluster = ""  # made for an earlier job of this very command: the evaluation goes where the training went
        self._logs: dict[str, str] = {}  # where clusters say that they write theirs

    def submit(self, job: Job, listen: Listen) -> Handle:
        """Send the job; the same job sent twice is one step.

        Raises
        ------
        PlaceError : `places.*` as AWS answered
        RecipeError : `places.local-path`, `places.variable-secret`, `places.archive-missing`, `places.no-resume`
        """
        if "--resume" in job.options:
            why = "an unfinished run ends with the machine that it was on: nothing of it is there for the next one"
            raise RecipeError("places.no-resume", "a job on EMR begins anew", why, "leave --resume out")
        self.bucket.check_region()
        found = self.find(job)
        if found is not None:
            listen(Event(stage="submit", text=f"submitted already: step {found.facts['step']} is {found.state}"))
            return self._keep(found)
        nodes, unseen = standing(self.aws, self.settings)
        if unseen:
            listen(Event(stage="submit", text=f"the nodes of {self.settings.cluster_id} cannot be looked at, the recipe's count: {unseen}"))
        with self._environment(listen) as archive:
            order = prepare(job, nodes, self.bucket, archive, self.strategy, listen)
        tell_plan(order, listen)
        busy = Event(stage="submit", text="another filon on this machine is sending this very job: waiting for it")
        with self.ledger.alone(job.key, lambda: listen(busy)):
            try:
                return self._keep(patiently(lambda: self.find(job) or self._announced(order, listen)))
            except (KeyboardInterrupt, SystemExit) as exc:
                stopped = exc
            self._surely(job.key, lambda: self._end_what_was_made(job, listen))
        raise stopped

    def follow(self, handle: Handle, listen: Listen) -> Handle:
        """Tell what the job says until it has ended; a cluster made for it ends with us when we are stopped (Ctrl-C).

        Raises
        ------
        FilonError : as the job raised it
        PlaceError : `places.job-failed`, `places.job-cancelled`, `places.cluster-ended`, `places.left-running`
        """
        try:
            return self._keep(follow(self.aws, self.bucket, handle, listen))
        except (KeyboardInterrupt, SystemExit) as exc:
            stopped = exc
        self._surely(handle.id, lambda: self._stopped(handle, listen))
        raise stopped

    def find(self, job: Job) -> Handle | None:
        """The step of this very job, if it was sent and has not failed."""
        for cluster, transient in self._clusters(job):
            for step in pages(self.aws, "emr", "list_steps", "Steps", ClusterId=cluster):
                if step["Name"] == step_name(job.key) and step["Status"]["State"] in STANDS and self._stands(job, step):
                    if transient:
                        self._cluster = cluster
                    self._described(cluster)
                    return self._handle(job, cluster, step["Id"], out_of(step["Config"]["Args"]), step["Status"]["State"], transient)
        return None

    def _stands(self, job: Job, step: dict[str, Any]) -> bool:
        return step["Status"]["State"] != "COMPLETED" or self._is_current(job, out_of(step["Config"]["Args"]))

    def _is_current(self, job: Job, out: str) -> bool:
        """Whether what has ended well, with its outputs there, still stands for the job: until clean-up has removed the job's folder."""
        import json

        try:
            facts = json.loads(self.bucket.read(self.bucket.root / "jobs" / job.key / "job.json"))
        except PlaceError as exc:
            if exc.code == "places.object-missing":
                return False
            raise
        return bool(facts["out"] == out)

    def _clusters(self, job: Job) -> Iterator[tuple[str, bool]]:
        """Clusters where the job's step may be, and whether each was made for it."""
        if self.settings.cluster_id:
            yield self.settings.cluster_id, False
            return
        if self._cluster:
            yield self._cluster, True
        after = datetime.now(UTC) - LOOK_BACK
        for one in pages(self.aws, "emr", "list_clusters", "Clusters", CreatedAfter=after):
            if one["Name"] == step_name(job.key) and one["Id"] != self._cluster:
                yield one["Id"], True

    def _announced(self, order: Order, listen: Listen) -> Handle:
        order.announce(self.bucket)
        return self._send(order, listen)

    def _send(self, order: Order, listen: Listen) -> Handle:
        cluster = self._standing_cluster() or self._open_cluster()
        if cluster:
            entry = self.ledger.intend("step", order.name, job=order.job.key, region=self.aws.region, within=cluster)
            try:
                answer = self.aws.call("emr", "add_job_flow_steps", JobFlowId=cluster, Steps=[order.step("CONTINUE")])
            except PlaceError as exc:
                if cluster == self.settings.cluster_id or exc.code != "places.request-refused":
                    raise
                self._cluster = ""  # it ended in this very moment, after its own step: another is made
                return self._make_cluster(order, listen)
            step = str(answer["StepIds"][0])
            self.ledger.made(entry, step)
            listen(Event(stage="submit", text=f"step {step} on {cluster}"))
            return self._handle(order.job, cluster, step, order.out, "PENDING", transient=cluster != self.settings.cluster_id)
        return self._make_cluster(order, listen)

    def _described(self, cluster: str) -> dict[str, Any]:
        """A cluster as EMR tells of it; where it writes its logs is remembered, which need not be where the recipe would."""
        found: dict[str, Any] = self.aws.call("emr", "describe_cluster", ClusterId=cluster)["Cluster"]
        self._logs[cluster] = log_uri_of(found)
        return found

    def _standing_cluster(self) -> str:
        """The recipe's own cluster, if it has one.

        Raises
        ------
        PlaceError : `places.cluster-ended`
        """
        cluster = self.settings.cluster_id
        if not cluster:
            return ""
        status = self._described(cluster)["Status"]
        if status["State"] not in ALIVE:
            why = status.get("StateChangeReason", {}).get("Message") or "EMR gives no reason"
            fix = "leave places.emr.cluster_id out (a cluster is then made for the job), or filon infra up"
            raise PlaceError("places.cluster-ended", f"the cluster {cluster} is {status['State'].lower()}", why, fix)
        return cluster

    def _open_cluster(self) -> str:
        """The cluster made by this command, if it still takes steps."""
        if not self._cluster:
            return ""
        state = self._described(self._cluster)["Status"]["State"]
        return self._cluster if state in ALIVE else ""

    def _make_cluster(self, order: Order, listen: Listen) -> Handle:
        script = self._python_script(listen)
        request = run_job_flow(
            self.settings,
            name=order.name,
            job=order.job.key,
            project=order.job.name,
            log_uri=self.log_uri,
            bootstrap=script,
            steps=[order.step("CONTINUE")],
        )
        entry = self.ledger.intend("cluster", order.name, job=order.job.key, region=self.aws.region)
        listen(Event(stage="submit", text=f"a cluster for this job: {self.settings.core_count} x {self.settings.core_type}"))
        cluster = str(self.aws.call("emr", "run_job_flow", **request)["JobFlowId"])
        self.ledger.made(entry, cluster)
        self._cluster = cluster
        steps = pages(self.aws, "emr", "list_steps", "Steps", ClusterId=cluster)
        step = next((one["Id"] for one in steps if one["Name"] == order.name), "")
        listen(Event(stage="submit", text=f"step {step} on {cluster}; it ends with the job"))
        return self._handle(order.job, cluster, step, order.out, "PENDING", transient=True)

    def _python_script(self, listen: Listen) -> str:
        with tempfile.TemporaryDirectory(prefix="filon-") as folder:
            file = Path(folder) / "python.sh"
            file.write_text(PYTHON_SCRIPT, encoding="utf-8")
            return self.bucket.keep(file, listen).uri

    @contextmanager
    def _environment(self, listen: Listen) -> Iterator[str | Path]:
        """The archive that the recipe names, or one built for the cluster's lane (kept by its inputs, so it is built once)."""
        archive = self.settings.archive
        if archive:
            if not archive.startswith("s3://") and not Path(archive).is_file():
                why, fix = f'places.emr.archive = "{archive}"', f"filon package-env --lane {self._lane()} --out {archive}; or leave it out"
                raise RecipeError("places.archive-missing", "there is no such environment", why, fix)
            yield archive
            return
        from filon.places.environment import cached
        from filon.places.lanes import find_lane

        listen(Event(stage="package", text=f"the environment of {self._lane()}"))
        yield cached(find_lane(self._lane()), machine=self._machine(), listen=listen).path

    def _machine(self) -> str:
        """Processors of the nodes."""
        if not self.settings.cluster_id:
            return machine_of(shape_of(self.settings).kinds)
        groups = pages(self.aws, "emr", "list_instance_groups", "InstanceGroups", ClusterId=self.settings.cluster_id)
        return machine_of([str(one["InstanceType"]) for one in groups])

    def _lane(self) -> str:
        if not self.settings.cluster_id:
            return self.settings.release
        return str(self._described(self.settings.cluster_id)["ReleaseLabel"])

    def _handle(self, job: Job, cluster: str, step: str, out: str, state: str, transient: bool) -> Handle:
        facts = {
            "cluster": cluster,
            "step": step,
            "region": self.aws.region,
            "bucket": self.bucket.root.uri,
            "folder": (self.bucket.root / "jobs" / job.key).uri,
            "logs": f"{self._logs.get(cluster) or self.log_uri}/{cluster}",
            "transient": "yes" if transient else "",
        }
        ours = {"PENDING": "pending", "RUNNING": "running", "COMPLETED": "done"}
        return Handle(place=self.name, id=job.key, job=job, state=ours[state], out=out, facts=facts)  # type: ignore[arg-type]

    def _keep(self, handle: Handle) -> Handle:
        if self._keeps:
            keep_handle(handle, self.bucket)
        return handle

    def _surely(self, key: str, end: Callable[[], None]) -> None:
        """End what was made, after Ctrl-C; whoever pressed it must know when it goes on, and is paid. Not called while the interrupt is
        handled, or the error would be taken for a part of it.

        Raises
        ------
        PlaceError : `places.left-running`
        """
        try:
            end()
            return
        except PlaceError as exc:
            why = f"{exc.what}: {exc.why}"
        except KeyboardInterrupt:
            why = "Ctrl-C once more, before AWS had answered"
        raise PlaceError("places.left-running", "what was made for the job may still run, and cost", why, f"filon cleanup {key}")

    def _end_what_was_made(self, job: Job, listen: Listen) -> None:
        """Stopped while a cluster was asked for: whether the request arrived is seen by its name and our tags."""
        from filon.places.emr.cleanup import is_ours, own_clusters

        if self.settings.cluster_id:
            return
        first = [self._cluster] if self._open_cluster() and is_ours(self.aws, self._cluster) else []
        for cluster in dict.fromkeys([*first, *own_clusters(self.aws, step_name(job.key))]):
            listen(Event(stage="stop", text=f"ending the cluster {cluster}, which was made for this job"))
            self.aws.call("emr", "terminate_job_flows", JobFlowIds=[cluster])

    def _stopped(self, handle: Handle, listen: Listen) -> None:
        from filon.places.emr.cleanup import is_ours

        cluster = handle.facts["cluster"]
        if handle.facts.get("transient") and self.ends_on_stop and patiently(lambda: is_ours(self.aws, cluster)):
            listen(Event(stage="stop", text=f"ending the cluster {cluster}, which was made for this job"))
            patiently(lambda: self.aws.call("emr", "terminate_job_flows", JobFlowIds=[cluster]))
            self._keep(replace(handle, state="cancelled"))
        else:
            listen(Event(stage="stop", text=f"the step goes on: filon attach {handle.id} comes back, filon cleanup {handle.id} ends it"))


def open_emr(settings: EmrSettings, **words: Any) -> Emr:
    """The place that a recipe's table means: steps of a cluster, or job runs of EMR Serverless."""
    if not settings.serverless:
        return Emr(settings, **words)
    from filon.places.emr.serverless.place import Serverless

    return Serverless(settings, **words)


def emr_of(handle: Handle, settings: EmrSettings | None = None) -> Emr:
    """The place a handle speaks of, by what is written in it."""
    facts = handle.facts
    known = settings or EmrSettings()
    where = {"serverless": bool(facts.get("serverless")), "cluster_id": "", "application_id": ""}
    if not facts.get("transient"):
        where["application_id" if where["serverless"] else "cluster_id"] = facts["cluster"]
    return open_emr(known.model_copy(update={"region": facts["region"], "bucket": facts["bucket"], **where}))


__all__ = ["Emr", "emr_of", "open_emr"]
