"""Tallies and written rows of Spark against those of the embedded engine, on the same rows and the same ensemble."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.spark.twins import LOCAL, Twins, table, twins

from filon.engines import open_engine
from filon.engines.base import FitPlan, Sink, Source, Trial, Written
from filon.engines.spark import tallying, writing
from filon.engines.spark.reader import open_table
from filon.engines.spark.scoring import score
from filon.engines.spark.session import Session
from filon.engines.tally import Tally, count
from filon.errors import RecipeError, SetupError
from filon.events import silence
from filon.package.foreign import Foreign, open_foreign
from filon.read import read
from filon.read.reading import look
from filon.read.settings import DataSettings
from filon.track.models import open_kept
from filon.trees import Ensemble

pytestmark = [pytest.mark.spark]

TRIAL = Trial(number=1, family="xgboost", settings={"num_round": 12, "max_depth": 4}, seed=5)


@pytest.fixture(scope="module")
def session(spark_session: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    made = Session(LOCAL, tmp_path_factory.mktemp("session"))
    yield made
    made.close()


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "weighted"])
def pair(request: pytest.FixtureRequest, session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    more = 'weight = "w"' if request.param else ""
    with twins(session, tmp_path_factory.mktemp("pair"), table(3000, classes=2 + request.param, weights=request.param), more) as both:
        yield both


@pytest.fixture(scope="module")
def ensemble(pair: Twins) -> Ensemble:
    (fitted,) = pair.engine.fit(pair.here, [TRIAL], FitPlan(train=("train",), valid=True))
    assert fitted.ensemble is not None
    return fitted.ensemble


def same(here: Mapping[tuple[str, ...], Tally], there: Mapping[tuple[str, ...], Tally]) -> None:
    assert set(here) == set(there)
    for key, one in here.items():
        other = there[key]
        assert (one.rows, one.unlabelled, one.resolution, one.classes) == (other.rows, other.unlabelled, other.resolution, other.classes)
        np.testing.assert_allclose(other.confusion, one.confusion, rtol=1e-12)
        assert other.weight_squares == pytest.approx(one.weight_squares, rel=1e-12)
        for mine, theirs in zip(one.curves, other.curves, strict=True):
            assert (mine.scores == theirs.scores).all()
            np.testing.assert_allclose(theirs.positives, mine.positives, rtol=1e-12)
            np.testing.assert_allclose(theirs.negatives, mine.negatives, rtol=1e-12)


def sources(folder: Path) -> list[Source]:
    """The same rows as Parquet of many row groups, as many CSV files, and with the files in another order."""
    made = pq.read_table(folder / "table.parquet")
    for place in range(7):
        (folder / "parts").mkdir(exist_ok=True)
        made.slice(place * 430, 430).to_pandas().to_csv(folder / "parts" / f"{6 - place}.csv", index=False)
    pq.write_table(made, folder / "groups.parquet", row_group_size=190)
    weighted = "w" in made.schema.names
    more = {"weight": "w"} if weighted else {}
    return [read(DataSettings(source=name, label="outcome", **more), folder) for name in ("groups.parquet", "parts")]


def test_tally_of_a_fold_is_that_of_the_embedded_engine(pair: Twins, ensemble: Ensemble) -> None:
    encoding = pair.here.encoding
    here = pair.engine.tally(pair.engine.score(pair.here.fold("valid"), ensemble, encoding), ["town", "open"])
    there = tallying.tally(score(pair.there.fold("valid"), ensemble, encoding, None), ["town", "open"], silence)
    assert ("town", "Lima") in there
    same(here, there)


def test_tally_of_a_table_does_not_depend_on_engine_format_or_pieces(
    session: Session, pair: Twins, ensemble: Ensemble, tmp_path: Path
) -> None:
    weights = "w" in {column.name for column in pair.here.plan.features} or bool(pair.here.plan.weight)
    pq.write_table(table(3000, classes=2 + weights, weights=weights), tmp_path / "table.parquet")
    found = []
    for source in sources(tmp_path):
        here = pair.engine.tally(pair.engine.score(pair.engine.read(source), ensemble, pair.here.encoding), ["town"])
        there = tallying.tally(score(open_table(session, source), ensemble, pair.here.encoding, None), ["town"], silence)
        same(here, there)
        found.append(there)
    assert found[0][()].rows == found[1][()].rows == 3000


def test_column_that_cannot_be_sliced_by_is_refused_before_spark_works(pair: Twins, ensemble: Ensemble) -> None:
    with pytest.raises(RecipeError) as caught:
        tallying.tally(score(pair.there.fold("valid"), ensemble, pair.here.encoding, None), ["n0"], silence)
    assert caught.value.code == "engines.slice-unknown"


def test_states_are_packed_and_merged_without_loss() -> None:
    draw = np.random.default_rng(5)
    shares = draw.random((5000, 3)).astype(np.float32)
    label, weight = draw.integers(-1, 3, 5000).astype(np.int32), draw.random(5000)
    whole = {(): count(shares, label, ("a", "b", "c"), weight)}
    parts = [
        tallying.packed({(): count(shares[at : at + 700], label[at : at + 700], ("a", "b", "c"), weight[at : at + 700])})
        for at in range(0, 5000, 700)
    ]
    same(whole, tallying.unpacked(tallying.join([tallying.join(parts[:3]), tallying.finish(parts[3:])])))


def test_driver_gets_a_bounded_tally_of_very_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallying, "MANY_ROWS", 1000)
    monkeypatch.setattr(tallying, "DRIVER_SCORES", 500)
    draw = np.random.default_rng(6)
    one = draw.random(4000).astype(np.float32)
    shares, label = np.stack([1 - one, one], axis=1), (draw.random(4000) < one).astype(np.int32)
    exact = tallying.packed({(): count(shares, label, ("a", "b"))})
    found = tallying.unpacked(tallying.finish([exact]))[()]
    assert len(found.curves[0].scores) <= 500
    assert found.resolution > 0
    assert found.curves[0].positives.sum() == label.sum()


class Both:
    """One table written by both engines."""

    def __init__(self, session: Session, engine: Any, source: Source, model: Any, encoding: Any, folder: Path) -> None:
        self.folder = folder
        self._there = score(open_table(session, source), model, encoding, 0.4)
        self._here = engine.score(engine.read(source), model, encoding, 0.4)
        self._engine = engine

    def write(self, form: Any = "parquet", keep: tuple[str, ...] = ()) -> tuple[Written, Written]:
        here, there = (
            Sink(path=str(self.folder / f"{name}.{form}"), format=form, keep=keep, rejects=str(self.folder / f"{name}.rejected.{form}"))
            for name in ("here", "there")
        )
        return self._engine.write(self._here, here), writing.write(self._there, there, silence)


@pytest.fixture
def torn(tmp_path: Path) -> Source:
    """CSV files in which some cells fit no number."""
    frame = table(3000).to_pandas().astype({"n0": object, "n2": object})
    frame.loc[[5, 700, 2999], "n0"] = "not measured"
    frame.loc[[6, 700], "n2"] = "?!"
    (tmp_path / "torn").mkdir()
    for place in range(5):
        frame.iloc[place * 600 : (place + 1) * 600].to_csv(tmp_path / "torn" / f"{place}.csv", index=False)
    return read(DataSettings(source="torn", label="outcome"), tmp_path)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_written_rows_are_those_of_the_embedded_engine(
    form: str, session: Session, pair: Twins, ensemble: Ensemble, torn: Source, tmp_path: Path
) -> None:
    here, there = Both(session, pair.engine, torn, ensemble, pair.here.encoding, tmp_path).write(form, ("outcome", "town"))
    assert here == there
    assert there.rows == there.scored + there.rejected == 3000
    assert there.reasons == {'"n0" is not a number': 3, '"n2" is not a number': 1}
    for name in ("", ".rejected"):
        one, parts = tmp_path / f"here{name}.{form}", sorted((tmp_path / f"there{name}.{form}").glob("part-*"))
        take = pd.read_parquet if form == "parquet" else pd.read_csv
        whole = pd.concat([take(part) for part in parts], ignore_index=True)
        pd.testing.assert_frame_equal(whole, take(one), atol=1e-6), "parts follow each other as the source's rows do"


def test_folder_is_committed_at_once_and_written_again_in_place(
    session: Session, pair: Twins, ensemble: Ensemble, torn: Source, tmp_path: Path
) -> None:
    both = Both(session, pair.engine, torn, ensemble, pair.here.encoding, tmp_path)
    both.write()
    first = {path.name for path in (tmp_path / "there.parquet").iterdir()}
    both.write()
    second = {path.name for path in (tmp_path / "there.parquet").iterdir()}
    assert first & second == {"_SUCCESS"}, "nothing of the first writing is left"
    manifest = json.loads((tmp_path / "there.parquet" / "_SUCCESS").read_text())
    assert (manifest["rows"], manifest["scored"], manifest["rejected"]) == (3000, 2996, 4)
    assert {part["name"] for part in manifest["parts"]} == second - {"_SUCCESS"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "nothing is left beside"
    assert pq.read_table(tmp_path / "there.parquet").num_rows == 2996, "a reader of folders sees the parts alone"
    pq.write_table(table(500), tmp_path / "whole.parquet")
    whole = read(DataSettings(source="whole.parquet", label="outcome"), tmp_path)
    Both(session, pair.engine, whole, ensemble, pair.here.encoding, tmp_path).write()
    assert pq.read_table(tmp_path / "there.parquet").num_rows == 500
    assert not [path.name for path in tmp_path.iterdir() if "rejected" in path.name], "what an earlier writing set aside"


def test_failure_in_a_task_leaves_no_output(session: Session, pair: Twins, ensemble: Ensemble, tmp_path: Path) -> None:
    pq.write_table(table(3000), tmp_path / "table.parquet", row_group_size=500)
    source = read(DataSettings(source="table.parquet", label="outcome"), tmp_path)
    opened = open_table(session, source)
    broken = bytearray((tmp_path / "table.parquet").read_bytes())
    broken[2000:60000] = b"x" * 58000
    (tmp_path / "table.parquet").write_bytes(broken)
    scored = score(opened, ensemble, pair.here.encoding, None)
    with pytest.raises(Exception, match="read"):
        writing.write(scored, Sink(path=str(tmp_path / "out.parquet"), format="parquet"), silence)
    assert [path.name for path in tmp_path.iterdir()] == ["table.parquet"]


def test_folder_with_other_things_is_never_replaced(
    session: Session, pair: Twins, ensemble: Ensemble, torn: Source, tmp_path: Path
) -> None:
    (tmp_path / "precious.parquet").mkdir()
    (tmp_path / "precious.parquet" / "year=2024").mkdir()
    scored = score(open_table(session, torn), ensemble, pair.here.encoding, None)
    with pytest.raises(SetupError) as caught:
        writing.write(scored, Sink(path=str(tmp_path / "precious.parquet"), format="parquet"), silence)
    assert caught.value.code == "engines.output-unusable"
    assert (tmp_path / "precious.parquet" / "year=2024").is_dir()


def test_parts_that_are_not_on_this_machine_are_noticed(tmp_path: Path) -> None:
    folder = writing.Folder(str(tmp_path / "out.parquet"), "parquet")
    Path(folder.place.path).mkdir()
    with pytest.raises(SetupError) as caught:
        folder.commit({"part-00000-x.parquet": {"rows": 5, "bytes": 900}}, {})
    assert caught.value.code == "engines.output-not-shared"
    assert not (tmp_path / "out.parquet").exists()


WINE = [f"m{place}" for place in range(13)]


def skops_svc(wine: pd.DataFrame, folder: Path) -> tuple[Foreign, pd.DataFrame]:
    skops = pytest.importorskip("skops.io")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    model = make_pipeline(StandardScaler(), SVC()).fit(wine[WINE], wine["class"])
    skops.dump(model, folder / "svc.skops")
    whole = wine.dropna()
    scores = pd.DataFrame(model.decision_function(whole[WINE]), columns=["score_1", "score_2", "score_3"], index=whole.index)
    return open_foreign(folder / "svc.skops"), scores


def joblib_lightgbm(wine: pd.DataFrame, folder: Path) -> tuple[Foreign, pd.DataFrame]:
    joblib, lightgbm = pytest.importorskip("joblib"), pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1).fit(wine[WINE], wine["class"])
    joblib.dump(model, folder / "lightgbm.joblib")
    names = [f"probability_{number}" for number in (1, 2, 3)]
    return open_foreign(folder / "lightgbm.joblib", trust=True), pd.DataFrame(model.predict_proba(wine[WINE]), columns=names)


def mlflow_xgboost(wine: pd.DataFrame, folder: Path) -> tuple[Foreign, pd.DataFrame]:
    kept, xgboost = pytest.importorskip("mlflow.xgboost"), pytest.importorskip("xgboost")
    matrix = xgboost.DMatrix(wine[WINE], wine["class"] == 2)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, matrix, 5)
    kept.save_model(booster, folder / "booster", model_format="json", pip_requirements=[])
    assert list((folder / "booster").glob("*.json"))
    return open_kept(folder / "booster", "booster"), pd.DataFrame({"probability_1": booster.predict(matrix)})


def mlflow_pyfunc(wine: pd.DataFrame, folder: Path) -> tuple[Foreign, pd.DataFrame]:
    pyfunc = pytest.importorskip("mlflow.pyfunc")
    from mlflow.models import infer_signature

    class Twice(pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return pd.DataFrame({"twice": model_input["m4"] * 2})

    twice = pd.DataFrame({"twice": wine["m4"] * 2})
    pyfunc.save_model(folder / "twice", python_model=Twice(), signature=infer_signature(wine[["m4"]], twice), pip_requirements=[])
    return open_kept(folder / "twice", "twice", trust=True), twice


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("maker", [skops_svc, joblib_lightgbm, mlflow_xgboost, mlflow_pyfunc])
def test_model_of_another_maker_scores_as_on_the_embedded_engine(
    maker: Callable[[pd.DataFrame, Path], tuple[Foreign, pd.DataFrame]], session: Session, shared_data: Any, tmp_path: Path
) -> None:
    wine = pd.read_csv(shared_data("wine/wine.data"), header=None, names=["class", *WINE])
    wine.loc[[3, 90], "m4"] = np.nan
    model, truth = maker(wine.dropna() if maker is skops_svc else wine, tmp_path)
    pq.write_table(pa.Table.from_pandas(wine), tmp_path / "wine.parquet", row_group_size=50)
    bound, source, encoding = model.bound(look(DataSettings(source="wine.parquet", label=""), tmp_path), ["class"])
    with open_engine("embedded", scratch=tmp_path / "scratch", threads=1) as engine:
        here, there = Both(session, engine, source, bound, encoding, tmp_path).write(keep=("class",))
    assert here == there
    taken = there.rejected == 0
    assert there.reasons == ({} if taken else {'"m4" is missing, and the model takes no missing cell': 2})
    assert taken == (len(truth) == len(wine))
    one, other = (pq.read_table(tmp_path / name).to_pandas() for name in ("here.parquet", "there.parquet"))
    pd.testing.assert_frame_equal(other, one, atol=1e-9)
    assert other["class"].tolist() == wine.loc[truth.index, "class"].tolist()
    np.testing.assert_allclose(other[truth.columns], truth, atol=1e-6)
    if not taken:
        assert pq.read_table(tmp_path / "there.rejected.parquet")["class"].to_pylist() == wine.loc[[3, 90], "class"].tolist()
