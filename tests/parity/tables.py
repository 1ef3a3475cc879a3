"""One table of everything awkward, written in many ways; and the truth of its folds in plain numpy."""

import csv
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from filon.engines.base import Folds
from filon.rows.encode import Encoding
from filon.rows.hash import BUCKETS, buckets, row_hash

ORDER = ("train", "valid", "test")


def awkward(rows: int = 3000, seed: int = 0) -> pd.DataFrame:
    """Numbers with missing cells and both zeros, whole numbers, booleans, words with accents, duplicates, and a label to learn."""
    random = np.random.default_rng(seed)
    x = np.round(random.normal(size=rows), 3)
    x[random.random(rows) < 0.1] = np.nan
    x[:10], x[10:20] = 0.0, -0.0
    words = np.array(["sí", "ñandú", "plain", "with, comma", "日本"])[random.choice(5, rows, p=[0.4, 0.3, 0.15, 0.1, 0.05])]
    frame = pd.DataFrame(
        {
            "x": x,
            "whole": random.integers(-5, 40, rows),
            "flag": random.random(rows) < 0.3,
            "word": pd.Series(np.where(random.random(rows) < 0.05, None, words), dtype=object),
            "tenth": np.round(random.random(rows), 1),
        }
    )
    margin = np.nan_to_num(x) + 0.05 * frame["whole"] + frame["flag"] - 1.5
    frame["y"] = np.where(random.random(rows) < 1 / (1 + np.exp(-margin)), "good", "bad")
    frame.iloc[-200:] = frame.iloc[:200].to_numpy()  # equal rows
    return frame.astype({"whole": "int64", "flag": bool, "x": float, "tenth": float})


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    """With a header; a missing cell is empty."""
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(frame.columns)
        for row in frame.itertuples(index=False):
            writer.writerow(["" if value is None or value != value else value for value in row])
    return path


def arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def write_parquet(frame: pd.DataFrame, path: Path, files: int = 1, group: int = 1000) -> Path:
    """One file, or a folder of several."""
    if files == 1:
        pq.write_table(arrow(frame), path, row_group_size=group)
        return path
    path.mkdir()
    for number, part in enumerate(np.array_split(np.arange(len(frame)), files)):
        pq.write_table(arrow(frame.iloc[part]), path / f"part-{number:02d}.parquet", row_group_size=group)
    return path


def hashes(frame: pd.DataFrame, features: Sequence[str]) -> np.ndarray:
    """Row hashes by content: (rows,) uint64."""
    (batch,) = arrow(frame).combine_chunks().to_batches()
    return row_hash(batch, list(features))


def truth(
    frame: pd.DataFrame, features: Sequence[str], classes: Sequence[str], shares: Sequence[float], seed: int
) -> dict[str, list[tuple[int, str]]]:
    """The stratified folds by row, worked out row by row: (hash, label) of each fold in canonical order."""
    keys, labels = hashes(frame, features), frame["y"].to_numpy()
    bucket, order = buckets(keys, seed).astype(int), list(classes)
    lowest = {key: min(labels[keys == key], key=order.index) for key in keys}
    edges: Mapping[str, list[int]] = {name: _edges(bucket[labels == name], shares) for name in order}
    found: dict[str, list[tuple[int, str]]] = {name: [] for name in ORDER}
    for key, at, label in zip(keys, bucket, labels, strict=True):
        fold = sum(int(at >= edge) for edge in edges[lowest[key]])
        found[ORDER[fold]].append((int(key), str(label)))
    return {name: sorted(rows, key=lambda row: (row[0], order.index(row[1]))) for name, rows in found.items()}


def _edges(bucket: np.ndarray, shares: Sequence[float]) -> list[int]:
    """First bucket of valid and of test: where the rows before it come nearest to the share."""
    edges = [*sorted(set(bucket.tolist())), BUCKETS]
    before = [int((bucket < edge).sum()) for edge in edges]
    return [edges[int(np.argmin([abs(rows - sum(shares[:upto]) * len(bucket)) for rows in before]))] for upto in (1, 2)]


def seen(folds: Folds) -> dict[str, np.ndarray]:
    """Rows of each fold as the trainer sees them, label last: (rows, features + 1) float32."""
    out = {}
    for name in ORDER:
        fold = folds.open_test("parity") if name == "test" else folds.fold(name)  # type: ignore[arg-type]
        blocks = [np.column_stack([block.x, block.label]) for block in fold.blocks()]  # type: ignore[attr-defined]
        out[name] = np.concatenate(blocks).astype(np.float32)
    return out


def category_frequencies(folds: Folds, place: int, encoding: Encoding) -> list[int]:
    """Rows of the training fold by category, in the encoding's order."""
    codes = seen(folds)["train"][:, place]
    return np.bincount(codes[~np.isnan(codes)].astype(int), minlength=len(encoding.features[place].categories)).tolist()
