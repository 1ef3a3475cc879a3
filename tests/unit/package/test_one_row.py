"""One row of plain values is encoded as the Arrow path encodes it, or sent there."""

import datetime as dt
import decimal
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filon.engines.base import Column
from filon.errors import DataError
from filon.package import Bundle
from filon.package.frames import take
from filon.package.match import typed
from filon.package.one_row import RowEncoder
from filon.rows.encode import Encoding, Feature, encode

COLUMNS = (
    Column(name="n", kind="number", stored="text"),
    Column(name="b", kind="boolean", stored="text"),
    Column(name="c", kind="category", stored="text"),
    Column(name="d", kind="category", stored="string"),
)
ENCODING = Encoding(
    features=(
        Feature(name="n", kind="number"),
        Feature(name="b", kind="boolean"),
        Feature(name="c", kind="category", categories=("a", "7", "true", "")),
        Feature(name="d", kind="category", categories=("a", " a", "-3", "false")),
    ),
    classes=("no", "yes"),
)
NUMBERS = st.one_of(st.none(), st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(width=32))
TEXTS = st.sampled_from(["a", " a", "a ", "7", "true", "b", "", "ñ"])
WHOLE = st.one_of(st.integers(-9, 9), st.integers(-9, 9).map(float), st.booleans(), st.just(math.nan))


@given(
    n=NUMBERS,
    b=st.one_of(NUMBERS, st.sampled_from(["yes", "No", " TRUE ", "0", "maybe", ""])),
    c=st.one_of(st.none(), TEXTS, WHOLE),
    d=st.one_of(st.none(), TEXTS, WHOLE),
)
def test_plain_values_are_encoded_as_arrow_columns_are(n: Any, b: Any, c: Any, d: Any) -> None:
    row = {"n": n, "b": b, "c": c, "d": d}
    quick = RowEncoder(COLUMNS, ENCODING, has_derived=False).encode(row)
    slow = encode(typed(take([row]), COLUMNS), ENCODING)
    assert quick is not None
    assert np.array_equal(quick, slow, equal_nan=True)


@pytest.mark.parametrize("value", ["7", dt.date(2026, 1, 1), decimal.Decimal("1.5"), [1], 10**400])
def test_an_unusual_number_takes_the_long_way(value: object) -> None:
    row = {"n": value, "b": True, "c": "a", "d": "a"}
    assert RowEncoder(COLUMNS, ENCODING, has_derived=False).encode(row) is None


def test_a_fraction_as_a_category_takes_the_long_way() -> None:
    row = {"n": 1, "b": True, "c": 2.5, "d": "a"}
    assert RowEncoder(COLUMNS, ENCODING, has_derived=False).encode(row) is None


def test_refusals_are_those_of_predict(sealed: Callable[..., Bundle]) -> None:
    bundle = sealed("gbt")
    row = {"age": 40, "Temperature (°C)": 21.0, "job": "miner", "zip": 28001, "member": True}
    for wrong, code in [({"age": "forty"}, "package.column-type"), ({"zip": [1]}, "package.column-type")]:
        with pytest.raises(DataError) as caught:
            bundle.answer({**row, **wrong})
        assert caught.value.code == code
    with pytest.raises(DataError) as caught:
        bundle.answer({"age": 40})
    assert caught.value.code == "package.column-missing"


@pytest.mark.parametrize("family", ["gbt", "logistic_regression"])
def test_one_row_is_answered_in_well_under_a_millisecond(sealed: Callable[..., Bundle], family: str) -> None:
    """Tens of microseconds on a quiet machine; the limit here bears a busy one, and still no Arrow table or DMatrix fits in it."""
    bundle = sealed(family)
    row = {"age": 40, "Temperature (°C)": 21.0, "job": "miner", "zip": 28001, "member": True}
    expected = bundle.predict(pa.Table.from_pylist([row])).column(2)[0].as_py()
    assert bundle.answer(row).probability[1] == expected
    best = math.inf
    for _ in range(300):
        started = time.perf_counter()
        bundle.answer(row)
        best = min(best, time.perf_counter() - started)
    assert best < 2e-4
