"""A few rows of a table or a fold, for explanations and golden rows: those with the lowest hashes, so the same ones everywhere."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from filon.engines.embedded.folds import EmbeddedFold, Rows

EVERY, NONE = np.uint64(2**64 - 1), np.uint64(0)
"""Bounds below which every hash lies (but one in 2^64), and none."""


def sample_fold(fold: EmbeddedFold, most: int, per_class: int = 0) -> pa.Table:
    """At most `most` rows with the lowest hashes, and at least `per_class` of each class where there are that many.

    Returns
    -------
    features under their names (float32, missing as NaN), "label" int32, "weight" float32
    """
    kept = list(_chosen(fold, most, per_class))
    features = len(fold.encoding.features)
    x = np.concatenate([rows.x for rows in kept]) if kept else np.empty((0, features), np.float32)
    label = np.concatenate([rows.label for rows in kept]) if kept else np.empty(0, np.int32)
    weights = [np.ones(len(rows.label), np.float32) if rows.weight is None else rows.weight for rows in kept]
    weight = np.concatenate(weights) if kept else np.empty(0, np.float32)
    columns = [pa.array(np.ascontiguousarray(x[:, place])) for place in range(features)]
    return pa.Table.from_arrays([*columns, pa.array(label), pa.array(weight)], names=[*fold.encoding.names, "label", "weight"])


def _chosen(fold: EmbeddedFold, most: int, per_class: int) -> Iterator[Rows]:
    wanted = np.full(len(fold.encoding.classes), per_class, np.int64)
    left = most
    for rows in fold.each():
        chosen = np.arange(len(rows.label)) < left
        for number in np.flatnonzero(wanted > 0):
            of_class = np.flatnonzero(rows.label == number)
            chosen[of_class[: wanted[number]]] = True
        left -= len(rows.label)
        wanted -= np.bincount(rows.label, minlength=len(wanted))
        if chosen.any():
            yield rows.some(chosen)
        if left <= 0 and (wanted <= 0).all():
            return


class LowestRows:
    """Rows with the lowest hashes of all batches, and of each class; nothing else is kept."""

    def __init__(self, most: int, per_class: int) -> None:
        self.most, self.per_class = most, per_class
        self._rows: pa.Table | None = None
        self._hashes = np.empty(0, np.uint64)
        self._codes = np.empty(0, np.int64)
        self._texts: dict[str, int] = {}
        self._bound = EVERY if most else NONE
        self._bounds = np.array([NONE])  # by class code; 0: no label

    def add(self, batch: pa.RecordBatch, hashes: np.ndarray, classes: pa.Array | None) -> None:
        """Take in rows with their hashes and the texts of their label, and let go of what is not among the lowest."""
        codes = np.zeros(len(hashes), np.int64) if classes is None else self._coded(classes)
        near = np.flatnonzero((hashes < self._bound) | (hashes < self._bounds[codes]))
        if not len(near):
            return
        fresh = pa.Table.from_batches([batch.take(pa.array(near))])
        rows = fresh if self._rows is None else pa.concat_tables([self._rows, fresh])
        keys, labels = np.concatenate([self._hashes, hashes[near]]), np.concatenate([self._codes, codes[near]])
        chosen = self._lowest(keys, labels, self.most, self.per_class)
        self._rows, self._hashes, self._codes = rows.take(pa.array(chosen)), keys[chosen], labels[chosen]
        if self.most and len(chosen) >= self.most:
            self._bound = self._hashes[self.most - 1]
        for code in range(1, len(self._bounds)):
            of_class = self._hashes[self._codes == code]
            if self.per_class and len(of_class) >= self.per_class:
                self._bounds[code] = of_class[self.per_class - 1]

    def merge(self, other: "LowestRows") -> None:
        """Take in what another part of the table kept."""
        if other._rows is None:
            return
        texts = pa.array([None, *other._texts], pa.string()).take(pa.array(other._codes))
        (rows,) = other._rows.combine_chunks().to_batches()
        self.add(rows, other._hashes, texts)

    def table(self, most: int, per_class: int) -> pa.Table | None:
        """At most so many rows, in the order of their hashes; None when there were none at all.

        Raises
        ------
        ValueError : more is asked for than was kept
        """
        if most > self.most or per_class > self.per_class:
            raise ValueError(f"{self.most} rows and {self.per_class} of each class were kept, not {most} and {per_class}")
        if self._rows is None:
            return None
        return self._rows.take(pa.array(self._lowest(self._hashes, self._codes, most, per_class))).combine_chunks()

    def _coded(self, classes: pa.Array) -> np.ndarray:
        coded = classes.dictionary_encode()
        known = [0 if text is None else self._texts.setdefault(text, len(self._texts) + 1) for text in coded.dictionary.to_pylist()]
        unseen = len(self._texts) + 1 - len(self._bounds)
        if unseen:
            self._bounds = np.append(self._bounds, np.full(unseen, EVERY if self.per_class else NONE))
        places = coded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        return np.asarray(np.array([*known, 0])[places])

    def _lowest(self, keys: np.ndarray, codes: np.ndarray, most: int, per_class: int) -> np.ndarray:
        """Places of the rows to keep, in the order of their hashes (equal hashes: by the label's text)."""
        names = ["", *self._texts]
        rank = np.empty(len(names), np.int64)
        rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
        order = np.lexsort((rank[codes], keys))
        by_class = np.argsort(codes[order], kind="stable")
        ordered = codes[order][by_class]
        first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
        within = np.empty(len(order), np.int64)  # how many of the row's class come before it
        within[by_class] = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
        return np.asarray(order[(np.arange(len(order)) < most) | ((within < per_class) & (codes[order] > 0))])
