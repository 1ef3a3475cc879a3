"""Models kept by MLflow, fetched by their URI and opened: what scikit-learn, XGBoost and LightGBM wrote, or anything that MLflow can load.

MLflow's own loaders unpickle, or make whatever types a model's own text names. So without `trust` only files that run no code are opened,
and by our own openers: skops (types that are known), XGBoost's and LightGBM's own formats.
"""

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filon.errors import BundleError, FilonError, SetupError
from filon.package.estimators import Estimator, estimator
from filon.package.foreign import Foreign, foreign, open_skops, pickle_refused
from filon.track.client import PATIENCE, in_our_words

SCHEMES = ("models:/", "runs:/", "mlflow-artifacts:/")
MARK = "MLmodel"
DEFAULT = "sqlite:///mlflow.db"


def is_kept(path: str) -> bool:
    """Whether a path is an MLflow URI, or a local folder that holds an MLflow model."""
    return path.startswith(SCHEMES) or (Path(path) / MARK).is_file()


@contextmanager
def fetched(uri: str) -> Iterator[Path]:
    """The folder of a model, for as long as it is needed; where the tracking is, says MLFLOW_TRACKING_URI (else mlflow.db in this folder).

    Raises
    ------
    BundleError : `package.model-missing`
    SetupError : `track.server-away`, `track.refused`, `track.store-unusable`, `track.failed`, `track.package-missing`
    """
    if not uri.startswith(SCHEMES):
        yield Path(uri)
        return
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    tracking = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT
    with tempfile.TemporaryDirectory(prefix="filon-model-") as scratch:
        with in_our_words(tracking):
            folder = _download(uri, tracking, os.environ.get("MLFLOW_REGISTRY_URI") or tracking, Path(scratch))
        yield folder


def _download(uri: str, tracking: str, registry: str, scratch: Path) -> Path:
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=tracking, registry_uri=registry)
    try:
        place = _place(client, uri)
        return Path(download_artifacts(artifact_uri=place, dst_path=str(scratch), tracking_uri=tracking, registry_uri=registry))
    except MlflowException as exc:
        if exc.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE"):
            said = " ".join(str(exc).split())[:300]
            fix = "correct the URI, or say where MLflow is: export MLFLOW_TRACKING_URI=..."
            raise BundleError("package.model-missing", f"MLflow has no {uri}", said, fix) from exc
        raise


def _place(client: Any, uri: str) -> str:
    """Where the files are. MLflow's own download resolves models:/ by its global state, which is the user's."""
    if not uri.startswith("models:/"):
        return uri
    from mlflow.store.artifact.utils.models import get_model_name_and_version

    found = get_model_name_and_version(client, uri)  # a logged model has an id alone
    if len(found) == 1:
        return str(client.get_logged_model(found[0]).artifact_location)
    return _place(client, str(client.get_model_version_download_uri(*found)))


def open_kept(folder: Path, name: str, *, trust: bool = False) -> Foreign:
    """The model of a folder with an MLmodel; what travels to workers is the folder, zipped.

    Raises
    ------
    BundleError : `package.pickle-refused`, `package.types-untrusted`, `package.model-damaged`, `package.model-unusable`
    SetupError : `package.extra-missing`
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as out:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                out.writestr(zipfile.ZipInfo(str(path.relative_to(folder))), path.read_bytes())
    return foreign(name, packed.getvalue(), open_packed, trust=trust)


def open_packed(content: bytes, trust: bool) -> Estimator:
    """An MLflow model folder in a zip."""
    folder = Path(tempfile.mkdtemp(prefix="filon-model-"))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            packed.extractall(folder)
        return _opened(folder, trust)
    except FilonError:
        raise
    except ImportError as exc:
        what = exc.name or str(exc)
        fix = f"pip install 'filon[models]' {what}"
        raise SetupError("package.extra-missing", f"a package that the model needs is missing: {what}", str(exc), fix) from exc
    except Exception as exc:
        why = f"{type(exc).__name__}: {' '.join(str(exc).split())[:300]}"
        fix = "save the model again, with the versions used here"
        raise BundleError("package.model-damaged", "the MLflow model cannot be opened", why, fix) from exc
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _opened(folder: Path, trust: bool) -> Estimator:
    from mlflow.models import Model

    record = Model.load(str(folder))
    flavours: Mapping[str, Mapping[str, Any]] = record.flavors
    for flavour, opener in (("sklearn", _sklearn), ("xgboost", _xgboost), ("lightgbm", _lightgbm)):
        if flavour in flavours:
            native = opener(folder, flavours[flavour], trust)
            if native is not None:
                found = estimator(native.model if isinstance(native, Estimator) else native, record.signature)
                if found.classes or found.how == "number":
                    return found
    if not trust:
        kept = ", ".join(sorted(flavours))
        raise pickle_refused("the MLflow model", f"its flavours ({kept}) are opened by code or pickles that it brings along")
    import mlflow.pyfunc

    return estimator(mlflow.pyfunc.load_model(str(folder)), record.signature)


def _sklearn(folder: Path, flavour: Mapping[str, Any], trust: bool) -> Any:
    if flavour.get("serialization_format") == "skops":
        return open_skops((folder / flavour["pickled_model"]).read_bytes(), trust)
    if not trust:
        raise pickle_refused("the MLflow model", f"its scikit-learn model is kept as {flavour.get('serialization_format', 'pickle')}")
    import mlflow.sklearn

    return mlflow.sklearn.load_model(str(folder))


def _xgboost(folder: Path, flavour: Mapping[str, Any], trust: bool) -> Any:
    made = str(flavour.get("model_class", "xgboost.core.Booster"))
    if not made.startswith("xgboost.") and not trust:  # MLflow imports whatever class is named here
        raise pickle_refused("the MLflow model", f"its class is {made}")
    import mlflow.xgboost

    return mlflow.xgboost.load_model(str(folder))


def _lightgbm(folder: Path, flavour: Mapping[str, Any], trust: bool) -> Any:
    if flavour.get("serialization_format") == "skops":
        return open_skops((folder / flavour["data"]).read_bytes(), trust)
    made = str(flavour.get("model_class", "lightgbm.basic.Booster"))
    if not trust and made != "lightgbm.basic.Booster":
        raise pickle_refused("the MLflow model", f"its LightGBM model is kept as {flavour.get('serialization_format', 'pickle')}")
    import mlflow.lightgbm

    return mlflow.lightgbm.load_model(str(folder))
