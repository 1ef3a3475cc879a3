"""Rows made of strange values, by the hundred: none is a fault of ours."""

import datetime as dt
import decimal
import io
import json
import random
from collections.abc import Callable

import pyarrow as pa
import pytest
from tests.unit.serve.conftest import GOOD, ask

from filon.serve.app import App
from filon.serve.bodies import ARROW

Make = Callable[..., App]
GOOD_TEXTS = {name: json.dumps(value) for name, value in {**GOOD, "month": "Jan"}.items()}
NAMES = [*GOOD_TEXTS, "extra", r"\ud800", "", "age ", "instances", "columns", "data"]
VALUES = [
    *("null", "true", "1", "-1", "0.5", "1e400", "-1e400", "NaN", "Infinity", "9223372036854775808", "5e-324", "-0.0", "[]", "{}", "[1]"),
    *(f"1{'0' * zeros}" for zeros in (20, 310, 4000)),
    *(json.dumps(text) for text in ("", " ", "\0", "a\0b", "2020-01-01", "0001-01-01T00:00:00+14:00", "x" * 3000, "true", "1", "é")),
    r'"\ud800"',
]
CELLS = ["41", "", "x", "1e400", "true", '"a\nb"', '"', "NaN", "-inf", "é", "\0", "2020-01-01", "1,2", "9" * 400]
COLUMNS = [
    pa.array([1, 2]),
    pa.array([1.5, None]),
    pa.array(["a", None]),
    pa.array([None, None]),
    pa.array([dt.date(1, 1, 1), None]),
    pa.array([dt.datetime(9999, 1, 1), None]),
    pa.array([2**63, 1], pa.uint64()),
    pa.array([decimal.Decimal("9" * 70), None], pa.decimal256(76)),
    pa.array([[1], None]),
    pa.array([{"a": 1}, None]),
    pa.array([b"\xff", None]),
    pa.array(["a", "b"]).dictionary_encode(),
    pa.array([[1], [2]]),
    pa.array(["a", "b"], pa.string_view()),
    pa.array([b"a", b"b"], pa.binary(1)),
    pa.array([dt.time(1), None]),
    pa.array([1, 2], pa.duration("s")),
    pa.array([1.0, 2.0], pa.float16()),
    pa.array([2**62, -(2**62)], pa.timestamp("s")),
    pa.array([1, 2], pa.timestamp("ns", "Europe/Madrid")),
    pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["q"])),
]


def record(draw: random.Random) -> str:
    row = dict(GOOD_TEXTS)
    for _ in range(draw.randint(1, 3)):
        row[draw.choice(NAMES)] = draw.choice(VALUES)
    return "{" + ",".join(f'"{name}":{value}' for name, value in row.items()) + "}"


def line(draw: random.Random, names: list[str]) -> str:
    row = {name: GOOD_TEXTS[name].strip('"') for name in names}
    for _ in range(draw.randint(1, 3)):
        row[draw.choice(names)] = draw.choice(CELLS)
    return ",".join(list(row.values())[: draw.choice((len(names), len(names), 4))])


def body(draw: random.Random, form: str, names: list[str]) -> bytes:
    if form == "text/csv":
        return "\n".join(line(draw, names) for _ in range(draw.randint(1, 3))).encode()
    if form == ARROW:
        table = pa.table([draw.choice(COLUMNS) if draw.random() < 0.3 else COLUMNS[0] for _ in names], names)
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return sink.getvalue()
    rows = [record(draw) for _ in range(draw.randint(1, 3))]
    return ("\n".join(rows) if form == "application/jsonlines" else f"[{','.join(rows)}]").encode()


@pytest.mark.parametrize("form", ["application/json", "application/jsonlines", "text/csv", ARROW])
@pytest.mark.parametrize("derived", [False, True])
def test_strange_values_are_answered_or_refused_and_never_a_fault_of_ours(make: Make, form: str, derived: bool) -> None:
    app, draw = make(derived=derived), random.Random(7)
    names = [column.name for column in app.models.champion.bundle.inputs]
    heard = set()
    for _ in range(80):
        sent = body(draw, form, names)
        answer = ask(app, "POST", "/invocations", sent, content_type=form, accept=draw.choice(["", "text/csv", ARROW]))
        assert answer.status in {200, 400, 422}, sent[:1000]
        heard.add(answer.status)
    assert heard >= {200, 422}
