import dataclasses
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score
from tests.unit.check.looking import source_of

from filon.engines.base import ColumnProfile, LabelPlan, Profile
from filon.engines.profiling import Profiler


def table(rows: int = 3000, seed: int = 0) -> pa.Table:
    """Numbers, a category, a boolean, a date, free text, lists and a label; missing cells in most."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows)
    number = np.round(rng.normal(label, 1.0), 1)
    number[rng.random(rows) < 0.05] = np.nan
    place = rng.integers(0, 4, rows)
    return pa.table(
        {
            "number": pa.array(number, from_pandas=True),
            "whole": rng.integers(0, 9, rows),
            "place": pa.array([None if k == 3 else f"p{k}" for k in place]),
            "flag": pa.array([None if k == 0 else bool(k % 2) for k in place]),
            "day": pa.array(rng.integers(0, 20_000, rows).astype("int32"), pa.int32()).cast(pa.date32()),
            "tags": pa.array([None if k == 1 else [1, 2] for k in place]),
            "y": pa.array([None if k < 0.02 else str(v) for k, v in zip(rng.random(rows), label, strict=True)]),
        }
    )


def profiled(rows: pa.Table, batch: int, *, first: int = 0, threads: int = 1, label: str = "y") -> Profiler:
    profiler = Profiler(source_of(rows, label, {}, {}).columns, LabelPlan(column=label), first=first, threads=threads)
    for one in rows.to_batches(max_chunksize=batch):
        profiler.add(one)
    return profiler


def column(profile: Profile, name: str) -> ColumnProfile:
    return next(one for one in profile.columns if one.name == name)


def test_counts_and_moments_are_those_of_pandas() -> None:
    rows = table()
    frame = rows.to_pandas()
    profile = profiled(rows, 500).finish()
    assert (profile.rows, profile.label_missing) == (3000, int(frame["y"].isna().sum()))
    assert dict(profile.labels) == frame["y"].value_counts().to_dict()
    for name in rows.column_names:
        assert column(profile, name).missing == int(frame[name].isna().sum())
    for name in ("number", "whole", "place", "flag", "day"):
        assert column(profile, name).distinct == frame[name].nunique()
    number = column(profile, "number")
    assert (number.minimum, number.maximum) == (frame["number"].min(), frame["number"].max())
    assert number.mean == pytest.approx(frame["number"].mean())
    assert number.std == pytest.approx(frame["number"].std())
    assert number.quantiles == pytest.approx(tuple(frame["number"].quantile([0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])), abs=1e-6)
    assert (number.integer, column(profile, "whole").integer) == (False, True)
    assert column(profile, "day").minimum == min(rows["day"].cast(pa.int32()).to_pylist()) * 86_400


def test_top_values_by_class_are_those_of_pandas() -> None:
    rows = table()
    frame = rows.to_pandas()
    profile = profiled(rows, 700).finish()
    order = [text for text, _ in profile.labels]
    for name, text in (("place", str), ("whole", str), ("flag", lambda value: str(bool(value)).lower())):
        truth = frame.dropna(subset=[name])
        found = {one.value: (one.rows, one.by_class) for one in column(profile, name).top}
        assert found == {
            text(value): (len(part), tuple(int((part["y"] == label).sum()) for label in order)) for value, part in truth.groupby(name)
        }


def test_histogram_holds_every_labelled_row_by_class() -> None:
    rows = table()
    frame = rows.to_pandas().dropna(subset=["number", "y"])
    profile = profiled(rows, 700).finish()
    histogram = column(profile, "number").histogram
    assert histogram is not None
    for place, (label, _) in enumerate(profile.labels):
        values = frame.loc[frame["y"] == label, "number"].astype(np.float32)
        edges = np.array(histogram.edges)
        truth, _ = np.histogram(values, edges)
        assert sum(row[place] for row in histogram.counts) == len(values)
        assert np.abs(truth - [row[place] for row in histogram.counts]).max() <= 2  # float32 against float64 at the edges


def test_area_of_a_number_is_that_of_scikit_learn() -> None:
    rows = table().filter(pa.compute.field("y").is_valid() & pa.compute.field("number").is_valid())
    frame = rows.to_pandas()
    auc = column(profiled(rows, 700).finish(), "number").auc
    assert auc == pytest.approx(roc_auc_score(frame["y"] == "1", frame["number"]), abs=1e-3)


def test_duplicates_and_conflicts_are_those_of_pandas() -> None:
    rows = table(4000).select(["whole", "place", "flag", "y"])
    frame = rows.to_pandas().dropna(subset=["y"])
    features = ["whole", "place", "flag"]
    conflicts = frame.groupby(features, dropna=False)["y"].transform("nunique") > 1
    profile = profiled(rows, 999).finish()
    assert profile.duplicates == int(frame.duplicated([*features, "y"]).sum())
    assert profile.conflicts == int(conflicts.sum())


def test_batches_and_threads_change_nothing() -> None:
    rows = table()
    assert profiled(rows, 64).finish() == profiled(rows, 64, threads=3).finish()
    one, other = profiled(rows, 64).finish(), profiled(rows, 3000).finish()
    assert _plain(one) == _plain(other)


def test_parts_merge_to_the_whole() -> None:
    rows = table()
    first, second, third = (profiled(rows.slice(start, 1000), 300, first=start) for start in (0, 1000, 2000))
    first.merge(second)
    first.merge(third)
    merged, whole = first.finish(), profiled(rows, 300).finish()
    assert _plain(merged) == _plain(whole)
    for one, other in zip(merged.columns, whole.columns, strict=True):
        assert one.mean == other.mean or one.mean == pytest.approx(other.mean)
        assert one.std == other.std or one.std == pytest.approx(other.std)


def test_parts_that_saw_other_classes_first_merge_to_the_whole() -> None:
    rows = pa.table({"x": [1.0, 2.0, 3.0, 4.0] * 5, "c": ["a", "b"] * 10, "y": ["n"] * 10 + ["m"] * 7 + ["n"] * 3})
    first, second = profiled(rows.slice(0, 10), 4), profiled(rows.slice(10), 4, first=10)
    first.merge(second)
    merged, whole = first.finish(), profiled(rows, 20).finish()
    assert merged.labels == whole.labels == (("n", 13), ("m", 7))
    assert column(merged, "c").top == column(whole, "c").top
    assert (merged.duplicates, merged.conflicts) == (whole.duplicates, whole.conflicts)


def _plain(profile: Profile) -> Profile:
    """Without what sums of floats in another order change in the last digit, and the bytes of the batches."""
    columns = tuple(dataclasses.replace(one, mean=None, std=None) for one in profile.columns)
    return dataclasses.replace(profile, columns=columns, bytes_in_memory=0)


def test_order_of_rows_changes_no_count() -> None:
    rows = table().drop_columns(["tags"])
    shuffled = rows.take(pa.array(np.random.default_rng(9).permutation(3000)))
    one, other = profiled(rows, 500).finish(), profiled(shuffled, 500).finish()
    assert (one.labels, one.duplicates, one.conflicts, one.label_missing) == (
        other.labels,
        other.duplicates,
        other.conflicts,
        other.label_missing,
    )
    for left, right in zip(one.columns, other.columns, strict=True):
        assert (left.top, left.histogram, left.distinct, left.quantiles) == (right.top, right.histogram, right.distinct, right.quantiles)
        assert (left.auc or 0) == pytest.approx(right.auc or 0, abs=0.02)


def test_label_of_many_numbers_keeps_the_profile_small() -> None:
    rows = pa.table({"x": np.arange(5000.0), "c": ["a", "b"] * 2500, "y": np.random.default_rng(0).normal(size=5000)})
    profile = profiled(rows, 1000).finish()
    assert len(profile.labels) == 1000
    assert column(profile, "y").distinct == 5000
    assert len(column(profile, "c").top[0].by_class) <= 20
    assert column(profile, "x").auc is None


def test_large_table_is_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filon.engines.profiling.sample.MOST_ROWS", 10_000)
    rng = np.random.default_rng(4)
    label = rng.integers(0, 2, 60_000)
    rows = pa.table({"x": rng.normal(label * 1.0), "y": label})
    profile = profiled(rows, 7000).finish()
    x = column(profile, "x")
    truth = rows.to_pandas()
    assert (x.minimum, x.maximum) == (truth["x"].min(), truth["x"].max())
    assert x.quantiles[3] == pytest.approx(truth["x"].median(), abs=0.05)
    assert x.auc == pytest.approx(roc_auc_score(truth["y"], truth["x"]), abs=0.02)
    assert x.histogram is not None
    assert sum(map(sum, x.histogram.counts)) == pytest.approx(60_000, rel=0.001)


def test_table_of_two_distinct_rows_is_sampled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filon.engines.profiling.sample.MOST_ROWS", 10_000)
    rows = pa.table({"x": [0.0, 1.0] * 30_000, "y": ["a", "b", "b", "a"] * 15_000})
    profile = profiled(rows, 8000).finish()
    assert column(profile, "x").auc == pytest.approx(0.5, abs=0.03)
    assert (profile.duplicates, profile.conflicts) == (59_996, 60_000)


def test_infinite_and_beyond_float32_cells_do_not_break_it() -> None:
    rows = pa.table({"x": [math.inf, -math.inf, 1e300, -1e300, 1.0, None] * 50, "y": ["a", "b"] * 150})
    x = column(profiled(rows, 77).finish(), "x")
    assert (x.infinite, x.missing, x.maximum) == (100, 50, 1e300)
    assert x.histogram is not None


def test_what_is_beyond_float64_is_not_known_instead_of_nan() -> None:
    x = column(profiled(pa.table({"x": [1e308, -1e308, 1e308, 1.0] * 50, "y": ["a", "b"] * 100}), 77).finish(), "x")
    assert (x.mean, x.std, x.maximum) == (None, None, 1e308)


def test_no_rows_at_all() -> None:
    profile = profiled(table().slice(0, 0), 10).finish()
    assert (profile.rows, profile.labels, profile.duplicates) == (0, (), 0)
    assert column(profile, "number").quantiles == ()


def test_dictionary_and_view_columns_count_as_their_texts() -> None:
    plain = pa.table({"c": ["a", "b", None, "a"] * 20, "y": ["u", "v"] * 40})
    coded = pa.table({"c": plain["c"].dictionary_encode(), "y": plain["y"].cast(pa.large_string())})
    kinds = {"c": "category", "y": "category"}
    profiles = []
    for rows in (plain, coded):
        profiler = Profiler(source_of(rows, "y", kinds, {}).columns, LabelPlan(column="y"))
        for batch in rows.combine_chunks().to_batches():
            profiler.add(batch)
        profiles.append(profiler.finish())
    assert profiles[0].columns == profiles[1].columns
    assert profiles[0].labels == profiles[1].labels


def test_dropped_columns_are_not_looked_at() -> None:
    rows = table()
    source = source_of(rows, "y", {}, {"number": "dropped"})
    profiler = Profiler(source.columns, LabelPlan(column="y"))
    profiler.add(rows.drop_columns(["number"]).combine_chunks().to_batches()[0])
    assert "number" not in [one.name for one in profiler.finish().columns]


def test_pandas_agrees_on_the_mean_of_large_numbers() -> None:
    values = 1e9 + np.random.default_rng(0).normal(size=20_000)
    profile = profiled(pa.table({"x": values, "y": [0, 1] * 10_000}), 1111).finish()
    assert column(profile, "x").std == pytest.approx(pd.Series(values).std(), rel=1e-6)
