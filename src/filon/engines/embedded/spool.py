"""Encoded rows on disk: first in parts by the top bits of their hash, then fold by fold in canonical order.

Files are read and written with plain reads and writes into buffers of bounded size: a memory map would count as resident memory.
"""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from filon.errors import SetupError

PARTS = 256
"""Parts of the first spool, by the top eight bits of the row hash: one part of 40 million rows is 156,000 rows."""

HELD_BYTES = 32 << 20
"""Rows held in memory before any file is written (a small table never touches the disk twice), and the size of what is sorted at once."""

BLOCK_ROWS = 1 << 17
"""Most rows of a block that is read back: with 28 features 15 MB."""

BLOCK_BYTES = 16 << 20
"""Most bytes of a block that is read back, unless that is fewer rows than `LEAST_ROWS`."""

LEAST_ROWS = 1 << 10

T = TypeVar("T")


def guarded(work: Callable[[], T], folder: Path) -> T:
    """Run a write; a full disk becomes a coded error.

    Raises
    ------
    SetupError : `engines.disk-full`
    """
    try:
        return work()
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise disk_full(folder, "the encoded rows of the table did not fit; what was written has been removed") from exc


def disk_full(folder: Path, why: str) -> SetupError:
    """The error of a disk that has no room for the spool."""
    return SetupError(
        "engines.disk-full",
        f"the disk under {folder} has no room for the encoded rows",
        why,
        "free some space, or point the environment variable FILON_SCRATCH to a larger disk",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One row of the first spool, in words of four bytes: hash (2), member (2, if any), label, weight (if any), features.

    `member` is what membership is decided by when it is not the row hash itself: a key's hash, or a time."""

    features: int
    member: bool
    weight: bool

    @property
    def label_at(self) -> int:
        """Word of the label."""
        return 4 if self.member else 2

    @property
    def features_at(self) -> int:
        """Word of the first feature."""
        return self.label_at + 1 + int(self.weight)

    @property
    def width(self) -> int:
        """Words of a row."""
        return self.features_at + self.features

    def hashes(self, records: np.ndarray) -> np.ndarray:
        """(rows,) uint64, a copy."""
        return np.ascontiguousarray(records[:, 0:2]).view(np.uint64)[:, 0]

    def members(self, records: np.ndarray) -> np.ndarray:
        """(rows,) uint64, a copy: the member, or the hash where there is none."""
        return np.ascontiguousarray(records[:, 2:4] if self.member else records[:, 0:2]).view(np.uint64)[:, 0]

    def labels(self, records: np.ndarray) -> np.ndarray:
        """(rows,) int32 view."""
        return records[:, self.label_at].view(np.int32)

    def weights(self, records: np.ndarray) -> np.ndarray | None:
        """(rows,) float32 view, None without a weight column."""
        return records[:, self.label_at + 1].view(np.float32) if self.weight else None

    def matrix(self, records: np.ndarray) -> np.ndarray:
        """(rows, features) float32 view, to read and to write."""
        return records[:, self.features_at :].view(np.float32)


class RawSpool:
    """Rows as they come, by hash part: in memory while they are few, in one file a part once they are not."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self.layout = folder, layout
        self.rows = 0
        self._sizes = np.zeros(PARTS, np.int64)
        self._held: list[tuple[np.ndarray, np.ndarray]] = []
        self._files: list[BinaryIO] = []

    def add(self, records: np.ndarray, sizes: np.ndarray) -> None:
        """Take a block of rows that `by_part` has arranged."""
        self.rows += len(records)
        self._sizes += sizes
        if self._files:
            guarded(lambda: self._spill(records, sizes), self.folder)
            return
        self._held.append((records, sizes))
        if self.rows * self.layout.width * 4 > HELD_BYTES:
            guarded(self._open, self.folder)

    def _open(self) -> None:
        for part in range(PARTS):
            self._files.append((self.folder / f"raw-{part:03d}").open("wb", buffering=0))
        for records, sizes in self._held:
            self._spill(records, sizes)
        self._held = []

    def _spill(self, records: np.ndarray, sizes: np.ndarray) -> None:
        ends = np.cumsum(sizes)
        for part in np.flatnonzero(sizes):
            write_all(self._files[part], records[ends[part] - sizes[part] : ends[part]])

    def groups(self) -> Iterator[Callable[[], np.ndarray]]:
        """Readers of neighbouring parts, about `HELD_BYTES` each, hashes ascending from one to the next; a part is removed once read."""
        if not self._files:
            held, self._held = self._held, []
            width = self.layout.width
            yield lambda: np.concatenate([records for records, _ in held]) if held else np.empty((0, width), np.uint32)
            return
        self.close()
        most = max(1, HELD_BYTES // (self.layout.width * 4))
        parts: list[int] = []
        for part in range(PARTS):
            if parts and self._sizes[parts].sum() + self._sizes[part] > most:
                yield self._reader(parts)
                parts = []
            parts.append(part)
        yield self._reader(parts)

    def close(self) -> None:
        """Close the files; rows are neither added any more nor lost."""
        for file in self._files:
            file.close()

    def _reader(self, parts: list[int]) -> Callable[[], np.ndarray]:
        def read() -> np.ndarray:
            records = np.empty((int(self._sizes[parts].sum()), self.layout.width), np.uint32)
            start = 0
            for part in parts:
                path, rows = self.folder / f"raw-{part:03d}", int(self._sizes[part])
                with path.open("rb", buffering=0) as file:
                    read_all(file, records[start : start + rows])
                path.unlink()
                start += rows
            return records

        return read


def by_part(records: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows arranged by hash part, and how many each part has: (rows, width), (PARTS,) int64."""
    part = (hashes >> np.uint64(56)).astype(np.uint8)
    return records[np.argsort(part, kind="stable")], np.bincount(part, minlength=PARTS)


def canonical(hashes: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Canonical order: by hash, then label, then weight.

    Returns
    -------
    (rows,) int64 order, and (rows,) bool: whether the row at that place of the order has the hash of a neighbour
    """
    order = np.argsort(hashes)
    ordered = hashes[order]
    tied = np.zeros(len(order), bool)
    same = ordered[1:] == ordered[:-1]
    tied[1:] |= same
    tied[:-1] |= same
    if same.any():
        # Only rows that share their hash need the slower sort by three keys
        some = order[tied]
        keys = [hashes[some]] if weights is None else [weights[some], hashes[some]]
        keys.insert(len(keys) - 1, labels[some])
        order[tied] = some[np.lexsort(keys)]
    return order, tied


class FoldFile:
    """One fold in canonical order: a file of features and one for each other column, written once, read as often as asked."""

    COLUMNS = (("hash", np.uint64), ("label", np.int32), ("weight", np.float32), ("member", np.uint64))

    def __init__(self, folder: Path, name: str, features: int, *, weight: bool, member: bool) -> None:
        self.features, self.rows = features, 0
        self.ends: list[int] = []
        """rows up to the end of each group of hash parts: the same hashes in each fold of a table"""
        self._folder, self._name = folder, name
        self.columns = {column: kind for column, kind in self.COLUMNS if (column != "weight" or weight) and (column != "member" or member)}
        self._open: dict[str, BinaryIO] = {}

    def path(self, column: str) -> Path:
        """Where a column ("x" for the features) is kept."""
        return self._folder / f"{self._name}.{column}"

    def append(self, x: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        """Add the fold's rows of one group of hash parts."""
        guarded(lambda: self._append(x, columns), self._folder)
        self.rows += len(x)
        self.ends.append(self.rows)

    def _append(self, x: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        if not self._open:
            for column in ("x", *self.columns):
                self._open[column] = self.path(column).open("wb", buffering=0)
        write_all(self._open["x"], x)
        for column, kind in self.columns.items():
            write_all(self._open[column], np.ascontiguousarray(columns[column], kind))

    def close(self) -> None:
        """Nothing is appended any more."""
        for file in self._open.values():
            file.close()
        self._open = {}

    def read(self, column: str, start: int, stop: int, out: np.ndarray | None = None) -> np.ndarray:
        """Rows `start` to `stop` of a column other than the features: (stop - start,)."""
        values = np.empty(stop - start, self.columns[column]) if out is None else out[: stop - start]
        if stop > start:
            with self.path(column).open("rb", buffering=0) as file:
                file.seek(start * values.itemsize)
                read_all(file, values)
        return values

    def read_x(self, start: int, stop: int, out: np.ndarray | None = None) -> np.ndarray:
        """Features of rows `start` to `stop`: (stop - start, features) float32, in `out` where given (its first rows)."""
        x = np.empty((stop - start, self.features), np.float32) if out is None else out[: stop - start]
        if x.size:
            with self.path("x").open("rb", buffering=0) as file:
                file.seek(start * self.features * 4)
                read_all(file, x)
        return x


def block_rows(features: int) -> int:
    """Rows of a block that is read back."""
    return max(LEAST_ROWS, min(BLOCK_ROWS, BLOCK_BYTES // max(4, 4 * features)))


def write_all(file: BinaryIO, values: np.ndarray) -> None:
    """Write a contiguous array to an unbuffered file (one `write` may take less than all, at most 2 GiB)."""
    left = values.reshape(-1).view(np.uint8).data
    while len(left):
        left = left[file.write(left) :]


def read_all(file: BinaryIO, values: np.ndarray) -> None:
    """Fill a contiguous array from an unbuffered file.

    Raises
    ------
    EOFError : the file is shorter (somebody cut it)
    """
    left = values.reshape(-1).view(np.uint8).data
    while len(left):
        got = file.readinto(left)  # type: ignore[attr-defined]
        if not got:
            raise EOFError(f"{os.fsdecode(file.name)} is shorter than it was")
        left = left[got:]
