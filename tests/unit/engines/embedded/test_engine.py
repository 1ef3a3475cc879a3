"""The embedded engine from a file to scores, tallies and written rows."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from filon.engines import memory, open_engine
from filon.engines.base import FitPlan, LabelPlan, Sink, SplitPlan, Trial
from filon.engines.embedded import EmbeddedEngine, pulse
from filon.engines.tally import count
from filon.errors import DataError, RecipeError, SetupError
from filon.events import Event
from filon.read import read
from filon.read.settings import DataSettings
from filon.rows.encode import Encoding, Feature
from filon.trees import Ensemble, predict

SETTINGS = {"max_depth": 3, "eta": 0.3, "num_round": 5, "early_stopping_rounds": 0}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    with open_engine("embedded", scratch=tmp_path / "scratch") as computing:
        assert isinstance(computing, EmbeddedEngine)
        yield computing


def people(rows: int = 600) -> pa.Table:
    random = np.random.default_rng(4)
    age, town = random.integers(18, 90, rows), np.array(["Lima", "Cusco", "Ñuñoa", "Oruro"])[random.integers(0, 4, rows)]
    buys = np.where((age > 50) ^ (random.random(rows) < 0.2), "yes", "no")
    ids = [f"{place:05d}" for place in range(rows)]
    return pa.table({"id": ids, "age": age, "town": town, "member": random.random(rows) < 0.5, "buys": buys})


def table_of(engine: EmbeddedEngine, rows: pa.Table, folder: Path, *, form: str = "csv", **settings: Any) -> Any:
    path = folder / f"people.{form}"
    if form == "parquet":
        pq.write_table(rows, path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(rows.column_names)
            writer.writerows(zip(*(column.to_pylist() for column in rows.columns), strict=True))
    columns = {"town": "category", "age": "number", "member": "boolean", **settings.pop("columns", {})}
    data = DataSettings(source=str(path), label="buys", key=("id",), columns=columns, **settings)
    return engine.read(read(data, folder))


def trained(engine: EmbeddedEngine, table: Any) -> tuple[Any, Ensemble]:
    features = tuple(column for column in table.source.columns if column.role == "feature")
    label = LabelPlan(column="buys", classes=("no", "yes"))
    folds = engine.split(table, SplitPlan(shares=(0.7, 0.15, 0.15), seed=1, by="row", stratify=True, label=label, features=features))
    trial = Trial(number=1, family="xgboost", settings=SETTINGS, seed=1)
    (fitted,) = engine.fit(folds, [trial], FitPlan())
    assert fitted.ensemble is not None, fitted.error
    return folds, fitted.ensemble


def test_a_table_past_half_of_the_free_memory_is_trained_from_disk_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import xgboost

    monkeypatch.setattr(memory, "free_bytes", lambda: 4 << 20)
    monkeypatch.setattr(memory, "BASE_MIB", 1)
    on_disk: list[int] = []
    real = xgboost.ExtMemQuantileDMatrix
    monkeypatch.setattr(xgboost, "ExtMemQuantileDMatrix", lambda *args, **more: on_disk.append(1) or real(*args, **more))
    for told, wanted in ((0, 1), (64, 0)):
        on_disk.clear()
        with EmbeddedEngine(scratch=tmp_path / "scratch", memory_mib=told) as engine:
            assert engine.memory_mib == (told or 2)
            trained(engine, table_of(engine, people(60_000), tmp_path, form="parquet"))
        assert len(on_disk) == wanted


def test_scores_of_a_table_and_of_a_fold_are_those_of_the_ensemble(engine: EmbeddedEngine, tmp_path: Path) -> None:
    table = table_of(engine, people(), tmp_path)
    folds, ensemble = trained(engine, table)
    fold = folds.fold("valid")
    blocks = list(fold.blocks())
    x, label = np.concatenate([block.x for block in blocks]), np.concatenate([block.label for block in blocks])
    tally = engine.tally(engine.score(fold, ensemble, folds.encoding))[()]
    wanted = count(predict(ensemble, x), label, folds.encoding.classes)
    np.testing.assert_array_equal(tally.curves[0].scores, wanted.curves[0].scores)
    np.testing.assert_array_equal(tally.confusion, wanted.confusion)
    assert engine.tally(engine.score(table, ensemble, folds.encoding))[()].rows == 600


def test_slices_are_the_most_frequent_values_and_add_up(engine: EmbeddedEngine, tmp_path: Path) -> None:
    table = table_of(engine, people(), tmp_path)
    folds, ensemble = trained(engine, table)
    scored = engine.score(table, ensemble, folds.encoding)
    tallies = engine.tally(scored, by=("town", "member"))
    by_town = {key[1]: tally for key, tally in tallies.items() if key and key[0] == "town"}
    assert {name: tally.rows for name, tally in by_town.items()} == Counter(people().column("town").to_pylist())
    assert sum(tally.rows for key, tally in tallies.items() if key and key[0] == "member") == 600
    np.testing.assert_allclose(sum(tally.confusion for tally in by_town.values()), tallies[()].confusion)
    with pytest.raises(RecipeError, match="cannot be sliced by") as caught:
        engine.tally(scored, by=("age",))
    assert caught.value.code == "engines.slice-unknown"


@pytest.mark.parametrize("source", ["csv", "parquet"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_written_rows_keep_columns_as_they_stood_and_add_the_answers(
    engine: EmbeddedEngine, tmp_path: Path, source: str, form: str
) -> None:
    rows = people(200)
    table = table_of(engine, rows, tmp_path, form=source)
    folds, ensemble = trained(engine, table)
    out = tmp_path / "new" / f"scored.{form}"
    scored = engine.score(table, ensemble, folds.encoding, 0.7)
    written = engine.write(scored, Sink(path=str(out), format=form, keep=("id", "age")))  # type: ignore[arg-type]
    texts = pacsv.ConvertOptions(column_types={"id": "string"})
    got = pq.read_table(out) if form == "parquet" else pacsv.read_csv(out, convert_options=texts)
    assert (written.rows, written.scored, written.rejected) == (200, 200, 0)
    assert got.column_names == ["id", "age", "label", "probability_no", "probability_yes"]
    assert got.column("id").to_pylist() == rows.column("id").to_pylist()
    assert [int(value) for value in got.column("age").to_pylist()] == rows.column("age").to_pylist()
    shares = np.asarray(got.column("probability_yes"), np.float32)
    assert got.column("label").to_pylist() == np.where(shares >= np.float32(0.7), "yes", "no").tolist()
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_rows_that_do_not_fit_are_set_aside_with_their_reason(engine: EmbeddedEngine, tmp_path: Path) -> None:
    folds, ensemble = trained(engine, table_of(engine, people(), tmp_path))
    rows = people(50)
    ages, members = [str(value) for value in rows.column("age").to_pylist()], [str(value) for value in rows.column("member").to_pylist()]
    ages[3], ages[7], ages[9], members[7], members[8] = "old", "n.d.", "", "maybe", "perhaps"
    rows = rows.set_column(1, "age", pa.array(ages)).set_column(3, "member", pa.array(members))
    (tmp_path / "new").mkdir()
    table = table_of(engine, rows, tmp_path / "new")
    sink = Sink(path=str(tmp_path / "out.csv"), format="csv", keep=("id",), rejects=str(tmp_path / "rejects.csv"))
    written = engine.write(engine.score(table, ensemble, folds.encoding), sink)
    assert (written.rows, written.scored, written.rejected) == (50, 47, 3)
    assert written.reasons == {'"age" is not a number': 2, '"member" is neither true nor false': 1}
    with (tmp_path / "rejects.csv").open() as file:
        aside = list(csv.DictReader(file))
    assert [(row["id"], row["age"]) for row in aside] == [("00003", "old"), ("00007", "n.d."), ("00008", ages[8])]
    with (tmp_path / "out.csv").open() as file:
        assert "00009" in {row["id"] for row in csv.DictReader(file)}  # a missing cell is no misfit
    (tmp_path / "next").mkdir()
    engine.write(engine.score(table_of(engine, people(50), tmp_path / "next"), ensemble, folds.encoding), sink)
    assert not (tmp_path / "rejects.csv").exists(), "rows of an earlier writing would be taken for rows of this one"


def test_without_rows_the_header_is_written(engine: EmbeddedEngine, tmp_path: Path) -> None:
    table = table_of(engine, people(), tmp_path)
    folds, ensemble = trained(engine, table)
    empty = table_of(engine, people(), tmp_path, where="age > 1000")
    written = engine.write(engine.score(empty, ensemble, folds.encoding), Sink(path=str(tmp_path / "none.csv"), format="csv", keep=("id",)))
    assert written.rows == 0
    assert (tmp_path / "none.csv").read_text().replace('"', "").strip() == "id,label,probability_no,probability_yes"


@pytest.mark.parametrize(("keep", "code"), [(("nom",), "engines.keep-unknown"), (("label",), "engines.keep-clash")])
def test_columns_that_cannot_be_kept_are_refused(engine: EmbeddedEngine, tmp_path: Path, keep: tuple[str, ...], code: str) -> None:
    table = table_of(engine, people().append_column("label", pa.array(["x"] * 600)), tmp_path)
    folds, ensemble = trained(engine, table)
    with pytest.raises(RecipeError) as caught:
        engine.write(engine.score(table, ensemble, folds.encoding), Sink(path=str(tmp_path / "o.csv"), format="csv", keep=keep))
    assert caught.value.code == code


def test_an_output_that_fails_leaves_what_was_there(engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "QUIET_S", 0.0)
    table = table_of(engine, people(), tmp_path)
    folds, ensemble = trained(engine, table)
    out = tmp_path / "out" / "scored.csv"
    out.parent.mkdir()
    out.write_text("before")

    def broken(_: Event) -> None:
        raise KeyboardInterrupt

    engine.listen = broken
    with pytest.raises(KeyboardInterrupt):
        engine.write(engine.score(table, ensemble, folds.encoding), Sink(path=str(out), format="csv"))
    assert out.read_text() == "before"
    assert [path.name for path in out.parent.iterdir()] == ["scored.csv"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_output_that_cannot_be_is_a_coded_error(engine: EmbeddedEngine, tmp_path: Path, form: str) -> None:
    table = table_of(engine, people(), tmp_path)
    folds, ensemble = trained(engine, table)
    scored = engine.score(table, ensemble, folds.encoding)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "folder", tmp_path / "file" / "below.csv"):
        with pytest.raises(SetupError) as caught:
            engine.write(scored, Sink(path=str(path), format=form))  # type: ignore[arg-type]
        assert caught.value.code == "engines.output-unusable"


def test_a_missing_feature_column_is_an_error(engine: EmbeddedEngine, tmp_path: Path) -> None:
    table = table_of(engine, people(), tmp_path)
    encoding = Encoding(features=(Feature(name="height", kind="number"),), classes=("no", "yes"))
    _, ensemble = trained(engine, table)
    with pytest.raises(DataError) as caught:
        engine.tally(engine.score(table, ensemble, encoding))
    assert caught.value.code == "rows.column-missing"


def test_scratch_is_empty_when_the_engine_is_left_also_by_an_error(tmp_path: Path) -> None:
    computing = open_engine("embedded", scratch=tmp_path / "scratch")
    assert isinstance(computing, EmbeddedEngine)

    def interrupted() -> None:
        with computing:
            trained(computing, table_of(computing, people(), tmp_path))
            assert list((tmp_path / "scratch").iterdir())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_split_that_fails_frees_its_disk_space(engine: EmbeddedEngine, tmp_path: Path) -> None:
    table = table_of(engine, people(), tmp_path)
    features = tuple(column for column in table.source.columns if column.role == "feature")
    label = LabelPlan(column="buys", classes=("no", "yes", "maybe"))
    with pytest.raises(DataError):
        engine.split(table, SplitPlan(shares=(0.7, 0.15, 0.15), seed=1, by="row", stratify=True, label=label, features=features))
    assert not list(engine.folder.glob("split-*"))


def test_a_table_too_large_for_the_disk_is_refused_before_it_is_written(engine: EmbeddedEngine, tmp_path: Path) -> None:
    table = table_of(engine, people(), tmp_path)
    features = tuple(column for column in table.source.columns if column.role == "feature")
    engine._rows[id(table)] = 10**15
    label = LabelPlan(column="buys", classes=("no", "yes"))
    with pytest.raises(SetupError, match="bytes are needed") as caught:
        engine.split(table, SplitPlan(shares=(0.7, 0.15, 0.15), seed=1, by="row", stratify=True, label=label, features=features))
    assert caught.value.code == "engines.disk-full"


def test_a_scratch_folder_that_cannot_be_is_a_coded_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError) as caught:
        open_engine("embedded", scratch=tmp_path / "file" / "below")
    assert caught.value.code == "engines.scratch-unusable"
    with pytest.raises(RecipeError) as unknown:
        open_engine("abacus", scratch=tmp_path)
    assert unknown.value.code == "engines.unknown"


def test_cross_validation_parts_are_fitted_and_scored(engine: EmbeddedEngine, tmp_path: Path) -> None:
    folds, _ = trained(engine, table_of(engine, people(), tmp_path))
    scored = 0
    for number in range(3):
        (fitted,) = engine.fit(folds, [Trial(number=1, family="xgboost", settings=SETTINGS, seed=1)], FitPlan(part=(number, 3)))
        assert fitted.tally is not None
        scored += fitted.tally.rows
    assert scored == folds.info["train"].rows


def test_a_small_sample_of_a_profiled_table_is_that_of_a_pass_of_its_own(engine: EmbeddedEngine, tmp_path: Path) -> None:
    fresh = engine.sample(table_of(engine, people(), tmp_path, drop=("member",)), 30, per_class=4)
    profiled = table_of(engine, people(), tmp_path, drop=("member",))
    engine.profile(profiled, LabelPlan(column="buys"))
    assert engine.sample(profiled, 30, per_class=4).equals(fresh)
    assert engine.sample(profiled, 400, per_class=4).num_rows == 400


def test_no_step_is_silent_and_signs_are_paced(engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Event] = []
    engine.listen = heard.append
    table = table_of(engine, people(), tmp_path)
    folds, ensemble = trained(engine, table)
    assert not [event for event in heard if event.stage == "split"]  # quick steps say nothing
    monkeypatch.setattr(pulse, "QUIET_S", 0.0)
    folds, ensemble = trained(engine, table)
    engine.tally(engine.score(folds.fold("train"), ensemble, folds.encoding))
    said = [event.text for event in heard if event.stage in ("split", "score")]
    assert "600 rows hashed and encoded" in said
    assert "600 of 600 rows ordered" in said
    assert f"{folds.info['train'].rows} of {folds.info['train'].rows} rows scored and counted" in said
