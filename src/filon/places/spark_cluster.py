"""The place `spark`: spark-submit of our own entry point to any master."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filon.errors import FilonError, PlaceError, RecipeError, SetupError
from filon.events import Event, Listen
from filon.files import write_atomic
from filon.places.base import Handle, Job
from filon.places.elsewhere import PROGRAM, Elsewhere, elsewhere
from filon.places.job_words import handle_text, hear, job_words

if TYPE_CHECKING:
    from filon.engines.settings import SparkSettings

LAUNCHER = Path(__file__).with_name("launcher.py")
SILENCE_S = 4.0
"""Law 8: something is said at least this often."""
GRACE_S = 20.0
"""How long a job may take to end itself after Ctrl-C."""
TAIL = 12
"""Lines of the log shown when a job ended without a word of ours."""


class SparkCluster:
    """Runs jobs by spark-submit; the driver is our child in deploy mode "client", and a process of the cluster in "cluster"."""

    name = "spark"
    goes_on = False

    def __init__(self, settings: SparkSettings) -> None:
        self.settings = settings
        self.master = settings.master or "local[*]"
        self._running: dict[str, tuple[subprocess.Popen[str], Elsewhere | None]] = {}

    def submit(self, job: Job, listen: Listen) -> Handle:
        """Start spark-submit; its log and what it was given are kept in `runs/.jobs/<id>/`.

        Raises
        ------
        RecipeError : `places.connect-not-submitted`, `places.cluster-mode-python`, `places.local-path`, `places.archive-missing`,
            `places.image-missing`, `places.out-missing`
        SetupError : `places.spark-missing`, `places.outside-lane`
        """
        refuse(self.settings, self.master, job)
        program = find_spark_submit()
        refuse_versions(self.settings)
        folder = Path(job.runs) / ".jobs" / f"{datetime.now(UTC).strftime('%Y%m%d_%H%M%S_%f')}-{job.key}"
        folder.mkdir(parents=True)
        if job.recipe:
            write_atomic(folder / "recipe.toml", job.recipe)
        far = elsewhere(self.settings.out, job, folder.name) if self.settings.deploy_mode == "cluster" else None
        words = (*self._options(job), *((str(PROGRAM), *far.send(job)) if far is not None else self._words(job, folder)))
        listen(Event(stage="submit", text=f"spark-submit to {self.master} ({self.settings.deploy_mode} mode); log in {folder / 'log'}"))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **job.variables, **self._python()},
                start_new_session=True,  # Ctrl-C reaches us alone: we end the job in order
            )
        self._running[folder.name] = process, far
        out = far.out if far is not None else ""
        handle = Handle(place=self.name, id=folder.name, job=job, state="running", out=out, facts={"log": str(folder / "log")})
        write_atomic(folder / "handle.json", handle_text(handle))
        return handle

    def follow(self, handle: Handle, listen: Listen) -> Handle:
        """Hear the child to its end.

        Raises
        ------
        FilonError : as it was raised there
        PlaceError : `places.failed`, when it ended without a word
        """
        process, far = self._running[handle.id]
        try:
            error, result = self._hear(process, listen) if far is None else _hear_far(process, far, listen)
        finally:
            self._running.pop(handle.id, None)
            if process.stdout is not None:
                process.stdout.close()
        code = process.wait()
        state = "done" if result is not None and result.get("state") != "stopped" else "failed"  # stopped: by a finding
        made = str((result or {}).get("run") or (result or {}).get("path") or (result or {}).get("out") or "")
        out = made if far is None else far.out
        ended = dataclasses.replace(handle, state=state, out=out)  # type: ignore[arg-type] # one of two states
        write_atomic(Path(handle.facts["log"]).with_name("handle.json"), handle_text(ended))
        if error is not None:
            raise error
        if result is None:
            raise _failed(code, Path(handle.facts["log"]), self.master)
        return ended

    def _hear(self, process: subprocess.Popen[str], listen: Listen) -> tuple[FilonError | None, Mapping[str, Any] | None]:
        """What the child says, to its end: its error, its result."""
        driver, error, result = 0, None, None
        try:
            for line in _lines(process, listen):
                heard = hear(line)
                if heard.event is not None:
                    listen(heard.event)
                driver = driver or _pid(line)
                error, result = heard.error or error, heard.result or result
        except BaseException:
            end(process, driver)
            raise
        return error, result

    def _options(self, job: Job) -> tuple[str, ...]:
        """The words of `spark-submit` itself."""
        conf = {"spark.app.name": f"filon {job.name}", **self.settings.conf}
        words = ["--master", self.master, "--deploy-mode", self.settings.deploy_mode]
        if self.settings.archive and not self.master.startswith("local"):
            # Hadoop outside of EMR has a client for s3a:// only
            words += ["--archives", f"{self.settings.archive.replace('s3://', 's3a://', 1)}#environment"]
            conf.setdefault("spark.pyspark.python", "./environment/bin/python")
            if self.settings.deploy_mode == "client":
                conf.setdefault("spark.pyspark.driver.python", sys.executable)
        if self.master.startswith("k8s://") and self.settings.deploy_mode == "cluster" and self.settings.out:
            bucket = self.settings.out.rstrip("/").replace("s3://", "s3a://", 1)  # our program goes to the driver's pod by way of it
            conf.setdefault("spark.kubernetes.file.upload.path", f"{bucket}/jobs")
        for name, value in conf.items():
            words += ["--conf", f"{name}={value}"]
        return tuple(words)

    def _words(self, job: Job, folder: Path) -> tuple[str, ...]:
        """What spark-submit runs here: our own command line."""
        return (str(LAUNCHER), *job_words(job, recipe=str(folder / "recipe.toml"), base=job.base))

    def _python(self) -> Mapping[str, str]:
        """Without an archive the workers use the very Python of this process (or what the user has set)."""
        if self.settings.deploy_mode == "cluster" or (self.settings.archive and not self.master.startswith("local")):
            return {}
        named = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
        return {name: os.environ.get(name, value) for name, value in named.items()}


def refuse(settings: SparkSettings, master: str, job: Job) -> None:
    """What Spark could not do is said before it starts.

    Raises
    ------
    RecipeError : `places.connect-not-submitted`, `places.cluster-mode-python`, `places.local-path`, `places.image-missing`
    """
    if master.startswith("k8s://") and not any(name.endswith("container.image") for name in settings.conf):
        why = f'master = "{master}", and places.spark.conf has no spark.kubernetes.container.image'
        fix = '[places.spark] conf = { "spark.kubernetes.container.image" = "REGISTRY/spark:4.1" }: Python, Java and Spark of your version'
        raise RecipeError("places.image-missing", "it is not said of which image the executors are made", why, fix)
    if master.startswith("sc://"):
        why = f'places.spark.master = "{master}" is a Spark Connect server, to which a session connects'
        raise RecipeError("places.connect-not-submitted", "nothing is submitted to Spark Connect", why, "filon train RECIPE --engine spark")
    if settings.deploy_mode == "client":
        return
    if master.startswith(("local", "spark://")):
        why = f'deploy_mode = "cluster" with master = "{master}"'
        fix = '--set places.spark.deploy_mode=client, or a master "yarn" or "k8s://..."'
        raise RecipeError("places.cluster-mode-python", "this master cannot run the driver of a Python program on a worker", why, fix)
    local = {name: path for name, path in _paths(job).items() if path and "://" not in path}
    if local:
        name, path = next(iter(local.items()))
        why = f'{name} = "{path}" is a path of this machine, and in deploy mode "cluster" the driver runs on another'
        fix = "use s3://... (or file:///... for a folder that all machines share), or --set places.spark.deploy_mode=client"
        raise RecipeError("places.local-path", "the cluster cannot read a path of this machine", why, fix)


def refuse_versions(settings: SparkSettings) -> None:
    """Versions that do not go together fail late, deep in a task: they are looked at before anything is sent.

    Raises
    ------
    RecipeError : `places.archive-missing`
    SetupError : `places.outside-lane`
    """
    from filon.places.environment import lane_of_archive
    from filon.places.lanes import own_versions, require_lane

    mine = own_versions()
    if settings.deploy_mode == "client":
        require_lane(mine)
    if not settings.archive or "://" in settings.archive:
        return
    archive = Path(settings.archive)
    if not archive.is_file():
        why, fix = f'places.spark.archive = "{archive}"', f"filon package-env --lane {require_lane(mine).name} --out {archive}"
        raise RecipeError("places.archive-missing", "there is no such environment", why, fix)
    packed = lane_of_archive(archive).get("python", "")
    if settings.deploy_mode == "client" and packed and packed != mine.python:
        why = f"{archive} holds Python {packed}, and this driver runs on {mine.python}: Spark refuses workers of another Python"
        fix = f"run filon with python{packed}, or filon package-env for a lane with Python {mine.python}"
        raise SetupError("places.outside-lane", "the environment and the driver have different Pythons", why, fix)


def _paths(job: Job) -> dict[str, str]:
    """Every path of a job, by the key that gives it."""
    if job.verb != "train":
        return {"bundle": job.bundle, "--data": job.data, "--out": job.out}
    import tomllib

    written = tomllib.loads(job.recipe)
    sources: Any = written.get("data", {}).get("source", "")
    listed = [sources] if isinstance(sources, str) else list(sources)
    named = {f"data.source{'' if len(listed) == 1 else f'[{k}]'}": path for k, path in enumerate(listed)}
    return {**named, "split.test_source": written.get("split", {}).get("test_source", "")}


def find_spark_submit() -> str:
    """SPARK_HOME's spark-submit, else the one on the PATH, else that of the pyspark package.

    Raises
    ------
    SetupError : `places.spark-missing`
    """
    home = os.environ.get("SPARK_HOME")
    package = importlib.util.find_spec("pyspark")
    found = [shutil.which("spark-submit"), *((package.submodule_search_locations or []) if package else [])]
    beside = [Path(one) / "bin" / "spark-submit" if Path(one).is_dir() else Path(one) for one in found if one]
    candidates = [Path(home) / "bin" / "spark-submit"] if home else beside
    for one in candidates:
        if one.is_file():
            return str(one)
    why = f"SPARK_HOME is {home}, which has no bin/spark-submit" if home else "SPARK_HOME is not set, and this Python has no pyspark"
    raise SetupError("places.spark-missing", "there is no spark-submit", why, "pip install 'filon[spark]', or export SPARK_HOME=...")


def end(process: subprocess.Popen[str], driver: int = 0) -> None:
    """End a job in order: the driver hears Ctrl-C and closes its run folder and its executors; after a while, all of it is killed."""
    with suppress(ProcessLookupError):
        if driver:
            os.kill(driver, signal.SIGINT)
        else:
            os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _hear_far(process: subprocess.Popen[str], far: Elsewhere, listen: Listen) -> tuple[FilonError | None, Mapping[str, Any] | None]:
    """What a driver elsewhere says, to its end; Ctrl-C ends spark-submit, and with it the application that it waits for."""
    threading.Thread(target=lambda: process.stdout and process.stdout.read(), daemon=True).start()  # a full pipe would stop it
    try:
        far.follow(process, listen)
    except BaseException:
        end(process)
        raise
    return far.error, far.result or None


def _lines(process: subprocess.Popen[str], listen: Listen) -> Iterator[str]:
    """The child's output as it comes; a sign of life where it is silent."""
    heard: queue.Queue[str | None] = queue.Queue()
    assert process.stdout is not None
    output = process.stdout

    def read() -> None:
        for line in output:
            heard.put(line)
        heard.put(None)

    threading.Thread(target=read, daemon=True).start()
    began = time.monotonic()
    while True:
        try:
            line = heard.get(timeout=SILENCE_S)
        except queue.Empty:
            listen(Event(stage="submit", text=f"the job works, {time.monotonic() - began:.0f} s"))
            continue
        if line is None:
            return
        yield line


def _pid(line: str) -> int:
    """The driver's process, from the launcher's first line; 0 when it is another line."""
    if not line.startswith('{"launcher"'):
        return 0
    return int(json.loads(line)["launcher"]["pid"])


def _failed(code: int, log: Path, master: str) -> PlaceError:
    """A job that ended without a word: the end of its log is the best there is."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    causes = [line for line in lines if "Exception" in line or "rror:" in line or "JAVA" in line]
    shown = " | ".join(line.strip()[:200] for line in (causes or lines)[-TAIL:][-3:])
    why = f"spark-submit ended with {code}: {shown or 'it said nothing'}"
    return PlaceError("places.failed", f"the job on {master} ended without saying why", why, f"less {log}")
