import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from filon.engines.profiling.content import Content
from filon.engines.profiling.distinct import EXACT, Distinct
from filon.engines.profiling.labels import Labels
from filon.engines.profiling.misfits import Misfits
from filon.engines.profiling.numbers import Numbers, Sorted
from filon.engines.profiling.ranking import area, cross_fitted, ordered_area
from filon.engines.profiling.sample import Sample
from filon.engines.profiling.texts import DATE, NUMBER, Texts

small = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 1)), min_size=2, max_size=40)


@given(small)
def test_area_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    scores, hits = (np.array(column, np.float64) for column in zip(*pairs, strict=True))
    found = area(scores, hits, 1 - hits)
    if len(set(hits)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(roc_auc_score(hits, scores), abs=1e-12)


@given(small, st.tuples(st.integers(0, 5), st.integers(0, 5)))
def test_ordered_area_is_the_best_of_four_readings(pairs: list[tuple[int, int]], missing: tuple[int, int]) -> None:
    scores, hits = (np.array(column, np.float64) for column in zip(*pairs, strict=True))
    values = np.unique(scores)
    positives = np.array([hits[scores == value].sum() for value in values])
    negatives = np.array([(1 - hits)[scores == value].sum() for value in values])
    labels = np.r_[hits, np.ones(missing[0]), np.zeros(missing[1])]
    if len(set(labels)) < 2:
        assert ordered_area(positives, negatives, missing) is None
        return
    readings = [roc_auc_score(labels, np.r_[scores, np.full(sum(missing), place)]) for place in (-9.0, 9.0)]
    best = max(max(reading, 1 - reading) for reading in readings)
    assert ordered_area(positives, negatives, missing) == pytest.approx(best, abs=1e-12)


def test_unique_values_teach_nothing() -> None:
    counts = np.zeros((1000, 2, 2), np.int64)
    rng = np.random.default_rng(7)
    counts[np.arange(1000), rng.integers(0, 2, 1000), rng.integers(0, 2, 1000)] = 1
    assert cross_fitted(counts, 1)[0] == pytest.approx(0.5)


def test_value_that_is_the_label_teaches_everything() -> None:
    counts = np.array([[[50, 0], [50, 0]], [[0, 30], [0, 40]]])
    assert cross_fitted(counts, 1) == (1.0, 1.0)


def test_halves_without_rows_teach_nothing() -> None:
    assert cross_fitted(np.array([[[5, 5], [0, 0]]]), 1) == (None, None)


@pytest.mark.parametrize("values", [1, 1000, EXACT])
def test_distinct_is_exact_up_to_a_hundred_thousand(values: int) -> None:
    sketch = Distinct()
    for start in range(0, 300_000, 37_000):
        sketch.add_numbers(np.arange(start, start + 37_000, dtype=np.float64) % values)
    assert sketch.count() == values


def test_distinct_above_is_within_two_percent_and_free_of_order() -> None:
    values = np.random.default_rng(1).permutation(700_000).astype(np.float64)
    whole, halves = Distinct(), [Distinct(), Distinct()]
    for part in np.array_split(values, 13):
        whole.add_numbers(part)
    for half, part in zip(halves, (values[:450_000], values[350_000:]), strict=True):
        half.add_numbers(part)
    halves[0].merge(halves[1])
    assert whole.count() == pytest.approx(700_000, rel=0.02)
    assert halves[0].count() == pytest.approx(700_000, rel=0.02)


def test_distinct_of_a_very_wide_table_keeps_less_and_stays_close() -> None:
    sketch = Distinct(columns=3000)
    sketch.add_numbers(np.arange(200_000, dtype=np.float64))
    assert sketch.count() == pytest.approx(200_000, rel=0.06)
    assert len(sketch._kept) <= 6000


def test_minus_zero_is_zero() -> None:
    sketch = Distinct()
    sketch.add_numbers(np.array([0.0, -0.0]))
    assert sketch.count() == 1


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=60))
def test_duplicates_and_conflicts_are_those_of_plain_counting(rows: list[tuple[int, int]]) -> None:
    """Label 0 is missing: such rows are in neither count."""
    content = Content()
    for start in range(0, len(rows), 7):
        part = rows[start : start + 7]
        hashes = np.array([row[0] for row in part], np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        content.add(hashes, np.array([row[1] for row in part], np.int32))
    labelled = [row for row in rows if row[1]]
    conflicts = sum(any(other[0] == row[0] and other[1] != row[1] for other in labelled) for row in labelled)
    assert content.count() == (len(labelled) - len(set(labelled)), conflicts)


def test_more_classes_than_a_byte_holds_stay_apart() -> None:
    content = Content()
    content.add(np.zeros(600, np.uint64), np.arange(1, 601, dtype=np.int32))
    assert content.count() == (0, 600)


def test_sample_of_a_small_table_is_the_table() -> None:
    sample = Sample(10)
    halves, fresh, still = sample.take(0, np.ones(500, np.int32))
    assert fresh is None
    assert still is None
    assert 0.4 < halves.mean() < 0.6
    assert len(sample.classes) == 500


def test_sample_stays_within_its_bounds_and_is_even() -> None:
    sample = Sample(480)  # a hundred thousand rows at most
    kept = [np.empty(0)]
    for start in range(0, 1_000_000, 65_536):
        rows = np.arange(start, min(start + 65_536, 1_000_000))
        _, fresh, still = sample.take(start, np.zeros(len(rows), np.int32))
        kept = [np.concatenate([*kept, rows if fresh is None else rows[fresh]])]
        kept = [kept[0] if still is None else kept[0][still]]
    assert 50_000 < len(kept[0]) <= 100_000
    assert len(kept[0]) == len(sample.classes) == len(sample.hashes)
    assert kept[0].mean() == pytest.approx(500_000, rel=0.02)


def test_numbers_are_those_of_numpy_whatever_the_batches() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(1e6, 1.0, 5000)
    values[::50] = np.nan
    values[7], values[8] = np.inf, -np.inf
    numbers = Numbers(wide=False)
    for part in np.array_split(values, 11):
        numbers.add(part, None, None)
    finite = values[np.isfinite(values)]
    assert (numbers.missing, numbers.infinite, numbers.finite) == (100, 2, len(finite))
    assert numbers.mean == pytest.approx(finite.mean(), rel=1e-13)
    assert numbers.std == pytest.approx(finite.std(ddof=1), rel=1e-9)
    assert (numbers.minimum, numbers.maximum) == (finite.min(), finite.max())
    assert not numbers.increasing
    assert not numbers.integer


@pytest.mark.parametrize(("values", "increasing"), [([1, 2, 2, 3], True), ([1, 2, 1, 3], False), ([1, None, 2, 5], True)])
def test_increasing_looks_across_batches_and_over_missing_cells(values: list[float], increasing: bool) -> None:
    numbers = Numbers(wide=False)
    for value in values:
        numbers.add(np.array([value], np.float64), None, None)
    assert numbers.increasing is increasing


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_sorted_values_are_numpys(kind: type) -> None:
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.normal(0, 1e3, 500), [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-30, -1e-30]]).astype(kind)
    cells = rng.integers(0, 6, len(values))
    ranks = Sorted(values, cells, 3)
    finite = values[np.isfinite(values)]
    assert np.array_equal(ranks.values, np.sort(finite))
    assert ranks.counts.sum() + ranks.missing.sum() == len(values)
    assert ranks.quantiles() == pytest.approx(tuple(np.quantile(finite.astype(np.float64), [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])))
    assert np.array_equal(np.bincount(ranks.cells, minlength=6), np.bincount(cells[np.isfinite(values)], minlength=6))


def test_bars_hold_every_value_once_and_far_values_in_the_last() -> None:
    values = np.concatenate([np.linspace(0, 10, 1000), [5000.0]]).astype(np.float32)
    ranks = Sorted(values, np.ones(len(values), np.int64), 2)
    histogram = ranks.histogram(0.0, 5000.0, np.array([1]), 1.0, integer=False)
    assert histogram is not None
    assert sum(row[0] for row in histogram.counts) == 1001
    assert (histogram.edges[0], histogram.edges[-1]) == (0.0, 5000.0)
    assert histogram.edges[-2] <= 10.5
    for low, high, (count,) in zip(histogram.edges[:-1], histogram.edges[1:], histogram.counts, strict=True):
        last = high == histogram.edges[-1]
        assert count == int(((values >= low) & ((values < high) | last)).sum())


def test_whole_numbers_get_bars_of_whole_width() -> None:
    values = np.arange(73, dtype=np.float32)
    histogram = Sorted(values, np.ones(73, np.int64), 2).histogram(0.0, 72.0, np.array([1]), 1.0, integer=True)
    assert histogram is not None
    assert len({row[0] for row in histogram.counts[:-1]}) == 1


def test_numbers_too_close_together_still_have_bars() -> None:
    values = np.array([1e16, 1e16 + 2], np.float64)
    histogram = Sorted(values, np.ones(2, np.int64), 2).histogram(1e16, 1e16 + 2, np.array([1]), 1.0, integer=False)
    assert histogram is not None
    assert sum(row[0] for row in histogram.counts) == 2


@pytest.mark.parametrize("text", ["1", "-2.5", "1,5", "1.234,56", "1 234", "$5", "12 %", "3e-4", ".5", "€ 20", "+7"])
def test_text_that_is_a_number_is_known(text: str) -> None:
    assert _count(text, NUMBER) == 1


@pytest.mark.parametrize("text", ["", "a1", "1a", "12/3", "1-2", "..", "e5", "A11", "2020-01-01"])
def test_text_that_is_no_number_is_known(text: str) -> None:
    assert _count(text, NUMBER) == 0


@pytest.mark.parametrize("text", ["2020-01-31", "31/12/2020", "1.2.2020 10:30", "2020-01-31T10:30:05Z", "5-Mar-2021", "Mar 5, 2021"])
def test_text_that_is_a_date_is_known(text: str) -> None:
    assert _count(text, DATE) == 1


@pytest.mark.parametrize("text", ["2020", "1.5", "10-20", "12345678", "1/2", "May"])
def test_text_that_is_no_date_is_known(text: str) -> None:
    assert _count(text, DATE) == 0


def _count(text: str, pattern: str) -> int:
    import pyarrow.compute as pc

    return int(pc.match_substring_regex(pa.array([text]), pattern)[0].as_py())


def test_texts_are_counted_by_class_and_half_whatever_the_batches() -> None:
    rng = np.random.default_rng(2)
    cells = [None if k == 5 else f"v{k}" for k in rng.integers(0, 6, 900)]
    classes, halves = rng.integers(0, 3, 900), rng.integers(0, 2, 900)
    texts = Texts()
    for part in np.array_split(np.arange(900), 7):
        texts.add(pa.array([cells[k] for k in part], pa.string()), halves[part] * 3 + classes[part], 3)
    assert texts.missing == cells.count(None)
    assert texts.distinct.count() == 5
    top = texts.top(np.array([1, 2]))
    rows = {value: sum(cell == value for cell in cells) for value in {*cells} - {None}}
    assert [(one.value, one.rows) for one in top] == sorted(rows.items(), key=lambda pair: (-pair[1], str(pair[0])))
    for one in top:
        assert one.by_class == tuple(sum(cell == one.value and c == k for cell, c in zip(cells, classes, strict=True)) for k in (1, 2))


def test_huge_cells_are_kept_short_and_apart() -> None:
    texts = Texts()
    texts.add(pa.array(["a" * 5_000_000, "a" * 5_000_001]), np.zeros(2, np.int64), 1)
    assert texts.longest == 5_000_001
    assert texts.distinct.count() == 2
    assert all(len(value.value) < 300 for value in texts.top(np.array([], np.int64)))
    assert len({value.value for value in texts.top(np.array([], np.int64))}) == 2


def test_more_values_than_are_counted_keep_the_frequent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filon.engines.profiling.texts.MOST_VALUES", 50)
    texts = Texts()
    for start in range(0, 5000, 500):
        cells = ["often"] * 250 + [f"u{start + k}" for k in range(250)]
        texts.add(pa.array(cells), np.zeros(500, np.int64), 1)
    assert len(texts.places) == 50
    assert (texts.top(np.array([], np.int64))[0].value, texts.top(np.array([], np.int64))[0].rows) == ("often", 2500)
    assert texts.distinct.count() == 2501
    assert texts.rest[1].sum() + texts.counts.sum() == 5000


def test_labels_count_whole_floats_as_integers() -> None:
    labels = Labels()
    first = labels.add(pa.array([1.0, 0.0, None, float("nan"), 1.0]))
    second = labels.add(pa.array([0.0, 2.5]))
    assert first.tolist() == [1, 2, 0, 0, 1]
    assert second.tolist() == [2, 3]
    assert labels.ranked() == [("0", 2), ("1", 2), ("2.5", 1)]
    assert labels.missing == 2


def test_misfits_keep_five_examples_with_their_rows() -> None:
    misfits = Misfits()
    misfits.add(pa.array([None, "n/d", None]), 0)
    misfits.add(pa.array(["x" * 100, *["?"] * 8]), 3)
    assert misfits.count == 10
    assert misfits.examples[0] == (2, "n/d")
    assert misfits.examples[1] == (4, "x" * 39 + "…")
    assert len(misfits.examples) == 5
