"""A table to folds in one streaming pass: hash, encode and spool each batch, then settle membership and order part by part."""

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from filon.engines.base import FoldInfo, FoldName, SplitPlan
from filon.engines.embedded.encoding import Batch, Encoder
from filon.engines.embedded.folds import Codes, EmbeddedFolds, Lowest
from filon.engines.embedded.pulse import Pulse
from filon.engines.embedded.spool import FoldFile, RawSpool, canonical, disk_full
from filon.engines.folding import FOLDS, balanced, cut, refuse_no_rows, refuse_unusable, time_cuts
from filon.events import Listen
from filon.rows.encode import Encoding, Feature
from filon.rows.hash import BUCKETS, buckets, digest

BATCH_BYTES = 8 << 20
"""Encoded bytes of a batch: two in the making, two waiting and the reader's own stay below 100 MB."""

Batches = Callable[[tuple[str, ...], int], Iterable[pa.RecordBatch]]
"""Opens a stream of typed batches: columns, rows per batch."""

Membership = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Fold number of members (hashes or times as uint64), given the lowest label of their content: (rows,) uint8."""

S = TypeVar("S")
T = TypeVar("T")


def ahead(work: Callable[[S], T], items: Iterable[S], threads: int) -> Iterator[T]:
    """Results in the items' order, worked on by threads, at most one more than these at a time."""
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class Totals:
    """What the counts of all batches come to."""

    def __init__(self, plan: SplitPlan, folder: Path) -> None:
        self.plan, self.times, self.rows = plan, folder / "times", 0
        self.counts = np.zeros((BUCKETS, len(plan.label.classes)), np.int64)
        self.left_out = {"label-missing": 0, "label-unknown": 0}
        self.first, self.last = np.iinfo(np.int64).max, np.iinfo(np.int64).min

    def add(self, batch: Batch) -> None:
        """Count one batch."""
        self.rows += len(batch.records)
        self.left_out["label-missing"] += batch.missing
        self.left_out["label-unknown"] += batch.unknown
        if batch.counts is not None:
            self.counts += batch.counts
        if batch.members is not None and len(batch.members):
            times = batch.members.view(np.int64)
            self.first, self.last = min(self.first, int(times.min())), max(self.last, int(times.max()))
            with self.times.open("ab") as file:
                file.write(times.tobytes())

    def membership(self) -> Membership:
        """What decides the fold of a row, now that all are counted."""
        if self.plan.by == "time":
            edges = time_cuts(self._histogram, self.first, self.last, self.rows, self.plan.shares)
            return lambda members, _: np.searchsorted(np.array(edges), members.view(np.int64), side="right").astype(np.uint8)
        cuts = cut(self.counts, self.plan.shares, stratify=self.plan.stratify and self.plan.by == "row")
        return lambda members, lowest: cuts.piece(buckets(members, self.plan.seed), lowest)

    def _histogram(self, first: int, width: int, bins: int) -> np.ndarray:
        counts = np.zeros(bins, np.int64)
        with self.times.open("rb") as file:
            while block := file.read(8 << 20):
                # Differences of int64 may pass its range; as uint64 they wrap around to what is right
                times = np.frombuffer(block, np.int64)
                later = times[times >= first].view(np.uint64) - np.uint64(first & 0xFFFFFFFFFFFFFFFF)
                place = later // np.uint64(width)
                counts += np.bincount(place[place < bins].astype(np.int64), minlength=bins)
        return counts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """The rows of one fold in one group of hash parts, in canonical order."""

    x: np.ndarray
    columns: dict[str, np.ndarray]


class Settled:
    """Folds as they are written: files, rows by class, digests."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self.encoder, self.folder = encoder, folder
        self.files: dict[FoldName, FoldFile] = {name: self._file(name, encoder) for name in FOLDS}
        classes = len(encoder.plan.label.classes)
        self._by_class = {name: np.zeros(classes, np.int64) for name in FOLDS}
        self._digests = dict.fromkeys(FOLDS, 0)

    def _file(self, name: FoldName, encoder: Encoder) -> FoldFile:
        layout = encoder.layout
        return FoldFile(self.folder, name, layout.features, weight=layout.weight, member=encoder.by == "key")

    def take(self, raw: RawSpool, membership: Membership, threads: int, pulse: Pulse) -> None:
        """Order each group of the spool and give its rows to their folds."""

        def settle(read: Callable[[], np.ndarray]) -> dict[FoldName, Piece]:
            return _pieces(self.encoder, read(), membership)

        for pieces in ahead(settle, raw.groups(), threads):
            for name, piece in pieces.items():
                self._append(name, piece)
            for place, words in self.encoder.vocabularies.items():
                words.count(pieces["train"].x[:, place])
            pulse(sum(len(piece.x) for piece in pieces.values()))

    def take_test(self, batches: Batches, encoding: Encoding, left_out: dict[str, int], threads: int, pulse: Pulse) -> None:
        """Fill the test fold from the publisher's own table."""
        encoder = Encoder(self.encoder.plan, encoding)
        folder = self.folder / "given"
        folder.mkdir()
        raw = RawSpool(folder, encoder.layout)
        with closing(raw):
            for batch in ahead(encoder, batches(encoder.columns(), batch_rows(encoder)), threads):
                raw.add(batch.records, batch.sizes)
                left_out["label-missing"] += batch.missing
                left_out["label-unknown"] += batch.unknown
                pulse(len(batch.records))
        self.files["test"].close()
        self.files["test"] = FoldFile(folder, "test", encoder.layout.features, weight=encoder.layout.weight, member=False)
        for read in raw.groups():
            self._append("test", _pieces(encoder, read(), lambda members, _: np.full(len(members), FOLDS.index("test"), np.uint8))["test"])

    def _append(self, name: FoldName, piece: Piece) -> None:
        self.files[name].append(piece.x, piece.columns)
        self._by_class[name] += np.bincount(piece.columns["label"], minlength=len(self._by_class[name]))
        self._digests[name] = (self._digests[name] + digest(piece.columns["hash"])) % 2**64

    def close(self) -> None:
        """Close the files: nothing is appended any more."""
        for file in self.files.values():
            file.close()

    def info(self) -> dict[FoldName, FoldInfo]:
        """What is in the folds."""
        return {
            name: FoldInfo(rows=file.rows, by_class=tuple(int(rows) for rows in self._by_class[name]), digest=f"{self._digests[name]:016x}")
            for name, file in self.files.items()
        }


def _pieces(encoder: Encoder, records: np.ndarray, membership: Membership) -> dict[FoldName, Piece]:
    layout = encoder.layout
    columns = {"hash": layout.hashes(records), "member": layout.members(records), "label": layout.labels(records)}
    weights = layout.weights(records)
    if weights is not None:
        columns["weight"] = weights
    order, _ = canonical(columns["hash"], columns["label"], weights)
    lowest = Lowest().of(columns["hash"][order], columns["label"][order])
    fold = membership(columns["member"][order], lowest)
    matrix = layout.matrix(records)
    pieces: dict[FoldName, Piece] = {}
    for number, name in enumerate(FOLDS):
        chosen = order[fold == number]
        pieces[name] = Piece(x=matrix[chosen], columns={column: values[chosen] for column, values in columns.items()})
    return pieces


def batch_rows(encoder: Encoder) -> int:
    """Rows of a batch to ask the reader for."""
    return max(1024, min(1 << 17, BATCH_BYTES // (encoder.layout.width * 4)))


def refuse_little_space(rows: int, plan: SplitPlan, folder: Path) -> None:
    """Raise `engines.disk-full` when the disk has no room for so many encoded rows (0: not known, so not refused)."""
    needed = rows * Encoder(plan).layout.width * 4
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise disk_full(folder, f"{needed:,} bytes are needed for {rows:,} encoded rows, {free:,} are free")


def _learnt(encoder: Encoder) -> tuple[Encoding, Codes]:
    """The encoding of the training fold, and what the codes of the spool mean in it."""
    plan = encoder.plan
    ranked = {place: words.ranked(plan.max_categories) for place, words in encoder.vocabularies.items()}
    features = tuple(
        Feature(name=feature.name, kind=feature.kind, categories=ranked[place][0] if place in ranked else ())  # type: ignore[arg-type]
        for place, feature in enumerate(plan.features)
    )
    return Encoding(features=features, classes=plan.label.classes), {place: ranks for place, (_, ranks) in ranked.items()}


def split(
    batches: Batches, plan: SplitPlan, folder: Path, *, test: Batches | None, threads: int, listen: Listen, rows: int = 0
) -> EmbeddedFolds:
    """Spool, settle and describe the folds of a table.

    Parameters
    ----------
    folder : an empty folder of this split's own
    test : the publisher's test table, if there is one
    rows : rows of the table where they are known, for the time left

    Raises
    ------
    DataError : `split.no-rows`, `split.class-missing`, `split.fold-empty`, `split.weight-unusable`, `split.time-unusable`
    SetupError : `engines.disk-full`
    """
    encoder = Encoder(plan)
    raw, totals, settled = RawSpool(folder, encoder.layout), Totals(plan, folder), Settled(encoder, folder)
    pulse = Pulse(listen, "split", "hashed and encoded", rows)
    with closing(raw), closing(settled):
        for batch in ahead(encoder, batches(encoder.columns(), batch_rows(encoder)), threads):
            raw.add(batch.records, batch.sizes)
            totals.add(batch)
            pulse(len(batch.records))
        refuse_no_rows(plan, totals.rows, totals.left_out)
        settled.take(raw, totals.membership(), threads, Pulse(listen, "split", "ordered", totals.rows))
        encoding, codes = _learnt(encoder)
        if test is not None:
            settled.take_test(test, encoding, totals.left_out, threads, Pulse(listen, "split", "of the test table encoded"))
    info = settled.info()
    refuse_unusable(plan, info)
    return EmbeddedFolds(
        plan=plan,
        encoding=encoding,
        info=info,
        class_weights=balanced(info["train"].by_class) if plan.balance else (1.0,) * len(plan.label.classes),
        left_out=totals.left_out,
        _files=settled.files,
        _codes=codes,
        _test_codes=codes if test is None else {},
    )
