"""The refit: every family can win, on train and validation, with the rounds found."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filon import pipeline
from filon.engines import open_engine
from filon.engines.base import Engine, Folds
from filon.events import silence
from filon.fit import fit
from filon.read import read
from filon.recipe import recipe_from
from filon.search import search
from filon.split import split

GRIDS = {
    "xgboost": {"max_depth": 3, "eta": 0.3, "num_round": 30, "early_stopping_rounds": 3},
    "random_forest": {"numTrees": [5, 10], "maxDepth": 4},
    "gbt": {"maxIter": [3, 6], "maxDepth": 3},
    "logistic_regression": {},
}


@pytest.fixture(scope="module")
def split_table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Folds]]:
    folder: Path = tmp_path_factory.mktemp("fit")
    rng = np.random.default_rng(3)
    x, c = rng.normal(size=(600, 2)), rng.choice(["a", "b", "c"], 600)
    y = np.where(x[:, 0] + (c == "a") + rng.normal(size=600) > 0.3, "yes", "no")
    pq.write_table(pa.table({"x": x[:, 0], "z": x[:, 1], "c": c, "y": y}), folder / "t.parquet")
    file = recipe_from({"name": "t", "data": {"source": "t.parquet", "label": "y", "positive": "yes"}}, folder)
    with open_engine("embedded", scratch=folder, threads=1) as engine:
        table = engine.read(read(file.recipe.data, folder))
        checked = pipeline.look(file, table, engine, silence)
        yield engine, split(table, checked, file.recipe.split, file.recipe.data, "weights", engine)


@pytest.mark.parametrize("family", GRIDS)
def test_any_family_can_win_and_is_refitted_with_the_rounds_found(split_table, family):
    engine, folds = split_table
    recipe = recipe_from({"name": "t", "data": {"source": "t.parquet", "label": "y"}, "search": {family: GRIDS[family]}}, Path())
    choice = search(folds, recipe.recipe.search, engine, seed=42, keep=lambda *_: None)
    fitted = fit(folds, choice, engine)
    assert fitted.trial.family == choice.winner.family == family
    assert fitted.ensemble is not None
    assert fitted.ensemble.model != choice.best[family].ensemble.model, "the refit saw more rows"
    if family in ("xgboost", "gbt"):
        assert fitted.ensemble.rounds == choice.rounds
