"""Files that arrive are scored once each, whatever happens in between."""

import json
import os
import re
import resource
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.spark.twins import LOCAL
from tests.unit.package.conftest import rows, seal

from filon.bundles import predict_stream
from filon.engines.spark import streaming
from filon.engines.spark.session import Session
from filon.errors import DataError, RecipeError, SetupError
from filon.package import Bundle

pytestmark = [pytest.mark.spark]

SCALA = {"3.5": "2.12", "4.1": "2.13"}
"""Of the builds of pyspark on PyPI."""


@pytest.fixture(scope="module")
def bundle(spark_session: Any, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return seal(tmp_path_factory.mktemp("bundle"), "xgboost", derived=True)


class Arrivals:
    """A folder that files arrive in, and its stream."""

    def __init__(self, bundle: Bundle, folder: Path) -> None:
        self.bundle, self.folder, self.sent = bundle, folder, pa.table({})

    def send(self, name: str, table: pa.Table) -> None:
        (self.folder / "in").mkdir(exist_ok=True)
        pq.write_table(table, self.folder / f".{name}")
        (self.folder / f".{name}").rename(self.folder / "in" / f"{name}.parquet")

    def stream(self, **options: Any) -> streaming.Streamed:
        given = {"available_now": True, "checkpoint": str(self.folder / "notes"), "keep": ["customer"], **options}
        return predict_stream(self.bundle, str(self.folder / "in"), str(self.folder / "out"), **given)

    def scored(self) -> pd.DataFrame:
        return pq.read_table(self.folder / "out").to_pandas()


@pytest.fixture
def arrivals(bundle: Bundle, tmp_path: Path) -> Arrivals:
    return Arrivals(bundle, tmp_path)


def test_each_file_is_scored_once_over_several_passes(arrivals: Arrivals) -> None:
    made = rows(600, seed=11)
    arrivals.send("a", made.slice(0, 200))
    arrivals.send("b", made.slice(200, 100))
    assert arrivals.stream().rows == 300
    arrivals.send("c", made.slice(300))
    below = arrivals.folder / "in" / "2024"
    below.mkdir()
    (below.parent / "c.parquet").rename(below / "c.pq")
    again = arrivals.stream()
    assert (again.batches, again.rows, again.scored, again.rejected) == (1, 300, 300, 0)
    assert arrivals.stream().batches == 0, "nothing new has arrived"
    found = arrivals.scored().sort_values("customer", key=lambda names: names.str[1:].astype(int), ignore_index=True)
    assert found["customer"].tolist() == made["customer"].to_pylist()
    truth = arrivals.bundle.predict(made.to_pandas())
    assert found["label"].tolist() == truth["label"].tolist()
    assert abs(found["probability_class 1"] - truth["probability_class 1"]).max() <= 1e-6


def test_files_in_folders_below_are_scored_and_their_names_are_columns(arrivals: Arrivals) -> None:
    made, folder = rows(600, seed=11), arrivals.folder
    clerk = pa.array([job == "clerk" for job in made["job"].to_pylist()])
    for number, (name, mine) in enumerate((("clerk", clerk), ("__HIVE_DEFAULT_PARTITION__", pc.invert(clerk)))):
        there = folder / "in" / "late" / f"job={name}"
        there.mkdir(parents=True)
        pq.write_table(made.drop_columns("job").filter(mine), there / f"{number}.parquet")
    assert arrivals.stream(keep=["customer", "job"]).rows == 600
    known = made.set_column(2, "job", pa.array([job if job == "clerk" else None for job in made["job"].to_pylist()])).to_pandas()
    truth = pd.Series(arrivals.bundle.predict(known)["probability_class 1"].to_numpy(), made["customer"].to_pylist())
    found = arrivals.scored()
    assert abs(found["probability_class 1"].to_numpy() - truth[found["customer"]].to_numpy()).max() <= 1e-6
    for option in ("out", "rejects"):
        given = {"out": str(folder / "out"), "rejects": str(folder / "bad"), option: str(folder / "in" / "scored")}
        with pytest.raises(RecipeError) as caught:
            predict_stream(arrivals.bundle, str(folder / "in"), checkpoint=str(folder / "notes"), available_now=True, **given)
        assert caught.value.code == "predict.out-is-data"


def test_batch_that_was_written_but_not_noted_replaces_its_own_rows(arrivals: Arrivals) -> None:
    arrivals.send("a", rows(100))
    arrivals.stream()
    for note in (arrivals.folder / "notes" / "commits").iterdir():  # as if the process had been killed before the commit was noted
        note.unlink()
    for folder in ("out", "out.rejected"):
        (arrivals.folder / folder / ".batch=0.0badcafe.partial").mkdir(parents=True)
    assert arrivals.stream().rows == 100
    assert len(arrivals.scored()) == 100
    assert not list(arrivals.folder.glob("out*/.*")), "nothing is left of the attempt that was killed"


def test_checkpoint_of_another_stream_is_refused(arrivals: Arrivals, tmp_path: Path) -> None:
    arrivals.send("a", rows(50))
    arrivals.stream()
    with pytest.raises(RecipeError) as caught:
        predict_stream(
            arrivals.bundle, str(tmp_path / "in"), str(tmp_path / "other"), checkpoint=str(tmp_path / "notes"), available_now=True
        )
    assert caught.value.code == "predict.stream-checkpoint"
    assert "other" in caught.value.why


def test_checkpoint_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes" / "offsets").mkdir(parents=True)
    with pytest.raises(RecipeError) as caught:
        streaming.claim(str(tmp_path / "notes"), str(tmp_path / "out"), {"bundle": "b"})
    assert caught.value.code == "predict.stream-checkpoint"
    assert not (tmp_path / "notes" / "filon.json").exists()


def test_checkpoint_and_output_note_whose_they_are(tmp_path: Path) -> None:
    for _ in range(2):
        streaming.claim(str(tmp_path / "notes"), str(tmp_path / "out"), {"bundle": "b"})
    noted = json.loads((tmp_path / "notes" / "filon.json").read_text())
    assert noted["bundle"] == "b"
    assert json.loads((tmp_path / "out" / "_filon.json").read_text()) == noted


def test_a_disk_that_fills_up_leaves_no_half_of_a_note(tmp_path: Path) -> None:
    given = str(tmp_path / "notes"), str(tmp_path / "out"), {"bundle": "1", "data": "in", "out": "out"}
    before, heard = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises((SetupError, OSError)):
            streaming.claim(*given)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heard)
    streaming.claim(*given)
    assert json.loads((tmp_path / "notes" / "filon.json").read_text())["bundle"] == "1"


def test_new_checkpoint_never_replaces_the_batches_of_an_output(arrivals: Arrivals) -> None:
    arrivals.send("a", rows(50))
    arrivals.stream()
    before = {path.name for path in (arrivals.folder / "out" / "batch=0").iterdir()}
    (arrivals.folder / "notes").rename(arrivals.folder / "notes.lost")
    for checkpoint in ("notes", "other"):
        with pytest.raises(RecipeError) as caught:
            arrivals.stream(checkpoint=str(arrivals.folder / checkpoint))
        assert caught.value.code == "predict.stream-output"
        assert "--out" in caught.value.fix
        assert not (arrivals.folder / checkpoint).exists(), "a refused stream owns nothing"
    (arrivals.folder / "out" / "_filon.json").unlink()
    with pytest.raises(RecipeError, match="output"):
        arrivals.stream()
    assert {path.name for path in (arrivals.folder / "out" / "batch=0").iterdir()} == before
    (arrivals.folder / "notes.lost").rename(arrivals.folder / "notes")
    assert arrivals.stream().batches == 0


def test_file_that_cannot_be_scored_stops_the_stream_with_its_error(arrivals: Arrivals) -> None:
    arrivals.send("a", rows(50).drop_columns(["age"]))
    with pytest.raises(Exception, match="age") as caught:
        arrivals.stream()
    assert getattr(caught.value, "code", "") == "read.columns-lacking"
    assert [one.name for one in (arrivals.folder / "out").iterdir()] == ["_filon.json"]


def test_files_of_one_batch_that_differ_are_told_with_what_lets_the_stream_go_on(arrivals: Arrivals) -> None:
    made = rows(60)
    arrivals.send("a", made.slice(0, 40))
    arrivals.send("b", made.slice(40).set_column(0, "age", made["age"].slice(40).cast(pa.string())))
    with pytest.raises(DataError, match="arrived together") as caught:
        arrivals.stream()
    assert "b.parquet" in caught.value.why
    arrivals.send("b", made.slice(40))  # what the fix says
    assert arrivals.stream().scored == 60


def test_sigterm_ends_the_stream_after_the_batch_under_way(arrivals: Arrivals) -> None:
    arrivals.send("a", rows(50))

    def when_scored() -> None:
        for _ in range(600):
            if (arrivals.folder / "out" / "batch=0" / "_SUCCESS").exists():
                break
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=when_scored)
    thread.start()
    done = arrivals.stream(available_now=False)
    thread.join()
    assert done.rows == len(arrivals.scored()) == 50


def test_topic_without_a_connector_names_the_jar(arrivals: Arrivals, spark_session: Any) -> None:
    with pytest.raises(SetupError) as caught:
        predict_stream(
            arrivals.bundle, "kafka://127.0.0.1:9092/rows", str(arrivals.folder / "out"), checkpoint=str(arrivals.folder / "notes")
        )
    assert caught.value.code == "predict.stream-kafka"
    assert f"spark-sql-kafka-0-10_{SCALA[spark_session.version[:3]]}:{spark_session.version}" in caught.value.fix


def test_stream_over_s3_without_its_jars_is_told(arrivals: Arrivals) -> None:
    with pytest.raises(SetupError) as caught:
        predict_stream(arrivals.bundle, "s3://mine/in", str(arrivals.folder / "out"), checkpoint=str(arrivals.folder / "notes"))
    assert caught.value.code == "engines.s3a-missing"
    assert re.search(r"hadoop-aws:3\.\d+\.\d+", caught.value.fix)


def test_messages_of_a_batch_leave_the_work_folder_when_it_is_done(spark_session: Any, bundle: Bundle, tmp_path: Path) -> None:
    session = Session(LOCAL, tmp_path)
    what = streaming.Stream(data="kafka://h:1/t", checkpoint="", out="", identity={}, columns=bundle.inputs)
    for said, many in (['{"age": 40}'], 1), ([], 0):
        frame = spark_session.createDataFrame([(one,) for one in said], "value string")
        with streaming._files(session, what, frame) as files:
            assert len(files) == many
            assert len(list(Path(session.work.removeprefix("file://")).iterdir())) == 1
        assert list(Path(session.work.removeprefix("file://")).iterdir()) == []
    session.close()


def test_messages_become_rows_of_the_bundles_columns(spark_session: Any, bundle: Bundle) -> None:
    said = ['{"age": 40, "job": "miner", "member": true, "extra": 1}', '{"job": null}', "no JSON"]
    found = streaming.parsed(spark_session.createDataFrame([(one,) for one in said], "value string"), bundle.inputs)
    assert [(row["age"], row["job"], row["member"]) for row in found.collect()] == [(40.0, "miner", True), (None, None, None), (None,) * 3]


@pytest.fixture(autouse=True)
def _no_stream_is_left(spark_session: Any) -> Iterator[None]:
    yield
    for query in spark_session.streams.active:
        query.stop()
