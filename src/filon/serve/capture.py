"""What was asked and answered, kept in SageMaker's capture layout by a thread of its own: an answer never waits for a disk.

<place>/<bundle>/<part>/YYYY/MM/DD/HH/<start>-<worker>.jsonl, one line a request, hours in UTC.
"""

import base64
import collections
import datetime as dt
import difflib
import hashlib
import hmac
import json
import os
import random
import secrets
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from filon.errors import RecipeError, SetupError, some
from filon.serve.bodies import CSV, JSON, LINES, Rows
from filon.serve.meters import Meters
from filon.serve.scoring import Scores
from filon.serve.settings import CAPTURE_KEY, OPEN, CaptureSettings

MOST_WAITING = 50_000
MOST_WAITING_BYTES = 128 << 20
"""What waits at most while the disk is slow or full; what comes beyond it is dropped and counted. One request may always wait."""

ROW_BYTES, CELL_BYTES = 100, 80
"""What a row and a cell take as Python's objects, about."""

REFUSAL_BYTES = 1000

PAUSE_S = 0.2
"""Between two writes: many lines a write cost less than many writes."""

AT_ONCE = 1000
AT_ONCE_BYTES = 4 << 20
"""Lines joined to one write: bounded, since a batch of many rows is one line."""

RETRY_S = 1.0
RELEASE_S = 1.0
"""How often files are looked at that could be sent on."""

STOP_S = 3.0
"""After the last answer, so long a full disk is tried again."""

FILE_BYTES = 256 << 20
"""A file that grows beyond this is followed by another one in the same hour."""

ENCODINGS = {JSON: "JSON", LINES: "JSON", CSV: "CSV"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One answered request.

    part : champion or challenger; classes, model : of the bundle that answered; columns : source columns of its training table
    header : whether the first line of a CSV has names
    """

    event_id: str
    inference_id: str
    at: float
    kind: str
    body: bytes = field(repr=False)
    rows: Rows = field(repr=False)
    scores: Scores = field(repr=False)
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    model: dict[str, str]
    part: str
    header: bool = False

    def held(self) -> int:
        """Bytes that wait with it, about: the body, the rows where they are kept to hide columns, the answers."""
        scores = self.scores
        size: int = len(self.body) + scores.chosen.nbytes + scores.probability.nbytes + REFUSAL_BYTES * len(scores.refusals)
        if isinstance(self.rows, pa.Table):
            return size + int(self.rows.nbytes)
        return size + sum(ROW_BYTES + CELL_BYTES * (len(row) if isinstance(row, dict | list) else 1) for row in self.rows)


class Capture:
    """Takes events without ever waiting; writes them when it can.

    Raises
    ------
    SetupError : `serve.capture-unusable`, when it is made
    """

    def __init__(self, settings: CaptureSettings, meters: Meters, worker: int = 0) -> None:
        self.settings, self.meters = settings, meters
        self.place = Path(settings.folder)
        self.ending = f".jsonl{OPEN}" if settings.remote else ".jsonl"
        self.hidden = frozenset((*settings.leave_out, *settings.hashed))
        self.key = os.environ.get(CAPTURE_KEY, "").encode() or secrets.token_bytes(32)
        self.name = f"{dt.datetime.now(dt.UTC):%H-%M-%S}-{worker}-{os.getpid()}"
        self.waiting: collections.deque[Event] = collections.deque()
        self.waiting_events = self.waiting_bytes = 0
        self._counting = threading.Lock()
        self.trouble = ""
        self._wanted = threading.Event()
        self._ending = False
        self._files: dict[Path, int] = {}
        self._begun: dict[Path, float] = {}
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            probe = self.place / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as exc:
            why = f"{self.place}: {exc.strerror}"
            raise SetupError(
                "serve.capture-unusable", "the capture's folder cannot be written", why, "name another one with --capture"
            ) from exc
        self._thread = threading.Thread(target=self._run, name="filon-capture", daemon=True)
        self._thread.start()

    def wants(self) -> bool:
        """Whether this request falls into the share that is kept."""
        return self.settings.share >= 1 or random.random() < self.settings.share

    def take(self, event: Event) -> None:
        """Keep an event; dropped and counted when too many wait. Called from any thread, never waits for the disk."""
        size = event.held()
        with self._counting:
            most = MOST_WAITING_BYTES if self.waiting_events else size
            full = self.waiting_events >= MOST_WAITING or self.waiting_bytes + size > most
            if not full:
                self.waiting_events += 1
                self.waiting_bytes += size
                self.meters.set("capture_waiting", self.waiting_events)  # what would be lost with this worker
        if full:
            self.meters.add("capture_dropped")
            return
        self.waiting.append(event)
        self._wanted.set()

    def close(self, within_s: float = STOP_S + 1) -> int:
        """Write what waits; how many lines had to be given up, because the disk is full or too slow for the time that there is."""
        self._ending = True
        self._wanted.set()
        self._thread.join(timeout=within_s)
        lost = self.waiting_events
        if lost:
            self.meters.add("capture_dropped", lost)
        self.meters.set("capture_waiting", 0)
        return lost

    def _run(self) -> None:
        give_up = 0.0
        while True:
            self._wanted.wait(timeout=RELEASE_S if self._begun else None)
            if not self._ending:
                time.sleep(PAUSE_S)
            self._wanted.clear()
            if self._drain():
                if self._ending and not self.waiting:
                    self._release(now=True)
                    return
                self._release()
                continue
            if self._ending:
                give_up = give_up or time.monotonic() + STOP_S
                if time.monotonic() > give_up:
                    self._release(now=True)
                    return
            time.sleep(RETRY_S)
            self._wanted.set()

    def _drain(self) -> bool:
        """Write all that waits, file by file; False when the disk refuses. An event leaves the queue when its line is on the disk."""
        while self.waiting:
            file = self._file(self.waiting[0])
            events: list[Event] = []
            room = AT_ONCE_BYTES
            while self.waiting and len(events) < AT_ONCE and room > 0 and self._file(self.waiting[0]) == file:
                events.append(self.waiting.popleft())  # nobody else takes from this end
                room -= events[-1].held()
            written = self._append(file, [line for line in map(self._safe_line, events) if line])
            if not written:
                self.waiting.extendleft(reversed(events))
            else:
                with self._counting:
                    self.waiting_events -= len(events)
                    self.waiting_bytes -= sum(event.held() for event in events)
            self.meters.set("capture_waiting", self.waiting_events)
            if not written:
                return False
        return True

    def _safe_line(self, event: Event) -> bytes:
        """The line, or nothing (counted as dropped) where it cannot be made: one odd request does not end the capture."""
        try:
            return self._line(event)
        except Exception as exc:
            print(f"filon serve: request {event.event_id} was not captured: {type(exc).__name__}", file=sys.stderr, flush=True)
            self.meters.add("capture_dropped")
            return b""

    def _file(self, event: Event) -> Path:
        hour = dt.datetime.fromtimestamp(event.at, dt.UTC)
        folder = self.place / plain_name(event.model["name"]) / event.part / f"{hour:%Y/%m/%d/%H}"
        part = self._files.get(folder, 0)
        return folder / f"{self.name}{f'-{part}' if part else ''}{self.ending}"

    def _append(self, file: Path, lines: list[bytes]) -> bool:
        """Whole lines or none: what a full disk took of a write is cut off again."""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab", buffering=0) as out:
                before = out.seek(0, os.SEEK_END)
                data = memoryview(b"".join(lines))
                try:
                    while data:
                        data = data[out.write(data) :]
                except OSError:
                    os.ftruncate(out.fileno(), before)
                    raise
                if self.settings.remote:
                    self._begun.setdefault(file, time.monotonic())
                if out.tell() > FILE_BYTES:
                    self._next(file)
        except OSError as exc:
            if not self.trouble:
                print(f"filon serve: the capture waits: {exc.strerror}", flush=True, file=sys.stderr)
            self.trouble = exc.strerror or str(exc)
            return False
        self.trouble = ""
        self.meters.add("capture_lines", len(lines))
        return True

    def _next(self, file: Path) -> None:
        """What comes goes to another file of the same hour; this one is whole, and may be sent on."""
        self._files[file.parent] = self._files.get(file.parent, 0) + 1
        if self._begun.pop(file, None) is not None:
            file.rename(file.with_suffix(""))

    def _release(self, *, now: bool = False) -> None:
        """Let files be sent that are old enough, or whose hour is over."""
        hour = f"{dt.datetime.now(dt.UTC):%Y/%m/%d/%H}"
        for file, begun in list(self._begun.items()):
            if now or time.monotonic() - begun > self.settings.roll_s or not file.parent.as_posix().endswith(hour):
                self._next(file)

    def _line(self, event: Event) -> bytes:
        metadata = {"eventId": event.event_id, "inferenceTime": f"{dt.datetime.fromtimestamp(event.at, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"}
        if event.inference_id:
            metadata["inferenceId"] = event.inference_id
        line = {
            "captureData": {"endpointInput": self._input(event), "endpointOutput": _output(event)},
            "eventMetadata": metadata,
            "eventVersion": "0",
        }
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str).encode() + b"\n"

    def _input(self, event: Event) -> dict[str, str]:
        kind = f"{event.kind}; header=present" if event.header and event.kind == CSV else event.kind
        if not self.hidden and event.kind in ENCODINGS:
            text = event.body.decode("utf-8", "replace")
            return {"observedContentType": kind, "mode": "INPUT", "data": text, "encoding": ENCODINGS[event.kind]}
        if not self.hidden:
            data = base64.b64encode(event.body).decode()
            return {"observedContentType": event.kind, "mode": "INPUT", "data": data, "encoding": "BASE64"}
        rows = event.rows.to_pylist() if isinstance(event.rows, pa.Table) else event.rows
        data = json.dumps([self._hide(row, event.columns) for row in rows], ensure_ascii=False, default=str)
        return {"observedContentType": JSON, "mode": "INPUT", "data": data, "encoding": "JSON"}

    def _hide(self, row: Any, known: tuple[str, ...]) -> Any:
        """The row without what is left out. Columns the model does not know go too (a misspelt name may be that of a hidden one)."""
        if not isinstance(row, dict):
            return None
        kept = [name for name in known if name in row and name not in self.settings.leave_out]
        return {name: self._hash(row[name]) if name in self.settings.hashed else row[name] for name in kept}

    def _hash(self, value: object) -> str | None:
        return None if value is None else hmac.new(self.key, str(value).encode(), hashlib.sha256).hexdigest()[:32]


def refuse_unknown(settings: CaptureSettings, columns: Sequence[str]) -> None:
    """A misspelt name would leave the column it means in the open.

    Parameters
    ----------
    columns : source columns of the table the model was trained on

    Raises
    ------
    RecipeError : `serve.capture-column-unknown`
    """
    for option, names in (("--capture-without", settings.leave_out), ("--capture-hashed", settings.hashed)):
        for name in names:
            if name in columns:
                continue
            low = {column.lower(): column for column in columns}
            near = difflib.get_close_matches(name.lower().strip(), list(low), n=1, cutoff=0.5)
            fix = f'{option} "{low[near[0]]}"' if near else "leave it out: columns the model does not have are never captured then"
            what = f'{option} names a column the model does not have, "{name}"'
            raise RecipeError("serve.capture-column-unknown", what, f"its columns are {some(columns, 8)}", fix)


def _output(event: Event) -> dict[str, str]:
    """Label and probabilities by class, as an answer in JSON has them; a refused row by its code."""
    scores = event.scores
    rows: list[dict[str, Any]] = [
        {"label": event.classes[number], "probability": dict(zip(event.classes, shares, strict=True))}
        for number, shares in zip(scores.chosen.tolist(), scores.probability.tolist(), strict=True)
    ]
    for number, refusal in scores.refusals.items():
        rows[number] = {"error": {"code": refusal.error.code, "row": number}}
    data = json.dumps({"predictions": rows, "model": event.model}, ensure_ascii=False)
    return {"observedContentType": JSON, "mode": "OUTPUT", "data": data, "encoding": "JSON"}


def plain_name(name: str) -> str:
    """A model's name as a folder of captures, and nowhere else.

    >>> plain_name("bank/../north")
    'bank-..-north'
    """
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip(".")
    return plain or "model"
