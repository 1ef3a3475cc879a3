"""What a task reads, without Spark: pieces of a source, by the embedded engine's own code."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filon.engines.base import Source
from filon.engines.spark import pieces
from filon.engines.spark.pieces import cut, rows_of
from filon.engines.spark.reader import _settled
from filon.read import read
from filon.read.settings import DataSettings

FUNCTIONS = "import pyarrow.compute as pc\n\ndef double(batch):\n    return pc.multiply(batch.column('n'), 2)\n"


def source_of(folder: Path, name: str, **data: object) -> Source:
    return read(DataSettings(source=str(folder / name), label="y", **data), folder)  # type: ignore[arg-type]


def every(source: Source, folder: Path, names: list[str], parallel: int = 2) -> list[tuple[object, ...]]:
    made = cut(source, parallel, {})
    settled, _misfits, _schema = _settled(source, made, folder)
    batches = [batch for piece in made.pieces for batch in rows_of(settled, piece, made.stored, names, 100, folder)]
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_python_functions_and_a_filter_that_names_them(tmp_path: Path, kind: str) -> None:
    (tmp_path / "functions_of_pieces.py").write_text(FUNCTIONS)
    table = pa.table({"n": [1.5, None, 3.0, 4.0], "c": ["a", "b", "b", "a"], "y": ["p", "q", "p", "q"]})
    if kind == "parquet":
        pq.write_table(table, tmp_path / "t.parquet")
    else:
        (tmp_path / "t.csv").write_text("n,c,y\n1.5,a,p\n,b,q\n3,b,p\n4,a,q\n")
    source = source_of(tmp_path, f"t.{kind}", derive={"two": "functions_of_pieces:double", "plus": "n + 1"}, where="two > 3")
    assert every(source, tmp_path, ["two", "plus", "c"]) == [(6.0, 4.0, "b"), (8.0, 5.0, "a")]


def test_row_groups_become_pieces_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LEAST_BYTES", 3000)
    (tmp_path / "d").mkdir()
    for part in range(3):
        rows = pa.table({"n": range(part * 1000, part * 1000 + 1000), "y": ["p", "q"] * 500})
        pq.write_table(rows, tmp_path / "d" / f"{part}.parquet", row_group_size=100)
    source = source_of(tmp_path, "d")
    made = cut(source, 100, {})
    assert len(made.pieces) > 5
    assert made.pieces[0].place == 0
    assert made.rows == 3000
    assert every(source, tmp_path, ["n"], parallel=100) == [(k,) for k in range(3000)]
    assert every(source, tmp_path, ["stored:n", "n"], parallel=100) == [(k, k) for k in range(3000)]  # by a query


def test_files_of_different_width_and_one_without_values_are_brought_to_one_schema(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for place, kinds in enumerate([(pa.int32(), pa.null()), (pa.float64(), pa.string()), (pa.float16(), pa.string())]):
        cells = [pa.array([1, 2], pa.int32()).cast(kinds[0]), pa.nulls(2, kinds[1]), pa.array(["p", "q"])]
        pq.write_table(pa.table(dict(zip(("n", "c", "y"), cells, strict=True))), tmp_path / "d" / f"{place}.parquet")
    source = source_of(tmp_path, "d", derive={"half": "n / 2"})
    assert every(source, tmp_path, ["n", "half", "c"]) == [(1.0, 0.5, None), (2.0, 1.0, None)] * 3
