"""What the trainer asks of an engine: encoded rows, in canonical order, as often as it likes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from filon.rows.encode import Encoding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Some consecutive rows of a fold.

    x : (n, features) float32, C order, missing as NaN; the trainer never writes to it
    label : (n,) int32 class numbers, every one >= 0
    weight : (n,) float32 row weights (1 where the recipe names none); class weights are not in it
    """

    x: np.ndarray
    label: np.ndarray
    weight: np.ndarray


class FoldRows(Protocol):
    """One fold (or a union of folds), already capped to the rows the plan asks for.

    `class_weights` multiply each row's weight while fitting, never while scoring: one per class, all 1.0 without balance."""

    @property
    def rows(self) -> int: ...

    @property
    def encoding(self) -> Encoding: ...

    @property
    def class_weights(self) -> tuple[float, ...]: ...

    def blocks(self) -> Iterator[Block]:
        """Re-iterable, in canonical order (row hash, then label, then weight), the same blocks each time, in bounded memory.

        Blocks of 16,384 to 262,144 rows suit best; a block may be overwritten once the next one is asked for."""
        ...
