"""Tables and recipes that are wrong in one way each, written by a generator, with the code that must be said of them.

`Bad.write(folder)` leaves `filon.toml` and its files there. An error ends the command with a coded error; a finding is listed by
`filon check` (a blocker stops `filon train` with exit code 1). `stage` is where the code is first heard (split: what
the recipe asks of the split and of the report, which `filon check` refuses already).
"""

import datetime as dt
import gzip
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Stage = Literal["recipe", "read", "check", "split"]
ROWS = 400
QUICK = "[search.xgboost]\nmax_depth = 3\neta = 0.3\nnum_round = 5\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """One case. `level` is a finding's; `environment` must be set while the command runs; `slow` ones write more than ten megabytes."""

    name: str
    code: str
    kind: Literal["error", "finding"]
    stage: Stage
    write: Callable[[Path], None] = field(repr=False)
    level: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    slow: bool = False


CASES: list[Bad] = []

Write = Callable[[Path], None]


def error(
    code: str, stage: Stage = "read", *, slow: bool = False, environment: tuple[tuple[str, str], ...] = ()
) -> Callable[[Write], Write]:
    """Add a case that ends in an error; its name is the function's."""

    def add(write: Write) -> Write:
        name = write.__name__.replace("_", "-")
        CASES.append(Bad(name=name, code=code, kind="error", stage=stage, write=write, slow=slow, environment=environment))
        return write

    return add


def finding(code: str, level: str, *, slow: bool = False) -> Callable[[Write], Write]:
    """Add a case that is told as a finding; its name is the function's."""

    def add(write: Write) -> Write:
        name = write.__name__.replace("_", "-")
        CASES.append(Bad(name=name, code=code, kind="finding", stage="check", write=write, level=level, slow=slow))
        return write

    return add


def recipe(folder: Path, source: str = "t.csv", label: str = "y", more: str = "", data: str = "") -> None:
    """A recipe of one quick trial; `data` are further lines of its [data], `more` further tables."""
    text = f'name = "bad"\n[data]\nsource = "{source}"\nlabel = "{label}"\n{data}\n{QUICK}{more}\n'
    (folder / "filon.toml").write_text(text, encoding="utf-8")


def columns(rows: int = ROWS) -> dict[str, list[object]]:
    """A table without a fault: two numbers, a category and a label that they tell something of."""
    rng = np.random.default_rng(11)
    x, n = rng.normal(size=rows).round(3), rng.integers(0, 50, rows)
    y = np.where(x + rng.normal(size=rows) > 0.3, "yes", "no")
    return {"x": x.tolist(), "n": n.tolist(), "c": rng.choice(["red", "green", "blue"], rows).tolist(), "y": y.tolist()}


def lines(table: dict[str, list[object]], separator: str = ",") -> list[str]:
    """CSV lines, header first; None is an empty cell."""
    body = zip(*table.values(), strict=True)
    return [separator.join(table), *(separator.join("" if cell is None else str(cell) for cell in row) for row in body)]


def csv(folder: Path, table: dict[str, list[object]] | Sequence[str] | bytes, name: str = "t.csv", **said: str) -> None:
    """A CSV of columns, of lines or of bytes, and its recipe."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = table if isinstance(table, bytes) else ("\n".join(lines(table) if isinstance(table, dict) else table) + "\n").encode()
    path.write_bytes(data)
    recipe(folder, **{"source": name, **said})


def parquet(folder: Path, table: dict[str, object] | pa.Table, name: str = "t.parquet", **said: str) -> None:
    """A Parquet file and its recipe."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path)
    recipe(folder, **{"source": name, **said})


# Files that are not there, not whole, or no tables


@error("read.file-missing")
def missing_file(folder: Path) -> None:
    recipe(folder, source="nowhere.csv")


@error("read.file-missing")
def glob_without_files(folder: Path) -> None:
    recipe(folder, source="data/**/*.parquet")


@error("read.folder-empty")
def folder_of_hidden_files(folder: Path) -> None:
    csv(folder, columns(), "d/_SUCCESS", source="d")


@error("read.empty")
def empty_file(folder: Path) -> None:
    csv(folder, b"")


@error("read.empty")
def blank_lines_only(folder: Path) -> None:
    csv(folder, b"\n\r\n\n")


@error("read.no-rows")
def header_only(folder: Path) -> None:
    csv(folder, ["x,n,y"])


@error("read.no-rows")
def parquet_without_rows(folder: Path) -> None:
    parquet(folder, pa.table({"x": pa.array([], pa.float64()), "y": pa.array([], pa.string())}))


@error("read.one-column")
def one_column(folder: Path) -> None:
    csv(folder, ["y", *["yes", "no"] * 200])


@error("read.binary")
def binary_junk_as_csv(folder: Path) -> None:
    csv(folder, random.Random(5).randbytes(50_000))


@error("read.not-a-table")
def workbook_as_csv(folder: Path) -> None:
    csv(folder, b"PK\x03\x04" + bytes(2000))


@error("read.parquet-damaged")
def truncated_parquet(folder: Path) -> None:
    parquet(folder, columns())
    whole = (folder / "t.parquet").read_bytes()
    (folder / "t.parquet").write_bytes(whole[: len(whole) * 2 // 3])


@error("read.parquet-damaged")
def parquet_with_a_damaged_middle(folder: Path) -> None:
    table = columns(20_000)
    parquet(folder, table)
    data = bytearray((folder / "t.parquet").read_bytes())
    data[4 : len(data) - 4_000] = random.Random(6).randbytes(len(data) - 4_004)
    (folder / "t.parquet").write_bytes(bytes(data))


@error("read.gzip-damaged")
def truncated_gzip(folder: Path) -> None:
    packed = gzip.compress("\n".join(lines(columns(50_000))).encode())
    csv(folder, packed[: len(packed) * 2 // 3], "t.csv.gz")


@error("read.schemas-differ")
def parquet_files_with_different_columns(folder: Path) -> None:
    parquet(folder, columns(), "d/1.parquet", source="d")
    table = columns()
    table["z"] = table.pop("x")
    parquet(folder, table, "d/2.parquet", source="d")


@error("read.schemas-differ")
def parquet_files_with_different_types(folder: Path) -> None:
    parquet(folder, columns(), "d/1.parquet", source="d")
    parquet(folder, {**columns(), "x": [str(x) for x in columns()["x"]]}, "d/2.parquet", source="d")


@error("read.schemas-differ")
def csv_files_with_columns_in_another_order(folder: Path) -> None:
    csv(folder, columns(), "d/1.csv", source="d")
    csv(folder, dict(reversed(columns().items())), "d/2.csv", source="d")


@error("read.formats-mixed")
def csv_and_parquet_in_one_folder(folder: Path) -> None:
    csv(folder, columns(), "d/1.csv", source="d")
    parquet(folder, columns(), "d/2.parquet", source="d")


# Lines and characters


@error("read.ragged")
def ragged_line_in_the_head(folder: Path) -> None:
    rows = lines(columns())
    rows[20] += ",more"
    csv(folder, rows)


@error("read.ragged")
def ragged_line_far_behind(folder: Path) -> None:
    rows = lines(columns(150_000))
    rows[100_003] = "1.5,2"
    csv(folder, rows)


@error("read.quote")
def quotation_mark_never_closed(folder: Path) -> None:
    rows = lines(columns(150_000))
    rows[100_003] = '1.5,2,"red,yes'
    csv(folder, rows)


@error("read.encoding")
def bytes_that_are_not_utf8_far_behind(folder: Path) -> None:
    rows = "\n".join(lines(columns(150_000))).encode().splitlines(keepends=True)
    rows[100_003] = b"1.5,2,r\xf3jo,yes\n"
    csv(folder, b"".join(rows))


@error("read.encoding")
def another_encoding_than_declared(folder: Path) -> None:
    table = columns()
    table["c"] = ["señal" if cell == "red" else cell for cell in table["c"]]
    csv(folder, "\n".join(lines(table)).encode("cp1252"), more='[data.csv]\nencoding = "utf-8"')


@error("read.encoding-unknown")
def encoding_that_does_not_exist(folder: Path) -> None:
    csv(folder, columns(), more='[data.csv]\nencoding = "utf-9"')


@error("read.encoding-unknown")
def encoding_of_no_text(folder: Path) -> None:
    csv(folder, columns(), more='[data.csv]\nencoding = "base64"')


@error("recipe.bad-value", "recipe")
def separator_of_two_characters(folder: Path) -> None:
    csv(folder, columns(), more='[data.csv]\nseparator = ";;"')


@error("recipe.bad-value", "recipe")
def quote_that_is_no_sign_of_ascii(folder: Path) -> None:
    csv(folder, columns(), more='[data.csv]\nquote = "«"')


@error("read.line-too-long", slow=True)
def line_of_eighty_megabytes(folder: Path) -> None:
    rows = lines(columns())
    rows[200] = "1.5,2," + "x" * 80_000_000 + ",yes"
    csv(folder, rows)


# Columns and the label


@error("read.label-missing")
def label_misspelt(folder: Path) -> None:
    csv(folder, columns(), label="Y")


@error("read.label-missing")
def label_missing(folder: Path) -> None:
    csv(folder, columns(), label="churned")


@error("read.columns-alike")
def two_columns_of_one_name(folder: Path) -> None:
    rows = lines(columns())
    csv(folder, ["x,x,c,y", *rows[1:]])


@error("read.columns-alike")
def names_that_differ_by_case(folder: Path) -> None:
    parquet(folder, {**columns(), "X": columns()["x"]})


@error("read.column-unknown")
def dropped_column_that_is_not_there(folder: Path) -> None:
    csv(folder, columns(), data='drop = ["colour"]')


@error("read.role-twice")
def label_dropped(folder: Path) -> None:
    csv(folder, columns(), data='drop = ["y"]')


@error("read.names-count")
def too_few_names(folder: Path) -> None:
    csv(folder, lines(columns())[1:], more='[data.csv]\nnames = ["x", "y"]')


@error("read.type-impossible")
def list_declared_a_number(folder: Path) -> None:
    parquet(folder, {**columns(), "l": [[1, 2]] * ROWS}, more='[data.columns]\nl = "number"')


# Derived columns and filters


@error("read.derive-sql")
def bad_sql_in_derive(folder: Path) -> None:
    csv(folder, columns(), more='[data.derive]\nz = "x +* 2"')


@error("read.derive-sql")
def unknown_column_in_derive(folder: Path) -> None:
    csv(folder, columns(), more='[data.derive]\nz = "xx * 2"')


@error("read.derive-sql")
def bad_filter(folder: Path) -> None:
    csv(folder, columns(), data='where = "x >"')


@error("read.derive-not-rowwise")
def aggregate_in_derive(folder: Path) -> None:
    csv(folder, columns(), more='[data.derive]\nz = "x - avg(x)"')


@error("read.derive-failed")
def expression_that_fails_on_a_row(folder: Path) -> None:
    table = columns()
    table["c"][300] = "12"
    csv(folder, table, more="[data.derive]\nz = \"CASE WHEN c = '12' THEN month(strptime(c, '%b')) END\"")


@error("read.derive-name")
def derived_column_named_as_another(folder: Path) -> None:
    csv(folder, columns(), more='[data.derive]\nX = "n * 2"')


@error("read.derive-python")
def function_that_is_not_there(folder: Path) -> None:
    csv(folder, columns(), more='[data.derive]\nz = "no_module_of_this_name:function"')


# The recipe


@error("recipe.unknown-key", "recipe")
def recipe_with_an_unknown_key(folder: Path) -> None:
    csv(folder, columns(), data='lable = "y"')


@error("recipe.bad-value", "recipe")
def recipe_with_a_wrong_type(folder: Path) -> None:
    csv(folder, columns(), more='[check]\nmin_rows = "many"')


@error("recipe.bad-value", "recipe")
def recipe_with_an_empty_axis(folder: Path) -> None:
    csv(folder, columns(), more="[search.gbt]\nmaxDepth = []")


@error("recipe.bad-value", "recipe")
def recipe_with_a_setting_out_of_reach(folder: Path) -> None:
    csv(folder, columns(), more="[search.random_forest]\nnumTrees = [100, 0]")


@error("recipe.bad-value", "recipe")
def recipe_with_a_threshold_that_is_no_probability(folder: Path) -> None:
    csv(folder, columns(), more="[evaluate]\nthreshold = 5")


@error("recipe.not-toml", "recipe")
def recipe_that_is_not_toml(folder: Path) -> None:
    csv(folder, columns(), data="weight = w")


@error("recipe.variable-missing", "recipe")
def recipe_with_a_variable_nobody_set(folder: Path) -> None:
    recipe(folder, source="${FILON_NO_SUCH_VARIABLE}/t.csv")


@error("split.shares-wrong", "split")
def shares_that_do_not_add_up(folder: Path) -> None:
    csv(folder, columns(), more="[split]\ntrain = 0.7\nvalid = 0.2\ntest = 0.2")


@error("split.column-missing", "split")
def split_by_a_key_that_nobody_named(folder: Path) -> None:
    csv(folder, columns(), more='[split]\nby = "key"')


@error("read.file-missing", "split")
def test_table_that_is_not_there(folder: Path) -> None:
    csv(folder, columns(), more='[split]\ntest_source = "nowhere.csv"')


@error("split.test-is-source", "split")
def test_table_that_is_learnt_from(folder: Path) -> None:
    csv(folder, columns(), more='[split]\ntest_source = "./t.csv"')


@error("engines.slice-unknown", "split")
def slices_of_a_number(folder: Path) -> None:
    csv(folder, columns(), more='[evaluate]\nslices = ["c", "x"]')


@error("engines.slice-unknown", "split")
def slices_of_a_column_that_is_left_out(folder: Path) -> None:
    csv(folder, {**columns(), "same": ["always"] * ROWS}, more='[evaluate]\nslices = ["same"]')


# S3 (a server that answers is in the tests marked `server`)

NOBODY = (
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
    ("AWS_ACCESS_KEY_ID", "nobody"),
    ("AWS_SECRET_ACCESS_KEY", "nothing"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
)


@error("read.s3-unreachable", environment=NOBODY)
def s3_server_that_nobody_runs(folder: Path) -> None:
    recipe(folder, source="s3://bucket/t.csv")


# What is found in tables that can be read


@finding("check.one-class", "blocker")
def one_class(folder: Path) -> None:
    csv(folder, {**columns(), "y": ["yes"] * ROWS})


@finding("check.class-single-row", "blocker")
def class_with_one_row(folder: Path) -> None:
    table = columns()
    table["y"][7] = "perhaps"
    csv(folder, table)


@finding("check.label-empty", "blocker")
def label_all_missing(folder: Path) -> None:
    csv(folder, {**columns(), "y": [None] * ROWS})


@finding("check.label-missing", "warning")
def label_missing_in_some_rows(folder: Path) -> None:
    table = columns()
    table["y"][:50] = [None] * 50
    csv(folder, table)


@finding("check.few-rows", "blocker")
def too_few_rows(folder: Path) -> None:
    csv(folder, columns(60))


@finding("check.positive-unknown", "blocker")
def positive_class_that_is_not_there(folder: Path) -> None:
    csv(folder, columns(), data='positive = "maybe"')


@finding("check.label-unusable", "blocker")
def label_of_dates(folder: Path) -> None:
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=k % 2) for k in range(ROWS)]
    csv(folder, {**columns(), "y": list(days)})


@finding("check.no-features", "blocker")
def only_dates_and_texts(folder: Path) -> None:
    days = [(dt.date(1890, 1, 1) + dt.timedelta(days=k)).isoformat() for k in range(ROWS)]
    said = [f"the customer number {k} said this and that" for k in range(ROWS)]
    csv(folder, {"on": list(days), "said": list(said), "y": columns()["y"]})


@finding("check.infinite", "warning")
def nan_and_infinities(folder: Path) -> None:
    table = columns()
    table["x"][:4] = ["inf", "-inf", "nan", "Infinity"]
    csv(folder, table)


@finding("check.infinite", "warning")
def nan_and_infinities_in_parquet(folder: Path) -> None:
    table = columns()
    table["x"][:4] = [float("inf"), float("-inf"), float("nan"), None]
    parquet(folder, table)


@finding("check.text-in-numbers", "warning", slow=True)
def text_in_a_number_column_on_row_900_000(folder: Path) -> None:
    rows = lines(columns(1_000_000))
    rows[900_000] = "1.5,many,red,yes"
    csv(folder, rows)


@finding("check.date", "info")
def dates_before_1900(folder: Path) -> None:
    days = [(dt.date(1700, 1, 1) + dt.timedelta(days=97 * k)).isoformat() for k in range(ROWS)]
    csv(folder, {**columns(), "on": list(days)})


@finding("check.more-features-than-rows", "warning", slow=True)
def three_thousand_columns(folder: Path) -> None:
    rng = np.random.default_rng(2)
    table: dict[str, object] = {f"c{k}": rng.normal(size=ROWS).astype(np.float32) for k in range(2999)}
    parquet(folder, {**table, "y": columns()["y"]})


@finding("check.nested", "info")
def column_of_lists(folder: Path) -> None:
    parquet(folder, {**columns(), "l": [[k, k + 1] for k in range(ROWS)]})


@finding("check.free-text", "info", slow=True)
def cell_of_ten_megabytes(folder: Path) -> None:
    said = [f"the customer number {k % 240} said this and that and then said it all once more" for k in range(ROWS)]
    said[200] = "x" * 10_000_000
    csv(folder, {**columns(), "said": list(said)})


@finding("check.constant", "info")
def column_that_never_changes(folder: Path) -> None:
    csv(folder, {**columns(), "k": ["same"] * ROWS})


@finding("check.empty-column", "info")
def column_without_a_value(folder: Path) -> None:
    csv(folder, {**columns(), "k": [None] * ROWS})


@finding("check.duplicate-rows", "warning")
def every_row_twice(folder: Path) -> None:
    csv(folder, {name: cells * 2 for name, cells in columns().items()})


@finding("check.leak-perfect", "blocker")
def column_that_is_the_label(folder: Path) -> None:
    table = columns()
    csv(folder, {**table, "answer": [1 if cell == "yes" else 0 for cell in table["y"]]})


@finding("check.weight-unusable", "blocker")
def negative_weights(folder: Path) -> None:
    csv(folder, {**columns(), "w": [-1, 2] * (ROWS // 2)}, data='weight = "w"')
