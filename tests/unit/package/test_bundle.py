"""An opened bundle: checked before it is used, and one answer whatever the rows come as."""

import json
import pickletools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.unit.package.conftest import SETTINGS, rows

from filon.errors import BundleError, DataError
from filon.package import Bundle, open_bundle, sealed

Sealed = Callable[..., Bundle]


@pytest.fixture
def copied(sealed: Sealed, tmp_path: Path) -> Path:
    """A bundle that a test may break."""
    return Path(shutil.copytree(sealed("gbt").path, tmp_path / "bundle"))


def code_of(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        open_bundle(path)
    assert caught.value.exit_code == 7
    return caught.value.code


def test_a_bundle_tells_what_it_is(sealed: Sealed) -> None:
    bundle = sealed("gbt")
    assert (bundle.name, bundle.label, bundle.threshold, bundle.classes) == ("small", "label", 0.4, ("class 0", "class 1"))
    assert [column.name for column in bundle.inputs] == ["age", "Temperature (°C)", "job", "zip", "member"]
    assert {column.name: column.role for column in bundle.columns}["customer"] == "key"
    assert "month" not in {column.name for column in bundle.columns}  # dropped, and no derived feature speaks of it
    assert bundle.baseline == {"rows": 1500}
    assert len(bundle.version) == 12


@pytest.mark.parametrize("family", SETTINGS)
@pytest.mark.parametrize("classes", [2, 3])
def test_golden_rows_score_as_they_did_when_sealed(sealed: Sealed, family: str, classes: int) -> None:
    bundle = sealed(family, classes)
    golden = bundle.golden()
    expected = np.array(golden.column("filon:probability").to_pylist())
    answered = bundle.predict(golden)
    found = np.stack([answered.column(f"probability_{name}").to_numpy() for name in bundle.classes], axis=1)
    assert np.abs(found - expected).max() <= 1e-6
    singly = np.array([bundle.answer(row).probability for row in golden.select([c.name for c in bundle.inputs]).to_pylist()])
    assert np.abs(singly - expected).max() <= 1e-6


def test_any_kind_of_table_gets_the_same_answer(sealed: Sealed) -> None:
    bundle, table = sealed("gbt"), rows(40)
    expected = bundle.predict(table)

    class Capsule:
        """What polars, DuckDB and others offer."""

        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return table.__arrow_c_stream__(requested_schema)

    plain = {name: table.column(name).to_pylist() for name in table.schema.names}
    arrays = {**plain, "Temperature (°C)": np.array([np.nan if v is None else v for v in plain["Temperature (°C)"]])}
    for frame in (
        table.to_batches()[0],
        Capsule(),
        table.to_pylist(),
        plain,
        arrays,
        pa.concat_tables([table.slice(0, 10), table.slice(10)]),
    ):
        assert bundle.predict(frame).equals(expected)


def test_pandas_in_pandas_out_with_its_index(sealed: Sealed) -> None:
    bundle, frame = sealed("gbt"), rows(30).to_pandas()
    frame.index = pd.Index(range(100, 130), name="row")
    answered = bundle.predict(frame)
    assert isinstance(answered, pd.DataFrame)
    assert answered.index.equals(frame.index)
    assert list(answered.columns) == ["label", "probability_class 0", "probability_class 1"]
    assert answered["probability_class 1"].tolist() == bundle.predict(rows(30)).column(2).to_pylist()


def test_pandas_types_of_whole_and_missing_cells_all_work(sealed: Sealed) -> None:
    bundle = sealed("gbt")
    expected = bundle.predict(rows(60)).column("probability_class 1").to_pylist()
    frame = rows(60).to_pandas()
    assert frame["age"].dtype == np.float64  # pandas' own way of missing integers
    for age in ("Int64", "float32", "object"):
        given = frame.assign(age=frame["age"].astype(age), job=frame["job"].astype("category"), zip=frame["zip"].astype("string"))
        assert bundle.predict(given)["probability_class 1"].tolist() == expected


def test_sparse_columns_and_numbers_beyond_64_bits_of_pandas_are_numbers(sealed: Sealed) -> None:
    bundle, frame = sealed("gbt"), rows(20).to_pandas()
    zeros = frame.assign(age=[0.0, 41.0] * 10)
    sparse = frame.assign(age=pd.arrays.SparseArray([0.0, 41.0] * 10, fill_value=0.0))
    assert bundle.predict(sparse).equals(bundle.predict(zeros))
    beyond = frame.assign(age=pd.Series([10**30] * 20, dtype=object))
    assert bundle.predict(beyond).equals(bundle.predict(frame.assign(age=1e30)))


def test_many_rows_and_few_rows_agree(sealed: Sealed) -> None:
    """Few go through ONNX Runtime, many through XGBoost."""
    for family in SETTINGS:
        bundle, table = sealed(family), rows(200)
        many = bundle.predict(table).column(2).to_numpy()
        few = np.concatenate([bundle.predict(table.slice(at, 8)).column(2).to_numpy() for at in range(0, 200, 8)])
        assert np.abs(many - few).max() <= 1e-6


def test_no_rows_give_no_answers(sealed: Sealed) -> None:
    answered = sealed("gbt").predict(rows(5).slice(0, 0))
    assert answered.num_rows == 0
    assert answered.schema.names == ["label", "probability_class 0", "probability_class 1"]


def test_the_label_follows_the_sealed_threshold(sealed: Sealed) -> None:
    answered = sealed("gbt").predict(rows(300)).to_pandas()
    assert ((answered["probability_class 1"] >= np.float32(0.4)) == (answered["label"] == "class 1")).all()
    assert ((answered["probability_class 1"] > 0.4) & (answered["probability_class 1"] < 0.5)).any()


def test_derived_features_are_computed_from_raw_rows(sealed: Sealed) -> None:
    bundle = sealed("xgboost", derived=True)
    assert [column.name for column in bundle.inputs][-1] == "month"
    row = {"age": 40, "Temperature (°C)": 21.0, "job": "miner", "zip": 28001, "member": True, "month": "Jun"}
    by_month = {month: bundle.answer({**row, "month": month}).probability[1] for month in ("Jan", "Jun", "Dec", None)}
    assert by_month["Jun"] > by_month["Jan"]
    frame = pd.DataFrame([{**row, "month": month} for month in by_month])
    assert bundle.predict(frame)["probability_class 1"].tolist() == pytest.approx(list(by_month.values()), abs=1e-6)


def test_a_bundle_without_derived_features_never_imports_the_sql_engine(sealed: Sealed) -> None:
    row = {"age": 1, "Temperature (°C)": 2.0, "job": "x", "zip": 1, "member": None}
    loaded = "[name in sys.modules for name in ('duckdb', 'onnx', 'mlflow')]"
    code = f"import sys, filon; filon.load({str(sealed('gbt').path)!r}).predict([{row}]); print(*{loaded})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False", "False"]


def refused(bundle: Bundle, frame: object) -> DataError:
    with pytest.raises(DataError) as caught:
        bundle.predict(frame)
    return caught.value


def test_a_misnamed_column_is_named_with_the_nearest(sealed: Sealed) -> None:
    frame = rows(5).to_pandas().rename(columns={"Temperature (°C)": "temperature (C)"})
    error = refused(sealed("gbt"), frame)
    assert error.code == "package.column-missing"
    assert '"Temperature (°C)"' in error.what
    assert 'rename "temperature (C)" to "Temperature (°C)"' in error.fix


def test_missing_columns_are_all_named(sealed: Sealed) -> None:
    error = refused(sealed("gbt"), {"age": [1]})
    assert error.what.startswith('4 columns are missing: "Temperature (°C)", "job"')


@pytest.mark.parametrize(
    ("column", "cells", "code"),
    [
        ("age", ["forty", "fifty"], "package.column-type"),
        ("Temperature (°C)", [pd.Timestamp("2026-01-01")] * 2, "package.column-type"),
        ("job", [["miner"], ["clerk"]], "package.column-type"),
        ("member", [pd.Timestamp("2026-01-01")] * 2, "package.column-type"),
        ("age", [1, "two"], "package.column-unreadable"),
    ],
)
def test_a_wrong_type_is_named(sealed: Sealed, column: str, cells: list[Any], code: str) -> None:
    table = {name: rows(2).column(name).to_pylist() for name in rows(2).schema.names}
    error = refused(sealed("gbt"), {**table, column: cells})
    assert error.code == code
    assert f'"{column}"' in error.what


def test_a_column_twice_is_refused(sealed: Sealed) -> None:
    frame = rows(3).to_pandas()
    assert refused(sealed("gbt"), pd.concat([frame, frame[["age"]]], axis="columns")).code == "package.column-twice"


@pytest.mark.parametrize(
    "given", [3, "rows.csv", None, [1, 2], {"age": [1], "job": ["a", "b"]}, pd.Series([1.0]), pd.Series({"age": 1, "job": "a"})]
)
def test_what_is_no_table_is_refused(sealed: Sealed, given: object) -> None:
    assert refused(sealed("gbt"), given).code == "package.not-a-table"


def test_no_file_of_a_bundle_is_a_pickle(sealed: Sealed) -> None:
    for path in sealed("random_forest").path.rglob("*"):
        if path.is_file():
            with pytest.raises(ValueError, match=r"."):
                list(pickletools.genops(path.read_bytes()))


@pytest.mark.parametrize("name", ["model.ubj", "model.onnx", "golden.parquet", "baseline.json", "MLmodel", "report/EVALUATION_REPORT.md"])
def test_one_changed_byte_is_noticed(copied: Path, name: str) -> None:
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(data)
    assert code_of(copied) == "package.damaged"


def test_a_missing_file_is_noticed(copied: Path) -> None:
    (copied / "model.ubj").unlink()
    assert code_of(copied) == "package.damaged"


def test_a_threshold_changed_by_hand_is_noticed(copied: Path) -> None:
    record = json.loads((copied / "bundle.json").read_text())
    record["label"]["threshold"] = 0.9
    (copied / "bundle.json").write_text(json.dumps(record))
    assert code_of(copied) == "package.damaged"


def test_a_newer_format_says_so_before_anything_else(copied: Path) -> None:
    (copied / "bundle.json").write_text(json.dumps({"format": sealed.FORMAT + 1, "versions": {"filon": "9.0"}}))
    assert code_of(copied) == "package.too-new"


def test_a_bundle_that_names_files_outside_is_refused(copied: Path) -> None:
    record = json.loads((copied / "bundle.json").read_text())
    record["files"]["../secret"] = {"sha256": "0" * 64, "bytes": 1}
    record["seal"] = sealed.seal(record)
    (copied / "bundle.json").write_text(json.dumps(record))
    assert code_of(copied) == "package.damaged"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "1"}'])
def test_no_record_is_no_bundle(copied: Path, text: str) -> None:
    (copied / "bundle.json").write_text(text)
    assert code_of(copied) in {"package.not-a-bundle", "package.damaged"}


def test_a_run_folder_is_pointed_at_its_bundle(copied: Path) -> None:
    with pytest.raises(BundleError) as caught:
        open_bundle(copied.parent)
    assert caught.value.code == "package.not-a-bundle"
    assert str(copied) in caught.value.fix


def test_files_that_others_add_do_no_harm(copied: Path) -> None:
    (copied / "registered_model_meta").write_text("model_name: small\n")  # MLflow puts it there when it loads from the registry
    assert open_bundle(copied).name == "small"
