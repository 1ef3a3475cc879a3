"""Logs as EMR leaves them: gzipped under the log URI, late, in pieces, the step's apart from the containers'."""

from __future__ import annotations

import gzip
import os
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filon.rehearse.container import Wire

PIECE_S = 3.0
"""EMR pushes logs every five minutes; a rehearsal has not so long."""


def delay_s() -> float:
    """How late the last logs come (FILON_REHEARSE_LOG_DELAY_S, else 2 seconds; on EMR it is minutes)."""
    return float(os.environ.get("FILON_REHEARSE_LOG_DELAY_S", "2"))


@dataclass(slots=True, kw_only=True)
class StepLogs:
    """Where one step's logs go: `root` is the cluster's folder under the log URI ("" for a cluster without one)."""

    wire: Wire
    root: str
    step: str

    def pieces(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        """While the step runs, now and then what it has written so far."""

        def work() -> None:
            sent = b""
            while process.poll() is None:
                time.sleep(PIECE_S)
                with suppress(Exception):  # a piece that is not sent is in the next one
                    if (said := (folder / "stderr").read_bytes()) != sent:
                        self._send(f"containers/{self._application}/{self._container}/stderr.gz", said)
                        sent = said

        threading.Thread(target=work, daemon=True).start()

    def finish(self, code: int, folder: Path) -> None:
        """The whole of it, some time after the end: the controller's first, then the step's own, then the containers'."""
        if not self.root.startswith("s3://"):
            return
        now = datetime.now(UTC)
        time.sleep(delay_s() / 2)
        self._send(f"steps/{self.step}/controller.gz", _controller(self.step, code, now))
        time.sleep(delay_s() / 2)
        self._send(f"steps/{self.step}/stderr.gz", _client(self._application, code, now))
        self._send(f"steps/{self.step}/stdout.gz", b"")
        for name in ("stdout", "stderr"):
            file = folder / name
            if file.exists():
                self._send(f"containers/{self._application}/{self._container}/{name}.gz", file.read_bytes())

    @property
    def _application(self) -> str:
        return f"application_1700000000000_{abs(hash(self.step)) % 10000:04d}"

    @property
    def _container(self) -> str:
        return self._application.replace("application", "container") + "_01_000001"

    def _send(self, name: str, data: Any) -> None:
        if self.root.startswith("s3://"):
            self.wire.put(f"{self.root}/{name}", gzip.compress(bytes(data)))


def _controller(step: str, code: int, now: datetime) -> bytes:
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    end = "Step succeeded" if code == 0 else "Step failed"
    lines = [
        f"{stamp} INFO Ensure step 1 jar file command-runner.jar",
        f"{stamp} INFO StepRunner: Created Runner for step {step}",
        f"{stamp} INFO startExec 'hadoop jar /var/lib/aws/emr/step-runner/hadoop-jars/command-runner.jar spark-submit ...'",
        f"{stamp} INFO waitProcessCompletion ended with exit code {code} : hadoop jar ...",
        f"{stamp} {'INFO' if code == 0 else 'WARN'} {end} with exitCode {code} and took 0 seconds",
    ]
    return ("\n".join(lines) + "\n").encode()


def _client(application: str, code: int, now: datetime) -> bytes:
    stamp = now.strftime("%y/%m/%d %H:%M:%S")
    end = "SUCCEEDED" if code == 0 else "FAILED"
    lines = [
        f"{stamp} INFO Client: Submitting application {application} to ResourceManager",
        f"{stamp} INFO Client: Application report for {application} (state: RUNNING)",
        f"{stamp} INFO Client: Application report for {application} (state: FINISHED)",
        f"\t final status: {end}",
    ]
    if code:
        said = f"User application exited with status {code}"
        lines += [
            f"{stamp} ERROR Client: Application diagnostics message: {said}",
            f'Exception in thread "main" org.apache.spark.SparkException: Application {application} finished with failed status',
        ]
    return ("\n".join(lines) + "\n").encode()
