"""EMR steps that really run: pending steps of the emulated clusters are taken in turn, and states, logs and ends follow what happens."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filon.rehearse.container import Container, Wire
from filon.rehearse.step_logs import StepLogs

TICK_S = 0.1
START_S = 0.5
"""An emulated cluster is STARTING, then BOOTSTRAPPING, for so long each."""


class Executor:
    """One thread that looks at every cluster; one more for each step that runs."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        self.wire, self.folder = Wire(endpoint), folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.lock = threading.Lock()
        threading.Thread(target=self._work, daemon=True, name="emr-executor").start()
        threading.Thread(target=self._outlive_nobody, args=(os.getppid(),), daemon=True).start()

    def _outlive_nobody(self, parent: int) -> None:
        """Whoever started the emulator may be killed: then its steps and it end too."""
        while os.getppid() == parent:
            time.sleep(1.0)
        for process in list(self.running.values()):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        os._exit(1)

    def _work(self) -> None:
        from moto.emr.models import emr_backends

        while True:
            time.sleep(TICK_S)
            for backend in [one for account in list(emr_backends.values()) for one in list(account.values())]:
                for cluster in [one for one in list(backend.clusters.values()) if hasattr(one, "filon_born")]:
                    with self.lock:
                        self._tend(cluster)

    def _tend(self, cluster: Any) -> None:
        """Bring one cluster forward."""
        age = time.monotonic() - cluster.filon_born
        if cluster.state == "STARTING" and age > START_S:
            cluster.state = "BOOTSTRAPPING"
        elif cluster.state == "BOOTSTRAPPING" and age > 2 * START_S:
            cluster.state = "WAITING"
        if cluster.state.startswith("TERMINAT"):
            self._end_steps(cluster)
        elif cluster.state in ("RUNNING", "WAITING"):
            self._next_step(cluster)

    def _next_step(self, cluster: Any) -> None:
        going = [step for step in cluster.steps if step.state == "RUNNING"]
        for step in going:
            if getattr(step, "cancel_asked", False):
                self._kill(step)
        waiting = [step for step in cluster.steps if step.state == "PENDING"]
        if going:
            cluster.state = "RUNNING"
        elif waiting:
            cluster.state, waiting[0].state = "RUNNING", "RUNNING"
            waiting[0].start_date_time = _now()
            threading.Thread(target=self._run, args=(cluster, waiting[0]), daemon=True).start()
        elif cluster.keep_job_flow_alive_when_no_steps:
            cluster.state = "WAITING"
        else:
            failed = [step for step in cluster.steps if step.state == "FAILED"]
            cluster.last_state_change_reason = "Steps completed with errors" if failed else "Steps completed"
            cluster.terminate()

    def _end_steps(self, cluster: Any) -> None:
        for step in cluster.steps:
            if step.state == "RUNNING":
                self._kill(step)
                step.state, step.end_date_time = "INTERRUPTED", _now()
            elif step.state == "PENDING":
                step.state, step.last_state_change_reason = "CANCELLED", "Job terminated"

    def _kill(self, step: Any) -> None:
        process = self.running.get(step.id)
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _run(self, cluster: Any, step: Any) -> None:
        """One step to its end, with its logs."""
        logs = StepLogs(wire=self.wire, root=f"{str(cluster.log_uri or '').rstrip('/')}/{cluster.id}", step=step.id)
        container = Container(wire=self.wire, folder=self.folder / cluster.id / step.id)
        code = 1
        try:
            words, environment = container.prepare([str(word) for word in step.args])
            with (container.folder / "stdout").open("wb") as out, (container.folder / "stderr").open("wb") as err:
                process = subprocess.Popen(
                    words, cwd=container.work, env=environment, stdout=out, stderr=err, stdin=subprocess.DEVNULL, start_new_session=True
                )
                self.running[step.id] = process
                logs.pieces(process, container.folder)
                code = process.wait()
        except OSError as exc:
            (container.folder / "stderr").write_text(f'Exception in thread "main" java.io.FileNotFoundException: {exc}\n', encoding="utf-8")
        finally:
            self.running.pop(step.id, None)
        threading.Thread(target=logs.finish, args=(code, container.folder), daemon=True).start()
        with self.lock:
            self._settle(cluster, step, code)

    def _settle(self, cluster: Any, step: Any, code: int) -> None:
        if step.state != "RUNNING":
            return  # the cluster ended meanwhile
        cancelled = code != 0 and getattr(step, "cancel_asked", False)
        step.end_date_time = _now()
        step.state = "COMPLETED" if code == 0 else "CANCELLED" if cancelled else "FAILED"
        if step.state == "FAILED" and step.action_on_failure in ("TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW"):
            cluster.last_state_change_reason = "Shut down as step failed"
            cluster.terminate()
        elif step.state == "FAILED" and step.action_on_failure == "CANCEL_AND_WAIT":
            for other in cluster.steps:
                if other.state == "PENDING":
                    other.state = "CANCELLED"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)  # as moto writes its times


def install(endpoint: str, folder: Path) -> Executor:
    """Patch moto's clusters so that steps wait for the executor, and start it."""
    from moto.emr.exceptions import ValidationException
    from moto.emr.models import Cluster, ElasticMapReduceBackend
    from moto.emr.responses import ElasticMapReduceResponse

    add_steps, init, add_job_flow_steps = Cluster.add_steps, Cluster.__init__, ElasticMapReduceBackend.add_job_flow_steps

    def born(self: Any, *args: Any, **words: Any) -> None:
        init(self, *args, **words)
        self.state = "STARTING"
        self.filon_born = time.monotonic()  # last: from now on the executor looks at it

    def added(self: Any, steps: Any) -> Any:
        state = getattr(self, "state", "STARTING")
        found = add_steps(self, steps)
        for step in found:
            step.state = "PENDING"
        self.state = state
        return found

    def asked(self: Any, job_flow_id: str, steps: Any) -> Any:
        if job_flow_id not in self.clusters or self.clusters[job_flow_id].state.startswith("TERMINAT"):
            raise ValidationException("A job flow that is shutting down, terminating, or finished may not be modified.")
        return add_job_flow_steps(self, job_flow_id, steps)

    Cluster.__init__, Cluster.add_steps = born, added
    ElasticMapReduceBackend.add_job_flow_steps = asked
    if not hasattr(ElasticMapReduceResponse, "cancel_steps"):
        ElasticMapReduceResponse.cancel_steps = _cancel_steps
    return Executor(endpoint, folder)


def _cancel_steps(self: Any) -> Any:
    """What moto lacks: pending steps are cancelled at once, running ones by the executor."""
    from moto.core.responses import ActionResult

    told = []
    for step in self.backend.clusters[self._get_param("ClusterId")].steps:
        if step.id in self._get_param("StepIds", []):
            step.cancel_asked = True
            taken = step.state in ("PENDING", "RUNNING")
            step.state = "CANCELLED" if step.state == "PENDING" else step.state
            told.append({"StepId": step.id, "Status": "SUBMITTED" if taken else "FAILED"})
    return ActionResult({"CancelStepsInfoList": told})
