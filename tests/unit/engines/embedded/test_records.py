"""DuckDB's reader of captured records says what Python's says, and refuses what it would read otherwise."""

import json
from typing import Any

import pyarrow as pa
import pytest

from filon.engines import bodies, captures
from filon.engines.base import Column
from filon.engines.captures import rows_of
from filon.engines.embedded.records import RecordParser

COLUMNS = (Column(name="año", kind="number"), Column(name="job", kind="category"), Column(name="member", kind="boolean"))
NAMES = [column.name for column in COLUMNS]
GOOD: list[dict[str, Any]] = [
    {"año": 31.25, "job": "técnico", "member": True},
    {"job": None, "member": None, "año": None},
    {"año": -1e-7, "job": 'a "b"\\ \n c', "member": False, "further": {"año": 1}},
    {"año": 12345678901234567890, "job": " trimmed ", "member": True},
    {"año": 3, "job": "", "member": True},
]
ODD = [
    '{"año": "31", "job": "a", "member": true}',
    '{"año": "1_000", "job": "a", "member": true}',
    '{"año": "", "job": 5.0, "member": "yes"}',
    '{"año": 1, "job": "a"}',
    '{"a\\u00f1o": 1, "job": "a"}',
    '{"año": 1, "año": 2, "job": "a", "member": true}',
    '{"año": true, "job": false, "member": 1}',
    '{"año": [1], "job": {"a": 1}, "member": []}',
    '{"columns": ["job", "año", "member"], "data": [["x", 4, true], ["y", 5, false]]}',
    '{"año": NaN, "job": "NaN", "member": null}',
    '{"año": 1, "job": "a", "member": true}\n{"año": 2, "job": "b", "member": false}',
    '[{"año": 1, "job": "a", "member": true}, {"año": 2, "member": true}]',
    "[]",
    "null",
    '{"año": 1, "job": "a", "member": tru',
    "no json",
    "5",
]


def block(texts: list[str]) -> bytes:
    lines = []
    for number, body in enumerate(texts):
        asked = {"observedContentType": "application/json", "mode": "INPUT", "data": body, "encoding": "JSON"}
        about = {"eventId": f"e{number}", "inferenceTime": "2026-11-20T10:15:00Z"}
        lines.append(json.dumps({"captureData": {"endpointInput": asked}, "eventMetadata": about}).encode() + b"\n")
    return b"".join(lines)


def by_event(found: tuple[pa.RecordBatch, int]) -> tuple[dict[str, str], int]:
    """NaN is written as a word: it is not equal to itself."""
    rows, bad = found
    return {row[captures.EVENT]: str([row[name] for name in NAMES]) for row in rows.to_pylist()}, bad


def slowly(monkeypatch: pytest.MonkeyPatch, given: bytes) -> tuple[dict[str, str], int]:
    """Every body by Python's own readers."""
    with monkeypatch.context() as patched:
        patched.setattr(captures, "rows_in", lambda _, lines, columns, __, missing: bodies._one_by_one(lines, columns, missing))
        return by_event(rows_of(given, COLUMNS))


def test_plain_records_and_lists_are_taken_at_once() -> None:
    parse = RecordParser(COLUMNS)
    cells, counts = parse(pa.array([json.dumps(row, ensure_ascii=False) for row in GOOD]), listed=False)
    assert counts is None
    assert {name: cells[name].to_pylist() for name in NAMES} == {
        name: [float(row[name]) if name == "año" and row[name] is not None else row[name] for row in GOOD] for name in NAMES
    }
    cells, counts = parse(pa.array([json.dumps(GOOD[:2]), json.dumps(GOOD[2:])]), listed=True)
    assert counts is not None
    assert (counts.to_pylist(), cells["job"].to_pylist()) == ([2, 3], [row["job"] for row in GOOD])


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_record_among_plain_ones_is_read_as_by_itself(monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    plain = [json.dumps(row) for row in GOOD] * 200
    for texts in ([*plain[:700], odd, *plain[700:]], [odd, *plain[:5]], [json.dumps([row]) for row in GOOD] + [odd]):
        given = block(texts)
        assert by_event(rows_of(given, COLUMNS, RecordParser(COLUMNS))) == slowly(monkeypatch, given)


def test_columns_that_a_capture_leaves_out_are_missing_and_do_not_slow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given = block([json.dumps({"job": "a", "member": True})] * 20)
    monkeypatch.setattr(bodies, "_one_by_one", lambda *_: pytest.fail("read one by one"))
    monkeypatch.setattr(bodies, "_of_records", lambda *_: pytest.fail("read by Arrow"))
    rows, bad = rows_of(given, COLUMNS, RecordParser(COLUMNS))
    assert (rows.num_rows, bad, rows.column("año").null_count) == (20, 0, 20)


def test_one_odd_request_costs_the_others_little(monkeypatch: pytest.MonkeyPatch) -> None:
    slow: list[int] = []
    before = bodies._one_by_one

    def counted(lines: bodies.Lines, *more: Any) -> bodies.Rows:
        slow.append(len(lines.bodies))
        return before(lines, *more)

    monkeypatch.setattr(bodies, "_one_by_one", counted)
    texts = [json.dumps(GOOD[0])] * 5000
    texts[3210] = "no json"
    rows, bad = rows_of(block(texts), COLUMNS, RecordParser(COLUMNS))
    assert (rows.num_rows, bad) == (4999, 1)
    assert sum(slow) <= bodies.FEW + 1
