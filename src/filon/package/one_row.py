"""One row of plain Python values to encoded features in a few microseconds, by the rules of `match` and `rows.encode`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from filon.engines.base import Column
from filon.engines.cast import FALSE, TRUE
from filon.rows.encode import Encoding

MISSING = float("nan")
_WORDS = {**dict.fromkeys(TRUE, 1.0), **dict.fromkeys(FALSE, 0.0)}


class UnusualError(Exception):
    """A value that only the Arrow path knows what to do with (or how to refuse)."""


class RowEncoder:
    """Encodes rows of a bundle whose features are all source columns.

    A value out of the ordinary (a date, a Decimal, a fraction as a category, a text for a number) makes `encode` give None: the
    caller then goes the long way, through Arrow, where such values are read or refused with a coded error.
    """

    def __init__(self, inputs: Sequence[Column], encoding: Encoding, *, has_derived: bool) -> None:
        columns = {column.name: column for column in inputs}
        self.usable = not has_derived
        self.readers: list[tuple[str, Callable[[Any], float]]] = []
        for feature in encoding.features if self.usable else ():
            column = columns[feature.name]
            if feature.kind == "category":
                ranks = {text: float(rank) for rank, text in enumerate(feature.categories)}
                self.readers.append((feature.name, _category(ranks, trimmed=column.stored == "text")))
            else:
                self.readers.append((feature.name, _boolean if column.kind == "boolean" else _number))

    def encode(self, row: Mapping[str, object]) -> np.ndarray | None:
        """(1, features) float32, or None when the row is unusual or lacks a column."""
        if not self.usable:
            return None
        try:
            values = [read(row[name]) for name, read in self.readers]
        except (KeyError, UnusualError):
            return None
        with np.errstate(over="ignore"):
            out = np.asarray([values], np.float64).astype(np.float32)
        out[np.isinf(out)] = np.nan
        return out


def _number(value: Any) -> float:
    if value is None:
        return MISSING
    if isinstance(value, (int, float, np.integer, np.floating, np.bool_)):
        try:
            return float(value)
        except OverflowError as exc:
            raise UnusualError from exc
    raise UnusualError


def _boolean(value: Any) -> float:
    if isinstance(value, (bool, np.bool_)):
        return float(value)
    if isinstance(value, str):
        return _WORDS.get(value.strip().lower(), MISSING)
    number = _number(value)
    return number if number != number else float(number != 0)


def _category(ranks: Mapping[str, float], *, trimmed: bool) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if value is None:
            return MISSING
        if isinstance(value, str):
            return ranks.get(value.strip(" ") if trimmed else value, MISSING)
        if isinstance(value, (bool, np.bool_)):
            return ranks.get("true" if value else "false", MISSING)
        if isinstance(value, (int, np.integer)):
            return ranks.get(str(value), MISSING)
        if isinstance(value, (float, np.floating)):
            number = float(value)
            if number != number:
                return MISSING
            if number % 1 == 0 and abs(number) < 2.0**63:
                return ranks.get(str(int(number)), MISSING)
        raise UnusualError

    return read
