"""Logs of a job: found under the log URI, gunzipped, merged in the order of their time; they come late and in pieces."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from filon.errors import PlaceError
from filon.places.base import Handle
from filon.places.emr.bucket import Bucket, address
from filon.places.emr.causes import Line

PIECE_BYTES = 1 << 20
END_BYTES = 16 << 20
"""Of the beginning of one log file, and at least of its end: they are enough to tell what happened."""

STAMPS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^(\d\d/\d\d/\d\d \d\d:\d\d:\d\d)"), "%y/%m/%d %H:%M:%S"),
    (re.compile(r"^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d{1,6}))?"), "%Y-%m-%d %H:%M:%S"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """One log object: its key, its name below the cluster's folder, what identifies this version of it."""

    key: str
    name: str
    size: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """A line with its time (seconds of the epoch; that of the line before where it has none)."""

    at: float
    line: Line


@dataclass(slots=True, kw_only=True)
class Reader:
    """Reads a job's logs as they come; a file that has grown gives its new lines only."""

    bucket: Bucket
    handle: Handle
    stderr_only: bool = False
    seen: dict[str, tuple[str, int]] = field(default_factory=dict)
    applications: set[str] = field(default_factory=set)

    def files(self) -> list[LogFile]:
        """Logs of the step, of the applications it started, and of the nodes' bootstrap."""
        root = address(self.handle.facts["logs"])
        found = []
        for one in self.bucket.listed(root):
            name = str(one["Key"])[len(root.key) + 1 :]
            if self._belongs(name):
                found.append(LogFile(key=str(one["Key"]), name=name, size=int(one["Size"]), version=f"{one.get('ETag')}{one['Size']}"))
        return sorted(found, key=lambda file: (not file.name.startswith("steps/"), file.name))

    def _belongs(self, name: str) -> bool:
        if self.stderr_only and "stderr" not in name:
            return False
        if self.handle.facts.get("serverless"):
            return name.startswith(("SPARK_DRIVER/", "SPARK_EXECUTOR/", "attempts/"))
        if name.startswith(f"steps/{self.handle.facts['step']}/") or "bootstrap-actions" in name:
            return True
        if not name.startswith("containers/"):
            return False
        return bool(self.handle.facts.get("transient")) or any(name.startswith(f"containers/{one}/") for one in self.applications)

    def news(self) -> list[Stamped]:
        """Lines that came since the last time, in the order of their time."""
        found: list[Stamped] = []
        for _ in range(2):  # the step's own log names the application, whose containers are then looked at
            before = len(self.applications)
            for file in self.files():
                found += self._new_lines(file)
            if len(self.applications) == before or self.handle.facts.get("transient"):
                break
        return sorted(found, key=lambda one: one.at)

    def _new_lines(self, file: LogFile) -> list[Stamped]:
        version, count = self.seen.get(file.name, ("", 0))
        if version == file.version:
            return []
        root = address(self.handle.facts["logs"])
        try:
            raw = self.bucket.read(type(root)(bucket=root.bucket, key=file.key))
        except PlaceError as exc:
            if exc.code == "places.object-missing":
                return []  # replaced while we looked
            raise
        head, lost, tail = both_ends(gunzipped(raw), END_BYTES)
        self.applications.update(re.findall(r"application_\d+_\d+", "\n".join(head[:5000])) if file.name.startswith("steps/") else [])
        whole = len(head) + lost + len(tail)
        self.seen[file.name] = (file.version, whole)
        known = count if whole >= count else 0
        if not lost:
            return stamped(file.name, head)[known:]
        gap = f"({lost:,} lines are left out here: aws s3 cp s3://{root.bucket}/{file.key} - has them all)"
        news = [*head[known:], *([gap] if known < len(head) + lost else []), *tail[max(0, known - len(head) - lost) :]]
        return stamped(file.name, news)


def gunzipped(raw: bytes) -> Iterator[bytes]:
    """What can be read of a gzip file, piece by piece; one that is cut short gives what is there, and one that is none is as it is.

    >>> import gzip
    >>> whole = gzip.compress(" ".join(str(number) for number in range(10_000)).encode())
    >>> next(gunzipped(whole[: len(whole) // 2])).startswith(b"0 1 2")
    True
    """
    if raw[:2] != b"\x1f\x8b":
        yield raw
        return
    rest = raw
    while rest:
        unzip = zlib.decompressobj(wbits=31)
        while rest and not unzip.eof:
            try:
                yield unzip.decompress(rest, PIECE_BYTES)
            except zlib.error:
                return
            rest = unzip.unconsumed_tail
        if not unzip.eof:
            return
        rest = unzip.unused_data


def both_ends(pieces: Iterable[bytes], most: int) -> tuple[list[str], int, list[str]]:
    """Lines of the beginning of a log, how many after them are left out, and those of its end, where the error stands.

    Parameters
    ----------
    most : bytes of the beginning, and the least of the end; a log of no more than three times as many is there as a whole

    Examples
    --------
    >>> both_ends([b"a\\nb\\nc\\n", b"d\\ne\\nf\\ng\\nh\\n"], most=4)
    (['a', 'b'], 5, ['h'])
    >>> both_ends([b"a\\nb"], most=4)
    (['a', 'b'], 0, [])
    """
    head, tail, lost, dropped = bytearray(), bytearray(), 0, 0
    for piece in pieces:
        room = most - len(head)
        head += piece[:room]
        tail += piece[room:]
        if len(tail) > 2 * most:
            over = len(tail) - most
            lost, dropped = lost + tail.count(b"\n", 0, over), dropped + over
            del tail[:over]
    if not dropped:
        return _lines(head + tail), 0, []
    # the lines that were cut through are left out: of one the end is among what was dropped, of the other it is not
    return _lines(head[: head.rfind(b"\n") + 1]), lost + 1, _lines(tail[tail.find(b"\n") + 1 :])


def _lines(text: bytearray) -> list[str]:
    return text.decode(errors="replace").splitlines()


def stamped(name: str, lines: list[str]) -> list[Stamped]:
    """Lines of one file with their times; lines without one (tracebacks) stay with the line before."""
    at = 0.0
    found = []
    for text in lines:
        at = moment(text) or at
        found.append(Stamped(at=at, line=Line(file=name, text=text)))
    first = next((one.at for one in found if one.at), 0.0)
    return [one if one.at else Stamped(at=first, line=one.line) for one in found]


def moment(text: str) -> float:
    """The time a line begins with, in seconds of the epoch; 0 when it begins with none.

    >>> moment("26/01/02 03:04:05 INFO Client: hello") == moment("2026-01-02T03:04:05.000Z INFO hello")
    True
    """
    for pattern, form in STAMPS:
        found = pattern.match(text)
        if found:
            at = _epoch(found.group(1).replace("T", " "), form)
            if not at:
                return 0.0
            rest = found.group(2) if pattern.groups > 1 else None
            return at + (float(f"0.{rest}") if rest else 0.0)
    return 0.0


@lru_cache(maxsize=4096)
def _epoch(stamp: str, form: str) -> float:
    """Seconds of the epoch; 0 when it is no time. Lines of one second share it: parsing is most of the work of reading a log."""
    try:
        return datetime.strptime(stamp, form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def follow_logs(reader: Reader, ended: Iterator[bool], *, poll_s: float = 2.0, patience_s: float = 360.0) -> Iterator[Stamped]:
    """Lines as they come, until the job has ended and its last logs are there (or `patience_s` have passed since the end)."""
    end_at = 0.0
    for over in ended:
        news = reader.news()
        yield from news
        if over:
            end_at = end_at or time.monotonic()
            if complete(reader) or time.monotonic() - end_at > patience_s:
                yield from reader.news()
                return
        time.sleep(poll_s)


def complete(reader: Reader) -> bool:
    """Whether the step's last log is there: its controller says how it ended, and its stderr follows."""
    names = set(reader.seen)
    if reader.handle.facts.get("serverless"):
        return {f"SPARK_DRIVER/{name}.gz" for name in ("stderr",) + ("stdout",) * (not reader.stderr_only)} <= names
    step = f"steps/{reader.handle.facts['step']}/"
    return f"{step}stderr.gz" in names and (reader.stderr_only or f"{step}controller.gz" in names)


def absent(handle: Handle) -> PlaceError:
    """The error of a job that has no logs (yet)."""
    return PlaceError(
        "places.logs-absent",
        f"there are no logs of {handle.facts['step']}",
        f"nothing of it stands under {handle.facts['logs']} yet; EMR brings logs every five minutes, and after the end",
        "wait some minutes (filon logs RUN --follow does); if they never come, the cluster has no LogUri or its role may not write there",
    )
