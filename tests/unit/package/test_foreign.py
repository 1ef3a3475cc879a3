"""Models of other makers, opened and asked for real: the answers are those of the model's own methods."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import filon
from filon.bundles import predict
from filon.errors import BundleError, DataError
from filon.package.foreign import Foreign, is_foreign, open_foreign

joblib = pytest.importorskip("joblib")
skops = pytest.importorskip("skops.io")

NAMES = [
    "alcohol",
    "malic",
    "ash",
    "alcalinity",
    "magnesium",
    "phenols",
    "flavanoids",
    "others",
    "proantho",
    "colour",
    "hue",
    "od",
    "proline",
]


@pytest.fixture(scope="module")
def wine(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    return pd.read_csv(shared_data("wine/wine.data"), header=None, names=["class", *NAMES])


@pytest.fixture(scope="module")
def shared_data() -> Callable[[str], Path]:
    """As the one of conftest, for a whole module."""
    shared = Path(__file__).resolve().parents[4] / "shared" / "data"

    def find(name: str) -> Path:
        return shared / name if (shared / name).exists() else pytest.skip(f"the public data set {name} is not here")

    return find


@pytest.fixture
def table(wine: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "wine.csv"
    wine.to_csv(path, index=False)
    return path


def svc(wine: pd.DataFrame, **settings: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), SVC(**settings)).fit(wine[NAMES], wine["class"])


def scored(model: str | Path, data: Path, out: Path, **options: Any) -> pd.DataFrame:
    predict(model, str(data), str(out), **options)
    return pq.read_table(out).to_pandas()


def test_svc_scores_the_wine_table_as_scikit_learn_does(wine: pd.DataFrame, table: Path, tmp_path: Path) -> None:
    model = svc(wine)
    skops.dump(model, tmp_path / "wine.skops")
    found = scored(tmp_path / "wine.skops", table, tmp_path / "out.parquet", keep=["class"])
    assert list(found.columns) == ["class", "label", "score_1", "score_2", "score_3"], "an SVC has no probabilities: none are made up"
    assert found["label"].tolist() == [str(one) for one in model.predict(wine[NAMES])]
    np.testing.assert_allclose(found[["score_1", "score_2", "score_3"]], model.decision_function(wine[NAMES]), atol=1e-12)


def test_features_without_names_are_the_number_columns_in_order(wine: pd.DataFrame, table: Path, tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=20, tol=1.0).fit(wine[NAMES].to_numpy(), wine["class"])
    skops.dump(model, tmp_path / "plain.skops")
    with pytest.raises(DataError) as caught:
        predict(tmp_path / "plain.skops", str(table), str(tmp_path / "out.parquet"))
    assert caught.value.code == "package.features-differ"
    assert "13 features" in caught.value.what
    assert "14 number columns" in caught.value.what
    found = scored(tmp_path / "plain.skops", table, tmp_path / "out.parquet", drop=["class"])
    np.testing.assert_allclose(found.filter(like="probability_"), model.predict_proba(wine[NAMES].to_numpy()), atol=1e-7)


def test_absent_feature_is_named(wine: pd.DataFrame, tmp_path: Path) -> None:
    skops.dump(svc(wine), tmp_path / "wine.skops")
    wine.drop(columns="hue").to_csv(tmp_path / "no-hue.csv", index=False)
    with pytest.raises(DataError) as caught:
        predict(tmp_path / "wine.skops", str(tmp_path / "no-hue.csv"), str(tmp_path / "out.parquet"))
    assert (caught.value.code, caught.value.why.split(";")[0]) == ("package.features-missing", '"hue"')


@pytest.mark.parametrize("maker", ["xgboost", "lightgbm"])
def test_boosters_saved_with_skops_answer_as_themselves(maker: str, wine: pd.DataFrame, table: Path, tmp_path: Path) -> None:
    module = pytest.importorskip(maker)
    made = module.XGBClassifier(n_estimators=5) if maker == "xgboost" else module.LGBMClassifier(n_estimators=5, verbose=-1)
    model = made.fit(wine[NAMES], wine["class"] - 1)
    skops.dump(model, tmp_path / "model.skops")
    found = scored(tmp_path / "model.skops", table, tmp_path / "out.parquet")
    np.testing.assert_allclose(found.filter(like="probability_"), model.predict_proba(wine[NAMES]), atol=1e-6)
    assert found["label"].tolist() == [str(one) for one in model.predict(wine[NAMES])]


@pytest.mark.parametrize("maker", ["xgboost", "lightgbm"])
def test_plain_booster_of_two_classes_answers_with_probabilities(maker: str, wine: pd.DataFrame, table: Path, tmp_path: Path) -> None:
    module = pytest.importorskip(maker)
    two = (wine["class"] == 2).astype(int)
    if maker == "xgboost":
        model = module.train({"objective": "binary:logistic"}, module.DMatrix(wine[NAMES], two), 5)
        truth = model.predict(module.DMatrix(wine[NAMES]))
    else:
        model = module.train({"objective": "binary", "verbose": -1}, module.Dataset(wine[NAMES], two), 5)
        truth = model.predict(wine[NAMES])
    joblib.dump(model, tmp_path / "booster.joblib")
    found = scored(tmp_path / "booster.joblib", table, tmp_path / "out.parquet", trust=True)
    np.testing.assert_allclose(found["probability_1"], truth, atol=1e-6)
    assert (found["label"] == np.where(truth > 0.5, "1", "0")).all()


def test_regression_answers_with_numbers(wine: pd.DataFrame, table: Path, tmp_path: Path) -> None:
    from sklearn.linear_model import Ridge

    model = Ridge().fit(wine[NAMES], wine["class"])
    skops.dump(model, tmp_path / "ridge.skops")
    found = scored(tmp_path / "ridge.skops", table, tmp_path / "out.csv.parquet")
    assert list(found.columns) == ["prediction"]
    np.testing.assert_allclose(found["prediction"], model.predict(wine[NAMES]), rtol=1e-12)


def test_a_row_is_set_aside_for_what_it_lacks_itself_whatever_stands_beside_it(wine: pd.DataFrame, tmp_path: Path) -> None:
    """The model fills in "ash" and refuses a missing "hue": a row without "ash" has its answer beside one without "hue", too."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    filled = make_column_transformer((SimpleImputer(), ["ash"]), remainder="passthrough")
    model = make_pipeline(filled, StandardScaler(), LogisticRegression()).fit(wine[NAMES], wine["class"])
    joblib.dump(model, tmp_path / "m.joblib")
    rows = wine.head(6).copy()
    rows.loc[[1, 4], "ash"] = np.nan
    rows.loc[[3, 4], "hue"] = np.nan
    rows.to_csv(tmp_path / "rows.csv", index=False)
    done = predict(tmp_path / "m.joblib", str(tmp_path / "rows.csv"), str(tmp_path / "out.parquet"), trust=True)
    assert done.reasons == {'"hue" is missing, and the model takes no missing cell': 2}
    found = pq.read_table(tmp_path / "out.parquet")
    truth = model.predict_proba(rows.drop(index=[3, 4])[NAMES])
    np.testing.assert_allclose(found["probability_2"].to_numpy(), truth[:, 1], atol=1e-6)


def test_texts_and_missing_cells_reach_a_pipeline_as_in_a_frame(tmp_path: Path) -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    draw = np.random.default_rng(3)
    frame = pd.DataFrame({"age": draw.normal(50, 9, 400).round(2), "job": draw.choice(["miner", "nurse", "señor"], 400)})
    frame.loc[::7, "age"] = np.nan
    label = np.where((frame["job"] == "miner") ^ (frame["age"] > 50), "yes", "no")
    steps = make_column_transformer((OneHotEncoder(sparse_output=False), ["job"]), remainder="passthrough")
    model = make_pipeline(steps, HistGradientBoostingClassifier(max_iter=5)).fit(frame, label)
    joblib.dump(model, tmp_path / "jobs.joblib")
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "jobs.parquet")
    found = scored(tmp_path / "jobs.joblib", tmp_path / "jobs.parquet", tmp_path / "out.parquet", trust=True)
    np.testing.assert_allclose(found[["probability_no", "probability_yes"]], model.predict_proba(frame), atol=1e-6)


def test_rows_that_the_model_cannot_take_are_set_aside_with_their_reason(wine: pd.DataFrame, tmp_path: Path) -> None:
    model = svc(wine)
    skops.dump(model, tmp_path / "wine.skops")
    holes = wine.astype({"hue": object})
    holes.loc[[3, 9], "ash"] = None
    holes.loc[5, "hue"] = "deep red"
    holes.to_csv(tmp_path / "holes.csv", index=False)
    written = predict(tmp_path / "wine.skops", str(tmp_path / "holes.csv"), str(tmp_path / "out.parquet"), keep=["class"])
    assert (written.rows, written.scored, written.rejected) == (178, 175, 3)
    assert written.reasons == {'"ash" is missing, and the model takes no missing cell': 2, '"hue" is not a number': 1}
    whole = wine.drop(index=[3, 5, 9])
    assert pq.read_table(tmp_path / "out.parquet")["label"].to_pylist() == [str(one) for one in model.predict(whole[NAMES])]
    rejected = pq.read_table(tmp_path / "out.rejected.parquet").to_pylist()
    assert [row["hue"] for row in rejected] == [str(wine["hue"][3]), "deep red", str(wine["hue"][9])], "they stand as in the source"


def test_a_model_that_fails_otherwise_is_an_error_not_a_rejection(wine: pd.DataFrame, tmp_path: Path) -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.svm import SVC

    frame = pd.DataFrame({"job": ["miner", "nurse"] * 5})
    model = make_pipeline(make_column_transformer((OneHotEncoder(), ["job"])), SVC()).fit(frame, [0, 1] * 5)
    joblib.dump(model, tmp_path / "jobs.joblib")
    pacsv.write_csv(pa.table({"job": ["miner", "pilot"], "age": [30, 40]}), tmp_path / "pilots.csv")
    with pytest.raises(DataError) as caught:
        predict(tmp_path / "jobs.joblib", str(tmp_path / "pilots.csv"), str(tmp_path / "out.parquet"), trust=True)
    assert caught.value.code == "package.model-failed"
    assert "pilot" in caught.value.why
    assert not (tmp_path / "out.parquet").exists()


class Bomb:
    """What a pickle may do to who opens it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("/nowhere/it-went-off").touch, ())


def test_joblib_is_opened_only_for_who_trusts_it(tmp_path: Path) -> None:
    joblib.dump(Bomb(), tmp_path / "bomb.joblib")
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps(Bomb()))
    for name in ("bomb.joblib", "bomb.pkl"):
        with pytest.raises(BundleError) as caught:
            open_foreign(tmp_path / name)
        assert caught.value.code == "package.pickle-refused"


def shout(x: np.ndarray) -> np.ndarray:
    return x


def test_skops_file_with_a_strange_type_is_refused_by_its_name(wine: pd.DataFrame, tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    model = make_pipeline(FunctionTransformer(shout), LogisticRegression(max_iter=20, tol=1.0)).fit(wine[NAMES], wine["class"])
    skops.dump(model, tmp_path / "strange.skops")
    with pytest.raises(BundleError) as caught:
        open_foreign(tmp_path / "strange.skops")
    assert caught.value.code == "package.types-untrusted"
    assert "shout" in caught.value.why
    assert "--trust" in caught.value.fix


@pytest.mark.parametrize(("content", "code"), [(b"no model at all", "package.model-damaged"), (None, "package.model-missing")])
def test_a_file_that_is_no_model_is_named(content: bytes | None, code: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "x.skops").write_bytes(content)
    with pytest.raises(BundleError) as caught:
        open_foreign(tmp_path / "x.skops")
    assert caught.value.code == code


def test_an_object_that_does_not_predict_is_refused(tmp_path: Path) -> None:
    joblib.dump({"weights": [1, 2]}, tmp_path / "dict.joblib")
    with pytest.raises(BundleError) as caught:
        open_foreign(tmp_path / "dict.joblib", trust=True)
    assert caught.value.code == "package.model-unusable"


def test_the_record_travels_as_the_bytes_that_were_saved(wine: pd.DataFrame, tmp_path: Path) -> None:
    skops.dump(svc(wine), tmp_path / "wine.skops")
    model: Foreign = pickle.loads(pickle.dumps(open_foreign(tmp_path / "wine.skops")))
    assert model.content == (tmp_path / "wine.skops").read_bytes()
    assert (model.names, model.classes) == (tuple(NAMES), ("1", "2", "3"))


def test_only_the_known_endings_are_models_of_others() -> None:
    assert is_foreign("a/b.SKOPS")
    assert is_foreign("m.joblib")
    assert not is_foreign("runs/bank/bundle")


class TestMlflow:
    """Local folders and URIs of a real store."""

    @pytest.mark.filterwarnings("ignore")
    def test_folder_of_an_svc_scores_without_trust(self, wine: pd.DataFrame, table: Path, tmp_path: Path) -> None:
        import mlflow.sklearn

        model = svc(wine)
        mlflow.sklearn.save_model(model, tmp_path / "kept", serialization_format="skops", pip_requirements=[])
        found = scored(tmp_path / "kept", table, tmp_path / "out.parquet")
        assert found["label"].tolist() == [str(one) for one in model.predict(wine[NAMES])]

    @pytest.mark.filterwarnings("ignore")
    def test_pickled_folder_needs_trust(self, wine: pd.DataFrame, table: Path, tmp_path: Path) -> None:
        import mlflow.sklearn

        model = svc(wine)
        mlflow.sklearn.save_model(model, tmp_path / "kept", serialization_format="cloudpickle", pip_requirements=[])
        with pytest.raises(BundleError) as caught:
            predict(tmp_path / "kept", str(table), str(tmp_path / "out.parquet"))
        assert caught.value.code == "package.pickle-refused"
        found = scored(tmp_path / "kept", table, tmp_path / "out.parquet", trust=True)
        assert found["label"].tolist() == [str(one) for one in model.predict(wine[NAMES])]

    @pytest.mark.parametrize("maker", ["xgboost", "lightgbm"])
    @pytest.mark.filterwarnings("ignore")
    def test_boosters_score_without_trust(self, maker: str, wine: pd.DataFrame, table: Path, tmp_path: Path) -> None:
        import importlib

        module, flavour = pytest.importorskip(maker), importlib.import_module(f"mlflow.{maker}")
        made = module.XGBClassifier(n_estimators=5) if maker == "xgboost" else module.LGBMClassifier(n_estimators=5, verbose=-1)
        model = made.fit(wine[NAMES], wine["class"] - 1)
        flavour.save_model(model, tmp_path / "kept", pip_requirements=[])
        found = scored(tmp_path / "kept", table, tmp_path / "out.parquet")
        np.testing.assert_allclose(found.filter(like="probability_"), model.predict_proba(wine[NAMES]), atol=1e-6)

    @pytest.mark.filterwarnings("ignore")
    def test_any_pyfunc_answers_with_what_its_signature_names(self, wine: pd.DataFrame, table: Path, tmp_path: Path) -> None:
        import mlflow.pyfunc
        from mlflow.models import infer_signature

        class Twice(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
            def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
                return pd.DataFrame({"twice": model_input["hue"] * 2})

        signature = infer_signature(wine[["hue"]], pd.DataFrame({"twice": wine["hue"] * 2}))
        mlflow.pyfunc.save_model(tmp_path / "kept", python_model=Twice(), signature=signature, pip_requirements=[])
        with pytest.raises(BundleError):
            predict(tmp_path / "kept", str(table), str(tmp_path / "out.parquet"))
        found = scored(tmp_path / "kept", table, tmp_path / "out.parquet", trust=True)
        np.testing.assert_allclose(found["twice"], wine["hue"] * 2)

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore")
    def test_registered_model_is_scored_by_its_uri(
        self, wine: pd.DataFrame, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import mlflow
        import mlflow.sklearn

        monkeypatch.chdir(tmp_path)
        store = f"sqlite:///{tmp_path / 'mlflow.db'}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
        monkeypatch.setenv("MLFLOW_REGISTRY_URI", store)  # MLflow sets it too, and would leave it
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(store)
        mlflow.set_registry_uri(store)
        model = svc(wine)
        try:
            with mlflow.start_run() as run:
                mlflow.sklearn.log_model(
                    model, name="wine", registered_model_name="wine", serialization_format="skops", pip_requirements=["scikit-learn"]
                )
            mlflow.MlflowClient().set_registered_model_alias("wine", "champion", "1")
        finally:
            mlflow.set_tracking_uri(before)
            mlflow.set_registry_uri("")
        for uri in ("models:/wine/1", "models:/wine@champion", f"runs:/{run.info.run_id}/wine"):
            found = scored(uri, table, tmp_path / "out.parquet")
            assert found["label"].tolist() == [str(one) for one in model.predict(wine[NAMES])], uri
        assert mlflow.get_tracking_uri() == before, "MLflow's global state is the user's"
        with pytest.raises(filon.FilonError) as caught:
            predict("models:/nobody/1", str(table), str(tmp_path / "out.parquet"))
        assert caught.value.code == "package.model-missing"
