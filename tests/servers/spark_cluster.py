"""A real standalone Spark cluster from pyspark's own classes: one master, two workers of one core, each a process of its own."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.servers.s3 import free_ports

READY_S = 240
"""A JVM takes a second on an idle machine, and half a minute on one where everybody tests."""
WORKER_MIB = 1100
"""Of each worker; an executor asks for less."""

CONF = {
    "spark.executor.memory": "640m",
    "spark.driver.memory": "768m",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    "spark.executor.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
}
"""What a job on such a small cluster has to say."""


def spark_home() -> Path:
    """Where the installed pyspark is; the test is skipped where there is none, or no Java."""
    found = importlib.util.find_spec("pyspark")
    if found is None or not found.submodule_search_locations:
        pytest.skip("pyspark is not installed: pip install 'filon[spark]'")
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        pytest.skip("there is no Java: apt-get install openjdk-17-jre-headless")
    return Path(next(iter(found.submodule_search_locations)))


@dataclass(slots=True, kw_only=True)
class Cluster:
    """A running cluster. `master` is its spark:// address, `page` the master's own page; workers by number."""

    master: str
    page: str
    folder: Path
    workers: dict[int, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """What the master says: workers, applications."""
        with urllib.request.urlopen(f"{self.page}/json/", timeout=5) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found

    def alive(self) -> int:
        """Workers that the master counts on."""
        return int(self.state()["aliveworkers"])

    def busy(self) -> bool:
        """Whether an application holds cores."""
        return int(self.state()["coresused"]) > 0

    def start_worker(self, number: int) -> None:
        """One core, in a process group of its own."""
        place = self.folder / f"worker-{number}"
        place.mkdir(exist_ok=True)
        words = ["org.apache.spark.deploy.worker.Worker", "--cores", "1", "--memory", f"{WORKER_MIB}m", "--host", "127.0.0.1"]
        words += ["--webui-port", "0", "--work-dir", str(place), self.master]
        self.workers[number] = _start(words, self.environment, self.folder / f"worker-{number}.log")

    def kill_worker(self, number: int) -> None:
        """`kill -9` of a worker, its executor and all that runs in it, as when a machine is lost."""
        process = self.workers.pop(number)
        for pid in sorted(below(process.pid), reverse=True):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def wait(self, workers: int) -> None:
        """Until the master counts so many workers."""
        end, last = time.monotonic() + READY_S, ""
        while time.monotonic() < end:
            try:
                if self.alive() == workers:
                    return
                last = f"it has {self.alive()}"
            except OSError as exc:
                last = str(exc)
            time.sleep(0.3)
        logs = "".join(path.read_text(errors="replace")[-1500:] for path in sorted(self.folder.glob("*.log")))
        pytest.fail(f"the Spark cluster has not {workers} workers: {last} {logs}")

    def repaired(self) -> "Cluster":
        """Both workers alive, whatever a test has done to them."""
        for number in (1, 2):
            if number not in self.workers:
                self.start_worker(number)
        self.wait(2)
        return self


def _start(words: list[str], environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    program = Path(environment["SPARK_HOME"]) / "bin" / "spark-class"
    with log.open("ab") as out:
        return subprocess.Popen([str(program), *words], env=environment, stdout=out, stderr=out, start_new_session=True, cwd=log.parent)


def below(pid: int) -> list[int]:
    """Every process below one, whatever its process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid:
                    found += [int(entry.name), *below(int(entry.name))]
    return found


@contextmanager
def spark_cluster(folder: Path) -> Iterator[Cluster]:
    """Master and workers over a folder; all of it ends with the block."""
    home = spark_home()
    port, page = free_ports(2)
    folder.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_", "AWS_"))}
    environment = {
        **kept,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dspark.master.rest.enabled=false",
        "PYSPARK_PYTHON": sys.executable,
    }
    words = ["org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page)]
    cluster = Cluster(master=f"spark://127.0.0.1:{port}", page=f"http://127.0.0.1:{page}", folder=folder, environment=environment)
    master = _start(words, environment, folder / "master.log")
    try:
        cluster.start_worker(1)  # at once: a worker asks until the master is there
        cluster.start_worker(2)
        cluster.wait(2)
        yield cluster
    finally:
        for number in list(cluster.workers):
            cluster.kill_worker(number)
        os.killpg(master.pid, signal.SIGKILL)
        master.wait()


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of the whole session; ask `cluster` for it in a test."""
    with spark_cluster(tmp_path_factory.mktemp("spark-cluster")) as one:
        yield one


@pytest.fixture
def cluster(standalone: Cluster) -> Cluster:
    """The cluster with both workers alive."""
    return standalone.repaired()
