import datetime as dt
from pathlib import Path

import pytest
from tests.unit.check.files import checked_file
from tests.unit.check.looking import ANSWERS, SPREAD, codes, found, looked

from filon.errors import DataError

BASE = {"x": SPREAD, "y": ANSWERS}


def test_duplicate_rows_are_counted() -> None:
    table = {"x": SPREAD[:290] + SPREAD[:10], "z": [*range(290), *range(10)], "y": ANSWERS[:290] + ANSWERS[:10]}
    one = found(looked(table, columns={"z": "number"}), "check.duplicate-rows")
    assert (one.level, one.facts["rows"]) == ("info", 10)


def test_many_duplicates_are_a_warning() -> None:
    assert (
        found(looked({"x": [float(place // 4 * 4 + place % 2) for place in range(300)], "y": ANSWERS}), "check.duplicate-rows").level
        == "warning"
    )


def test_rows_that_differ_only_in_the_label_are_counted() -> None:
    values = [float(place) + 0.5 for place in range(298)]
    table = {"x": [*values, 0.5, 1.5], "y": [*ANSWERS[:298], "yes", "yes"]}
    one = found(looked(table), "check.conflicting-rows")
    assert (one.level, one.facts["rows"]) == ("info", 2)


def test_no_feature_left_stops_and_says_why() -> None:
    one = found(looked({"n": list(range(300)), "c": [1] * 300, "y": ANSWERS}), "check.no-features")
    assert one.level == "blocker"
    assert "identifier" in one.evidence


def test_more_features_than_rows_is_a_warning() -> None:
    table = {f"f{k}": [float((place * (k + 3) * 7919) % 97) for place in range(210)] for k in range(220)}
    assert found(looked({**table, "y": ANSWERS[:210]}), "check.more-features-than-rows").level == "warning"


def test_key_of_one_row_each_is_a_warning() -> None:
    one = found(looked({**BASE, "who": [f"c{place}" for place in range(300)]}, roles={"who": "key"}, key=["who"]), "check.key-unique")
    assert one.level == "warning"


def test_key_with_empty_cells_is_a_warning() -> None:
    who = [f"c{place % 50}" if place > 9 else None for place in range(300)]
    one = found(looked({**BASE, "who": who}, roles={"who": "key"}, key=["who"]), "check.key-missing")
    assert (one.level, one.facts["rows"]) == ("warning", 10)


def test_shared_key_is_nothing_to_report() -> None:
    who = [f"c{place % 50}" for place in range(300)]
    assert not [code for code in codes(looked({**BASE, "who": who}, roles={"who": "key"}, key=["who"])) if "key" in code]


def test_time_with_empty_cells_is_a_warning() -> None:
    when = [None if place < 5 else dt.datetime(2024, 1, 1) + dt.timedelta(hours=place) for place in range(300)]
    one = found(looked({**BASE, "t": when}, roles={"t": "time"}, time="t"), "check.time-missing")
    assert (one.level, one.facts["rows"]) == ("warning", 5)


def test_time_without_order_stops() -> None:
    one = found(looked({**BASE, "t": ["morning", "noon", "night"] * 100}, roles={"t": "time"}, time="t"), "check.time-unusable")
    assert one.level == "blocker"


def test_negative_weight_stops() -> None:
    one = found(looked({**BASE, "w": [-1.0, *[1.0] * 299]}, roles={"w": "weight"}, weight="w"), "check.weight-unusable")
    assert one.level == "blocker"
    assert "-1" in one.evidence


def test_missing_weight_is_a_warning() -> None:
    assert found(looked({**BASE, "w": [None, *[1.0] * 299]}, roles={"w": "weight"}, weight="w"), "check.weight-missing").level == "warning"


def test_values_that_settle_the_label_are_named() -> None:
    mode = [1 if label == "yes" and place < 100 else 0 for place, label in enumerate(ANSWERS)]
    one = found(looked({**BASE, "HDF": mode}), "check.telling-value")
    assert one.level == "info"
    assert "HDF = 1 → yes (100 % of 50)" in one.evidence
    assert 'drop = ["HDF"]' in one.fix


def test_values_of_the_commonest_class_settle_nothing() -> None:
    labels = ["no"] * 250 + ["yes"] * 50
    kind = ["a" if place < 60 else "b" for place in range(300)]
    assert "check.telling-value" not in codes(looked({"x": SPREAD, "kind": kind, "y": labels}))


def test_a_filter_that_leaves_no_row_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n1,a\n2,b\n")
    with pytest.raises(DataError, match=r"read\.no-rows") as told:
        checked_file(path, "y", where="x > 100")
    assert "x > 100" in told.value.why
