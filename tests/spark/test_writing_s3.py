"""Scored rows to a real S3 server: parts first, the manifest last, nothing of an older output left."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.servers.s3 import S3, s3, s3_servers  # noqa: F401 : fixtures
from tests.spark.twins import LOCAL, Twins, table, twins

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
