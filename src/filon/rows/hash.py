"""The row hash: one vectorised function over Arrow batches that every engine calls (law 1)."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

BUCKETS = 1 << 16
"""Hash buckets of a split: shares are exact to one of them, so to 0.002 % of the rows of a large table."""


def row_hash(batch: pa.RecordBatch, columns: Sequence[str]) -> np.ndarray:
    """Hash of a row's content, free of column order, file format, engine and integer width.

    Numbers count by their float32 value (law 2: what the model sees): -0.0 is 0.0, NaN is missing, 1 is 1.0; booleans as 0/1; texts by
    their UTF-8 bytes; dates and timestamps by microseconds since 1970 UTC (naive ones are taken as UTC); each cell together with its column's name.

    Returns
    -------
    (rows,) uint64
    """
    raise NotImplementedError


def key_hash(batch: pa.RecordBatch, columns: Sequence[str]) -> np.ndarray:
    """As `row_hash`, but numbers are exact: integers by their 64 bits, others by their float64 value.

    Returns
    -------
    (rows,) uint64
    """
    raise NotImplementedError


def buckets(hashes: np.ndarray, seed: int) -> np.ndarray:
    """Seeded bucket of each hash: (rows,) uint16 below `BUCKETS`; stable for ever (bundles and manifests depend on it)."""
    raise NotImplementedError


def digest(hashes: np.ndarray) -> int:
    """Sum of the hashes mod 2^64: free of order, so it can be compared across engines, formats and machines."""
    raise NotImplementedError
