"""Job runs of EMR Serverless that really run: what moto calls SUCCESS at once waits here, is run as a step is, and ends as it ends."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import signal
import subprocess
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filon.rehearse.container import Container, Wire
from filon.rehearse.step_logs import PIECE_S, delay_s

TICK_S = 0.1
START_S = 1.0
"""A job run is SUBMITTED and SCHEDULED for so long: on AWS its workers take a minute or two."""

UTILISED = {"vCPUHour": 6.0, "memoryGBHour": 24.0, "storageGBHour": 40.0}
"""What an hour here is taken to have used: a bill needs a figure."""


VCPUS = 256.0
"""Quota of the emulated account; AWS starts accounts with 16."""


class JobRuns:
    """One thread that looks at every application; one more for each job run that runs."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        self.wire, self.folder = Wire(endpoint), folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        threading.Thread(target=self._work, daemon=True, name="serverless-executor").start()
        threading.Thread(target=self._outlive_nobody, args=(os.getppid(),), daemon=True).start()

    def _outlive_nobody(self, parent: int) -> None:
        while os.getppid() == parent:
            time.sleep(0.3)
        for process in list(self.running.values()):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _work(self) -> None:
        from moto.emrserverless.models import emrserverless_backends

        while True:
            time.sleep(TICK_S)
            for backend in [one for account in list(emrserverless_backends.values()) for one in list(account.values())]:
                for run in [one for runs in list(backend.job_runs.values()) for one in list(runs) if hasattr(one, "filon_born")]:
                    self._tend(backend.applications[run.application_id], run)

    def _tend(self, application: Any, run: Any) -> None:
        """Bring one job run forward."""
        if run.state == "SUBMITTED" and time.monotonic() - run.filon_born > START_S:
            application.state = "STARTED"
            run.state, run.started_at = "RUNNING", datetime.now(UTC)
            threading.Thread(target=self._run, args=(run,), daemon=True).start()
        elif run.state == "CANCELLING":
            process = self.running.get(run.id)
            if process is None:
                run.state = "CANCELLED"
            else:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def _run(self, run: Any) -> None:
        """One job run to its end, with its logs."""
        container = Container(wire=self.wire, folder=self.folder / run.application_id / run.id)
        began, code = time.monotonic(), 1
        try:
            words, environment = container.prepare(words_of(run))
            with (container.folder / "stdout").open("wb") as out, (container.folder / "stderr").open("wb") as err:
                process = subprocess.Popen(
                    words, cwd=container.work, env=environment, stdout=out, stderr=err, stdin=subprocess.DEVNULL, start_new_session=True
                )
                self.running[run.id] = process
                threading.Thread(target=self._pieces, args=(run, process, container.folder), daemon=True).start()
                code = process.wait()
        except OSError as exc:
            (container.folder / "stderr").write_text(f'Exception in thread "main" java.io.FileNotFoundException: {exc}\n', encoding="utf-8")
        finally:
            self.running.pop(run.id, None)
        run.total_execution_duration_seconds = round(time.monotonic() - began)
        run.billed_resource_utilization = {name: round((time.monotonic() - began) / 3600 * one, 6) for name, one in UTILISED.items()}
        threading.Thread(target=self._finish, args=(run, container.folder), daemon=True).start()
        run.ended_at = datetime.now(UTC)
        if run.state == "CANCELLING":
            run.state = "CANCELLED"
        else:
            run.state = "SUCCESS" if code == 0 else "FAILED"
            run.state_details = (
                "" if code == 0 else f"Job failed, please check complete logs in configured logging destination. ExitCode: {code}."
            )

    def _pieces(self, run: Any, process: subprocess.Popen[bytes], folder: Path) -> None:
        while process.poll() is None:
            time.sleep(PIECE_S)
            with suppress(Exception):  # a piece that is not sent is in the next one
                self._send(run, "stderr", (folder / "stderr").read_bytes())

    def _finish(self, run: Any, folder: Path) -> None:
        time.sleep(delay_s())
        for name in ("stdout", "stderr"):
            file = folder / name
            with suppress(Exception):  # the bucket may be gone by now
                self._send(run, name, file.read_bytes() if file.exists() else b"")

    def _send(self, run: Any, name: str, data: bytes) -> None:
        monitoring = (run.configuration_overrides or {}).get("monitoringConfiguration", {})
        root = str(monitoring.get("s3MonitoringConfiguration", {}).get("logUri", "")).rstrip("/")
        if root.startswith("s3://"):
            uri = f"{root}/applications/{run.application_id}/jobs/{run.id}/SPARK_DRIVER/{name}.gz"
            self.wire.put(uri, gzip.compress(data))


def words_of(run: Any) -> list[str]:
    """A job run as the words of spark-submit."""
    driver = run.job_driver["sparkSubmit"]
    return [
        "spark-submit",
        *shlex.split(driver.get("sparkSubmitParameters", "")),
        driver["entryPoint"],
        *driver.get("entryPointArguments", []),
    ]


def install(endpoint: str, folder: Path) -> JobRuns:
    """Patch moto's job runs so that they wait for the executor, and start it."""
    from moto.emrserverless.models import EMRServerlessBackend, JobRun
    from moto.emrserverless.responses import EMRServerlessResponse
    from moto.emrserverless.urls import url_paths
    from moto.servicequotas.responses import ServiceQuotasResponse

    init, start, listed = JobRun.__init__, EMRServerlessBackend.start_job_run, EMRServerlessBackend.list_job_runs
    create = EMRServerlessBackend.create_application

    def born(self: Any, *args: Any, **words: Any) -> None:
        init(self, *args, **words)
        self.state, self.state_details, self.created_by = "SUBMITTED", "", "arn:aws:iam::123456789012:user/rehearsal"
        self.filon_born = time.monotonic()  # last: from now on the executor looks at it

    def started(self: Any, application_id: str, client_token: str, *args: Any, **words: Any) -> Any:
        """The same token is the same job run, as on AWS."""
        same = [one for one in self.job_runs.get(application_id, []) if one.client_token == client_token]
        return same[0] if same else start(self, application_id, client_token, *args, **words)

    def created(self: Any, name: str, release_label: str, application_type: str, client_token: str, *args: Any, **words: Any) -> Any:
        """The same token is the same application; it is CREATED, and starts with its first job."""
        same = [one for one in self.applications.values() if one.client_token == client_token]
        if same:
            return same[0]
        made = create(self, name, release_label, application_type, client_token, *args, **words)
        made.state = "CREATED"
        return made

    def cancelled(self: Any, application_id: str, job_run_id: str) -> tuple[str, str]:
        run = self.get_job_run(application_id, job_run_id)
        if run.state in ("SUBMITTED", "RUNNING"):
            run.state = "CANCELLING"
        return application_id, job_run_id

    def all_runs(self: Any, application_id: str, *args: Any, **words: Any) -> Any:
        self.get_application(application_id)
        return listed(self, application_id, *args, **words) if application_id in self.job_runs else []

    def dashboard(self: Any) -> Any:
        from moto.core.responses import ActionResult

        run = self.emrserverless_backend.get_job_run(self._get_param("applicationId"), self._get_param("jobRunId"))
        return ActionResult({"url": f"{endpoint}/dashboard/{run.id}"})

    def quotas(self: Any) -> str:
        """What moto lacks: the quotas of EMR Serverless; those of others are none."""
        ours = {"QuotaCode": "L-D05C8A75", "QuotaName": "Max concurrent vCPUs per account", "Value": VCPUS}
        return json.dumps({"Quotas": [ours] if json.loads(self.body)["ServiceCode"] == "emr-serverless" else []})

    url_paths["{0}/applications/(?P<application_id>[^/]+)/jobruns/(?P<job_run_id>[^/]+)/dashboard$"] = EMRServerlessResponse.dispatch
    ServiceQuotasResponse.list_service_quotas = quotas
    JobRun.__init__ = born
    EMRServerlessBackend.start_job_run, EMRServerlessBackend.create_application = started, created
    EMRServerlessBackend.cancel_job_run, EMRServerlessBackend.list_job_runs = cancelled, all_runs
    EMRServerlessResponse.get_dashboard_for_job_run = dashboard
    return JobRuns(endpoint, folder)
