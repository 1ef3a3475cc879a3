"""UBJSON: what XGBoost writes is read and written back byte for byte."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filon.trees import ubjson

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text() | st.floats(width=32, allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert ubjson.read(ubjson.write(value)) == value


@pytest.mark.parametrize("kind", ["f4", "f8", "i1", "u1", "i2", "i4", "i8"])
@pytest.mark.parametrize("values", [[], [0], [1, 2, 100]])
def test_typed_arrays_keep_their_type(kind: str, values: list[int]) -> None:
    back = ubjson.read(ubjson.write({"a": np.array(values, dtype=kind)}))["a"]
    assert back.dtype == np.dtype(kind)
    assert back.tolist() == values


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob", "reg:squarederror"])
@pytest.mark.parametrize("booster", ["gbtree", "gblinear"])
def test_a_model_of_xgboost_is_written_back_byte_for_byte(objective: str, booster: str) -> None:
    import xgboost

    draw = np.random.default_rng(0)
    x, y = draw.random((300, 3)).astype(np.float32), draw.integers(0, 3 if "multi" in objective else 2, 300)
    many = {"num_class": 3} if "multi" in objective else {}
    settings = {"objective": objective, "booster": booster, "nthread": 1, "verbosity": 0, **many}
    if booster == "gblinear":
        settings["updater"] = "coord_descent"
    model = xgboost.train(settings, xgboost.DMatrix(x, y), 150)
    raw = bytes(model.save_raw("ubj"))
    assert ubjson.write(ubjson.read(raw)) == raw


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"Q", b"[#L\x00", b"SL\x00\x00\x00\x00\x00\x00\x00\x09ab", b"[$q#L\x00\x00\x00\x00\x00\x00\x00\x01a", b"S{"]
)
def test_what_is_not_ubjson_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="UBJSON"):
        ubjson.read(raw)


def test_a_model_cut_anywhere_is_refused() -> None:
    raw = ubjson.write({"a": [1, 2.5, "text"], "b": np.arange(5, dtype=np.int32)})
    for end in range(len(raw)):
        with pytest.raises(ValueError, match="UBJSON"):
            ubjson.read(raw[:end])
