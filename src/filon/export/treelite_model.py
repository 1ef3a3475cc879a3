"""Treelite, the door: XGBoost's file to a Treelite checkpoint, and its answers by Treelite's own runtime."""

from pathlib import Path

import numpy as np

from filon.errors import SetupError


def write(model: Path, out: Path, matrix: np.ndarray) -> np.ndarray:
    """Write the checkpoint; what it answers when it is read again.

    Parameters
    ----------
    model : XGBoost's UBJSON; matrix : (rows, features) float32

    Returns
    -------
    (rows,) or (rows, classes) float32, after the model's own link

    Raises
    ------
    SetupError : `export.package-missing`
    """
    try:
        import treelite
    except ImportError as exc:
        raise SetupError("export.package-missing", "treelite is not installed", str(exc), "pip install 'filon[treelite]'") from exc
    treelite.frontend.load_xgboost_model(str(model), format_choice="ubjson").serialize(str(out))
    found = treelite.gtil.predict(treelite.Model.deserialize(str(out)), np.ascontiguousarray(matrix, np.float32))
    return np.asarray(found, np.float32).reshape(len(matrix), -1)
