"""Scored rows to a folder of parts: each task writes its own, the driver commits them all at once."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from filon.engines import s3
from filon.engines.answering import REASON
from filon.engines.base import Sink, Written
from filon.engines.embedded.target import Target, forget
from filon.engines.embedded.writing import Judge, kept, nothing, parted
from filon.engines.spark.folds import SparkFold
from filon.engines.spark.listener import watched
from filon.engines.spark.reader import Located, environment
from filon.engines.spark.scoring import Scorer, SparkScored, batches_of, task
from filon.errors import FilonError, SetupError
from filon.events import Event, Listen

DONE = "_SUCCESS"
"""The manifest: written last, so a folder without it is not whole. Readers of folders pass names with an underscore over."""

OURS = ("part-", DONE, ".")
KINDS = {"name": pa.string(), "kind": pa.string(), "rows": pa.int64(), "bytes": pa.int64(), "reasons": pa.string(), "content": pa.binary()}
MADE = pa.schema(list(KINDS.items()))


def write(scored: SparkScored, sink: Sink, listen: Listen) -> Written:
    """Write what the embedded engine writes, as a folder `sink.path` of parts in the order of the source, and its manifest `_SUCCESS`.

    A local folder is written beside and renamed. In S3 parts come where they stay: the manifest of an earlier output goes first, and
    the new one is the last object, so that a folder with a manifest is whole whatever happens in between.

    Raises
    ------
    RecipeError : `engines.keep-unknown`, `engines.keep-clash`
    SetupError : `engines.output-unusable`, `engines.output-disk-full`, `engines.output-not-shared`
    """
    rows, scorer = scored.rows, scored.scorer
    assert not isinstance(rows, SparkFold), "folds are tallied, not written"
    keep = kept(scored.source, sink.keep, scored.answers.names)
    judge = Judge(scorer.over(()), everything=bool(sink.rejects))
    brought = bool(getattr(rows, "carried", None))  # captured requests are never carried
    good = Folder(sink.path, sink.format, brought=brought)
    bad = Folder(sink.rejects, "csv" if sink.rejects.lower().endswith(".csv") else "parquet", brought=brought)
    listen(Event(stage="score", text=f"scoring on Spark in {len(rows.cut.pieces):,} piece{'s' * (len(rows.cut.pieces) > 1)}"))
    work = WriteParts(
        scorer=scorer, keep=keep, everything=bool(sink.rejects), good=good.place, bad=bad.place, environment=_reach(sink, scored)
    )
    names = tuple(dict.fromkeys((*scorer.columns(), *keep.values(), *judge.columns)))
    try:
        good.begin()
        bad.begin()
        with rows.session.in_our_words(scored.source.origin):
            found = watched(rows.session, "score", "scoring", rows.map(work, MADE, names).collect, listen)
            made = [row.asDict() for row in found]
        return _committed(made, good, bad, nothing(keep, scored.answers))
    finally:
        good.clear()
        bad.clear()


def _committed(made: list[dict[str, Any]], good: Folder, bad: Folder, empty: pa.Table) -> Written:
    """Both folders put in their place; `made` has one row a part."""
    reasons: Counter[str] = Counter()
    parts: dict[str, dict[str, Any]] = {"good": {}, "bad": {}}
    for row in sorted(made, key=lambda row: str(row["name"])):
        if row["content"] is not None:
            (good if row["kind"] == "good" else bad).take(row["name"], bytes(row["content"]))
        parts[row["kind"]][row["name"]] = row
        reasons.update(json.loads(row["reasons"]))
    counts = {kind: sum(int(row["rows"]) for row in rows.values()) for kind, rows in parts.items()}
    if not parts["good"]:
        name = f"part-00000.{good.form}"
        with Target(f"{good.place.path}/{name}", good.form, Path(tempfile.gettempdir())) as target:
            target.add(empty)
        parts["good"][name] = {"rows": 0, "bytes": -1}
    totals = {"rows": sum(counts.values()), "scored": counts["good"], "rejected": counts["bad"], "reasons": dict(reasons.most_common())}
    if parts["bad"]:
        bad.commit(parts["bad"], totals)
    good.commit(parts["good"], totals)
    if not parts["bad"]:
        bad.forget()
    return Written(rows=sum(counts.values()), scored=counts["good"], rejected=counts["bad"], reasons=dict(reasons.most_common()))


def _reach(sink: Sink, scored: SparkScored) -> dict[str, str]:
    if not s3.is_remote(sink.path) and not s3.is_remote(sink.rejects):
        return environment(scored.source)
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where tasks write parts: a folder, "" to swallow them. `brought` : parts of a small table come to the driver, which writes them."""

    path: str
    form: Literal["csv", "parquet"]
    run: str
    brought: bool = False


class Folder:
    """A folder of parts in the making.

    Parameters
    ----------
    path : local path or s3:// URI; "" swallows what is written
    brought : to a local path, parts come by way of the driver

    Raises
    ------
    SetupError : `engines.output-unusable` when something else than an output of ours stands there
    """

    def __init__(self, path: str, form: Literal["csv", "parquet"], *, brought: bool = False) -> None:
        self.form, self._remote, run = form, s3.is_remote(path), uuid.uuid4().hex[:8]
        self._final = path.rstrip("/")
        self._beside, self._settled = Path(), False
        if path and not self._remote:
            self._refuse_foreign(Path(path))
            self._beside = Path(path).absolute().parent / f".{Path(path).name}.{run}.partial"
        place = self._final if self._remote or not path else str(self._beside)
        self.place = Place(path=place, form=form, run=run, brought=brought and bool(path) and not self._remote)

    def begin(self) -> None:
        """Before the first part: where parts are written to their place, an earlier output there is not whole from now on."""
        if self._remote:
            for one in self._listed():
                if one.base_name == DONE:
                    self._remove(one.path)

    def take(self, name: str, content: bytes) -> None:
        """A part that came from a worker with what it had to say."""
        try:
            self._beside.mkdir(parents=True, exist_ok=True)
            (self._beside / name).write_bytes(content)
        except OSError as exc:
            raise _unusable(self._final, exc.strerror or str(exc)) from exc

    def commit(self, parts: Mapping[str, Mapping[str, Any]], totals: Mapping[str, Any]) -> None:
        """Put the parts in their place, those of failed attempts left out, the manifest last."""
        if not self._final:
            return
        manifest = {**totals, "parts": [{"name": name, "rows": row["rows"]} for name, row in parts.items()]}
        text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
        self._settled = True
        try:
            if self._remote:
                self._commit_remote(set(parts), text)
            else:
                self._commit_local(parts, text)
        except OSError as exc:
            raise _unusable(self._final, exc.strerror or str(exc)) from exc

    def forget(self) -> None:
        """Remove an earlier output of ours: nothing was written, and it would be taken for what was."""
        if self._remote:
            for one in self._listed():
                self._remove(one.path)
        elif self._final and Path(self._final).is_dir():
            shutil.rmtree(self._final, ignore_errors=True)
        forget(self._final)

    def clear(self) -> None:
        """Remove what a failure left: the folder beside, or in S3 the parts of this run."""
        if self._final and not self._remote:
            shutil.rmtree(self._beside, ignore_errors=True)
        elif self._remote and not self._settled:
            with suppress(FilonError):  # the failure itself is what is told
                for one in self._listed():
                    if re.match(rf"part-\d+-{self.place.run}-", one.base_name):
                        self._remove(one.path)

    def _commit_local(self, parts: Mapping[str, Mapping[str, Any]], manifest: str) -> None:
        here = {path.name: path.stat().st_size for path in self._beside.iterdir()} if self._beside.is_dir() else {}
        absent = [name for name, row in parts.items() if row["bytes"] >= 0 and here.get(name) != row["bytes"]]
        if absent:
            raise SetupError(
                "engines.output-not-shared",
                f"{self._final} is not a place that Spark's workers and this machine share",
                f"{len(absent)} of {len(parts)} parts that workers wrote are not here, the first is {absent[0]}",
                "write to a shared folder or to s3://",
            )
        for name in set(here) - set(parts):
            (self._beside / name).unlink()  # of an attempt that failed, or was slower than its twin
        (self._beside / DONE).write_text(manifest, encoding="utf-8")
        final = Path(self._final)
        aside = self._beside.with_suffix(".old")
        if final.exists():
            final.rename(aside)  # a folder cannot be renamed over another
        self._beside.rename(final)
        shutil.rmtree(aside) if aside.is_dir() else aside.unlink(missing_ok=True)

    def _commit_remote(self, names: set[str], manifest: str) -> None:
        from pyarrow import fs

        store, key = s3.filesystem(), s3.key_of(self._final)
        for one in self._listed():
            if one.base_name not in names:
                self._remove(one.path)
        if s3.ask(lambda: store.get_file_info(key), self._final).type == fs.FileType.File:
            self._remove(key)  # an output of the embedded engine under this very name
        with s3.ask(lambda: store.open_output_stream(f"{key}/{DONE}"), self._final) as out:
            out.write(manifest.encode())

    def _listed(self) -> list[Any]:
        """The objects of ours in an S3 folder."""
        from pyarrow import fs

        store, chosen = s3.filesystem(), fs.FileSelector(s3.key_of(self._final), recursive=False, allow_not_found=True)
        found = s3.ask(lambda: store.get_file_info(chosen), self._final)
        return [one for one in found if one.type == fs.FileType.File and one.base_name.startswith(OURS)]

    def _remove(self, key: str) -> None:
        store = s3.filesystem()
        s3.ask(lambda: store.delete_file(key), self._final)

    @staticmethod
    def _refuse_foreign(path: Path) -> None:
        if not path.is_dir():
            return
        strange = [entry.name for entry in path.iterdir() if not entry.name.startswith(OURS)]
        if strange:
            raise _unusable(str(path), f"it is a folder that holds other things: {strange[0]}")


def _unusable(path: str, why: str) -> SetupError:
    return SetupError("engines.output-unusable", f"{path} cannot be written", why, "name a new folder of yours")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteParts:
    """The work of a task on a piece: its scored rows to one part, the others to another, and a row about each."""

    scorer: Scorer
    keep: Mapping[str, str]
    everything: bool
    good: Place
    bad: Place
    environment: Mapping[str, str]

    def __call__(self, located: Located) -> Iterator[pa.RecordBatch]:
        """Score and write."""
        for name, value in self.environment.items():
            os.environ.setdefault(name, value)
        scored = self.scorer.over(batches_of(located))
        judge = Judge(scored, everything=self.everything)
        reasons: Counter[str] = Counter()
        with tempfile.TemporaryDirectory(prefix="filon-part-") as scratch:
            good, bad = Part(self.good, Path(scratch) / "good"), Part(self.bad, Path(scratch) / "bad")
            with good, bad:
                for table, aside in parted(scored, self.keep, judge):
                    good.add(table)
                    if aside is not None:
                        reasons.update(aside.column(REASON).to_pylist())
                        bad.add(aside)
            yield _made([good, bad], reasons)


class Part(Target):
    """One part. Its name is of this attempt alone, so that two attempts never write to one file."""

    def __init__(self, place: Place, scratch: Path) -> None:
        scratch.mkdir()
        context = task()
        number = 0 if context is None else int(context.partitionId())
        self.name = f"part-{number:05d}-{place.run}-{uuid.uuid4().hex[:6]}.{place.form}"
        folder = str(scratch / "made") if place.brought else place.path
        super().__init__(f"{folder}/{self.name}" if folder else "", place.form, scratch)
        self.rows, self.brought = 0, place.brought

    def add(self, rows: pa.Table) -> None:
        """Append rows; a part without rows is not made."""
        self.rows += rows.num_rows
        if rows.num_rows:
            super().add(rows)


def _made(parts: Sequence[Part], reasons: Counter[str]) -> pa.RecordBatch:
    found: dict[str, list[Any]] = {name: [] for name in MADE.names}
    for part, kind in zip(parts, ("good", "bad"), strict=True):
        if not part.rows:
            continue
        local = part.path and not s3.is_remote(part.path)
        size = Path(part.path).stat().st_size if local else -1
        content = Path(part.path).read_bytes() if part.brought else None
        values = (part.name, kind, part.rows, size, json.dumps(reasons) if kind == "bad" else "{}", content)
        for name, value in zip(MADE.names, values, strict=True):
            found[name].append(value)
    return pa.RecordBatch.from_pydict(found, schema=MADE)


__all__ = ["DONE", "Folder", "write"]
