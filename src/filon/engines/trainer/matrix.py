"""Rows to XGBoost's quantised matrices: streamed, shared by the trials that need the same bins, freed as early as can be."""

import shutil
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from filon.engines.trainer.families import by_sets
from filon.engines.trainer.peers import ALONE, Peers
from filon.engines.trainer.rows import Block, FoldRows

GATHER_CELLS = 8_000_000
"""Folds up to this many cells (32 MB) are held as one array: XGBoost reads them four times."""

CUT_ROWS = 262_144
"""Cuts of more rows than twice this are learnt from this many, the first in canonical order: by the hash, so a random sample.

It saves the sketching pass, two fifths of the time to build the matrix of 2 million rows, and no quality (docs/adr/0042)."""

WATCH_ROWS = 131_072
"""Validation rows looked at after each round; the tally at the end counts all of them."""

CELL_BYTES, ROW_BYTES = 5.4, 36.0
"""Resident bytes of XGBoost's hist, measured with 3.2: per cell (2.2 would do where none is missing), per row (gradients, row sets)."""

Key = tuple[int, bool, float]

Built = dict[Key, tuple[Any, Any]]
"""The training matrix of each key, and the one of the validation rows watched (None without validation)."""


class Stopped(Exception):  # noqa: N818 -- not an error: the fit was asked to end
    """The fit was asked to end, or its time is up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a fit may use: `threads` of each trial, `memory_mib` (0: no limit), `scratch` folder ("" for the system's)."""

    threads: int
    memory_mib: int = 0
    scratch: str = ""


class Matrices:
    """The matrices of one call of `fit`, built when first asked for and dropped after the last use."""

    def __init__(
        self,
        train: FoldRows,
        valid: FoldRows | None,
        machine: Machine,
        uses: Iterable[Key],
        stop: Callable[[], bool],
        *,
        kept: Built | None = None,
        peers: Peers = ALONE,
    ) -> None:
        """`kept` holds matrices of the same rows beyond this call: those it has are used, those built are added and stay."""
        self._train, self._valid, self._machine, self._stop = held(train), held(valid) if valid else None, machine, stop
        self._stay, self.peers = kept is not None, peers
        self._left = Counter(uses)
        self._locks = {key: threading.Lock() for key in self._left}
        self._built: Built = {} if kept is None else kept

    @property
    def threads(self) -> int:
        """Cores of each fit."""
        return self._machine.threads

    @property
    def train(self) -> FoldRows:
        """The training rows, in memory when they are few."""
        return self._train

    @property
    def valid(self) -> FoldRows | None:
        """The validation rows, in memory when they are few."""
        return self._valid

    def get(self, key: Key) -> tuple[Any, Any]:
        """The training matrix, and the one of the validation rows watched (None without validation)."""
        with self._locks[key]:
            if key not in self._built:
                matrix = quantised(self._train, key, self._machine, stop=self._stop, peers=self.peers)
                watch = (
                    quantised(_First(self._valid, WATCH_ROWS), key, self._machine, like=matrix, stop=self._stop) if self._valid else None
                )
                self._built[key] = (matrix, watch)
            return self._built[key]

    def done(self, key: Key) -> None:
        """One use less; the matrix goes with the last."""
        if key not in self._locks:
            return
        with self._locks[key]:
            self._left[key] -= 1
            if not self._left[key] and not self._stay:
                self._built.pop(key, None)


def held(rows: FoldRows) -> FoldRows:
    """The same rows, as one block in memory when they are few."""
    if rows.rows * len(rows.encoding.features) > GATHER_CELLS or isinstance(rows, _Held):
        return rows
    return _Held(rows)


def quantised(rows: FoldRows, key: Key, machine: Machine, *, like: Any = None, stop: Callable[[], bool], peers: Peers = ALONE) -> Any:
    """XGBoost's quantised matrix of the rows, their labels and weights (row weight x class weight while training).

    Parameters
    ----------
    key : bins, whether categories keep their nature, and the power that class weights are raised to (0: none count)
    like : the training matrix whose cuts a validation matrix takes; its class weights are not applied then
    """
    import xgboost

    bins, native, power = key
    features = rows.encoding.features
    types = ["c" if native and by_sets(feature) else "q" for feature in features] if native else None
    shared = {"max_bin": bins, "nthread": machine.threads, "enable_categorical": native}
    balance = np.asarray(rows.class_weights, dtype=np.float32) ** np.float32(power)
    classes = np.ones_like(balance) if like is not None else balance
    if like is None and (shares := peers.gather(np.array([rows.rows]))[:, 0]).sum() > 2 * CUT_ROWS:
        like = xgboost.QuantileDMatrix(_sample(rows, native, len(shares)), feature_types=types, **shared)
    if peers is not ALONE or not _too_big(rows, machine):
        return xgboost.QuantileDMatrix(_feed(rows, classes, types, stop, ""), ref=like, **shared)
    folder = tempfile.mkdtemp(prefix="filon-pages-", dir=machine.scratch or None)
    try:
        matrix = xgboost.ExtMemQuantileDMatrix(_feed(rows, classes, types, stop, f"{folder}/page"), ref=like, **shared)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(matrix, shutil.rmtree, folder, ignore_errors=True)  # the pages are read as long as the matrix lives
    return matrix


def _sample(rows: FoldRows, native: bool, peers: int) -> np.ndarray:
    """The rows that cuts are learnt from, and one with the last level of every category: XGBoost counts levels by the largest code."""
    features = rows.encoding.features
    most = -(-max(20_000, min(CUT_ROWS, 64_000_000 // max(1, len(features)))) // peers)
    parts = [block.x.copy() for block in _First(rows, most).blocks()]
    if native:
        parts.append(np.array([[len(f.categories) - 1 if by_sets(f) and f.categories else np.nan for f in features]], dtype=np.float32))
    return np.concatenate(parts)


def _too_big(rows: FoldRows, machine: Machine) -> bool:
    cells = rows.rows * len(rows.encoding.features)
    return machine.memory_mib > 0 and (cells * CELL_BYTES + rows.rows * ROW_BYTES) / 2**20 > machine.memory_mib


def _feed(rows: FoldRows, classes: np.ndarray, types: list[str] | None, stop: Callable[[], bool], pages: str) -> Any:
    """XGBoost's iterator over the blocks; with `pages` (a path's beginning) what is made of them is kept on disk."""
    import xgboost

    class Feed(xgboost.DataIter):  # type: ignore[misc]  # xgboost is imported late, so its class is only known here
        def __init__(self) -> None:
            self.blocks: Iterator[Block] = iter(())
            super().__init__(cache_prefix=pages or None, on_host=False)

        def reset(self) -> None:
            self.blocks = rows.blocks()

        def next(self, input_data: Callable[..., None]) -> bool:
            if stop():
                raise Stopped
            block = next(self.blocks, None)
            if block is None:
                return False
            weight = block.weight * classes[block.label]
            heavy = {} if plain and bool(np.all(weight == 1)) else {"weight": weight}
            input_data(data=block.x, label=block.label.astype(np.float32), feature_types=types, **heavy)
            return True

    plain = isinstance(rows, _Held)  # of many blocks one may hold weights of 1 by chance: all or none must have them
    return Feed()


@dataclass(frozen=True, slots=True)
class _First:
    """The first rows of a fold, a random sample by the canonical order."""

    whole: FoldRows
    most: int

    @property
    def rows(self) -> int:
        return min(self.whole.rows, self.most)

    @property
    def encoding(self) -> Any:
        return self.whole.encoding

    @property
    def class_weights(self) -> tuple[float, ...]:
        return self.whole.class_weights

    def blocks(self) -> Iterator[Block]:
        left = self.rows
        for block in self.whole.blocks():
            if left <= 0:
                return
            take = min(left, len(block.label))
            yield Block(x=block.x[:take], label=block.label[:take], weight=block.weight[:take])
            left -= take


class _Held:
    """A fold as one block in memory."""

    def __init__(self, whole: FoldRows) -> None:
        self.rows, self.encoding, self.class_weights = whole.rows, whole.encoding, whole.class_weights
        parts = [Block(x=b.x.copy(), label=b.label.copy(), weight=b.weight.copy()) for b in whole.blocks()]
        self._one = Block(
            x=np.concatenate([part.x for part in parts]) if parts else np.empty((0, len(whole.encoding.features)), dtype=np.float32),
            label=np.concatenate([part.label for part in parts]) if parts else np.empty(0, dtype=np.int32),
            weight=np.concatenate([part.weight for part in parts]) if parts else np.empty(0, dtype=np.float32),
        )

    def blocks(self) -> Iterator[Block]:
        if self.rows:
            yield self._one
