"""What the recipe asks of the split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filon.check.records import Checked
from filon.engines.base import Column, LabelPlan, Profile, Source
from filon.errors import RecipeError
from filon.read.settings import DataSettings
from filon.split import SplitSettings, plan_of, shares_of

COLUMNS = (
    Column(name="a", kind="number"),
    Column(name="name", kind="text", role="left-out"),
    Column(name="id", kind="number", role="key"),
    Column(name="when", kind="date", role="time"),
    Column(name="y", kind="boolean", role="label"),
)
CHECKED = Checked(
    source=Source(format="csv", files=(), dialect=None, columns=COLUMNS),
    label=LabelPlan(column="y", classes=("false", "true")),
    profile=Profile(rows=0, columns=(), labels=(), label_missing=0, duplicates=0, conflicts=0),
    findings=(),
)


def test_the_plan_sees_features_only() -> None:
    plan = plan_of(CHECKED, SplitSettings(seed=7), DataSettings(source="t.csv", label="y"), "weights")
    assert [column.name for column in plan.features] == ["a"]
    assert (plan.seed, plan.balance, plan.label.classes) == (7, True, ("false", "true"))
    assert not plan_of(CHECKED, SplitSettings(), DataSettings(source="t.csv", label="y"), "none").balance


@pytest.mark.parametrize("shares", [(0.7, 0.2, 0.2), (0.5, 0.2, 0.2), (0.98, 0.98, 0.98), (0.0001, 0.15, 0.15), (0.7, 0.29, 0.0001)])
def test_shares_that_do_not_add_up_are_refused_with_shares_that_do(shares: tuple[float, float, float]) -> None:
    train, valid, test = shares
    with pytest.raises(RecipeError) as caught:
        shares_of(SplitSettings(train=train, valid=valid, test=test), given_test=False)
    assert caught.value.code == "split.shares-wrong"
    offered = [float(part.split(" = ")[1]) for part in caught.value.fix.removeprefix("[split] ").split(", ")]
    assert sum(offered) == pytest.approx(1)
    assert min(offered) > 0


@given(st.integers(1, 98), st.data())
def test_shares_in_hundredths_are_accepted(train: int, data: st.DataObject) -> None:
    valid = data.draw(st.integers(1, 99 - train))
    settings = SplitSettings(train=train / 100, valid=valid / 100, test=(100 - train - valid) / 100)
    assert sum(shares_of(settings, given_test=False)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("by", "data", "said"),
    [
        ("key", {}, "data.key names no column"),
        ("key", {"key": ("id", "town")}, '"town"'),
        ("time", {}, "data.time names no column"),
        ("time", {"time": "day"}, '"day"'),
    ],
)
def test_splitting_by_a_column_that_is_not_there_is_refused(by: str, data: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        plan_of(CHECKED, SplitSettings(by=by), DataSettings(source="t.csv", label="y", **data), "weights")  # type: ignore[arg-type]
    assert caught.value.code == "split.column-missing"
    assert said in caught.value.what
