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
from filon.engines.spark import writing
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
