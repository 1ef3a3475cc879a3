"""What an explanation leaves: a page, JSON, and the contributions row by row as Parquet."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from filon.explain.records import Explained
from filon.files import write_atomic

if TYPE_CHECKING:
    from filon.pages import Lang

FORMAT = 1
"""Of explain.json; a change of meaning raises it."""


def explained_dict(explained: Explained) -> dict[str, Any]:
    """explain.json."""
    return {"format": FORMAT, **dataclasses.asdict(explained)}


def write_explained(folder: Path, explained: Explained, table: pa.Table, lang: Lang) -> tuple[str, ...]:
    """Write the three files into a folder; the names written.

    Raises
    ------
    SetupError : `run.not-writable`, `run.disk-full`
    """
    import pyarrow.parquet as pq

    from filon.explain.page import page

    out = io.BytesIO()
    pq.write_table(table, out)
    write_atomic(folder / "contributions.parquet", out.getvalue())
    write_atomic(folder / "explain.json", json.dumps(explained_dict(explained), indent=1, ensure_ascii=False) + "\n")
    write_atomic(folder / "explain.html", page(explained, lang))
    return ("contributions.parquet", "explain.json", "explain.html")
