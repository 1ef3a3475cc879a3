"""What a run was made with: for the manifest, the bundle and bug reports."""

import platform
from importlib.metadata import PackageNotFoundError, version

from filon import __version__

PACKAGES = ("xgboost", "xgboost-cpu", "duckdb", "pyarrow", "numpy", "scipy", "onnx", "onnxruntime", "mlflow-skinny", "optuna", "pyspark")


def versions() -> dict[str, str]:
    """Name to version of Filon, Python, the platform and the packages that decide a result."""
    found = {"filon": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
