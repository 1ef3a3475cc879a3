"""What check says of the public data sets: the traps their README names are found, and none of them stops without a leak."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.check.files import checked_file
from tests.unit.check.looking import codes, found, role

Find = Callable[[str], Path]


def test_length_of_the_call_does_not_stop_the_bank(shared_data: Find) -> None:
    checked = checked_file(shared_data("bank-kaggle/bank.csv"), "deposit")
    assert not checked.blockers
    assert checked.label.classes == ("no", "yes")
    duration = next(column for column in checked.profile.columns if column.name == "duration")
    assert duration.auc == pytest.approx(0.805, abs=0.005)
    assert '"unknown"]' in found(checked, "check.missing-words").fix


def test_small_bank_trains_as_it_is(shared_data: Find) -> None:
    checked = checked_file(shared_data("bank-uci/bank.csv"), "y")
    assert not checked.blockers
    assert len(checked.source.names("feature")) == 16


def test_titanic_names_and_row_numbers_are_ids(shared_data: Find) -> None:
    checked = checked_file(shared_data("titanic/train.csv"), "Survived")
    assert {one.column for one in checked.findings if one.code == "check.id"} == {"PassengerId", "Name"}
    assert checked.source.names("feature") == ("Pclass", "Sex", "Age", "SibSp", "Parch", "Ticket", "Fare", "Cabin", "Embarked")
    assert not checked.blockers


def test_hotel_status_is_a_leak_that_stops(shared_data: Find) -> None:
    checked = checked_file(shared_data("hotel-bookings/hotel_bookings.csv.gz"), "is_canceled")
    assert [(one.code, one.column) for one in checked.blockers] == [("check.leak-perfect", "reservation_status")]
    assert role(checked, "reservation_status_date") == "left-out"
    assert "deposit_type = Non Refund" in found(checked, "check.telling-value").evidence
    assert {one.column for one in checked.findings if one.code == "check.code-as-number"} == {"agent", "company"}
    # 31,994 exact duplicates; without the date, which is no feature, some more rows are equal
    assert found(checked, "check.duplicate-rows").facts["rows"] == 32_239


@pytest.mark.slow
def test_hotel_without_its_leaks_trains(shared_data: Find) -> None:
    leaks = ["reservation_status", "reservation_status_date"]
    checked = checked_file(shared_data("hotel-bookings/hotel_bookings.csv.gz"), "is_canceled", drop=leaks)
    assert not checked.blockers
    # README: 1,812 rows have a twin with the other label
    assert found(checked, "check.conflicting-rows").facts["rows"] == 1812


def test_machine_ids_and_failure_modes_are_found(shared_data: Find) -> None:
    checked = checked_file(shared_data("ai4i-2020/ai4i2020.csv"), "Machine failure")
    assert {one.column for one in checked.findings if one.code == "check.id"} == {"UDI", "Product ID"}
    telling = found(checked, "check.telling-value").evidence
    assert all(mode in telling for mode in ("HDF = 1", "OSF = 1", "PWF = 1", "TWF = 1"))
    assert not checked.blockers


def test_online_shoppers_train_with_their_missing_rows(shared_data: Find) -> None:
    checked = checked_file(shared_data("online-shoppers/online_shoppers_intention.csv.gz"), "Revenue", positive="TRUE")
    assert not checked.blockers
    assert checked.label.classes == ("false", "true")
    assert next(column for column in checked.profile.columns if column.name == "Administrative").missing == 14
    assert found(checked, "check.duplicate-rows").facts["rows"] == 119


def test_smell_of_mushrooms_is_a_warning_and_the_veil_is_constant(shared_data: Find) -> None:
    checked = checked_file(shared_data("mushroom/mushrooms.csv"), "class", positive="p")
    assert (found(checked, "check.leak").column, found(checked, "check.leak").level) == ("odor", "warning")
    assert found(checked, "check.constant").column == "veil-type"
    assert not checked.blockers


def test_bikes_rented_are_the_functioning_day(shared_data: Find) -> None:
    checked = checked_file(shared_data("seoul-bike/SeoulBikeData.csv"), "Functioning Day", positive="No")
    assert [one.column for one in checked.blockers] == ["Rented Bike Count"]
    assert found(checked, "check.date").evidence == "2017-12-01 to 2018-11-30"


@pytest.mark.parametrize(("name", "duplicates"), [("red", 240), ("white", 937)])
def test_wine_scores_are_classes_with_rare_ones(name: str, duplicates: int, shared_data: Find) -> None:
    checked = checked_file(shared_data(f"wine-quality/winequality-{name}.csv"), "quality")
    assert not checked.blockers
    assert found(checked, "check.duplicate-rows").facts["rows"] == duplicates
    assert found(checked, "check.rare-class")


def test_tables_without_a_header_train(shared_data: Find) -> None:
    assert not checked_file(shared_data("german-credit/german.data"), "column_21", positive="2").blockers
    landsat = checked_file(shared_data("landsat/sat.trn"), "column_37")
    assert not landsat.blockers
    assert landsat.label.classes == ("1", "2", "3", "4", "5", "7")


def test_small_wine_table_is_stopped_by_its_few_rows_only(shared_data: Find) -> None:
    checked = checked_file(shared_data("wine/wine.data"), "column_1")
    assert [one.code for one in checked.blockers] == ["check.few-rows"]
    assert "check.leak-perfect" not in codes(checked)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "label"), [("bank-full.csv.gz", "y"), ("bank-additional-full.csv.gz", "y")])
def test_large_banks_train(name: str, label: str, shared_data: Find) -> None:
    checked = checked_file(shared_data(f"bank-uci/{name}"), label)
    assert not checked.blockers
    assert "check.imbalance" not in codes(checked)
