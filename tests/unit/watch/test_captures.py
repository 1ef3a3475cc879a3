"""Captured lines to rows: what `filon serve` writes, what a SageMaker endpoint writes, and what is broken."""

import base64
import datetime as dt
import io
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from filon.engines.base import Column, File, Source
from filon.engines.captures import EVENT, INFERENCE, MOMENT, blocks, marked, recent, rows_of
from filon.engines.embedded.captured import CapturedTable
from filon.engines.embedded.records import RecordParser
from filon.errors import RecipeError
from filon.events import Event

COLUMNS = (Column(name="age", kind="number"), Column(name="job", kind="category"), Column(name="member", kind="boolean"))
PLAIN = [{"age": 31.0, "job": "técnico", "member": True}, {"age": None, "job": None, "member": False}]


def line(data: str, encoding: str, kind: str, event: str = "e1", **more: str) -> bytes:
    asked = {"observedContentType": kind, "mode": "INPUT", "data": data, "encoding": encoding}
    answered = {"observedContentType": "text/csv", "mode": "OUTPUT", "data": "0.7", "encoding": "CSV"}
    about = {"eventId": event, "inferenceTime": "2026-11-20T10:15:00Z", **more}
    plain = {"captureData": {"endpointInput": asked, "endpointOutput": answered}, "eventMetadata": about, "eventVersion": "0"}
    return json.dumps(plain, ensure_ascii=False).encode() + b"\n"


def parquet() -> str:
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(PLAIN), out)
    return base64.b64encode(out.getvalue()).decode()


CSV_TEXT = "31,técnico,true\n,,false\n"
FORMS = {
    "csv": (CSV_TEXT, "CSV", "text/csv"),
    "csv of a SageMaker endpoint in base64": (base64.b64encode(CSV_TEXT.encode()).decode(), "BASE64", "text/csv"),
    "csv with names in another order": ("member,job,age\ntrue,técnico,31\nfalse,,\n", "CSV", "text/csv; header=present"),
    "list of records": (json.dumps(PLAIN), "JSON", "application/json"),
    "records with words for numbers and booleans": (
        json.dumps([{"age": "31", "job": "técnico", "member": "yes"}, {"job": None, "member": 0}]),
        "JSON",
        "application/json",
    ),
    "instances": (json.dumps({"instances": PLAIN}), "JSON", "application/json"),
    "split": (json.dumps({"columns": ["member", "age", "job"], "data": [[True, 31, "técnico"], [False, None, None]]}), "JSON", ""),
    "lists of values": (json.dumps([[31, "técnico", True], [None, None, False]]), "JSON", "application/json"),
    "json lines": ("\n".join(json.dumps(row) for row in PLAIN), "JSON", "application/jsonlines"),
    "json in base64": (base64.b64encode(json.dumps(PLAIN).encode()).decode(), "BASE64", "application/json"),
    "parquet": (parquet(), "BASE64", "application/vnd.apache.parquet"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_body_gives_the_same_rows(form: str) -> None:
    rows, bad = rows_of(line(*FORMS[form]), COLUMNS)
    assert bad == 0
    assert rows.select(["age", "job", "member"]).to_pylist() == PLAIN
    assert rows.column(EVENT).to_pylist() == ["e1/0", "e1/1"]
    assert rows.column(MOMENT).to_pylist() == [dt.datetime(2026, 11, 20, 10, 15)] * 2


def test_all_forms_in_one_block_keep_their_events() -> None:
    block = b"".join(line(*form, event=f"e{place}") for place, form in enumerate(FORMS.values()))
    rows, bad = rows_of(block, COLUMNS)
    assert bad == 0
    assert sorted(rows.column(EVENT).to_pylist()) == sorted(f"e{place}/{row}" for place in range(len(FORMS)) for row in (0, 1))


def test_a_request_of_one_row_is_named_by_its_event_and_the_callers_id() -> None:
    rows, _ = rows_of(line('{"age": 44, "job": "admin", "further": [1]}', "JSON", "application/json", inferenceId="mine-7"), COLUMNS)
    assert rows.to_pylist()[0][EVENT] == "e1"
    assert rows.to_pylist()[0][INFERENCE] == "mine-7"
    assert rows.to_pylist()[0]["member"] is None


def test_what_cannot_be_read_is_counted_and_the_rest_is_read() -> None:
    good = line(*FORMS["csv"])
    half = good.replace("técnico".encode(), rb"\ud800")  # escaped in the line itself, as json.dumps of a lone surrogate has it
    block = b"no json\n" + good + line("{broken", "JSON", "application/json") + line("1,2", "CSV", "text/csv") + b'{"captureData": {}}\n'
    rows, bad = rows_of(block + half, COLUMNS)
    assert (rows.num_rows, bad) == (2, 5)


@pytest.mark.parametrize("cell", [r'"\ud800"', str(10**30)], ids=["half a surrogate pair", "a number beyond counting"])
@pytest.mark.parametrize("form", ['{"age": 1, "job": @}', '[{"age": 1, "job": "a"}, {"age": 1, "job": @}]', '{"instances": [{"job": @}]}'])
def test_a_cell_that_no_column_holds_costs_its_own_request_only(cell: str, form: str) -> None:
    good = line('{"age": 5, "job": "a"}', "JSON", "application/json", event="good")
    odd = line(form.replace("@", cell), "JSON", "application/json", event="odd")
    for parse in (None, RecordParser(COLUMNS)):
        rows, bad = rows_of(good + odd + good, COLUMNS, parse)
        assert bad == 1
        assert rows.select(["age", "job", EVENT]).to_pylist() == [{"age": 5.0, "job": "a", EVENT: "good"}] * 2


def test_words_that_mean_missing_are_those_of_the_recipe() -> None:
    for text in ("?,NA,true\n", '?,"NA",true\n\n'):  # at once, and one by one
        rows, bad = rows_of(line(text, "CSV", "text/csv"), COLUMNS, missing=("", "?"))
        assert (bad, rows.select(["age", "job", "member"]).to_pylist()) == (0, [{"age": None, "job": "NA", "member": True}])
    rows, _ = rows_of(line("1,?,true\n", "CSV", "text/csv") + line('2,"?\n",true\n', "CSV", "text/csv"), COLUMNS, missing=("", "?"))
    assert rows.column("job").to_pylist() == [None, "?\n"]


def test_decimals_and_dates_are_the_numbers_that_the_model_sees() -> None:
    import pyarrow.parquet as pq

    columns = (Column(name="owed", kind="number", stored="decimal128(12, 2)"), Column(name="since", kind="number", stored="timestamp[us]"))
    out = io.BytesIO()
    moment = dt.datetime(2024, 2, 29, 12)
    pq.write_table(pa.table({"owed": pa.array([Decimal("12.50")], pa.decimal128(12, 2)), "since": [moment]}), out)
    texts = line('{"owed": 12.5, "since": "2024-02-29T12:00:00"}', "JSON", "application/json")
    packed = line(base64.b64encode(out.getvalue()).decode(), "BASE64", "application/vnd.apache.parquet")
    for block in (packed, texts):
        rows, bad = rows_of(block, columns)
        assert bad == 0
        assert rows.select(["owed", "since"]).to_pylist() == [{"owed": 12.5, "since": moment.replace(tzinfo=dt.UTC).timestamp()}]


def test_a_row_on_which_a_derived_column_fails_costs_itself_only(tmp_path: Path) -> None:
    derived = Column(name="year", kind="number", stored="BIGINT", sql="year(strptime(job, '%Y'))")
    asked = json.dumps([{"job": job} for job in ("2020", "soon", "2021", None)])
    (tmp_path / "c.jsonl").write_bytes(line(asked, "JSON", "application/json"))
    file = File(path=str(tmp_path / "c.jsonl"), size_bytes=1)
    source = Source(format="capture", files=(file,), dialect=None, columns=marked((COLUMNS[1], derived)), origin="c")
    heard: list[Event] = []
    rows = [row for batch in CapturedTable(source, 1, heard.append).batches() for row in batch.to_pylist()]
    assert [(row[EVENT], row["year"]) for row in rows] == [("e1/0", 2020), ("e1/2", 2021), ("e1/3", None)]
    assert "1 captured rows are left out" in heard[-1].text
    (tmp_path / "c.jsonl").write_bytes(line(json.dumps([{"job": "soon"}] * 200), "JSON", "application/json"))
    with pytest.raises(RecipeError, match=r"read\.derive-failed"):  # that is no odd row any more
        list(CapturedTable(source, 1, heard.append).batches())


@pytest.mark.parametrize("odd", ["ayer", "", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_is_none_costs_only_itself(odd: str) -> None:
    rows, bad = rows_of(line("1,a,true", "CSV", "text/csv", inferenceTime=odd) + line("2,a,true", "CSV", "text/csv"), COLUMNS)
    assert (bad, rows.column("age").to_pylist()) == (0, [1.0, 2.0])
    assert rows.column(MOMENT).to_pylist() == [None, dt.datetime(2026, 11, 20, 10, 15)]


def test_hidden_columns_are_missing() -> None:
    rows, _ = rows_of(line('[{"age": 5}]', "JSON", "application/json"), COLUMNS)
    assert rows.select(["age", "job", "member"]).to_pylist() == [{"age": 5.0, "job": None, "member": None}]


def test_blocks_hold_whole_lines_and_leave_out_a_torn_last_one() -> None:
    lines = [line(f"{k},a,true", "CSV", "text/csv", event=str(k)) for k in range(50)]
    torn = b"".join(lines) + lines[0][:40]
    assert b"".join(blocks(io.BytesIO(torn), 700)) == b"".join(lines)


def test_folders_of_hours_before_the_window_are_not_opened() -> None:
    files = [File(path=f"/c/bank/champion/2026/11/{day}/{hour}/x.jsonl", size_bytes=1) for day in (20, 21) for hour in ("00", "23")]
    since = dt.datetime(2026, 11, 20, 23, 59, tzinfo=dt.UTC).timestamp()
    assert [file.path.split("champion/")[1] for file in recent(files, since)] == [
        "2026/11/20/23/x.jsonl",
        "2026/11/21/00/x.jsonl",
        "2026/11/21/23/x.jsonl",
    ]
    assert recent([File(path="/c/other.jsonl", size_bytes=1)], since)
