"""How large a table is, found out from its edges: Parquet footers, or the first lines of a CSV file."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from filon.engines import s3
from filon.engines.base import File, Source
from filon.engines.storage import opened
from filon.errors import RecipeError
from filon.places.emr.work import Table
from filon.read import read
from filon.read.parquet import footers
from filon.read.settings import DataSettings

SAMPLE_BYTES = 1 << 20
"""Of the first CSV file, from which the mean length of a line is taken."""


def look_at(data: DataSettings, base: Path, region: str = "") -> Table:
    """Rows, features and bytes of a recipe's source, without reading it.

    Parameters
    ----------
    region : of S3, where neither the environment nor the profile says one; "" for S3's own guess

    Raises
    ------
    FilonError : `read.*`, as of any reading; `cost.table-unknown`
    """
    with _in_region(region):
        source = read(data, base)
        features = len(source.names("feature"))
        size = sum(one.size_bytes for one in source.files)
        if source.format == "parquet":
            rows, how = sum(count for _, count in footers(source.files)), "counted in the footers"
        else:
            rows, how = _by_lines(source, size), "by the length of the first lines"
    return Table(rows=rows, features=features, size_bytes=size, name=source.files[0].path, how=how)


@contextlib.contextmanager
def _in_region(region: str) -> Iterator[None]:
    """The job's nodes read in the region of the recipe; so do we, unless the environment or the profile knows better."""
    if not region or s3.access().region:
        yield
        return
    os.environ["AWS_REGION"] = region
    try:
        yield
    finally:
        del os.environ["AWS_REGION"]


def _by_lines(source: Source, size: int) -> int:
    """Rows of a CSV source as its first MiB suggests.

    Raises
    ------
    RecipeError : `cost.table-unknown`
    """
    first = source.files[0]
    head, share = _head(first)
    lines = head.count(b"\n")
    if lines < 2:
        raise RecipeError(
            "cost.table-unknown",
            "how many rows the table has cannot be told without reading it",
            f"the first {len(head):,} bytes of {first.path} hold {lines} line ends",
            "give its size: --rows 40000000 --features 30",
        )
    if share >= 1.0:  # all of the first file was seen
        return round((lines - 1) * size / max(1, first.size_bytes))
    return round(size / (len(head) * share / lines))


def _head(file: File) -> tuple[bytes, float]:
    """The first bytes as text, and compressed bytes by byte of text (1 or more: the file ended)."""
    with opened(file) as stream:
        raw = stream.read(SAMPLE_BYTES)
    if raw[:2] != b"\x1f\x8b":
        return raw, 1.0 if len(raw) >= file.size_bytes else 0.999999
    text = zlib.decompressobj(wbits=31).decompress(raw)
    return text, 1.0 if len(raw) >= file.size_bytes else len(raw) / max(1, len(text))
