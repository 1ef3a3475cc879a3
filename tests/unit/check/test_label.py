import pytest
from tests.unit.check.looking import ANSWERS, SPREAD, codes, found, looked


def test_affirmative_name_makes_the_positive_class_and_says_so() -> None:
    checked = looked({"x": SPREAD, "y": ["yes", "no", "no"] * 100})
    assert checked.label.classes == ("no", "yes")
    assert 'positive = "yes"' in found(checked, "check.positive-chosen").fix


def test_rarer_class_is_positive_when_no_name_says_it() -> None:
    checked = looked({"x": SPREAD, "y": ["e", "p", "e"] * 100})
    assert checked.label.classes == ("e", "p")
    assert "rarer" in found(checked, "check.positive-chosen").evidence


@pytest.mark.parametrize(
    ("labels", "positive", "classes"),
    [
        (ANSWERS, "yes", ("no", "yes")),
        (ANSWERS, "no", ("yes", "no")),
        ([0, 1] * 150, 1, ("0", "1")),
        ([0.0, 1.0] * 150, "1", ("0", "1")),
        ([False, True] * 150, "TRUE", ("false", "true")),
        ([False, True] * 150, True, ("false", "true")),
        ([False, True] * 150, "yes", ("false", "true")),
        (["Yes", "No"] * 150, "yes", ("No", "Yes")),
    ],
)
def test_positive_of_the_recipe_is_the_last_class_however_it_is_written(
    labels: list[object], positive: object, classes: tuple[str, str]
) -> None:
    checked = looked({"x": SPREAD, "y": labels}, positive=positive)
    assert checked.label.classes == classes
    assert "check.positive-chosen" not in codes(checked)


def test_unknown_positive_stops_and_offers_the_nearest() -> None:
    checked = looked({"x": SPREAD, "y": ANSWERS}, positive="yess")
    one = found(checked, "check.positive-unknown")
    assert one.level == "blocker"
    assert 'positive = "yes"' in one.fix
    far = looked({"x": SPREAD, "y": [1, 0, 1] * 100}, positive=True)
    assert 'positive = "1"' in found(far, "check.positive-unknown").fix  # what a 1 is called, not the rarer class
    assert checked.label.classes == ()


def test_positive_of_three_classes_stops_with_a_derived_label_to_paste() -> None:
    checked = looked({"x": SPREAD, "y": ["a", "b", "c"] * 100}, positive="b")
    one = found(checked, "check.positive-of-many")
    assert one.level == "blocker"
    assert "y_is_b = \"y = 'b'\"" in one.fix


def test_many_classes_are_ordered_by_number_and_then_by_text() -> None:
    checked = looked({"x": SPREAD, "y": ["10", "9", "b", "a", "-1"] * 60})
    assert checked.label.classes == ("-1", "9", "10", "a", "b")


def test_classes_of_the_recipe_fix_the_order() -> None:
    checked = looked({"x": SPREAD, "y": [1, 2, 3] * 100}, classes=[3, 1, 2])
    assert checked.label.classes == ("3", "1", "2")


def test_classes_that_no_row_has_stop_with_the_nearest_names() -> None:
    checked = looked({"x": SPREAD, "y": ["red", "green", "blue"] * 100}, classes=["red", "gren", "blue"])
    one = found(checked, "check.classes-absent")
    assert one.level == "blocker"
    assert 'classes = ["red", "green", "blue"]' in one.fix


def test_labels_outside_the_classes_are_counted() -> None:
    checked = looked({"x": SPREAD, "y": ["red", "green", "blue"] * 100}, classes=["red", "green"])
    one = found(checked, "check.class-outside")
    assert (one.level, one.facts["rows"]) == ("warning", 100)
    assert checked.label.classes == ("red", "green")


def test_one_class_stops() -> None:
    assert found(looked({"x": SPREAD, "y": ["yes"] * 300}), "check.one-class").level == "blocker"


def test_one_class_stops_even_when_allowed() -> None:
    assert looked({"x": SPREAD, "y": ["yes"] * 300}, settings={"allow": ["check.one-class"]}).blockers


def test_label_without_any_value_stops() -> None:
    checked = looked({"x": SPREAD, "y": [None] * 300})
    assert [one.code for one in checked.blockers] == ["check.label-empty"]


def test_missing_labels_are_counted_and_left_aside() -> None:
    one = found(looked({"x": SPREAD, "y": [*ANSWERS[:270], *[None] * 30]}), "check.label-missing")
    assert (one.level, one.facts["rows"]) == ("warning", 30)
    assert "y IS NOT NULL" in one.fix


def test_class_with_one_row_stops_unless_allowed() -> None:
    table = {"x": SPREAD, "y": ["a", "b"] * 149 + ["a", "c"]}
    one = found(looked(table), "check.class-single-row")
    assert one.level == "blocker"
    assert "y NOT IN ('c')" in one.fix
    assert found(looked(table, settings={"allow": ["check.class-single-row"]}), "check.class-single-row").level == "warning"


def test_class_with_few_rows_is_a_warning() -> None:
    one = found(looked({"x": SPREAD, "y": ["a", "b"] * 145 + ["c"] * 10}), "check.rare-class")
    assert one.level == "warning"
    assert "c (10)" in one.evidence


def test_quantity_as_label_stops_with_classes_to_paste() -> None:
    one = found(looked({"x": ANSWERS, "y": [value + 0.5 for value in SPREAD]}), "check.label-is-number")
    assert one.level == "blocker"
    assert "y_high = " in one.fix
    assert 'label = "y_high"' in one.fix


def test_whole_scores_are_classes() -> None:
    checked = looked({"x": SPREAD, "y": [3, 4, 5, 6, 7] * 60})
    assert checked.label.classes == ("3", "4", "5", "6", "7")
    assert not checked.blockers


def test_number_declared_as_category_is_a_label_of_classes() -> None:
    checked = looked({"x": SPREAD, "y": [str(place % 120) for place in range(300)]}, columns={"y": "category"})
    assert "check.label-is-number" not in codes(checked)
    assert found(checked, "check.many-classes").level == "warning"


def test_label_of_names_stops() -> None:
    table = {"x": [float(place % 7) for place in range(1200)], "y": [f"n{place}" for place in range(1100)] + ["n0"] * 100}
    assert found(looked(table), "check.many-classes").level == "blocker"


def test_date_as_label_stops() -> None:
    import datetime as dt

    days = [dt.date(2024, 1, 1) + dt.timedelta(days=place % 9) for place in range(300)]
    assert found(looked({"x": SPREAD, "y": days}), "check.label-unusable").level == "blocker"


def test_few_rows_stop_and_the_limit_can_be_pasted() -> None:
    one = found(looked({"x": SPREAD[:60], "y": ANSWERS[:60]}), "check.few-rows")
    assert one.level == "blocker"
    assert "min_rows = 60" in one.fix


@pytest.mark.parametrize(("rows", "level"), [(25, "info"), (24, "info")])
def test_rare_class_of_two_is_said(rows: int, level: str) -> None:
    table = {"x": [float(place * 7919 % 101) for place in range(1000)], "y": ["yes"] * rows + ["no"] * (1000 - rows)}
    assert found(looked(table), "check.imbalance").level == level


def test_class_below_one_in_a_hundred_is_a_warning() -> None:
    table = {"x": [float(place * 7919 % 101) for place in range(4000)], "y": ["yes"] * 30 + ["no"] * 3970}
    assert found(looked(table), "check.imbalance").level == "warning"
