"""A bundle of every format that was ever released still opens and still answers what it answered when it was sealed.

The folders beside this file are never edited: a new format adds one.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.bundles.make import rows

from filon.engines.embedded import EmbeddedEngine
from filon.errors import BundleError
from filon.package import open_bundle, sealed
from filon.watch import Asked, baseline, watch

HERE = Path(__file__).parent
FORMATS = sorted(path for path in HERE.glob("format-*") if path.is_dir())
WATCHED = HERE / "watched-1"
"""Of format 1 with the counts that `filon watch` needs, in their format 1."""


def test_there_is_one_of_every_format() -> None:
    assert [path.name for path in FORMATS] == [f"format-{number}" for number in range(1, sealed.FORMAT + 1)]


@pytest.mark.parametrize("path", [*FORMATS, WATCHED], ids=lambda path: path.name)
def test_it_opens_and_answers_as_when_it_was_sealed(path: Path) -> None:
    bundle = open_bundle(path)
    golden = bundle.golden()
    expected = np.array(golden.column("filon:probability").to_pylist())
    answered = bundle.predict(golden)
    many = np.stack([answered.column(f"probability_{name}").to_numpy() for name in bundle.classes], axis=1)
    assert np.abs(many - expected).max() <= 1e-6
    rows = golden.select([column.name for column in bundle.inputs]).to_pylist()
    few = np.array([bundle.answer(row).probability for row in rows])
    assert np.abs(few - expected).max() <= 1e-6


def test_a_sealed_bundle_is_still_watched(tmp_path: Path) -> None:
    assert open_bundle(WATCHED).baseline["watch"]["format"] == baseline.FORMAT == 1
    found = {}
    for name, table in (("same", rows(4000, 7)), ("older", rows(4000, 8, older=4.0))):
        pq.write_table(table.drop_columns("deposit"), tmp_path / f"{name}.parquet")
        with EmbeddedEngine(threads=1, memory_mib=1024, scratch=tmp_path / name) as engine:
            found[name] = watch(open_bundle(WATCHED), Asked(data=str(tmp_path / f"{name}.parquet")), engine)
    assert [one.code for one in found["same"].alarms] == []
    assert {(one.code, one.column) for one in found["older"].alarms} >= {("watch.column-drifted", "age"), ("watch.score-drifted", "")}
    accuracy = next(one for one in found["older"].metrics if one.name == "accuracy")
    assert accuracy.estimate is not None


def test_a_bundle_of_before_says_that_it_cannot_be_watched(tmp_path: Path) -> None:
    with EmbeddedEngine(threads=1, memory_mib=1024, scratch=tmp_path) as engine, pytest.raises(BundleError) as refused:
        watch(open_bundle(HERE / "format-1"), Asked(data="any.csv"), engine)
    assert refused.value.code == "watch.no-baseline"
