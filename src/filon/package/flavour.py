"""The bundle as an MLflow model: a text file that names this module as its loader. MLflow itself is never imported here."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from filon.engines.base import Column
from filon.rows.encode import Encoding

WRITTEN_FOR = "3.5.0"
"""The oldest MLflow whose reading of this file is tested; newer ones read it too."""

SERVING = ("filon", "numpy", "onnxruntime", "pandas", "pyarrow")


def write(folder: Path, name: str, inputs: Sequence[Column], encoding: Encoding, digest: str) -> None:
    """MLmodel, requirements.txt and python_env.yaml.

    Parameters
    ----------
    digest : hash of the model, from which its MLflow uuid is made, so that one model keeps one uuid
    """
    (folder / "MLmodel").write_text(mlmodel(name, inputs, encoding, digest), encoding="utf-8")
    (folder / "requirements.txt").write_text("\n".join(requirements()) + "\n", encoding="utf-8")
    environment = f'python: "{python_version()}"\nbuild_dependencies:\n- pip\ndependencies:\n- -r requirements.txt\n'
    (folder / "python_env.yaml").write_text(environment, encoding="utf-8")


def mlmodel(name: str, inputs: Sequence[Column], encoding: Encoding, digest: str) -> str:
    """MLmodel as YAML; every value is written as JSON, which is YAML too."""
    signature = {
        "inputs": json.dumps([_spec(column, encoding) for column in inputs], ensure_ascii=False),
        "outputs": json.dumps(_outputs(encoding), ensure_ascii=False),
        "params": None,
    }
    flavour = {
        "data": ".",
        "env": {"virtualenv": "python_env.yaml"},
        "loader_module": "filon.package.flavour",
        "python_version": python_version(),
    }
    fields = {
        "artifact_path": "bundle",
        "flavors": {"python_function": flavour},
        "metadata": {"filon_name": name, "filon_model_sha256": digest},
        "mlflow_version": WRITTEN_FOR,
        "model_uuid": digest[:32],
        "signature": signature,
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    return "\n".join(_yaml(fields)) + "\n"


def _yaml(fields: Mapping[str, Any], indent: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in fields.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:", *_yaml(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}")
    return lines


def _spec(column: Column, encoding: Encoding) -> dict[str, Any]:
    """One input. Nothing is `required`: an absent column is refused by `Bundle.predict`, which names the nearest one."""
    return {"type": _type(column, encoding), "name": column.name, "required": False}


def _type(column: Column, encoding: Encoding) -> str:
    """double for fractions and string for words; "any" where MLflow's own check would refuse what pandas makes of good data.

    MLflow takes no int64 for a double, no missing cell for a long, no number for a string: whole numbers, booleans (with missing
    cells), categories written in digits and dates therefore go through to `Bundle.predict`, which checks every column itself.
    """
    whole = column.whole or column.stored.startswith(("int", "uint", "date", "timestamp"))
    if column.kind == "number":
        return "any" if whole else "double"
    texts = next((feature.categories for feature in encoding.features if feature.name == column.name), ())
    words = column.kind == "category" and texts and not any(_is_number(text) for text in texts)
    return "string" if words else "any"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in {"true", "false"}
    return True


def _outputs(encoding: Encoding) -> list[dict[str, Any]]:
    probabilities = [{"type": "float", "name": f"probability_{name}", "required": True} for name in encoding.classes]
    return [{"type": "string", "name": "label", "required": True}, *probabilities]


def requirements() -> list[str]:
    """What an environment needs to answer as this one does."""
    lines = [f"{name}=={found}" for name in SERVING if (found := _version(name))]
    for name in ("xgboost", "xgboost-cpu"):
        if found := _version(name):
            lines.append(f"{name}=={found}")
            break
    return lines


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


class Served:
    """What MLflow calls: pandas in, pandas out."""

    def __init__(self, path: str) -> None:
        from filon.package.bundle import open_bundle

        self.bundle = open_bundle(path)

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Label and probability by class; `params` is MLflow's, and none are known."""
        del params
        return self.bundle.predict(model_input)


def _load_pyfunc(data_path: str) -> Served:
    """The name MLflow looks for in a loader module."""
    return Served(data_path)
