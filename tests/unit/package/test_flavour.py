"""The bundle is an MLflow model: MLflow loads it and asks it, and its signature lets good tables through."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.unit.package.conftest import rows

from filon.package import Bundle
from filon.package.flavour import mlmodel

Sealed = Callable[..., Bundle]


def test_the_model_file_is_yaml_with_a_signature_of_the_columns(sealed: Sealed) -> None:
    bundle = sealed("gbt")
    found = yaml.safe_load((bundle.path / "MLmodel").read_text(encoding="utf-8"))
    assert found["flavors"]["python_function"]["loader_module"] == "filon.package.flavour"
    inputs = {spec["name"]: spec for spec in json.loads(found["signature"]["inputs"])}
    assert {name: spec["type"] for name, spec in inputs.items()} == {
        "age": "any",  # whole numbers: MLflow takes no int64 for a double, and no missing cell for a long
        "Temperature (°C)": "double",
        "job": "string",
        "zip": "any",
        "member": "any",
    }
    assert not any(spec["required"] for spec in inputs.values())
    outputs = [spec["name"] for spec in json.loads(found["signature"]["outputs"])]
    assert outputs == ["label", "probability_class 0", "probability_class 1"]


def test_one_model_has_one_uuid(sealed: Sealed) -> None:
    bundle = sealed("gbt")
    texts = [yaml.safe_load(mlmodel(name, bundle.inputs, bundle.encoding, "ab" * 32)) for name in ("one", "two")]
    assert texts[0]["model_uuid"] == texts[1]["model_uuid"] == "ab" * 16


def test_an_environment_is_pinned(sealed: Sealed) -> None:
    lines = (sealed("gbt").path / "requirements.txt").read_text().splitlines()
    assert {line.split("==")[0] for line in lines} >= {"filon", "numpy", "onnxruntime", "pyarrow"}
    assert any(line.startswith(("xgboost==", "xgboost-cpu==")) for line in lines)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_mlflow_loads_and_asks_it(sealed: Sealed, tmp_path: Path) -> None:
    import mlflow.pyfunc

    bundle, frame = sealed("gbt"), rows(40).to_pandas()
    model = mlflow.pyfunc.load_model(str(bundle.path))
    assert model.predict(frame).equals(bundle.predict(frame))
    whole = frame.dropna().reset_index(drop=True)
    assert whole["zip"].dtype == "int64"
    ages = whole.assign(
        age=whole["age"].astype("int64"), member=whole["member"].astype(bool), job=whole["job"].astype("category").astype(object)
    )
    assert model.predict(ages).equals(bundle.predict(ages))
    text = frame.to_json(orient="split", index=False)
    from mlflow.pyfunc.scoring_server import infer_and_parse_data

    served = infer_and_parse_data({"dataframe_split": json.loads(text)}, schema=model.metadata.get_input_schema())
    answered = model.predict(served)
    assert isinstance(answered, pd.DataFrame)
    assert answered["probability_class 1"].tolist() == pytest.approx(bundle.predict(frame)["probability_class 1"].tolist(), abs=1e-6)
    with pytest.raises(Exception, match='the column "job" is missing'):
        model.predict(frame.drop(columns="job"))
    del tmp_path
