"""The job's own side: what spark-submit runs on the cluster. It fetches what it was given, is `filon`, and sends home what it makes.

This file is uploaded by itself and run as a script; all else comes from the environment that is unpacked beside it. Words:
`--job s3://.../jobs/KEY --out s3://.../models/model_X [--bundle s3://...] -- train recipe.toml ... --json`.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

FLUSH_S = 3.0
"""Law 8: whoever waits hears something before five seconds are over."""

CANCELLED = 143
"""Our exit code when the job is not wanted any more, as after SIGTERM."""


class Folder:
    """A prefix in S3, by Arrow's own client: the environment needs no AWS package."""

    def __init__(self, uri: str) -> None:
        from filon.engines import s3

        self.store, self.root = s3.filesystem(), s3.key_of(uri)

    def write(self, name: str, data: bytes) -> None:
        """One object."""
        with self.store.open_output_stream(f"{self.root}/{name}") as out:
            out.write(data)

    def read(self, name: str) -> bytes:
        """One object."""
        with self.store.open_input_stream(f"{self.root}/{name}") as source:
            return bytes(source.read())

    def download(self, target: Path) -> None:
        """Everything under the prefix."""
        from pyarrow import fs

        for info in self.store.get_file_info(fs.FileSelector(self.root, recursive=True)):
            if info.type == fs.FileType.File:
                file = target / str(info.path)[len(self.root) + 1 :]
                file.parent.mkdir(parents=True, exist_ok=True)
                with self.store.open_input_stream(info.path) as source:
                    file.write_bytes(source.read())

    def upload(self, source: Path) -> int:
        """A folder's files, its manifest last (law 6): who sees the manifest sees it all."""
        files = [file for file in sorted(source.rglob("*")) if file.is_file() and not _private(file.relative_to(source))]
        for file in sorted(files, key=lambda file: file.name in ("manifest.json", "metrics.json") and file.parent == source):
            self.write(file.relative_to(source).as_posix(), file.read_bytes())
        return len(files)


def _private(path: Path) -> bool:
    return path.parts[0] == "work" or any(part.startswith(".") for part in path.parts)


class Mouth:
    """Standard output that is also sent home: lines are gathered, and every few seconds become one object of `events/`."""

    def __init__(self, folder: Folder, through: TextIO, attempt: str) -> None:
        self.folder, self.through, self.attempt = folder, through, attempt
        self.last: dict[str, Any] = {}
        self._lines: list[str] = []
        self._rest, self._count = "", 0
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="filon-mouth")
        self._thread.start()

    def write(self, text: str) -> int:
        """As a stream does."""
        self.through.write(text)
        with self._lock:
            *whole, self._rest = (self._rest + text).split("\n")
            for line in whole:
                if line.startswith("{"):
                    self._lines.append(line)
                    self._remember(line)
        return len(text)

    def flush(self) -> None:
        """As a stream does."""
        self.through.flush()

    def isatty(self) -> bool:
        """Nobody looks."""
        return False

    def _remember(self, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            return
        self.last.update({key: said[key] for key in ("result", "error") if key in said})

    def _work(self) -> None:
        while not self._ended.wait(FLUSH_S):
            self.leave_if_cancelled()
            self.send()

    def leave_if_cancelled(self) -> None:
        """End this process, without a word into a folder that is being deleted, when the job is not wanted any more.

        Cancelling a step ends spark-submit on the primary node and what it started; this driver is YARN's and would train on, paid.
        Its end is the application's. Clean-up takes `job.json` away; whoever sends the job again writes another attempt there.
        """
        if not self._stands():
            print("filon: the job was cancelled, or sent again: this driver ends", file=sys.stderr, flush=True)
            os._exit(CANCELLED)

    def _stands(self) -> bool:
        try:
            return bool(json.loads(self.folder.read("job.json")).get("attempt", self.attempt) == self.attempt)
        except FileNotFoundError:
            return False
        except (OSError, ValueError):  # S3 does not answer: nothing is known, and the job goes on
            return True

    def send(self) -> None:
        """What was said since the last time, as one object; kept for the next time when S3 does not take it."""
        with self._lock:
            lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            self.folder.write(f"events/{self.attempt}-{self._count:06d}.jsonl", ("\n".join(lines) + "\n").encode())
            self._count += 1
        except OSError as exc:
            print(f"filon: the events were not sent: {exc}", file=sys.stderr)
            with self._lock:
                self._lines = lines + self._lines

    def close(self) -> None:
        """The last words."""
        self._ended.set()
        self._thread.join()
        self.leave_if_cancelled()
        self.send()


def main(words: list[str]) -> int:
    """Fetch, run, send home; the exit code is that of the command."""
    cut = words.index("--")
    given = dict(zip(words[:cut:2], words[1:cut:2], strict=True))
    command = words[cut + 1 :]
    job, out = Folder(given["--job"]), given["--out"]
    mouth = Mouth(job, sys.stdout, given.get("--attempt", "a"))
    sys.stdout = mouth  # click writes to whatever this is
    code = 70
    try:
        mouth.leave_if_cancelled()
        _prepare(job, given)
        # the command line itself, as `python -m filon` would: this file is a program beside the package, not a room of it
        code = int(importlib.import_module("filon.cli.group").run(command))
        if code in (0, 1):
            mouth.leave_if_cancelled()
            _bring_home(command[0], out, mouth)
    finally:
        sys.stdout = mouth.through
        mouth.close()
        ended = {"exit": code, "ended_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "out": out, **mouth.last}
        job.write(f"ended-{given.get('--attempt', 'a')}.json", json.dumps(ended, ensure_ascii=False).encode())
    return code


def _prepare(job: Folder, given: dict[str, str]) -> None:
    facts = json.loads(job.read("job.json"))
    os.environ.update(facts.get("variables", {}))
    if facts.get("recipe"):
        Path("recipe.toml").write_bytes(job.read("recipe.toml"))
    for path in facts.get("modules", ()):  # the user's own, which the recipe's folder has at home
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(job.read(f"modules/{path}"))
    if given.get("--bundle"):
        Folder(given["--bundle"]).download(Path("bundle"))


def _bring_home(verb: str, out: str, mouth: Mouth) -> None:
    """Send what the command has made; predictions were written to S3 by the engine itself."""
    result = mouth.last.get("result", {})
    made = result.get("run") or result.get("path")
    if verb != "predict" and made:
        count = Folder(out).upload(Path(made))
        event = {"stage": "upload", "text": f"{count} files are in {out}", "done": count, "total": count, "left_s": None}
        print(json.dumps({"event": event}), file=sys.stdout)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
