"""A bundle's answers to data frames of its columns, as something that travels: it needs no folder where it goes."""

from typing import Any

import numpy as np

from filon.engines import open_deriver
from filon.errors import DataError
from filon.package.bundle import Bundle
from filon.package.frames import take
from filon.package.match import typed
from filon.rows.encode import encode
from filon.trees import predict


class FrameScorer:
    """Probability by class of the rows of a table-like object; pickled to workers without its open connections.

    Parameters
    ----------
    threads : cores that one call may use: one, where the workers of a cluster are as many as its cores
    """

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        self.inputs, self.derived = bundle.inputs, bundle.derived
        self.encoding, self.ensemble, self.threads = bundle.encoding, bundle.ensemble, threads
        self._deriver: Any = None

    def __call__(self, frame: object) -> np.ndarray:
        """(rows, classes) float32.

        Raises
        ------
        DataError : `package.not-a-table`, `package.column-missing`, `package.column-twice`, `package.column-type`
        """
        if not hasattr(frame, "columns"):
            why = f"it was given one column of {type(frame).__name__}"
            fix = "call it with a struct: score(struct(*)), or struct(age, job, ...)"
            raise DataError("package.not-a-table", "the function takes a struct of the bundle's columns", why, fix)
        batch = typed(take(frame), self.inputs)
        if self.derived:
            self._deriver = self._deriver or open_deriver((*self.inputs, *self.derived))
            batch = self._deriver(batch)
        return predict(self.ensemble, encode(batch, self.encoding), self.threads)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_deriver": None}
