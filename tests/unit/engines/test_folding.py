"""The split's arithmetic: cuts from counts."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filon.engines.folding import Cuts, balanced, count_buckets, cut, time_cuts, time_number
from filon.errors import DataError
from filon.rows.hash import BUCKETS

SHARES = (0.7, 0.15, 0.15)


def pieces(counts: np.ndarray, cuts: Cuts) -> np.ndarray:
    """Rows by class and piece, counted anew."""
    bucket = np.arange(BUCKETS, dtype=np.uint16)
    out = np.zeros((counts.shape[1], cuts.edges.shape[1] + 1), np.int64)
    for number in range(counts.shape[1]):
        piece = cuts.piece(bucket, np.full(BUCKETS, number))
        np.add.at(out[number], piece, counts[:, number])
    return out


@given(st.integers(1, 3), st.integers(50, 5000), st.integers(0, 2**32 - 1))
def test_shares_by_class_are_exact_to_one_bucket(classes: int, rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    counts = count_buckets(random.integers(0, BUCKETS, rows).astype(np.uint16), random.integers(0, classes, rows), classes)
    got = pieces(counts, cut(counts, SHARES, stratify=True))
    for number in range(classes):
        total, largest = counts[:, number].sum(), counts[:, number].max()
        if total >= 20:
            for upto in (1, 2):
                assert abs(got[number, :upto].sum() - sum(SHARES[:upto]) * total) <= largest


def test_without_stratification_all_classes_share_their_cuts() -> None:
    random = np.random.default_rng(1)
    counts = count_buckets(random.integers(0, BUCKETS, 900).astype(np.uint16), (random.random(900) < 0.1).astype(int), 2)
    cuts = cut(counts, SHARES, stratify=False)
    assert cuts.edges[0].tolist() == cuts.edges[1].tolist()
    assert abs(pieces(counts, cuts)[:, 0].sum() - 630) <= counts.sum(axis=1).max()


@pytest.mark.parametrize(("rows", "expected"), [(1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (4, [2, 1, 1]), (5, [3, 1, 1])])
def test_a_rare_class_reaches_every_fold_it_can(rows: int, expected: list[int]) -> None:
    counts = np.zeros((BUCKETS, 1), np.int64)
    counts[np.arange(rows) * 100 + 7] = 1
    assert pieces(counts, cut(counts, SHARES, stratify=True))[0].tolist() == expected


def test_a_fold_without_a_share_gets_no_rows() -> None:
    counts = np.zeros((BUCKETS, 1), np.int64)
    counts[[5, 500, 5000, 50_000]] = 1
    assert pieces(counts, cut(counts, (0.8, 0.2, 0.0), stratify=True))[0].tolist() == [3, 1, 0]


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=200), st.integers(0, 3))
def test_time_cuts_are_the_best_there_are(times: list[int], repeat: int) -> None:
    stamps = np.array(times * (repeat + 1), np.int64)

    def histogram(first: int, width: int, bins: int) -> np.ndarray:
        place = [(int(time) - first) // width for time in stamps if time >= first]
        return np.bincount([at for at in place if at < bins], minlength=bins)

    cuts = time_cuts(histogram, int(stamps.min()), int(stamps.max()), len(stamps), SHARES)
    possible = [0, *(int((stamps <= time).sum()) for time in np.unique(stamps))]
    for place, found in enumerate(cuts):
        target = sum(SHARES[: place + 1]) * len(stamps)
        assert abs(int((stamps < found).sum()) - target) == pytest.approx(min(abs(rows - target) for rows in possible))


def test_times_are_microseconds_and_whole_numbers_stay() -> None:
    day = datetime.date(1969, 12, 31)
    assert time_number(pa.array([day]), "t").tolist() == [-86_400_000_000]
    assert time_number(pa.array([datetime.datetime(1970, 1, 1, 0, 0, 1)], pa.timestamp("s")), "t").tolist() == [1_000_000]
    assert time_number(pa.array([2020.0, 2021.0]), "year").tolist() == [2020, 2021]


@pytest.mark.parametrize(
    ("cells", "code"),
    [(pa.array(["soon"]), "split.time-unusable"), (pa.array([0.5]), "split.time-unusable"), (pa.array([1, None]), "split.time-missing")],
)
def test_a_time_that_is_none_is_refused(cells: pa.Array, code: str) -> None:
    with pytest.raises(DataError, match="time column") as caught:
        time_number(cells, "t")
    assert caught.value.code == code


def test_class_weights_balance_the_classes() -> None:
    weights = balanced((900, 90, 10))
    assert [rows * weight for rows, weight in zip((900, 90, 10), weights, strict=True)] == pytest.approx([1000 / 3] * 3)
