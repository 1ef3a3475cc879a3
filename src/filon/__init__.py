"""Filon: from a table to a model in production, by one recipe.

import filon
run = filon.train("filon.toml")
run.bundle.predict(frame)
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from filon.api import check as check
    from filon.api import submit as submit
    from filon.api import train as train
    from filon.bundles import evaluate as evaluate
    from filon.bundles import explain as explain
    from filon.bundles import load as load
    from filon.bundles import predict as predict
    from filon.bundles import udf as udf
    from filon.bundles import watch as watch
    from filon.errors import FilonError as FilonError
    from filon.lifecycle import compare as compare
    from filon.lifecycle import export as export
    from filon.lifecycle import promote as promote
    from filon.lifecycle import rollback as rollback

__all__ = [
    "FilonError",
    "__version__",
    "check",
    "compare",
    "evaluate",
    "explain",
    "export",
    "load",
    "predict",
    "promote",
    "rollback",
    "submit",
    "train",
    "udf",
    "watch",
]

ELSEWHERE = {
    "compare": "filon.lifecycle",
    "evaluate": "filon.bundles",
    "explain": "filon.bundles",
    "export": "filon.lifecycle",
    "load": "filon.bundles",
    "predict": "filon.bundles",
    "promote": "filon.lifecycle",
    "rollback": "filon.lifecycle",
    "udf": "filon.bundles",
    "watch": "filon.bundles",
}
"""What is done with a bundle, and the life of a registered model: the modules that have them."""


def __getattr__(name: str) -> object:
    """Import the API when it is first asked for, so that `import filon` and `filon --help` are quick."""
    import importlib

    if name == "FilonError":
        return importlib.import_module("filon.errors").FilonError
    if name in __all__:
        return getattr(importlib.import_module(ELSEWHERE.get(name, "filon.api")), name)
    raise AttributeError(f"module 'filon' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What a notebook offers after `filon.` and Tab: also what is not imported yet."""
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps `filon.check`, `filon.watch` and others functions: rooms have their names, and Python sets an imported room on its package."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in __all__):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
