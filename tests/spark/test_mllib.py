"""Spark MLlib's trees as our ensemble: the pipeline's own probabilities, without a JVM."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.spark.twins import LOCAL, Twins, table, twins
from tests.story.conftest import RECIPE, bank_like

import filon
from filon.engines.base import FitPlan, Fitted, Trial
from filon.engines.spark.fetching import table as fetched
from filon.engines.spark.fitting import fit, leave
from filon.engines.spark.listener import Inputs
from filon.engines.spark.mllib import columns_of
from filon.engines.spark.session import Session
from filon.evaluate.metrics import value
from filon.package import open_bundle
from filon.package.frames import take
from filon.package.match import typed
from filon.rules import RulesSettings
from filon.trees import predict
from filon.trees.ubjson import read

pytestmark = [pytest.mark.spark]

ROWS = 100_000
NEAR = 1e-6
"""Between the bundle's probability and the pipeline's, as the issue asks."""


@pytest.fixture(scope="module")
def session(spark_session: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    made = Session(LOCAL, tmp_path_factory.mktemp("session [v2], año"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def pair(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    with twins(session, tmp_path_factory.mktemp("pair"), table(3000)) as both:
        yield both


def trial(number: int, family: str, **settings: Any) -> Trial:
    return Trial(number=number, family=family, settings={**settings, "library": "mllib"}, seed=11)


def rows_to_score(model: bytes, features: int) -> np.ndarray:
    """Rows of noise in which every other cell stands on a threshold of the model, just below or just above one; some are missing."""
    random = np.random.default_rng(3)
    x = random.normal(size=(ROWS, features)).astype(np.float32)
    trees = read(model)["learner"]["gradient_booster"]["model"]["trees"]
    for place in range(features):
        cuts = [tree["split_conditions"][(tree["split_indices"] == place) & (tree["left_children"] >= 0)] for tree in trees]
        found = np.unique(np.concatenate(cuts))
        if not len(found):
            continue
        around = np.concatenate([found, np.nextafter(found, np.float32(-np.inf)), np.nextafter(found, np.float32(np.inf))])
        chosen = random.random(ROWS) < 0.5
        x[chosen, place] = random.choice(around, int(chosen.sum()))
    x[random.random(x.shape) < 0.05] = np.nan
    return x


@pytest.mark.parametrize("family", ["random_forest", "gbt"])
def test_the_bundle_says_what_the_kept_pipeline_says(session: Session, pair: Twins, family: str, tmp_path: Path) -> None:
    from pyspark.ml import PipelineModel
    from pyspark.ml.functions import vector_to_array

    settings = {"numTrees": 12, "maxDepth": 7, "maxBins": 32} if family == "random_forest" else {"maxIter": 10, "maxDepth": 4}
    plan = FitPlan(train=("train", "valid"), valid=False)
    (one,) = fit(session, pair.there, [trial(1, family, **settings)], plan, "auto")
    assert not one.error
    assert one.ensemble is not None
    leave(session, tmp_path, Inputs())
    pipeline = PipelineModel.load(f"file://{tmp_path / 'pipeline_best'}")
    assert [type(stage).__name__ for stage in pipeline.stages][-2] == "VectorAssembler"
    x = rows_to_score(one.ensemble.model, one.ensemble.features)
    columns = {name: x[:, place].copy() for place, name in enumerate(columns_of(pair.there))}
    pq.write_table(pa.table({"index": np.arange(ROWS), **columns}), tmp_path / "rows.parquet")
    frame = session.spark.read.parquet(f"file://{tmp_path / 'rows.parquet'}")
    shares = fetched(pipeline.transform(frame).select("index", vector_to_array("probability").alias("p")).orderBy("index"), session)
    theirs = shares.column("p").combine_chunks().flatten().to_numpy().reshape(ROWS, -1)
    ours = predict(one.ensemble, x)
    assert np.abs(theirs - ours).max() <= NEAR
    assert len(np.unique(ours[:, 1])) > 50


def test_shorter_trials_are_prefixes_of_the_longest(session: Session, pair: Twins) -> None:
    trials = [trial(1, "gbt", maxIter=3, maxDepth=3), trial(2, "gbt", maxIter=6, maxDepth=3), trial(3, "gbt", maxIter=3, maxDepth=2)]
    found = {one.trial.number: one for one in fit(session, pair.there, trials, FitPlan(rows=1500), "auto")}
    alone = {one.trial.number: one for one in fit(session, pair.there, trials[:1], FitPlan(rows=1500), "auto")}
    assert found[1].shared == "prefix of trial 2"
    assert found[3].shared == ""
    assert [found[number].rounds for number in (1, 2, 3)] == [3, 6, 3]
    x = rows_to_score(ensemble(found[2]).model, ensemble(found[2]).features)[:5000]
    assert np.abs(predict(ensemble(found[1]), x) - predict(ensemble(alone[1]), x)).max() <= NEAR
    assert good(found[2]) > 0.75


def test_many_classes_have_a_forest_and_no_gbt(session: Session, tmp_path: Path) -> None:
    made = table(1500, classes=3)
    lowest = made["n1"].to_numpy().copy()
    lowest[:30] = -3.4e38  # no number is left below it for missing cells
    with twins(session, tmp_path, made.set_column(1, "n1", pa.array(lowest))) as pair:
        trials = [trial(1, "random_forest", numTrees=5, maxDepth=4), trial(2, "gbt", maxIter=3)]
        found = {one.trial.number: one for one in fit(session, pair.there, trials, FitPlan(), "auto")}
    assert not found[1].error
    assert "two classes" in found[2].error
    whole = predict(ensemble(found[1]), np.zeros((3, ensemble(found[1]).features), np.float32))
    assert whole.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    tally = found[1].tally
    assert tally is not None
    assert tally.rows == pair.there.info["valid"].rows


def test_a_setting_that_mllib_refuses_costs_its_trial_alone(session: Session, pair: Twins) -> None:
    trials = [trial(1, "random_forest", numTrees=3, maxDepth=99), trial(2, "random_forest", numTrees=3, maxDepth=3)]
    found = {one.trial.number: one for one in fit(session, pair.there, trials, FitPlan(), "auto")}
    assert "maxDepth" in found[1].error
    assert found[2].ensemble is not None


def test_weights_count_as_repeated_rows(session: Session, tmp_path: Path) -> None:
    from pyspark.sql import functions as F  # noqa: N812

    asked, plan = [trial(1, "gbt", maxIter=2, maxDepth=2)], FitPlan(train=("train", "valid"), valid=False)
    with twins(session, tmp_path, table(1500, weights=True), 'weight = "w"') as pair:
        kept = pair.there._kept
        often = kept.withColumn("_copy", F.explode(F.sequence(F.lit(1), (2 * F.col("weight")).cast("int")))).drop("_copy")
        assert often.count() > 1.5 * kept.count()
        frames = {"weighted": kept, "repeated": often.withColumn("weight", F.lit(1.0))}
        shares = {}
        x = np.random.default_rng(4).normal(size=(2000, len(pair.there.encoding.features))).astype(np.float32)
        for name, frame in frames.items():
            (one,) = fit(session, replace(pair.there, _kept=frame), asked, plan, "auto")
            shares[name] = predict(ensemble(one), x)[:, 1]
    np.testing.assert_allclose(shares["weighted"], shares["repeated"], atol=NEAR)
    assert len(np.unique(shares["weighted"])) > 3


TAKEN = ("features", "Prediction", "_label", "probability", "rawPrediction")
"""Names of columns that MLlib and its pipeline make themselves."""

MLLIB = """
[search.random_forest]
library = "mllib"
numTrees = [4, 8]
maxDepth = 4
[search.gbt]
library = "mllib"
maxIter = 3
[evaluate]
resamples = 50
shap_rows = 50
[track]
enabled = false
"""


@pytest.mark.slow
def test_a_whole_run_seals_its_bundle_and_keeps_a_pipeline_that_works(spark_session: Any, tmp_path: Path) -> None:
    from pyspark.ml import PipelineModel
    from pyspark.ml.functions import vector_to_array

    if int(spark_session.version[0]) < 4:
        pytest.skip("a whole run on the newest Spark is enough; what differs between versions is tested above")
    bank = bank_like(1200).rename_columns(["customer", *TAKEN, "deposit"])
    pq.write_table(bank, tmp_path / "bank.parquet")
    (tmp_path / "filon.toml").write_text(RECIPE.replace("bank.csv", "bank.parquet") + MLLIB, encoding="utf-8")
    run = filon.train(tmp_path / "filon.toml", engine="spark", runs=tmp_path / "runs")
    bundle = open_bundle(run.path / "bundle")
    ours = bundle.predict(bank).column("probability_yes").to_numpy()
    assert ours[np.array(bank["deposit"].to_pylist()) == "yes"].mean() > ours.mean() + 0.05
    pipeline = PipelineModel.load(f"file://{run.path / 'pipeline_best'}")
    inputs = next(stage for stage in pipeline.stages if type(stage).__name__ == "VectorAssembler").getInputCols()
    x = bundle.matrix(typed(take(bank), bundle.inputs))
    cells = {name.removesuffix("__filled"): x[:, place].copy() for place, name in enumerate(inputs)}
    assert sorted(cells) == ["Prediction_2", "_label_2", "features_2", "probability_2", "rawPrediction_2"]
    pq.write_table(pa.table(cells), tmp_path / "encoded.parquet")
    frame = spark_session.read.parquet(f"file://{tmp_path / 'encoded.parquet'}")
    theirs = [row["p"][1] for row in pipeline.transform(frame).select(vector_to_array("probability").alias("p")).collect()]
    np.testing.assert_allclose(theirs, ours, atol=NEAR)


def test_names_that_spark_cannot_tell_apart_get_a_number() -> None:
    names = ["a", "A", "a__filled", "a_2", "a.b", "a_b"]
    encoding = SimpleNamespace(names=names)
    found = columns_of(SimpleNamespace(encoding=encoding))  # type: ignore[arg-type]
    assert found == ["a", "A_2", "a__filled_2", "a_2_2", "a_b", "a_b_2"]
    every = [name.lower() for one in found for name in (one, f"{one}__filled")]
    assert len(set(every)) == len(every)


def test_a_class_that_is_never_predicted_breaks_the_rule(session: Session, pair: Twins) -> None:
    stump = trial(1, "random_forest", numTrees=1, maxDepth=0)
    for action in ("warn", "stop-trial"):
        (one,) = fit(session, pair.there, [stump], FitPlan(rules=RulesSettings(class_ignored=action)), "auto")
        assert [(broken.rule, broken.action) for broken in one.broken] == [("class-ignored", action)]
        assert (one.ensemble is None) == (action == "stop-trial")
        assert one.error.startswith("stopped by a rule: never predicted on validation") == (action == "stop-trial")


def ensemble(one: Fitted) -> Any:
    assert not one.error
    assert one.ensemble is not None
    return one.ensemble


def good(one: Fitted) -> float:
    assert one.tally is not None
    found = value(one.tally, "areaUnderROC")
    assert found is not None
    return found
