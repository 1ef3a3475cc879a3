"""Surveys of Spark against those of the embedded engine: the same counts, of tables, of captured lines, and with labels that came later."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.spark.twins import LOCAL
from tests.unit.engines.trainer.memory_rows import MemoryRows, encoding_of, fit_one, trial

from filon.engines.base import Column, File, Source
from filon.engines.captures import EVENT, MOMENT, marked
from filon.engines.embedded import EmbeddedEngine
from filon.engines.spark.captured import SparkCapture
from filon.engines.spark.reader import open_table
from filon.engines.spark.scoring import score
from filon.engines.spark.session import Session
from filon.engines.spark.surveying import survey
from filon.engines.survey import Gauge, Survey, SurveyPlan
from filon.evaluate.metrics import values
from filon.events import silence

pytestmark = [pytest.mark.spark]

ENCODING = encoding_of((0, 3))
COLUMNS = (Column(name="f0", kind="number"), Column(name="f1", kind="category"))
PLAN = SurveyPlan(
    gauges=(
        Gauge(name="f0", kind="number", edges=(-2.0, -1.0, 0.0, 1.0, 2.0)),
        Gauge(name="f1", kind="category", values=("v0", "v1", "v2")),
    ),
    scores=(0.0, 0.25, 0.5, 0.75, 1.0),
    classes=ENCODING.classes,
    time=MOMENT,
    join=(EVENT,),
    named=("event_id",),
)


@pytest.fixture(scope="module")
def session(spark_session: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    made = Session(LOCAL, tmp_path_factory.mktemp("session"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def model() -> Any:
    draw = np.random.default_rng(1)
    x = np.column_stack([draw.standard_normal(600), draw.integers(0, 3, 600)]).astype(np.float32)
    rows = MemoryRows(x=x, label=(x[:, 0] + (x[:, 1] == 1) > 0).astype(np.int32), encoding=ENCODING)
    return fit_one(rows, trial(1, "xgboost", num_round=8)).ensemble


def captured(folder: Path) -> tuple[Source, Source]:
    """Three hours of captured lines, each with one that cannot be read, and a table of labels for most of them (some given twice: the last
    holds)."""
    draw = np.random.default_rng(2)
    files, events, labels = [], [], []
    for hour in range(3):
        lines = []
        for number in range(300):
            event = f"e{hour}-{number}"
            text = f"{draw.standard_normal():.4f},{draw.choice(['v0', 'v1', 'new', ''])}"
            asked = {"observedContentType": "text/csv", "mode": "INPUT", "data": text, "encoding": "CSV"}
            about = {"eventId": event, "inferenceTime": f"2026-11-20T{10 + hour}:30:00Z"}
            lines.append(json.dumps({"captureData": {"endpointInput": asked}, "eventMetadata": about, "eventVersion": "0"}))
            events += [event] * (1 + number % 2)
            labels += [str(draw.choice(ENCODING.classes)) for _ in range(1 + number % 2)]
        odd = {"observedContentType": "application/json", "mode": "INPUT", "data": '{"f0": 1, "f1": "\\ud800"}', "encoding": "JSON"}
        lines.insert(100, json.dumps({"captureData": {"endpointInput": odd}, "eventMetadata": about, "eventVersion": "0"}))
        path = folder / "2026" / "11" / "20" / str(10 + hour) / "a.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(lines) + "\n")
        files.append(File(path=str(path), size_bytes=path.stat().st_size))
    pq.write_table(pa.table({"event_id": events, "y": labels})[: len(events) - 200], folder / "labels.parquet")
    size = (folder / "labels.parquet").stat().st_size
    named = (
        Column(name="event_id", kind="text", role="key", stored="string"),
        Column(name="y", kind="category", role="label", stored="string"),
    )
    table = Source(format="parquet", files=(File(path=str(folder / "labels.parquet"), size_bytes=size),), dialect=None, columns=named)
    return Source(format="capture", files=tuple(files), dialect=None, columns=marked(COLUMNS), origin="capture"), table


def same(one: Survey, other: Survey) -> None:
    assert (one.rows, one.late, one.unit) == (other.rows, other.late, other.unit)
    assert list(one.counts) == list(other.counts)
    for period, vector in one.counts.items():
        assert (vector == other.counts[period]).all()
    assert list(one.tallies) == list(other.tallies)
    for period, tally in one.tallies.items():
        assert values(tally) == pytest.approx(values(other.tallies[period]), abs=1e-12)


def test_captured_lines_are_counted_alike_with_labels_that_came_later(session: Session, model: Any, tmp_path: Path) -> None:
    rows, labels = captured(tmp_path)
    with EmbeddedEngine(scratch=tmp_path / "scratch", threads=2) as engine:
        here = engine.survey(engine.score(engine.read(rows), model, ENCODING, 0.5), PLAN, engine.read(labels))
    there = survey(
        score(SparkCapture(session, rows), model, ENCODING, 0.5),  # type: ignore[arg-type]
        PLAN,
        open_table(session, labels, silence),
        silence,
    )
    same(here, there)
    assert (here.rows, len(here.counts)) == (900, 3)
    assert here.tally().rows - here.tally().unlabelled > 500
    total = here.total(PLAN)
    assert total[PLAN.places[1] + 4] > 0  # unseen
    assert total[PLAN.places[1] + 5] > 0  # missing


def test_a_table_is_counted_alike(session: Session, model: Any, tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    table = pa.table(
        {"f0": draw.standard_normal(2000), "f1": draw.choice(["v0", "v1", "v2"], 2000), "y": draw.choice(ENCODING.classes, 2000)}
    )
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=500)
    label = Column(name="y", kind="category", role="label", stored="string")
    columns = (replace(COLUMNS[0], stored="double"), replace(COLUMNS[1], stored="string"), label)
    size = (tmp_path / "rows.parquet").stat().st_size
    source = Source(format="parquet", files=(File(path=str(tmp_path / "rows.parquet"), size_bytes=size),), dialect=None, columns=columns)
    plan = replace(PLAN, time="", join=(), named=())
    with EmbeddedEngine(scratch=tmp_path / "scratch", threads=2) as engine:
        here = engine.survey(engine.score(engine.read(source), model, ENCODING, 0.5), plan)
    there = survey(score(open_table(session, source, silence), model, ENCODING, 0.5), plan, None, silence)
    same(here, there)
    assert here.tally().rows == 2000
