"""A few rows of a fold, for explanations and golden rows."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from filon.engines.embedded.folds import EmbeddedFold, Rows


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
