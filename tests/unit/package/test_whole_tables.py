"""A bundle over a file: what would lose rows, cannot be written or says nothing is refused, and nothing is left behind."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.unit.package.conftest import rows

import filon
from filon.errors import DataError, RecipeError
from filon.package import Bundle

Sealed = Callable[..., Bundle]


def test_rows_that_are_read_are_never_written_over(sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = sealed("gbt")
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data" / "new.parquet"
    data.parent.mkdir()
    pq.write_table(rows(40), data)
    (tmp_path / "again.parquet").symlink_to(data)
    Path("folder.parquet").symlink_to(data.parent)
    before = data.read_bytes()
    for out, rejects in (
        (str(data), None),
        ("data/../data/new.parquet", None),
        ("data/new.parquet/", None),
        ("again.parquet", None),
        ("folder.parquet", None),
        ("scored.parquet", "data/new.parquet"),
        ("scored.csv", "scored.csv"),
    ):
        with pytest.raises(RecipeError) as caught:
            filon.predict(bundle, "data/new.parquet", out, rejects=rejects)
        assert caught.value.code == "predict.out-is-data", (out, rejects)
    assert data.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.parquet", "data", "folder.parquet"]
    assert filon.predict(bundle, data, tmp_path / "data" / "scored.parquet").scored == 40
    assert filon.predict(bundle, "data/new.parquet", "data/scored.parquet/").scored == 40, "an output that is written as a folder"


@pytest.mark.parametrize("cells", [pa.array([[1, 2]] * 40), pa.array([{"a": 1}] * 40), pa.array([b"\xff"] * 40)])
def test_what_has_no_text_is_refused_for_a_csv_and_kept_in_parquet(sealed: Sealed, tmp_path: Path, cells: pa.Array) -> None:
    pq.write_table(rows(40).append_column("odd", cells), tmp_path / "new.parquet")
    with pytest.raises(RecipeError, match=r"odd \(") as caught:
        filon.predict(sealed("gbt"), str(tmp_path / "new.parquet"), str(tmp_path / "scored.csv"), keep=("odd",))
    assert caught.value.code == "engines.output-no-text"
    assert [path.name for path in tmp_path.iterdir()] == ["new.parquet"]
    filon.predict(sealed("gbt"), str(tmp_path / "new.parquet"), str(tmp_path / "scored.parquet"), keep=("odd",))
    assert pq.read_table(tmp_path / "scored.parquet").column("odd").to_pylist() == cells.to_pylist()


def test_a_table_without_one_known_class_is_no_exam(sealed: Sealed, tmp_path: Path) -> None:
    table = rows(40)
    known = table.column("label")
    place = table.schema.get_field_index("label")
    for label, said in ((pc.utf8_upper(known), "CLASS 0"), (pa.nulls(40, pa.string()), "no label")):
        pq.write_table(table.set_column(place, "label", label), tmp_path / "new.parquet")
        with pytest.raises(DataError, match=said) as caught:
            filon.evaluate(sealed("gbt"), str(tmp_path / "new.parquet"), out=tmp_path / "report")
        assert caught.value.code == "evaluate.label-unknown"
        assert not (tmp_path / "report").exists()
