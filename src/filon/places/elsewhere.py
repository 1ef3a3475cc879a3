"""Deploy mode "cluster": the driver is on another machine, and what it gets, says and makes goes through a folder in S3.

The job's own side is `emr/on_cluster.py`, as on EMR: it fetches the recipe, is `filon`, and sends home its events and its run folder.
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filon.errors import FilonError, RecipeError
from filon.events import Event, Listen
from filon.places.base import Job
from filon.places.emr.on_cluster import Folder
from filon.places.job_words import hear, job_words, modules_of

PROGRAM = Path(__file__).parent / "emr" / "on_cluster.py"
POLL_S = 2.0
SILENCE_S = 4.0
ATTEMPT = "a"


@dataclass(slots=True, kw_only=True)
class Elsewhere:
    """One job: `folder` is what it is given and what it says, `out` where its results go; both s3:// addresses."""

    folder: str
    out: str
    error: FilonError | None = None
    result: dict[str, Any] = field(default_factory=dict)
    _heard: set[str] = field(default_factory=set)

    def send(self, job: Job) -> tuple[str, ...]:
        """Put there what the job needs; the words after the program's name."""
        place = Folder(self.folder)
        if job.recipe:
            place.write("recipe.toml", job.recipe.encode())
        modules = modules_of(job)
        for path, content in modules.items():
            place.write(f"modules/{path}", content)
        facts = {"recipe": bool(job.recipe), "modules": list(modules), "variables": dict(job.variables), "key": job.key, "attempt": ATTEMPT}
        place.write("job.json", json.dumps(facts).encode())
        given = ("--job", self.folder, "--out", self.out, "--attempt", ATTEMPT)
        bundle = ("--bundle", job.bundle) if job.bundle.startswith("s3://") else ()
        out = "" if job.verb == "train" else "out" if job.verb == "evaluate" else job.out
        words = job_words(job, recipe="recipe.toml", runs="runs", bundle="bundle" if bundle else "", out=out)
        return (*given, *bundle, "--", *words)

    def follow(self, process: subprocess.Popen[str], listen: Listen) -> None:
        """Tell what comes, until spark-submit has ended (it waits for the application)."""
        began = spoke = time.monotonic()
        while True:
            ended = process.poll() is not None
            for event in self._new():
                listen(event)
                spoke = time.monotonic()
            if ended:
                return
            if time.monotonic() - spoke > SILENCE_S:
                listen(Event(stage="wait", text=f"the job works, {time.monotonic() - began:.0f} s"))
                spoke = time.monotonic()
            time.sleep(POLL_S)

    def _new(self) -> list[Event]:
        """Events of the objects that came since the last time."""
        from pyarrow import fs

        place = Folder(self.folder)
        listed = place.store.get_file_info(fs.FileSelector(f"{place.root}/events", allow_not_found=True))
        found = []
        for name in sorted(str(one.base_name) for one in listed if one.base_name not in self._heard):
            self._heard.add(name)
            for line in place.read(f"events/{name}").decode("utf-8").splitlines():
                heard = hear(line)
                self.error, self.result = heard.error or self.error, dict(heard.result or self.result)
                if heard.event is not None:
                    found.append(heard.event)
        return found


def elsewhere(out: str, job: Job, name: str) -> Elsewhere:
    """Where a job's things go below `places.spark.out`.

    Raises
    ------
    RecipeError : `places.out-missing`
    """
    if not out.startswith("s3://"):
        why = f'places.spark.out = "{out}", and in deploy mode "cluster" the results are made on a machine that is given back'
        raise RecipeError("places.out-missing", "it is not said where the results go", why, '--set places.spark.out="s3://my-bucket/filon"')
    root = out.rstrip("/")
    kind = {"train": "models/model", "evaluate": "results/eval", "predict": "results/scored"}[job.verb]
    return Elsewhere(folder=f"{root}/jobs/{name}", out=f"{root}/{kind}_{name[:15]}")
