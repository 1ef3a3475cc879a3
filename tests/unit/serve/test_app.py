"""What the server answers, asked without a network."""

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from tests.unit.serve.conftest import GOOD, ask, dumps, rows

from filon.package import Bundle
from filon.serve.app import App
from filon.serve.bodies import ARROW, PARQUET
from filon.serve.settings import Limits

Make = Callable[..., App]
INPUTS = ["age", "Temperature (°C)", "job", "zip", "member"]


def stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    return sink.getvalue()


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def csv(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pacsv.write_csv(table, sink, pacsv.WriteOptions(include_header=False))
    return sink.getvalue()


def probabilities(heard_json: dict) -> np.ndarray:
    return np.array([list(row["probability"].values()) for row in heard_json["predictions"]], np.float32)


def expected(bundle: Bundle, table: pa.Table) -> np.ndarray:
    found = bundle.predict(table, threads=1)
    return np.stack([found.column(name).to_numpy() for name in found.schema.names[1:]], axis=1)


@pytest.mark.parametrize("family", ["xgboost", "random_forest", "logistic_regression"])
@pytest.mark.parametrize("classes", [2, 3])
def test_one_record_is_answered_as_the_bundle_answers_it(make: Make, family: str, classes: int) -> None:
    app = make(family, classes)
    heard = ask(app, "POST", "/invocations", dumps(GOOD), content_type="application/json")
    answer = app.models.champion.bundle.answer(GOOD)
    assert heard.status == 200
    (row,) = heard.json["predictions"]
    assert row["label"] == answer.label
    assert tuple(row["probability"].values()) == answer.probability
    assert heard.json["model"]["version"] == heard.headers["x-filon-model"] == app.models.champion.bundle.version


@pytest.mark.parametrize("derived", [False, True])
@pytest.mark.parametrize("form", ["records", "instances", "split", "lines", "csv", "csv with header", "arrow", "parquet", "gzip"])
def test_every_form_of_body_gives_what_predict_gives(make: Make, form: str, derived: bool) -> None:
    app = make(derived=derived)
    bundle = app.models.champion.bundle
    table = rows(40, seed=3).select([column.name for column in bundle.inputs])
    records = table.to_pylist()
    header = ",".join(f'"{name}"' for name in reversed(table.schema.names)).encode() + b"\n"
    body, kind = {
        "records": (dumps(records), "application/json"),
        "instances": (dumps({"instances": records}), "application/json; charset=utf-8"),
        "split": (dumps({"columns": table.schema.names, "data": [list(row.values()) for row in records]}), "application/json"),
        "lines": (b"\n".join(dumps(row) for row in records), "application/jsonlines"),
        "csv": (csv(table), "text/csv"),
        "csv with header": (header + csv(table.select(table.schema.names[::-1])), "text/csv; header=present"),
        "arrow": (stream(table), ARROW),
        "parquet": (parquet(table), PARQUET),
        "gzip": (gzip.compress(dumps(records)), "application/json"),
    }[form]
    more = {"content_encoding": "gzip"} if form == "gzip" else {}
    heard = ask(app, "POST", "/invocations", body, content_type=kind, **more)
    assert heard.status == 200, heard.body
    assert np.abs(probabilities(heard.json) - expected(bundle, table)).max() <= 1e-6
    assert "refused" not in heard.json


def test_every_form_of_answer_says_the_same(make: Make) -> None:
    app = make(classes=3)
    table = rows(20, seed=5)
    body = stream(table.select(INPUTS))
    plain = ask(app, "POST", "/invocations", body, content_type=ARROW).json["predictions"]
    lines = ask(app, "POST", "/invocations", body, content_type=ARROW, accept="application/jsonlines").body.splitlines()
    assert [json.loads(line) for line in lines] == plain
    arrow = ask(app, "POST", "/invocations", body, content_type=ARROW, accept=f"image/png, {ARROW};q=0.5")
    with pa.ipc.open_stream(arrow.body) as found:
        back = found.read_all()
    assert back.column("label").to_pylist() == [row["label"] for row in plain]
    assert np.array_equal(back.column("probability_class 1").to_numpy(), probabilities({"predictions": plain})[:, 1])
    text = ask(app, "POST", "/invocations", body, content_type=ARROW, accept="text/csv").body.decode().splitlines()
    assert [line.split(",")[0] for line in text] == [row["label"] for row in plain]
    assert np.array_equal(np.array([line.split(",")[1:] for line in text], np.float32), probabilities({"predictions": plain}))


@pytest.mark.parametrize(
    ("change", "code", "field", "says"),
    [
        ({"age": None, "Age": 41, "-": "age"}, "package.column-missing", "age", 'rename "Age" to "age"'),
        ({"-": "job"}, "package.column-missing", "job", "null where it is not known"),
        ({"age": "forty"}, "serve.value-type", "age", "a number"),
        ({"age": "41"}, "serve.value-type", "age", "a number"),
        ({"job": ["miner"]}, "serve.value-type", "job", "a text"),
        ({"member": {}}, "serve.value-type", "member", "true or false"),
        ({"member": "perhaps"}, "serve.value-type", "member", "true or false"),
    ],
)
@pytest.mark.parametrize("derived", [False, True])
def test_a_record_that_does_not_fit_is_refused_by_its_field(
    make: Make, change: dict, code: str, field: str, says: str, derived: bool
) -> None:
    row = {**GOOD, "month": "Jan", **change}
    row.pop(row.pop("-", ""), None)
    heard = ask(make(derived=derived), "POST", "/invocations", dumps(row))
    assert heard.status == 422
    assert (heard.error["code"], heard.error["field"]) == (code, field)
    assert says in heard.error["fix"]
    assert ask(make(derived=derived), "POST", "/invocations", b"{}").error["why"] == "row 0 has no column"


@pytest.mark.parametrize("derived", [False, True])
def test_a_whole_number_beyond_64_bits_is_a_number(make: Make, derived: bool) -> None:
    app, row = make(derived=derived), {**GOOD, "month": "Jan"}
    heard = [ask(app, "POST", "/invocations", dumps([row, {**row, "age": age}])).json for age in (2**64, float(2**64))]
    assert "error" not in heard[0]["predictions"][1]
    assert heard[0] == heard[1]


@pytest.mark.parametrize("derived", [False, True])
def test_a_batch_answers_good_rows_and_tells_bad_ones_by_number(make: Make, derived: bool) -> None:
    app = make(derived=derived)
    good = {**GOOD, "month": "Jun"}
    batch = [good, {**good, "age": "old"}, 7, {**good, "job": 3.5}, good]
    heard = ask(app, "POST", "/invocations", dumps(batch))
    first, second, third, fourth, fifth = heard.json["predictions"]
    assert heard.status == 200
    assert heard.json["refused"] == 2
    assert first == fifth
    assert (second["error"]["row"], second["error"]["field"]) == (1, "age")
    assert third["error"]["code"] == "serve.row-unfit"
    assert fourth["warnings"][0]["field"] == "job"
    assert first["probability"] == ask(app, "POST", "/invocations", dumps(good)).json["predictions"][0]["probability"]


def test_a_csv_with_a_bad_cell_answers_its_other_rows(make: Make) -> None:
    heard = ask(make(), "POST", "/invocations", b"41,20.5,miner,28001,true\nforty,1,miner,28001,no\n,,,,\n", content_type="text/csv")
    first, second, third = heard.json["predictions"]
    words = ask(make(), "POST", "/invocations", b"41,20.5,miner,28001,TRUE\n41,20.5,miner,28001,perhaps\n", content_type="text/csv")
    assert [row.get("error", {}).get("field") for row in words.json["predictions"]] == [None, "member"]
    assert first["label"]
    assert (second["error"]["row"], second["error"]["field"]) == (1, "age")
    assert third["label"]


def test_a_line_that_cannot_be_read_is_refused_by_its_number_beside_good_ones(make: Make) -> None:
    app = make()
    body = b"\n".join((dumps(GOOD), b'{"age": 4', b"[" * 100_000, b"\xff", dumps(GOOD)))
    heard = ask(app, "POST", "/invocations", body, content_type="application/jsonlines").json
    assert heard["refused"] == 3
    assert [(row["error"]["code"], row["error"]["row"]) for row in heard["predictions"][1:4]] == [
        ("serve.row-unfit", row) for row in (1, 2, 3)
    ]
    assert heard["predictions"][0] == heard["predictions"][4]
    assert heard["predictions"][0]["label"]


@pytest.mark.parametrize("header", [False, True])
def test_a_ragged_csv_row_is_refused_by_its_number_beside_good_ones(make: Make, header: bool) -> None:
    app = make()
    good = b"41,20.5,miner,28001,true\n"
    names = ",".join(INPUTS).encode() + b"\n" if header else b""
    kind = "text/csv; header=present" if header else "text/csv"
    heard = ask(app, "POST", "/invocations", names + b"1,2\n" + good + b"1,2,3,4,5,6,7\n\n" + good + b"old" + good, content_type=kind).json
    first, second, third, fourth, fifth = heard["predictions"]
    assert heard["refused"] == 3
    assert [(row["error"]["code"], row["error"]["row"]) for row in (first, third)] == [("serve.row-unfit", 0), ("serve.row-unfit", 2)]
    assert "2 cells instead of 5" in first["error"]["why"]
    assert (fifth["error"]["code"], fifth["error"]["field"], fifth["error"]["row"]) == ("serve.value-type", "age", 4)
    alone = ask(app, "POST", "/invocations", good, content_type="text/csv").json["predictions"][0]
    assert second == fourth == alone


STRANGE = [
    (b'{"age": 1' + b"0" * 400 + b"}", "age"),
    (b'{"member": 1' + b"0" * 400 + b"}", "member"),
    (b'{"\\ud800": 1, "age": "\\udfff"}', "age"),
    (b'{"job": ["\\ud800"]}', "job"),
]


@pytest.mark.parametrize(("change", "field"), STRANGE)
@pytest.mark.parametrize("derived", [False, True])
def test_a_value_that_no_type_holds_is_refused_and_spoils_no_batch(make: Make, change: bytes, field: str, derived: bool) -> None:
    app = make(derived=derived)
    good = dumps({**GOOD, "month": "Jan"})
    odd = good[:-1] + b"," + change[1:]  # of two values of one name, JSON has the last
    alone = ask(app, "POST", "/invocations", odd)
    assert (alone.status, alone.error["field"]) == (422, field)
    heard = ask(app, "POST", "/invocations", b"[" + odd + b"," + good + b"]")
    assert (heard.status, heard.json["refused"], heard.json["predictions"][0]["error"]["field"]) == (200, 1, field)
    assert heard.json["predictions"][1]["label"]
    for form in ("application/jsonlines", "text/csv", ARROW):
        assert ask(app, "POST", "/invocations", b"[" + odd + b"," + good + b"]", accept=form).status == 200


def test_a_name_that_utf8_cannot_write_is_answered_and_counted(make: Make) -> None:
    app = make()
    heard = ask(app, "POST", "/invocations", b'{"\\ud800": 1}')
    assert (heard.status, heard.error["code"]) == (422, "package.column-missing")
    assert "\\ud800" in heard.error["why"]
    twice = ask(app, "POST", "/invocations", b'{"columns": ["\\ud800", "\\ud800"], "data": [[1, 2]]}')
    assert (twice.status, twice.error["code"]) == (422, "package.column-twice")
    assert b'filon_requests_total{route="invocations",status="422"} 2' in ask(app, "GET", "/metrics").body


@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
def test_a_row_on_which_the_recipes_expression_fails_is_refused_beside_good_ones(make: Make, form: str) -> None:
    app = make(derived=True)
    names = [column.name for column in app.models.champion.bundle.inputs]
    table = pa.table({**rows(9).to_pydict(), "month": ["Jan", "moon", "Jun", "Dec", "Jan", None, "Jan", "Jan", "13"]}).select(names)
    body, kind = {
        "json": (dumps(table.to_pylist()), "application/json"),
        "csv": (csv(table), "text/csv"),
        "arrow": (stream(table), ARROW),
    }[form]
    heard = ask(app, "POST", "/invocations", body, content_type=kind)
    assert (heard.status, heard.json["refused"]) == (200, 2)
    refused = {number: row["error"] for number, row in enumerate(heard.json["predictions"]) if "error" in row}
    assert {number: (error["code"], error["row"]) for number, error in refused.items()} == {
        1: ("read.derive-failed", 1),
        8: ("read.derive-failed", 8),
    }
    good = table.take([0, 2, 3, 4, 5, 6, 7])
    found = [row for row in heard.json["predictions"] if "error" not in row]
    assert np.abs(probabilities({"predictions": found}) - expected(app.models.champion.bundle, good)).max() <= 1e-6
    alone = ask(app, "POST", "/invocations", dumps({**GOOD, "month": "moon"}))
    assert (alone.status, alone.error["code"]) == (422, "read.derive-failed")


@pytest.mark.parametrize("kind", [pa.float16(), pa.decimal256(70, 2)])
def test_numbers_of_a_type_that_sql_does_not_know_are_numbers(make: Make, kind: pa.DataType) -> None:
    app = make(derived=True)
    table = rows(5).select([column.name for column in app.models.champion.bundle.inputs])
    place = table.schema.names.index("Temperature (°C)")
    heat = pa.array([20, None, 1, -3, 40], pa.int32()).cast(kind)
    assert ask(app, "POST", "/invocations", stream(table.set_column(place, "Temperature (°C)", heat)), content_type=ARROW).status == 200


def test_an_unseen_category_is_scored_as_missing_and_named(make: Make) -> None:
    app = make()
    unseen = ask(app, "POST", "/invocations", dumps({**GOOD, "job": "astronaut"})).json
    missing = ask(app, "POST", "/invocations", dumps({**GOOD, "job": None})).json
    assert unseen["predictions"][0]["probability"] == missing["predictions"][0]["probability"]
    assert [warning["field"] for warning in unseen["predictions"][0]["warnings"]] == ["job"]
    assert "warnings" not in missing["predictions"][0]
    table = pa.table({**rows(3).select(INPUTS).to_pydict(), "job": ["clerk", "astronaut", None]})
    many = ask(app, "POST", "/invocations", stream(table), content_type=ARROW).json
    assert [bool(row.get("warnings")) for row in many["predictions"]] == [False, True, False]


def test_reasons_add_up_to_the_margin(make: Make) -> None:
    app = make()
    (row,) = ask(app, "POST", "/invocations?explain=99", dumps(GOOD)).json["predictions"]
    from filon.trees import contributions

    bundle = app.models.champion.bundle
    parts = contributions(bundle.ensemble, app.models.champion.scorer.encoder.encode(GOOD))[0, 0]
    total = sum(reason["contribution"] for reason in row["reasons"]) + float(parts[-1])
    assert abs(1 / (1 + np.exp(-total)) - row["probability"]["class 1"]) < 1e-6
    sizes = [abs(reason["contribution"]) for reason in row["reasons"]]
    assert sizes == sorted(sizes, reverse=True)
    assert len(ask(app, "POST", "/invocations?explain=2", dumps(GOOD)).json["predictions"][0]["reasons"]) == 2


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, "serve.body-unreadable"),
        (b"[]", {}, 400, "serve.body-unreadable"),
        (b"7", {}, 400, "serve.body-unreadable"),
        (b"[" * 100_000, {}, 400, "serve.body-unreadable"),
        (b"\xff\xfe", {}, 400, "serve.body-unreadable"),
        (b"[1,2]", {}, 422, "serve.row-unfit"),
        (b"1,2", {"content_type": "text/csv"}, 422, "serve.row-unfit"),
        (b'1,"2,3,4,5\n1,2,3,4,5\n', {"content_type": "text/csv"}, 400, "serve.body-unreadable"),
        (b"{", {"content_type": "application/jsonlines"}, 422, "serve.row-unfit"),
        (b"PAR1", {"content_type": PARQUET}, 400, "serve.body-unreadable"),
        (b"\xff\xff\xff\xff\x10\0\0\0", {"content_type": ARROW}, 400, "serve.body-unreadable"),
        (b"x", {"content_type": "application/x-python-pickle"}, 415, "serve.media-type"),
        (b"{}", {"content_encoding": "br"}, 415, "serve.media-type"),
        (b"not gzip", {"content_encoding": "gzip"}, 400, "serve.body-unreadable"),
        (gzip.compress(b"{}", mtime=0)[:-9], {"content_encoding": "gzip"}, 400, "serve.body-unreadable"),
        (gzip.compress(b" " * 3_000_000, mtime=0), {"content_encoding": "gzip"}, 413, "serve.body-too-large"),
        (b" " * 1_000_001, {}, 413, "serve.body-too-large"),
        ([b" " * 400_000] * 3, {}, 413, "serve.body-too-large"),
        (b"{}", {"content_length": "9999999999"}, 413, "serve.body-too-large"),
        (b"[{},{},{}]", {}, 413, "serve.too-many-rows"),
        (b"1,2,3,4,5\n" * 3, {"content_type": "text/csv"}, 413, "serve.too-many-rows"),
        (parquet(pa.table({"a": [1, 2, 3]})), {"content_type": PARQUET}, 413, "serve.too-many-rows"),
        (stream(pa.table({"a": [1, 2, 3]})), {"content_type": ARROW}, 413, "serve.too-many-rows"),
        (b"{}", {"accept": "image/png"}, 406, "serve.not-acceptable"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_its_code(make: Make, body: bytes, headers: dict, status: int, code: str) -> None:
    heard = ask(make(limits=Limits(body_bytes=1_000_000, rows=2)), "POST", "/invocations", body, **headers)
    assert (heard.status, heard.error["code"]) == (status, code)
    assert "Traceback" not in heard.body.decode()
    assert "/" + "tmp" not in heard.body.decode()


def test_a_slow_client_is_let_go(make: Make) -> None:
    heard = ask(make(limits=Limits(seconds=0.2)), "POST", "/invocations", [b" "] * 50, pause=0.05)
    assert (heard.status, heard.error["code"], heard.headers["connection"]) == (408, "serve.too-slow", "close")


def test_wrong_pages_and_methods_are_named(make: Make) -> None:
    app = make()
    assert ask(app, "GET", "/etc/passwd").error["code"] == "serve.no-such-page"
    wrong = ask(app, "GET", "/invocations")
    assert (wrong.status, wrong.error["code"]) == (405, "serve.method")


def test_a_token_is_asked_for_everything_but_health(make: Make) -> None:
    app = make(token="of-nobody")  # pragma: allowlist secret
    assert ask(app, "GET", "/ping").status == ask(app, "GET", "/healthz").status == ask(app, "GET", "/readyz").status == 200
    for wrong in ({}, {"authorization": "Bearer of"}, {"authorization": "of-nobody"}, {"authorization": "Basic of-nobody"}):
        heard = ask(app, "POST", "/invocations", dumps(GOOD), **wrong)
        assert (heard.status, heard.error["code"]) == (401, "serve.unauthorized")
        assert ask(app, "GET", "/metrics", **wrong).status == 401
    assert ask(app, "POST", "/invocations", dumps(GOOD), authorization="Bearer of-nobody").status == 200


def test_a_fault_of_ours_shows_no_trace(make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    app = make()
    monkeypatch.setattr(app.models, "choose", lambda asked: 1 / 0)
    heard = ask(app, "POST", "/invocations", dumps(GOOD))
    assert (heard.status, heard.error["code"]) == (500, "bug.unexpected")
    assert b"ZeroDivision" not in heard.body
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_prometheus_reads_the_metrics(make: Make) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    app = make()
    ask(app, "POST", "/invocations", dumps([GOOD, {}, {**GOOD, "job": "astronaut"}]))
    ask(app, "POST", "/invocations", b"{")
    families = {family.name: family for family in parser.text_string_to_metric_families(ask(app, "GET", "/metrics").body.decode())}
    value = {(sample.name, *sample.labels.values()): sample.value for family in families.values() for sample in family.samples}
    assert value["filon_requests_total", "invocations", "200"] == 1
    assert value["filon_requests_total", "invocations", "400"] == 1
    assert (value["filon_rows_total",], value["filon_rows_refused_total",], value["filon_rows_unseen_total",]) == (3, 1, 1)
    assert value["filon_invocation_seconds_count",] == 2
    assert families["filon_invocation_seconds"].type == "histogram"


def test_the_server_imports_no_training_code() -> None:
    heavy = (
        "pandas",
        "mlflow",
        "duckdb",
        "scipy",
        "xgboost",
        "onnx",
        "sklearn",
        "optuna",
        "matplotlib",
        "jinja2",
        "sqlglot",
        "pyspark",
        "boto3",
    )
    ours = ("filon.engines.trainer", "filon.engines.embedded", "filon.search", "filon.pipeline", "filon.pages", "filon.check", "filon.read")
    code = f"import sys, filon.serve.app, filon.serve.server; print([name for name in {heavy + ours!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
