"""Importance finds what was planted, and effects say which way it pushes."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from filon.evaluate import EvaluateSettings, Importance, measure_importance, slice_columns
from filon.rows.encode import Encoding, Feature
from filon.trees import Ensemble

COLOURS = ("red", "green", "blue")
ENCODING = Encoding(
    features=(
        Feature(name="noise", kind="number"),
        Feature(name="size", kind="number"),
        Feature(name="colour", kind="category", categories=COLOURS),
        Feature(name="member", kind="boolean"),
    ),
    classes=("no", "yes"),
)


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    matrix = np.stack([rng.normal(size=2_000), rng.uniform(0, 100, 2_000), rng.integers(0, 3, 2_000), rng.integers(0, 2, 2_000)], 1)
    matrix[::50, 1] = np.nan
    size = np.nan_to_num(matrix[:, 1], nan=50)
    logit = (size - 50) / 10 + 1.5 * (matrix[:, 2] == 2)
    return matrix.astype(np.float32), (rng.random(2_000) < 1 / (1 + np.exp(-logit))).astype(np.int32)


@pytest.fixture(scope="module")
def ensemble(rows) -> Ensemble:
    import xgboost

    types = ["q", "q", "c", "q"]
    matrix = xgboost.DMatrix(rows[0], rows[1], feature_types=types, enable_categorical=True)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "eta": 0.3, "nthread": 1}, matrix, 20)
    return Ensemble(
        family="xgboost", form="trees", link="logistic", model=bytes(booster.save_raw("ubj")), classes=("no", "yes"), features=4,
        categorical=(False, False, True, False), rounds=20, trees=20,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(rows, ensemble) -> tuple[Importance, ...]:
    return measure_importance(ensemble, ENCODING, pa.table({name: rows[0][:, i] for i, name in enumerate(ENCODING.names)}))


def test_planted_features_come_first_and_gain_sums_to_one(found):
    assert [one.feature for one in found[:2]] == ["size", "colour"]
    assert sum(one.gain for one in found) == pytest.approx(1)
    assert found[0].rows == 2_000


def test_effects_tell_which_way_a_number_pushes(found):
    groups = found[0].effects
    numbers = [group for group in groups if not group.missing]
    assert len(numbers) == 10
    assert numbers[0].shap < -1 < 1 < numbers[-1].shap
    assert all(one.high <= other.low for one, other in pairwise(numbers))
    assert groups[-1].missing
    assert groups[-1].rows == 40
    assert sum(group.rows for group in groups) == 2_000


def test_effects_of_categories_and_booleans_carry_their_names(found):
    by_name = {one.feature: one.effects for one in found}
    assert {group.name for group in by_name["colour"]} == set(COLOURS)
    assert max(by_name["colour"], key=lambda group: group.shap).name == "blue"
    assert {group.name for group in by_name["member"]} == {"false", "true"}


def test_without_a_sample_there_is_gain_alone(ensemble):
    found = measure_importance(ensemble, ENCODING, None)
    assert [one.feature for one in found] == [one.feature for one in sorted(found, key=lambda one: -one.gain)]
    assert {one.shap for one in found} == {None}


def test_features_may_be_called_as_the_sample_calls_label_and_weight(rows, ensemble, found):
    """A fold's sample has two columns more, the label and the weight of each row."""
    names = ("label", "weight", "member", "hash")
    encoding = replace(ENCODING, features=tuple(replace(one, name=name) for one, name in zip(ENCODING.features, names, strict=True)))
    cells = [*(pa.array(np.ascontiguousarray(column)) for column in rows[0].T), pa.array(rows[1]), pa.array(np.ones(2_000, np.float32))]
    named = dict(zip(ENCODING.names, names, strict=True))
    for other, one in zip(found, measure_importance(ensemble, encoding, pa.table(cells, names=[*names, "label", "weight"])), strict=True):
        assert (named[other.feature], other.shap) == (one.feature, one.shap)


def test_slices_are_the_named_columns_or_the_most_important_categories(found):
    assert slice_columns(ENCODING, found, EvaluateSettings()) == ("colour", "member")
    assert slice_columns(ENCODING, found, EvaluateSettings(slices=("member",))) == ("member",)
