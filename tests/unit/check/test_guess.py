import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.check.files import guessed_file
from tests.unit.check.looking import ANSWERS, SPREAD, profile_of, source_of

from filon.check.guess import Guess, guess
from filon.check.recipe_text import recipe_text
from filon.recipe import recipe_from

Find = Callable[[str], Path]


def guessed(columns: dict[str, object], label: str = "") -> Guess:
    import pyarrow as pa

    table = pa.table(columns)
    source = source_of(table, "", {}, {})
    return guess(source, lambda name: profile_of(table, source_of(table, name, {}, {}), name), label)


def parsed(text: str) -> dict[str, object]:
    recipe = recipe_from(tomllib.loads(text), Path())
    return recipe.recipe.model_dump()


@pytest.mark.parametrize(
    ("name", "label", "positive"),
    [
        ("bank-kaggle/bank.csv", "deposit", "yes"),
        ("bank-uci/bank.csv", "y", "yes"),
        ("titanic/train.csv", "Survived", "1"),
        ("german-credit/german.data", "column_21", "1"),
        ("mushroom/mushrooms.csv", "class", "p"),
        ("seoul-bike/SeoulBikeData.csv", "Functioning Day", "Yes"),
        ("ai4i-2020/ai4i2020.csv", "Machine failure", "1"),
        ("wine/wine.data", "column_1", ""),
        ("wine-quality/winequality-red.csv", "quality", ""),
        ("landsat/sat.trn", "column_37", ""),
        ("higgs-small/binary.train.gz", "column_1", "1"),
        pytest.param("online-shoppers/online_shoppers_intention.csv.gz", "Revenue", "true", marks=pytest.mark.slow),
        pytest.param("hotel-bookings/hotel_bookings.csv.gz", "is_canceled", "1", marks=pytest.mark.slow),
    ],
)
def test_label_of_a_real_table_is_guessed(name: str, label: str, positive: str, shared_data: Find) -> None:
    found = guessed_file(shared_data(name))
    assert (found.label, found.positive) == (label, positive)
    assert parsed(recipe_text(found, "x", name))["data"]["label"] == label  # type: ignore[index]


def test_length_of_the_call_is_dropped_until_someone_says_otherwise(shared_data: Find) -> None:
    found = guessed_file(shared_data("bank-kaggle/bank.csv"))
    assert [(one.name, one.sure) for one in found.suspects] == [("duration", True)]
    assert parsed(recipe_text(found, "x", "bank.csv"))["data"]["drop"] == ("duration",)  # type: ignore[index]


def test_failure_modes_are_suggested_and_not_dropped(shared_data: Find) -> None:
    found = guessed_file(shared_data("ai4i-2020/ai4i2020.csv"))
    text = recipe_text(found, "x", "ai4i.csv")
    assert '  # "HDF",' in text
    assert parsed(text)["data"]["drop"] == ()  # type: ignore[index]
    assert set(found.ids) == {"UDI", "Product ID"}


def test_perfect_leak_is_dropped(shared_data: Find) -> None:
    found = guessed_file(shared_data("seoul-bike/SeoulBikeData.csv"))
    assert parsed(recipe_text(found, "x", "b.csv"))["data"]["drop"] == ("Rented Bike Count",)  # type: ignore[index]
    assert ("date_month", 'month("Date")') in found.derive


def test_named_label_is_kept() -> None:
    found = guessed({"x": SPREAD, "churn": ANSWERS, "z": ["a", "b", "a"] * 100}, label="z")
    assert found.label == "z"
    assert found.others[0] == "churn"


def test_quantity_named_as_label_becomes_two_classes() -> None:
    found = guessed({"Preis €": [value * 10 for value in SPREAD], "x": ANSWERS}, label="Preis €")
    text = recipe_text(found, "x", "p.csv", "es")
    data = parsed(text)["data"]
    assert data["label"] == "preis_high"  # type: ignore[index]
    assert data["derive"]["preis_high"].startswith('"Preis €" > ')  # type: ignore[index]
    assert data["drop"] == ("Preis €",)  # type: ignore[index]


def test_last_column_of_two_values_beats_other_flags() -> None:
    found = guessed({"a": SPREAD, "flag": [0, 1, 1] * 100, "b": SPREAD, "outcome_x": [1, 0, 0, 0, 1, 0] * 50})
    assert found.label == "outcome_x"


@pytest.mark.parametrize("lang", ["en", "es"])
def test_recipe_text_is_a_recipe_whatever_the_names(lang: str) -> None:
    columns = {
        'say "hi"': ANSWERS,
        "it's\nnew": [f"n{place}" for place in range(300)],
        "store_id": [place * 7919 % 40 for place in range(300)],
        "job": [["cook", "nurse", "unknown"][place % 3] for place in range(300)],
        "target": ANSWERS,
    }
    found = guessed(columns)
    text = recipe_text(found, "it's", 'folder/my "data".csv', lang)  # type: ignore[arg-type]
    data = tomllib.loads(text)["data"]
    assert data["source"] == 'folder/my "data".csv'
    assert data["label"] == "target"
    assert data["drop"] == ['say "hi"']
    uncommented = text.replace("# key", "key").replace("# columns", "columns").replace("# missing", "missing")
    assert tomllib.loads(uncommented)["data"]["key"] == ["it's\nnew"]
    assert tomllib.loads(uncommented)["data"]["columns"] == {"store_id": "category"}


def test_small_table_gets_a_lower_limit() -> None:
    found = guessed({"x": SPREAD[:80], "y": ANSWERS[:80]})
    assert parsed(recipe_text(found, "x", "t.csv"))["check"]["min_rows"] == 80  # type: ignore[index]


def test_table_without_any_candidate_still_gives_a_recipe() -> None:
    found = guessed({"a": SPREAD, "b": [value + 0.1 for value in SPREAD]})
    assert found.label in ("a_high", "b_high")
    assert parsed(recipe_text(found, "x", "t.csv"))


def test_ids_of_a_draft_are_those_that_check_leaves_out() -> None:
    amounts = [f"{1 + place}.{place * 7919 % 900 + 100},50 €" for place in range(300)]
    found = guessed({"row": list(range(300)), "amount": amounts, "y": ANSWERS}, "y")
    assert found.ids == ("row",)
    few = guessed({"place": list(range(10)), "y": ["a", "b"] * 5}, "y")
    assert few.ids == ()


def test_all_classes_of_a_label_are_counted() -> None:
    found = guessed({"x": [*SPREAD, *SPREAD], "y": [f"c{place % 60}" for place in range(600)]}, "y")
    assert len(found.classes) == 60


def test_what_folders_are_named_after_is_not_taken_for_the_label(tmp_path: Path) -> None:
    for zone in (1, 2):
        file = tmp_path / f"zone={zone}" / "part.csv"
        file.parent.mkdir()
        file.write_text("x,bought\n" + "".join(f"{x},{answer}\n" for x, answer in zip(SPREAD, ANSWERS, strict=True)))
    assert guessed_file(tmp_path).label == "bought"
