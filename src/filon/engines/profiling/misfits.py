"""Cells that do not fit their column's kind: how many, and the first few."""

import numpy as np
import pyarrow as pa

SHOWN = 5
CUT = 40


class Misfits:
    """Texts of one column that were no number, date or boolean."""

    __slots__ = ("count", "examples")

    def __init__(self) -> None:
        self.count = 0
        self.examples: list[tuple[int, str]] = []

    def add(self, texts: pa.Array, before: int) -> None:
        """Texts of the cells that do not fit, null for the others; `before` rows came before this batch."""
        found = len(texts) - texts.null_count
        if not found:
            return
        self.count += found
        if len(self.examples) < SHOWN:
            places = np.flatnonzero(np.asarray(texts.is_valid().to_numpy(zero_copy_only=False)))[: SHOWN - len(self.examples)]
            self.examples += [(before + int(place) + 1, _short(str(texts[int(place)].as_py()))) for place in places]

    def merge(self, other: "Misfits") -> None:
        """Take in the part of the table that comes next."""
        self.count += other.count
        self.examples = [*self.examples, *other.examples][:SHOWN]


def _short(text: str) -> str:
    """At most 40 characters.

    >>> _short("n/d")
    'n/d'
    """
    return text if len(text) <= CUT else text[: CUT - 1] + "…"
