"""A real S3 server: tables are read as on this machine; of scored rows parts come first, the manifest last, nothing of an older output
is left."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.servers.s3 import S3, s3, s3_servers  # noqa: F401 : fixtures
from tests.spark.twins import LOCAL, Twins, table, twins
from tests.unit.package.conftest import rows as people
from tests.unit.package.conftest import seal

from filon.bundles import predict_stream
from filon.engines import open_engine
from filon.engines.base import FitPlan, Sink, Trial
from filon.engines.spark import pieces, writing
from filon.engines.spark.reader import open_table
from filon.engines.spark.scoring import score
from filon.engines.spark.session import Session
from filon.events import silence
from filon.read import read
from filon.read.settings import DataSettings

pytestmark = [pytest.mark.spark, pytest.mark.server]


@pytest.fixture
def pair(spark_session: Any, tmp_path: Path) -> Iterator[tuple[Session, Twins]]:
    session = Session(LOCAL, tmp_path)
    with twins(session, tmp_path / "pair", table(3000)) as both:
        yield session, both
    session.close()


def test_output_in_s3_is_whole_when_its_manifest_is_there(pair: tuple[Session, Twins], s3: S3, tmp_path: Path) -> None:  # noqa: F811
    session, both = pair
    (fitted,) = both.engine.fit(both.here, [Trial(number=1, family="xgboost", settings={"num_round": 5}, seed=1)], FitPlan(valid=False))
    pq.write_table(table(3000), tmp_path / "rows.parquet", row_group_size=700)
    there = s3.put("in/rows.parquet", (tmp_path / "rows.parquet").read_bytes())
    s3.put("scored.parquet/part-00099-older.parquet", b"of an output before")
    s3.put("scored.parquet/_SUCCESS", b"{}")
    source = read(DataSettings(source=there, label="outcome"), tmp_path)
    scored = score(open_table(session, source), fitted.ensemble, both.here.encoding, None)
    out = f"{there.removesuffix('in/rows.parquet')}scored.parquet"
    written = writing.write(scored, Sink(path=out, format="parquet", keep=("outcome",)), silence)
    assert (written.rows, written.scored) == (3000, 3000)
    manifest = json.loads(s3.get("scored.parquet/_SUCCESS"))
    store, root = s3.filesystem(), out.removeprefix("s3://")
    from pyarrow import fs

    listed = {one.base_name: one.mtime for one in store.get_file_info(fs.FileSelector(root))}
    assert set(listed) == {"_SUCCESS", *(part["name"] for part in manifest["parts"])}
    assert max(listed, key=lambda name: (listed[name], name == "_SUCCESS")) == "_SUCCESS"
    found = pq.read_table(root, filesystem=store)
    assert found["outcome"].to_pylist() == table(3000)["outcome"].to_pylist()
    assert sum(part["rows"] for part in manifest["parts"]) == 3000


def test_kinds_of_derived_columns_do_not_hang_on_the_first_file_alone(spark_session: Any, s3: S3, tmp_path: Path) -> None:  # noqa: F811
    """It has no row, the second has one: who looked at less than the first rows of the table would take these texts for categories."""
    (tmp_path / "long_words.py").write_text(
        "import pyarrow.compute as pc\n\n\ndef long(batch):\n    return pc.utf8_length(batch.column('note'))\n"
    )
    notes = pa.table({"note": [f"what customer {number} wrote about it" for number in range(2000)], "outcome": ["a", "b"] * 1000})
    for name, rows in (("0", notes.slice(0, 0)), ("1", notes.slice(0, 1)), ("2", notes.slice(1))):
        pq.write_table(rows, tmp_path / "some.parquet")
        there = s3.put(f"notes/{name}.parquet", (tmp_path / "some.parquet").read_bytes())
    derive = {"said": "upper(note)", "length": "long_words:long"}
    source = read(DataSettings(source=there.rpartition("/")[0], label="outcome", derive=derive), tmp_path)
    session = Session(LOCAL, tmp_path)
    there_kinds = {column.name: column.kind for column in open_table(session, source).source.columns}
    session.close()
    with open_engine("embedded", scratch=tmp_path, threads=1) as engine:
        here_kinds = {column.name: column.kind for column in engine.read(source).source.columns}
    assert there_kinds == here_kinds
    assert here_kinds["said"] == "text"
    assert here_kinds["length"] == "number"


def test_stream_into_a_folder_of_s3_that_is_written_as_one(spark_session: Any, s3: S3, tmp_path: Path) -> None:  # noqa: F811
    bundle = seal(tmp_path / "bundle", "logistic_regression")
    (tmp_path / "in").mkdir()
    pq.write_table(people(50), tmp_path / "in" / "a.parquet")
    out = s3.put("any", b"").replace("any", "scored/")
    done = predict_stream(bundle, f"{tmp_path / 'in'}/", out, checkpoint=f"{tmp_path / 'notes'}/", available_now=True)
    assert (done.rows, done.scored) == (50, 50)
    assert json.loads(s3.get("scored/batch=0/_SUCCESS"))["scored"] == 50


def test_failed_scoring_over_an_output_leaves_its_rows_once_and_no_manifest(
    pair: tuple[Session, Twins],
    s3: S3,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session, both = pair
    (fitted,) = both.engine.fit(both.here, [Trial(number=1, family="xgboost", settings={"num_round": 5}, seed=1)], FitPlan(valid=False))
    monkeypatch.setattr(pieces, "LEAST_BYTES", 1)
    pq.write_table(table(3000), tmp_path / "rows.parquet", row_group_size=500)
    whole = (tmp_path / "rows.parquet").read_bytes()
    there = s3.put("torn/rows.parquet", whole)
    s3.put("torn/scored.parquet/part-00000-earlier.parquet", b"of an output before")
    s3.put("torn/scored.parquet/_SUCCESS", b"{}")
    source = read(DataSettings(source=there, label="outcome"), tmp_path)
    opened = open_table(session, source)
    assert len(opened.cut.pieces) >= 4, "two tasks at a time, so that some have ended when the last one begins"
    start = pq.ParquetFile(tmp_path / "rows.parquet").metadata.row_group(5).column(0).data_page_offset
    s3.put("torn/rows.parquet", whole[:start] + b"x" * 4000 + whole[start + 4000 :])
    out = there.replace("rows.parquet", "scored.parquet")
    left: list[set[str]] = []
    cleared = writing.Folder.clear

    def clear(folder: writing.Folder) -> None:
        left.append(names(s3, "torn/scored.parquet"))
        cleared(folder)

    monkeypatch.setattr(writing.Folder, "clear", clear)
    scored = score(opened, fitted.ensemble, both.here.encoding, None)
    with pytest.raises(Exception, match="read"):
        writing.write(scored, Sink(path=out, format="parquet"), silence)
    assert len(left[0]) > 1, "tasks wrote parts before one failed"
    assert names(s3, "torn/scored.parquet") == {"part-00000-earlier.parquet"}


def names(server: S3, folder: str) -> set[str]:
    from pyarrow import fs

    return {one.base_name for one in server.filesystem().get_file_info(fs.FileSelector(f"mine/{folder}"))}
