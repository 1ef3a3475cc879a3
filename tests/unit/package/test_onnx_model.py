"""ONNX answers as XGBoost does: on random rows, on rows that lie exactly on a split, with missing cells, and for codes never trained on."""

import itertools
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st

from filon.errors import BundleError
from filon.package import onnx_model
from filon.package.onnx_model import session, to_onnx
from filon.rows.encode import Encoding, Feature
from filon.trees import Ensemble, LinearDesign, contributions, predict, ubjson
from filon.trees.blending import blend

FEATURES = 5
LEVELS = (0, 0, 0, 70, 4)
KINDS = ["c" if levels else "q" for levels in LEVELS]
TOLERANCE = 1e-6  # law 4


def encoding(classes: int = 2) -> Encoding:
    features = tuple(
        Feature(name=f"f{i}", kind="category" if levels else "number", categories=tuple(f"level {code}" for code in range(levels)))
        for i, levels in enumerate(LEVELS)
    )
    return Encoding(features=features, classes=tuple(f"class {i}" for i in range(classes)))


def table(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Encoded features with missing cells, and a margin that depends on sets of categories."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, FEATURES)).astype(np.float32)
    x[:, 1] = np.round(x[:, 1], 1)  # few values, so that many rows lie on a split
    for i, levels in enumerate(LEVELS):
        if levels:
            x[:, i] = draw.integers(0, levels, rows)
    pull = x[:, 0] + x[:, 1] + np.isin(x[:, 3], [0, 1, 5, 9, 13, 22, 40, 69]) * 2 + draw.normal(size=rows)
    x[draw.random(x.shape) < 0.1] = np.nan
    return x, pull


PARAMETERS: dict[str, tuple[str, dict[str, object], int]] = {
    "boosted": ("logistic", {"objective": "binary:logistic", "max_depth": 6, "eta": 0.3}, 40),
    "pruned": ("logistic", {"objective": "binary:logistic", "max_depth": 6, "eta": 0.3, "gamma": 3.0}, 40),
    "lossguide": ("logistic", {"objective": "binary:logistic", "grow_policy": "lossguide", "max_leaves": 31, "max_depth": 0}, 25),
    "one-hot": ("logistic", {"objective": "binary:logistic", "max_depth": 6, "max_cat_to_onehot": 100}, 25),
    "stumps": ("logistic", {"objective": "binary:logistic", "max_depth": 1}, 30),
    "no split": ("logistic", {"objective": "binary:logistic", "gamma": 1e9}, 3),
    "softmax": ("softmax", {"objective": "multi:softprob", "num_class": 3, "max_depth": 5}, 25),
    "forest": (
        "identity",
        {
            "objective": "reg:squarederror",
            "num_parallel_tree": 60,
            "eta": 1,
            "max_depth": 8,
            "subsample": 0.6,
            "base_score": 0,
            "lambda": 0,
        },
        1,
    ),
    "forest of three": (
        "identity",
        {"objective": "reg:squarederror", "num_parallel_tree": 30, "eta": 1, "max_depth": 7, "subsample": 0.6, "base_score": 0},
        1,
    ),
}


@lru_cache
def fitted(name: str, seed: int = 0, rows: int = 4000) -> Ensemble:
    link, parameters, rounds = PARAMETERS[name]
    x, pull = table(rows, seed)
    three = np.digitize(pull, np.quantile(pull, [0.4, 0.8]))
    many = "num_class" in parameters or "three" in name
    label = np.eye(3, dtype=np.float32)[three] if many and link == "identity" else three if many else (pull > 0.8).astype(int)
    matrix = xgboost.DMatrix(x, label, feature_types=KINDS, enable_categorical=True)
    booster = xgboost.train({"nthread": 1, "seed": seed, **parameters}, matrix, rounds)
    classes = tuple(f"class {i}" for i in range(3 if many else 2))
    return Ensemble(
        family="xgboost", form="trees", link=link, model=bytes(booster.save_raw("ubj")), classes=classes, features=FEATURES,
        categorical=tuple(kind == "c" for kind in KINDS),
    )  # fmt: skip


@lru_cache
def linear(classes: int, levels: tuple[int, ...] = LEVELS) -> Ensemble:
    draw = np.random.default_rng(classes)
    plain = np.array(levels) == 0
    design = LinearDesign(
        fill=tuple(np.where(plain, draw.normal(size=len(levels)), 0.0)),
        mean=tuple(np.where(plain, draw.normal(size=len(levels)), 0.0)),
        scale=tuple(np.where(plain, draw.random(len(levels)) + 0.5, 1.0)),
        levels=levels,
    )
    outputs = 1 if classes == 2 else classes
    weights = draw.normal(size=(design.width + 1) * outputs).astype(np.float32)
    model = ubjson.write({"learner": {"gradient_booster": {"model": {"weights": weights}}}})
    return Ensemble(
        family="logistic_regression", form="linear", link="logistic" if classes == 2 else "softmax", model=model,
        classes=tuple(f"class {i}" for i in range(classes)), features=len(levels), design=design,
    )  # fmt: skip


def on_splits(ensemble: Ensemble, rows: int, seed: int) -> np.ndarray:
    """Rows whose numbers equal bounds of the model, or lie one float below or above."""
    x, _ = table(rows, seed)
    draw = np.random.default_rng(seed)
    for feature in range(FEATURES):
        bounds = [
            bound
            for tree in ubjson.read(ensemble.model)["learner"]["gradient_booster"]["model"]["trees"]
            for bound in tree["split_conditions"][
                (tree["left_children"] >= 0) & (tree["split_type"] == 0) & (tree["split_indices"] == feature)
            ]
        ]
        if bounds:
            exact = draw.choice(np.array(bounds, np.float32), rows)
            toward = draw.choice(np.array([-np.inf, np.inf], np.float32), rows)
            x[:, feature] = np.where(draw.random(rows) < 0.5, exact, np.nextafter(exact, toward))
    return x


def apart(ensemble: Ensemble, x: np.ndarray) -> float:
    answered = session(to_onnx(ensemble, encoding(len(ensemble.classes)))).run(["probability"], {"features": x})[0]
    expected = predict(ensemble, x, threads=1)
    assert answered.shape == expected.shape
    return float(np.abs(answered - expected).max())


@pytest.mark.parametrize("name", PARAMETERS)
def test_trees_answer_as_xgboost_on_rows_and_on_splits(name: str) -> None:
    ensemble = fitted(name)
    x = np.concatenate([table(1500, seed=9)[0], on_splits(ensemble, 1500, seed=5)])
    assert apart(ensemble, x) <= TOLERANCE


@pytest.mark.parametrize("name", ["forest", "forest of three"])
def test_forests_agree_to_the_last_bit(name: str) -> None:
    assert apart(fitted(name), table(3000, seed=4)[0]) == 0.0


@pytest.mark.parametrize("name", ["boosted", "softmax", "forest"])
def test_one_row_and_many_rows_get_the_same_answer(name: str) -> None:
    ensemble, x = fitted(name), table(64, seed=2)[0]
    door = session(to_onnx(ensemble, encoding(len(ensemble.classes))))
    many = door.run(["probability"], {"features": x})[0]
    singly = np.concatenate([door.run(["probability"], {"features": x[i : i + 1]})[0] for i in range(len(x))])
    assert np.array_equal(many, singly)


@given(
    cells=st.lists(
        st.one_of(st.floats(width=32, allow_infinity=False), st.integers(0, 71).map(float)), min_size=FEATURES, max_size=FEATURES
    )
)
@pytest.mark.parametrize("name", ["boosted", "one-hot", "softmax", "forest"])
def test_any_row_gets_the_answer_of_xgboost(name: str, cells: list[float]) -> None:
    x = np.array([cells], np.float32)
    for i, levels in enumerate(LEVELS):
        if levels:  # codes are whole, also those never trained on; negative ones are never made by the encoder
            x[:, i] = np.where(np.isnan(x[:, i]), np.nan, np.abs(x[:, i]) // 1 % (levels + 3))
    assert np.abs(door_of(name).run(["probability"], {"features": x})[0] - predict(fitted(name), x, threads=1)).max() <= TOLERANCE


@lru_cache
def door_of(name: str) -> Any:
    ensemble = fitted(name)
    return session(to_onnx(ensemble, encoding(len(ensemble.classes))))


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("levels", [LEVELS, (0, 0), (3, 2)])
def test_linear_models_answer_the_same(classes: int, levels: tuple[int, ...]) -> None:
    draw = np.random.default_rng(1)
    x = np.where(np.array(levels) == 0, draw.normal(size=(2000, len(levels))) * 4, draw.integers(0, 75, (2000, len(levels)))).astype(
        np.float32
    )
    x[draw.random(x.shape) < 0.1] = np.nan
    assert apart(linear(classes, levels), x) <= TOLERANCE


@pytest.mark.parametrize("classes", [2, 4])
def test_numbers_at_the_end_of_what_float32_holds_have_an_answer_and_reasons(classes: int) -> None:
    ensemble, most = linear(classes), np.finfo(np.float32).max
    x = np.array([[*ends, 1.0, 2.0] for ends in itertools.product([-most, 0, most], repeat=3)], np.float32)
    found = predict(ensemble, x, threads=1)
    assert np.abs(found.sum(axis=1) - 1).max() <= TOLERANCE  # no NaN, which is no JSON either
    assert apart(ensemble, x) <= TOLERANCE
    assert np.isfinite(contributions(ensemble, x, threads=1)).all()


def test_a_blend_of_models_is_one_graph() -> None:
    mixed = blend([fitted("boosted"), fitted("lossguide"), fitted("one-hot")])
    assert apart(mixed, table(2000, seed=3)[0]) <= TOLERANCE


def test_the_label_is_answered_by_the_sealed_threshold() -> None:
    ensemble, x = fitted("boosted"), table(500)[0]
    probability, label = session(to_onnx(ensemble, encoding(), threshold=0.2)).run(None, {"features": x})
    assert np.array_equal(label, (probability[:, 1] >= np.float32(0.2)).astype(np.int64))
    assert 0 < label.sum() < len(label)
    many = fitted("softmax")
    probability, label = session(to_onnx(many, encoding(3))).run(None, {"features": x})
    assert np.array_equal(label, probability.argmax(axis=1))


def test_the_graph_is_valid_and_says_what_it_is() -> None:
    import json

    import onnx

    model = onnx.load_model_from_string(to_onnx(fitted("boosted"), encoding(), threshold=0.3))
    onnx.checker.check_model(model, full_check=True)
    facts = json.loads(next(one.value for one in model.metadata_props if one.key == "filon"))
    assert facts["threshold"] == 0.3
    assert [item["name"] for item in facts["features"]] == ["f0", "f1", "f2", "f3", "f4"]
    assert facts["features"][4]["categories"] == ["level 0", "level 1", "level 2", "level 3"]


def test_trees_beyond_a_protobuf_file_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "MOST_NODES", 100)
    with pytest.raises(BundleError) as caught:
        to_onnx(fitted("boosted"), encoding())
    assert caught.value.code == "package.onnx-too-large"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_forests_of_600_deep_trees_agree_to_the_last_bit(seed: int) -> None:
    """Summed in another order, float32 would put pure rows up to 1e-5 apart."""
    x, pull = table(6000, seed)
    parameters = {"objective": "reg:squarederror", "num_parallel_tree": 600, "eta": 1, "max_depth": 10, "subsample": 0.63, "base_score": 0}
    matrix = xgboost.DMatrix(x, (pull > 0.8).astype(int), feature_types=KINDS, enable_categorical=True)
    booster = xgboost.train({**parameters, "colsample_bynode": 0.4, "seed": seed}, matrix, 1)
    ensemble = Ensemble(
        family="random_forest",
        form="trees",
        link="identity",
        model=bytes(booster.save_raw("ubj")),
        classes=("no", "yes"),
        features=FEATURES,
    )
    assert apart(ensemble, np.concatenate([x[:2000], on_splits(ensemble, 1000, seed)])) == 0.0
