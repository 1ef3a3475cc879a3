import datetime as dt
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.check.files import checked_file
from tests.unit.check.looking import ANSWERS, SPREAD, codes, found, looked, role

import filon
from filon.check.columns import looks_like_id

BASE = {"x": SPREAD, "y": ANSWERS}


def test_plain_table_has_only_the_positive_class_to_report() -> None:
    assert codes(looked(BASE)) == ["check.positive-chosen"]


def test_constant_column_is_left_out() -> None:
    checked = looked({**BASE, "c": ["same"] * 300})
    one = found(checked, "check.constant")
    assert (one.level, role(checked, "c")) == ("info", "left-out")
    assert 'drop = ["c"]' in one.fix


def test_constant_with_missing_cells_stays() -> None:
    checked = looked({**BASE, "c": ["same", None] * 150})
    assert role(checked, "c") == "feature"


def test_empty_column_is_left_out() -> None:
    checked = looked({**BASE, "c": [None] * 300})
    assert (found(checked, "check.empty-column").level, role(checked, "c")) == ("info", "left-out")


def test_almost_empty_column_is_left_out_by_the_limit() -> None:
    table = {**BASE, "c": [1.0, 2.0, 3.0] + [None] * 297}
    checked = looked(table)
    assert (found(checked, "check.mostly-missing").level, role(checked, "c")) == ("warning", "left-out")
    assert role(looked(table, settings={"max_missing": 1.0}), "c") == "feature"


def test_row_numbers_are_left_out_as_ids() -> None:
    checked = looked({**BASE, "Id": list(range(300))})
    one = found(checked, "check.id")
    assert (one.level, one.column, role(checked, "Id")) == ("warning", "Id", "left-out")
    assert 'key = ["Id"]' in one.fix


def test_shuffled_row_numbers_are_ids_too() -> None:
    assert found(looked({**BASE, "n": [place * 7 % 300 for place in range(300)]}), "check.id").column == "n"


def test_text_of_different_values_is_an_id() -> None:
    assert found(looked({**BASE, "code": [f"M{place}" for place in range(300)]}), "check.id").column == "code"


def test_id_declared_in_the_recipe_stays_a_feature() -> None:
    checked = looked({**BASE, "n": list(range(300))}, columns={"n": "number"})
    assert role(checked, "n") == "feature"
    assert "check.id" not in codes(checked)


def test_different_whole_numbers_without_order_are_no_id() -> None:
    checked = looked({**BASE, "population": [(place * 7919) % 1_000_003 for place in range(300)]})
    assert role(checked, "population") == "feature"


def test_measurements_that_all_differ_are_no_id() -> None:
    assert role(looked({**BASE, "m": [place + 0.25 for place in range(300)]}), "m") == "feature"


def test_dates_are_left_out_with_lines_to_derive() -> None:
    days = [dt.date(2023, 1, 1) + dt.timedelta(days=place % 200) for place in range(300)]
    checked = looked({**BASE, "Fecha alta": days})
    one = found(checked, "check.date")
    assert role(checked, "Fecha alta") == "left-out"
    assert "fecha_alta_month = 'month(\"Fecha alta\")'" in one.fix
    assert one.evidence == "2023-01-01 to 2023-07-19"
    assert "hour" not in one.fix
    odd_days = [dt.datetime(2023, 1, 1) + dt.timedelta(days=place % 28 // 3 * 5) for place in range(300)]
    assert "hour" not in found(looked({**BASE, "d": odd_days}), "check.date").fix  # nor by a quantile between two days
    hours = [dt.datetime(2023, 1, 1) + dt.timedelta(hours=place) for place in range(300)]
    assert "d_hour" in found(looked({**BASE, "d": hours}), "check.date").fix


def test_months_in_spanish_are_read_by_the_line_that_is_told(tmp_path: Path) -> None:
    months = ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"]
    lines = [f"{place % 28 + 1}-{months[place % 12]}-2023;{'ab'[place % 2]}" for place in range(300)]
    (tmp_path / "t.csv").write_text("alta;y\n" + "\n".join(lines), encoding="utf-8")
    asked: dict[str, Any] = {"name": "t", "data": {"source": str(tmp_path / "t.csv"), "label": "y"}}
    told = found(filon.check(asked).checked, "check.date-as-text").fix.partition("[data.derive]: ")[2]
    asked["data"]["derive"] = tomllib.loads(told.replace("; ", "\n"))
    seen = {column.name: column for column in filon.check(asked).checked.profile.columns}
    month = seen["alta_month"]
    assert (month.minimum, month.maximum, month.distinct, month.missing) == (1, 12, 12, 0)


def test_dates_before_1900_are_told_as_they_are() -> None:
    days = [dt.date(1801, 5, 1) + dt.timedelta(days=place) for place in range(300)]
    assert found(looked({**BASE, "d": days}), "check.date").evidence.startswith("1801-05-01")


def test_dates_kept_as_text_get_a_strptime_that_fits() -> None:
    texts = [f"{1 + place % 28:02d}/12/2017 {place % 24:02d}:00" for place in range(300)]
    checked = looked({**BASE, "d": texts})
    one = found(checked, "check.date-as-text")
    assert role(checked, "d") == "left-out"
    assert "try_strptime(d, '%d/%m/%Y %H:%M')" in one.fix


def test_free_text_is_left_out() -> None:
    words = ["the room was clean and the staff was kind", "we will not come back to this place", "breakfast could have been better"]
    checked = looked({**BASE, "review": [words[place % 3] for place in range(300)]}, kinds={"review": "text"})
    assert (found(checked, "check.free-text").level, role(checked, "review")) == ("info", "left-out")


def test_lists_are_left_out() -> None:
    checked = looked({**BASE, "tags": [["a"], ["b", "c"]] * 150})
    one = found(checked, "check.nested")
    assert role(checked, "tags") == "left-out"
    assert "len(tags)" in one.fix


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([[1, 2]] * 300),
        pa.array([{"a b": 1, "c": "x"}] * 300),
        pa.array([[("k", 1)]] * 300, pa.map_(pa.string(), pa.int64())),
        pa.array([b"\x00\xff"] * 300),
        pa.array([b"\x00\xff"] * 300, pa.binary(2)),
        pa.array([1] * 300, pa.time64("us")),
        pa.array([1] * 300, pa.time32("ms")),
        pa.array([1] * 300, pa.duration("us")),
    ],
    ids=lambda cells: str(cells.type),
)
def test_what_is_told_to_take_out_of_cells_that_are_no_features_can_be_taken_out(cells: pa.Array, tmp_path: Path) -> None:
    pq.write_table(pa.table({"The cells": cells, "x": np.arange(300) % 97, "y": ["a", "b"] * 150}), tmp_path / "t.parquet")
    asked: dict[str, Any] = {"name": "t", "data": {"source": str(tmp_path / "t.parquet"), "label": "y"}}
    told = found(filon.check(asked).checked, "check.nested").fix
    asked["data"]["derive"] = tomllib.loads(told.partition("e.g. ")[2])
    name = next(iter(asked["data"]["derive"]))
    seen = filon.check(asked)
    assert next(column.kind for column in seen.checked.source.columns if column.name == name) in ("number", "category")


def test_a_column_without_a_value_is_no_identifier() -> None:
    checked = looked({**BASE, "nothing": pa.nulls(300)})
    assert not looks_like_id("nothing", next(one for one in checked.profile.columns if one.name == "nothing"))


def test_faultless_text_column_is_a_blocker_that_can_be_dropped_or_allowed() -> None:
    table = {**BASE, "status": ["open", "closed"] * 150}
    checked = looked(table, drop=["other"])
    one = found(checked, "check.leak-perfect")
    assert (one.level, one.column) == ("blocker", "status")
    assert 'drop = ["other", "status"]' in one.fix
    allowed = looked(table, settings={"allow": ["check.leak-perfect"]})
    assert found(allowed, "check.leak-perfect").level == "warning"
    assert role(allowed, "status") == "feature"


def test_faultless_number_is_a_blocker() -> None:
    table = {**BASE, "paid": [float(place) if place % 2 else -float(place) - 0.5 for place in range(300)]}
    assert found(looked(table), "check.leak-perfect").column == "paid"


def test_number_that_is_there_only_for_one_class_is_a_blocker() -> None:
    table = {**BASE, "refund": [place * 1.5 if place % 2 else None for place in range(300)]}
    assert found(looked(table), "check.leak-perfect").column == "refund"


def test_number_code_of_the_label_without_order_is_a_blocker() -> None:
    table = {**BASE, "state": [[5, 2, 5, 9][place % 4] for place in range(300)]}
    assert found(looked(table), "check.leak-perfect").column == "state"


def test_almost_faultless_column_is_a_warning_and_stays() -> None:
    hints = ["b", "a"] * 2 + ["a", "b"] * 148
    checked = looked({**BASE, "hint": hints})
    assert found(checked, "check.leak").level == "warning"
    assert role(checked, "hint") == "feature"


def test_good_predictor_is_no_leak() -> None:
    good = [("a", "b")[(place + (place % 5 == 0)) % 2] for place in range(300)]
    assert not {"check.leak", "check.leak-perfect"} & set(codes(looked({**BASE, "good": good})))


def test_texts_that_are_nearly_all_different_are_no_leak() -> None:
    table = {**BASE, "ticket": [f"t{place * 7919 % 200}" for place in range(300)]}
    assert not {"check.leak", "check.leak-perfect"} & set(codes(looked(table)))


def test_one_separable_class_of_three_is_only_a_warning() -> None:
    labels = ["a", "b", "c"] * 100
    width = [{"a": 1.0, "b": 5.0, "c": 5.5}[label] + (place * 37 % 50) / 25 for place, label in enumerate(labels)]
    checked = looked({"petal": width, "x": SPREAD, "y": [*labels]})
    assert not checked.blockers


def test_copy_of_many_classes_is_a_blocker() -> None:
    labels = ["a", "b", "c"] * 100
    table = {"copy": [{"a": "A1", "b": "B7", "c": "C3"}[label] for label in labels], "x": SPREAD, "y": labels}
    assert found(looked(table), "check.leak-perfect").column == "copy"


def test_faultless_column_of_a_tiny_class_is_only_a_warning() -> None:
    labels = ["yes"] * 4 + ["no"] * 296
    checked = looked({"x": SPREAD, "luck": [float(place) + 0.5 for place in range(300)], "y": labels})
    assert found(checked, "check.leak").column == "luck"
    assert not checked.blockers


def test_category_of_very_many_values_is_a_warning_and_stays() -> None:
    table = {"x": [float(place % 101) for place in range(3000)], "place": [f"p{place % 1200}" for place in range(3000)], "y": ANSWERS * 10}
    checked = looked(table)
    assert found(checked, "check.high-cardinality").facts["distinct"] == 1200
    assert role(checked, "place") == "feature"


def test_infinite_cells_are_counted() -> None:
    one = found(looked({**BASE, "r": [float("inf"), float("-inf"), *SPREAD[2:]]}), "check.infinite")
    assert (one.level, one.facts["rows"]) == ("warning", 2)


def test_the_line_for_a_derived_column_can_be_pasted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "".join(f"{place % 20},{'ab'[place % 2]}\n" for place in range(300)))
    derive = {"rate": "1 / x"}
    one = found(checked_file(path, "y", derive=derive), "check.infinite")
    line = tomllib.loads(one.fix.split("[data.derive]: ")[1])
    again = checked_file(path, "y", derive={**derive, **line})
    assert (role(again, "rate_finite"), [one.column for one in again.findings if one.code == "check.infinite"]) == ("feature", ["rate"])


def test_text_in_a_number_column_is_shown_with_its_row() -> None:
    words = [None] * 299 + ["n/d"]
    one = found(looked({**BASE, "r": [*SPREAD[:299], None]}, misfits={"r": words}), "check.text-in-numbers")
    assert one.level == "warning"
    assert "n/d (row 300)" in one.evidence
    assert '"n/d"]' in one.fix


def test_cells_that_are_no_date_are_shown_beside_the_date() -> None:
    days = [dt.date(2023, 1, 1) + dt.timedelta(days=place % 200) for place in range(299)]
    checked = looked({**BASE, "d": [*days, None]}, misfits={"d": [None] * 299 + ["soon"]})
    assert "soon (row 300)" in found(checked, "check.cells-unfit").evidence
    assert found(checked, "check.date").column == "d"


@pytest.mark.parametrize(
    ("cells", "fix"),
    [
        (["1.5", "2.25", "n/a?", "3"], '[data.columns]: price = "number"'),
        (["1,5", "2,25", "7", "3,1"], "replace(regexp_replace(price"),
        (["$1.50", "$2.25", "$7", "$3"], "regexp_replace(price"),
        (["12 %", "7 %", "5 %", "80 %"], "regexp_replace(price"),
    ],
)
def test_numbers_kept_as_text_get_the_line_that_makes_them_numbers(cells: list[str], fix: str) -> None:
    column = [cells[place % 4] if place % 40 else "no data" for place in range(300)]
    if "n/a?" in cells:
        column = [cells[place % 2 * 3] if place % 40 else "n/a?" for place in range(300)]
    one = found(looked({**BASE, "price": column}), "check.number-as-text")
    assert one.level == "warning"
    assert fix in one.fix


AMOUNTS = [200.5 + place * 37.25 for place in range(300)]


@pytest.mark.parametrize("write", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("shape", "beside"),
    [
        ("{:,.2f}", "0.5"),
        ("{:,.0f}", "0.5"),
        ("es{:,.2f}", "0,5"),
        ("es{:,.0f}", "0,5"),
        ("es{:,.2f} €", "0,5"),
        ("${:,.2f}", "0.5"),
        ("es{:.2f}", "0,5"),
    ],
)
def test_amounts_with_marks_become_the_numbers_they_are_by_the_line_that_is_told(
    shape: str, beside: str, write: str, tmp_path: Path
) -> None:
    marks = str.maketrans(",.", ".,") if shape.startswith("es") else {}
    texts = [shape.removeprefix("es").format(amount).translate(marks) for amount in AMOUNTS]
    rows = {"Precio de venta": texts, "beside": [beside] * 150 + ["7"] * 150, "y": ["a", "b"] * 150}
    if write == "csv":
        lines = [";".join(row) for row in zip(*rows.values(), strict=True)]
        (tmp_path / "t.csv").write_text("\n".join([";".join(rows), *lines]), encoding="utf-8")
    else:
        pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    asked: dict[str, Any] = {"name": "t", "data": {"source": str(tmp_path / f"t.{write}"), "label": "y"}}
    first = filon.check(asked).checked
    if write == "csv" and shape == "es{:.2f}":
        assert next(column.kind for column in first.source.columns) == "number"  # the decimal comma is seen
        return
    one = found(first, "check.number-as-text", "Precio de venta")
    asked["data"]["derive"] = tomllib.loads(one.fix.partition("[data.derive]: ")[2])
    (name,) = asked["data"]["derive"]
    again = filon.check(asked).checked
    seen = next(column for column in again.profile.columns if column.name == name)
    digits = 0 if ".0f" in shape else 2
    assert (seen.minimum, seen.maximum, seen.missing) == (round(AMOUNTS[0], digits), round(AMOUNTS[-1], digits), 0)


def test_whole_numbers_under_the_name_of_a_code_are_pointed_at() -> None:
    one = found(looked({**BASE, "store_id": [place * 7919 % 40 for place in range(300)]}), "check.code-as-number")
    assert (one.level, one.fix) == ("info", 'under [data.columns]: store_id = "category"')


def test_words_for_missing_are_pointed_at_once_for_all_columns() -> None:
    job = [["cook", "nurse", "unknown"][place % 3] for place in range(300)]
    root = [["a", "b", "?"][place // 2 % 3] for place in range(300)]
    one = found(looked({**BASE, "job": job, "root": root}), "check.missing-words")
    assert one.level == "info"
    assert '"unknown", "?"]' in one.fix


def test_thousands_of_constant_columns_are_few_findings() -> None:
    table = {**BASE, **{f"c{place}": [1.0] * 300 for place in range(400)}}
    checked = looked(table)
    constant = [one for one in checked.findings if one.code == "check.constant"]
    assert len(constant) == 11
    assert constant[-1].what == "390 more columns: constant columns"
    assert role(checked, "c399") == "left-out"


def test_blockers_come_first() -> None:
    levels = [one.level for one in looked({**BASE, "status": ANSWERS, "n": list(range(300)), "c": [1] * 300}).findings]
    assert levels == sorted(levels, key=("blocker", "warning", "info").index)
