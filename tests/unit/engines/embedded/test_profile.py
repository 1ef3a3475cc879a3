"""The profile of files, against pandas."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filon.engines.base import ColumnProfile, LabelPlan, Profile
from filon.engines.embedded import EmbeddedEngine
from filon.engines.embedded import profile as profiling
from filon.events import Event
from filon.read import read
from filon.read.settings import DataSettings

Look = Callable[..., Profile]


@pytest.fixture
def look(tmp_path: Path) -> Iterator[Look]:
    """Profile of a file under a label."""
    heard: list[Event] = []
    with EmbeddedEngine(scratch=tmp_path / "scratch", threads=2, listen=heard.append) as engine:

        def run(path: Path, label: str = "y", **data: Any) -> Profile:
            source = read(DataSettings(source=str(path), label=label, **data), path.parent)
            return engine.profile(engine.read(source), LabelPlan(column=label))

        run.heard = heard  # type: ignore[attr-defined]
        yield run


def column(profile: Profile, name: str) -> ColumnProfile:
    return next(one for one in profile.columns if one.name == name)


def frame(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    label = rng.integers(0, 2, rows)
    return pd.DataFrame(
        {
            "row": np.arange(rows),
            "amount": np.round(rng.normal(label * 2.0), 2),
            "city": rng.choice(["León", "Ávila", "Cádiz"], rows),
            "open": rng.choice(["true", "false"], rows),
            "y": np.where(label == 1, "yes", "no"),
        }
    )


def test_csv_and_parquet_of_one_table_have_one_profile(tmp_path: Path, look: Look) -> None:
    rows = frame(2000)
    rows.to_csv(tmp_path / "t.csv", index=False)
    rows["open"] = rows["open"] == "true"
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), tmp_path / "t.parquet")
    from_csv, from_parquet = look(tmp_path / "t.csv"), look(tmp_path / "t.parquet")
    assert from_csv.columns == from_parquet.columns
    assert from_csv.labels == from_parquet.labels
    assert (from_csv.duplicates, from_csv.conflicts) == (from_parquet.duplicates, from_parquet.conflicts)


def test_profile_of_a_csv_is_that_of_pandas(tmp_path: Path, look: Look) -> None:
    rows = frame(3000)
    rows.to_csv(tmp_path / "t.csv", index=False)
    profile = look(tmp_path / "t.csv")
    amount, city = column(profile, "amount"), column(profile, "city")
    assert (amount.minimum, amount.maximum) == (rows["amount"].min(), rows["amount"].max())
    assert amount.mean == pytest.approx(rows["amount"].mean())
    assert amount.distinct == rows["amount"].nunique()
    assert {one.value: one.rows for one in city.top} == rows["city"].value_counts().to_dict()
    assert column(profile, "row").increasing
    assert column(profile, "open").kind == "boolean"


def test_duplicates_count_features_and_label_only(tmp_path: Path, look: Look) -> None:
    rows = frame(5000)[["city", "open", "y"]].assign(k=np.arange(5000) % 40, who=np.arange(5000))
    rows.to_csv(tmp_path / "t.csv", index=False)
    features = ["city", "open", "k"]
    profile = look(tmp_path / "t.csv", drop=["who"])
    assert profile.duplicates == int(rows.duplicated([*features, "y"]).sum())
    assert profile.conflicts == int((rows.groupby(features)["y"].transform("nunique") > 1).sum())
    assert look(tmp_path / "t.csv", key=["who"]).duplicates == profile.duplicates
    assert look(tmp_path / "t.csv").duplicates == 0


def test_text_in_a_number_column_is_found_with_its_row_far_down(tmp_path: Path, look: Look) -> None:
    with (tmp_path / "t.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["x", "y"])
        writer.writerows([[k % 100 if k != 150_000 else "n/d", "ab"[k % 2]] for k in range(1, 200_001)])
    x = column(look(tmp_path / "t.csv"), "x")
    assert x.kind == "number"
    assert (x.not_numeric, x.not_numeric_examples, x.missing) == (1, ((150_000, "n/d"),), 1)


def test_words_for_missing_are_no_text_in_numbers(tmp_path: Path, look: Look) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{k if k % 3 else 'NA'},{'ab'[k % 2]}\n" for k in range(300)))
    x = column(look(tmp_path / "t.csv"), "x")
    assert (x.missing, x.not_numeric) == (100, 0)


def test_infinite_cells_are_counted_in_both_formats(tmp_path: Path, look: Look) -> None:
    values = [float("inf"), float("-inf"), float("nan"), *[float(k) for k in range(297)]]
    pq.write_table(pa.table({"x": values, "y": ["a", "b"] * 150}), tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{v},{'ab'[k % 2]}\n" for k, v in enumerate(values)))
    for name in ("t.parquet", "t.csv"):
        x = column(look(tmp_path / name), "x")
        assert (x.infinite, x.missing, x.minimum, x.maximum) == (2, 1, 0.0, 296.0)


def test_derived_and_nested_columns_are_looked_at(tmp_path: Path, look: Look) -> None:
    table = pa.table({"t": [[1, 2], None] * 100, "d": ["2024-01-05", "2024-02-06"] * 100, "y": ["a", "b"] * 100})
    pq.write_table(table, tmp_path / "t.parquet")
    profile = look(tmp_path / "t.parquet", derive={"m": "month(CAST(d AS DATE))"})
    assert column(profile, "t").missing == 100
    assert (column(profile, "m").minimum, column(profile, "m").maximum) == (1.0, 2.0)


@pytest.mark.slow
def test_three_thousand_columns_in_small_batches(tmp_path: Path, look: Look) -> None:
    values = np.random.default_rng(0).normal(size=(300, 3000)).astype(np.float32)
    names = [f"f{k}" for k in range(3000)]
    pq.write_table(pa.table({**{name: values[:, k] for k, name in enumerate(names)}, "y": ["a", "b"] * 150}), tmp_path / "t.parquet")
    profile = look(tmp_path / "t.parquet")
    assert len(profile.columns) == 3001
    assert column(profile, "f2999").mean == pytest.approx(float(values[:, 2999].mean()), abs=1e-6)


def test_one_column_beside_the_label(tmp_path: Path, look: Look) -> None:
    pq.write_table(pa.table({"x": [True, False, None] * 100, "y": ["a", "b"] * 150}), tmp_path / "t.parquet")
    profile = look(tmp_path / "t.parquet")
    assert (profile.duplicates, profile.conflicts) == (294, 300)


def test_long_look_gives_signs_of_life(tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "QUIET_S", 0.0)
    pq.write_table(pa.table({"x": np.arange(200_000.0), "y": ["a", "b"] * 100_000}), tmp_path / "t.parquet")
    look(tmp_path / "t.parquet")
    events = [event for event in look.heard if event.total]  # type: ignore[attr-defined]
    assert events[-1].done == events[-1].total == 200_000
    assert all(event.stage == "check" for event in events)
