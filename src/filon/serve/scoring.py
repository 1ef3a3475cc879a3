"""Rows to scores: good rows are answered, bad ones are told by their number, and nothing of a bad row touches a good one."""

import datetime as dt
import difflib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from filon.engines.base import Column
from filon.engines.cast import FALSE, TRUE
from filon.errors import DERIVE_FAILED, FilonError, some
from filon.package.bundle import Bundle
from filon.package.frames import take
from filon.package.match import typed
from filon.package.one_row import RowEncoder, UnusualError
from filon.rows.cells import is_text
from filon.serve import problems
from filon.serve.bodies import TEXTS, Rows, Unread, numbers_of_texts, ragged_rows
from filon.serve.problems import RefusedError, refused

TAKES = {
    "number": "a number",
    "boolean": "true or false",
    "category": "a text",
    "date": "a date as text",
    "text": "a text",
    "other": "a text",
}
EXPLAINED_ROWS = 10_000
"""Rows of one request whose reasons are told: they cost from a millisecond to 0.3 s a row."""

EXPLAINED_S = 0.25
"""Reasons of so long at once: between two times it is looked whether anybody still waits."""

UNTIL: ContextVar[float] = ContextVar("UNTIL", default=float("inf"))
"""When nobody waits for an answer any more, by `time.monotonic`: reasons, and looking for bad rows, look at it now and then."""

BOOLEANS = frozenset(("", *TRUE, *FALSE))
"""Texts that a boolean column takes."""

WARNED_ROWS = 1000
"""Rows of a batch whose unseen categories are named; the count covers all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Answers of a request's rows.

    chosen : (rows,) int64, class number, -1 for a refused row; probability : (rows, classes) float32, NaN for a refused row
    refusals : by row; unseen : by row, the columns whose category was not seen in training (scored as missing)
    reasons : by row, (feature, contribution) strongest first; None when nobody asked
    """

    chosen: np.ndarray
    probability: np.ndarray
    refusals: Mapping[int, RefusedError] = field(default_factory=dict)
    unseen: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    unseen_rows: int = 0
    reasons: list[list[tuple[str, float]]] | None = None


class Scorer:
    """One bundle, ready to answer."""

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        self.bundle, self.threads = bundle, threads
        self.inputs = bundle.inputs
        self.encoder = RowEncoder(bundle.inputs, bundle.encoding, has_derived=bool(bundle.derived))
        self.names = [column.name for column in bundle.inputs]
        by_name = {column.name: column for column in bundle.inputs}
        self.categories = [
            (place, item.name)
            for place, item in enumerate(bundle.encoding.features)
            if item.kind == "category" and item.categories and item.name in by_name
        ]
        self._booleans = [
            (place, item.name)
            for place, item in enumerate(bundle.encoding.features)
            if item.name in by_name and by_name[item.name].kind == "boolean"
        ]
        self._places = np.array([place for place, _ in self.categories], np.int64)
        self._dated = [
            column.name for column in bundle.inputs if column.kind == "number" and column.stored.startswith(("date", "timestamp"))
        ]

    @cached_property
    def whole(self) -> tuple[str, ...]:
        """Names of all source columns of the table the model was trained on: none of them is a misspelling of another."""
        return tuple(column.name for column in self.bundle.columns if not column.sql)

    def score(self, rows: Rows, explain: int = 0) -> Scores:
        """Answer every row that can be answered.

        Raises
        ------
        RefusedError : when a table as a whole does not fit, `serve.too-many-reasons`, `serve.took-too-long`
        """
        if explain and len(rows) > EXPLAINED_ROWS:
            why = f"{len(rows):,} rows, where at most {EXPLAINED_ROWS:,} are explained at once"
            fix = "send it in parts, ask without ?explain, or use `filon explain`"
            raise refused("serve.too-many-reasons", "reasons are asked for too many rows", why, fix)
        matrix, refusals, unseen, unseen_rows = self._table(rows) if isinstance(rows, pa.Table) else self._records(rows)
        good = np.setdiff1d(np.arange(len(matrix)), np.fromiter(refusals, np.int64, len(refusals))) if refusals else slice(None)
        probability = np.full((len(matrix), len(self.bundle.classes)), np.nan, np.float32)
        chosen = np.full(len(matrix), -1, np.int64)
        if len(refusals) < len(matrix):
            probability[good] = self.bundle.probability(matrix[good], self.threads)
            chosen[good] = self.bundle.decide(probability[good])
        reasons = self._reasons(matrix, chosen, explain) if explain else None
        return Scores(chosen=chosen, probability=probability, refusals=refusals, unseen=unseen, unseen_rows=unseen_rows, reasons=reasons)

    def one(self, row: Mapping[str, object]) -> Scores | None:
        """The answer of one ordinary record, in tens of microseconds; None when it must go the long way."""
        matrix = self.encoder.encode(row)
        if matrix is None or self._has_odd_boolean(matrix, [row]):
            return None
        unseen = self._unseen_of(matrix[0], row)
        found = self.bundle.probability(matrix, self.threads)
        named = {0: unseen} if unseen else {}
        return Scores(chosen=self.bundle.decide(found), probability=found, unseen=named, unseen_rows=len(named))

    def _unseen_of(self, encoded: np.ndarray, row: Mapping[str, object]) -> tuple[str, ...]:
        if not len(self._places) or not np.isnan(encoded[self._places]).any():
            return ()
        return tuple(name for place, name in self.categories if np.isnan(encoded[place]) and _is_there(row.get(name)))

    def _records(self, rows: list[Any]) -> tuple[np.ndarray, dict[int, RefusedError], dict[int, tuple[str, ...]], int]:
        if self._dated:
            rows = [_with_dates(row, self._dated) for row in rows]
        matrix, refusals = self._encoded(rows)
        unseen: dict[int, tuple[str, ...]] = {}
        count = 0
        if len(self._places):
            for number in np.flatnonzero(np.isnan(matrix[:, self._places]).any(axis=1)).tolist():
                if number not in refusals and (found := self._unseen_of(matrix[number], rows[number])):
                    count += 1
                    if count <= WARNED_ROWS:
                        unseen[number] = found
        return matrix, refusals, unseen, count

    def _encoded(self, rows: list[Any]) -> tuple[np.ndarray, dict[int, RefusedError]]:
        quick = self._by_column(rows)
        if quick is not None:
            return quick, {}
        matrix = np.full((len(rows), len(self.bundle.encoding.features)), np.nan, np.float32)
        refusals: dict[int, RefusedError] = {}
        unusual = []
        for number, row in enumerate(rows):
            refusal = self.unfit(row, number)
            if refusal is not None:
                refusals[number] = refusal
            elif (encoded := self.encoder.encode(row)) is not None:
                matrix[number] = encoded[0]
            else:
                unusual.append(number)
        if unusual:
            self._long_way(rows, unusual, matrix, refusals)
        return matrix, refusals

    def _long_way(self, rows: list[Any], numbers: list[int], matrix: np.ndarray, refusals: dict[int, RefusedError]) -> None:
        """Rows out of the ordinary, at once; where that fails the halves are tried, down to the row that cannot be read."""
        _still_awaited()
        try:
            matrix[numbers] = self._through_arrow([rows[number] for number in numbers])
        except FilonError as exc:
            if len(numbers) == 1:
                refusals[numbers[0]] = problems.of(exc, numbers[0])
                return
            half = len(numbers) // 2
            self._long_way(rows, numbers[:half], matrix, refusals)
            self._long_way(rows, numbers[half:], matrix, refusals)

    def _by_column(self, rows: list[Any]) -> np.ndarray | None:
        """All rows at once, when none is out of the ordinary."""
        try:
            if not self.encoder.usable:
                if any(self.unfit(row, 0) is not None for row in rows):
                    return None
                return self._through_arrow(rows)
            matrix = np.empty((len(rows), len(self.encoder.readers)), np.float32)
            with np.errstate(over="ignore"):
                for place, (name, read) in enumerate(self.encoder.readers):
                    matrix[:, place] = np.array([read(row[name]) for row in rows], np.float64)
        except (KeyError, TypeError, UnusualError, FilonError):
            return None
        matrix[np.isinf(matrix)] = np.nan
        return None if self._has_odd_boolean(matrix, rows) else matrix

    def _has_odd_boolean(self, matrix: np.ndarray, rows: Sequence[Mapping[str, object]]) -> bool:
        """Whether a text for true or false is neither: such a row is refused, as a text for a number is."""
        for place, name in self._booleans:
            lost = np.isnan(matrix[:, place])
            if lost.any() and not all(_says(rows[number].get(name)) for number in np.flatnonzero(lost).tolist()):
                return True
        return False

    def _through_arrow(self, rows: list[Any]) -> np.ndarray:
        return self.bundle.matrix(typed(take(rows), self.inputs))

    def unfit(self, row: object, number: int) -> RefusedError | None:
        """Why a record cannot be scored, by the first field that is wrong; None when it can."""
        if not isinstance(row, dict):
            told = f"it is a JSON {_json_word(row)}" + (f" of {len(row)} values" if isinstance(row, list) else "")
            return self._no_record(number, row.why if isinstance(row, Unread) else told)
        for column in self.inputs:
            if column.name not in row:
                return self._missing(column.name, list(row), number)
            if not _fits(row[column.name], column):
                return self._wrong(column, row[column.name], number)
        return None

    def _no_record(self, number: int, why: str) -> RefusedError:
        fix = f"send a record with the {len(self.names)} columns {some(self.names)}"
        return refused("serve.row-unfit", f"row {number} is not a record", why, fix, row=number)

    def _missing(self, name: str, given: list[str], number: int) -> RefusedError:
        strangers = {other.lower().strip(): other for other in reversed(given) if other not in self.whole}
        close = difflib.get_close_matches(name.lower().strip(), list(strangers), n=1, cutoff=0.6)
        near = strangers[close[0]] if close else None
        why = f'row {number} has "{near}", which is the nearest name' if near else f"row {number} has {some(given) or 'no column'}"
        fix = f'rename "{near}" to "{name}"' if near else f'give "{name}" (null where it is not known)'
        return refused("package.column-missing", f'the column "{name}" is missing', why, fix, field=name, row=number)

    def _wrong(self, column: Column, value: object, number: int) -> RefusedError:
        what = f'the column "{column.name}" holds a {_json_word(value)} where the model takes {TAKES[column.kind]}'
        return refused(
            "serve.value-type",
            what,
            f"in row {number}; in training it was of kind {column.kind}",
            f"send {TAKES[column.kind]}, or null where it is not known",
            field=column.name,
            row=number,
        )

    def _table(self, table: pa.Table) -> tuple[np.ndarray, dict[int, RefusedError], dict[int, tuple[str, ...]], int]:
        table, refusals = self._csv_numbers(table)
        self._odd_booleans(table, refusals)
        matrix = np.concatenate(list(self._matrices(table, 0, refusals)))
        unseen, count = self._unseen_in(table, matrix, refusals)
        return matrix, refusals, unseen, count

    def _matrices(self, table: pa.Table, first: int, refusals: dict[int, RefusedError]) -> Iterator[np.ndarray]:
        """Encoded rows. Where an expression of the recipe fails on some row, the halves are tried, down to that row."""
        _still_awaited()
        try:
            yield self.bundle.matrix(typed(take(table), self.inputs))
        except FilonError as exc:
            if exc.code not in DERIVE_FAILED:
                raise problems.of(exc) from exc
            if len(table) > 1:
                half = len(table) // 2
                yield from self._matrices(table.slice(0, half), first, refusals)
                yield from self._matrices(table.slice(half), first + half, refusals)
                return
            refusals.setdefault(first, problems.of(exc, first))
            yield np.full((1, len(self.bundle.encoding.features)), np.nan, np.float32)

    def _csv_numbers(self, table: pa.Table) -> tuple[pa.Table, dict[int, RefusedError]]:
        """Number columns that a CSV gave as texts, because one of their cells is none, or a row is ragged; and the rows refused for it."""
        refusals: dict[int, RefusedError] = {}
        if TEXTS not in (table.schema.metadata or {}):
            return table, refusals
        for row, cells, wanted in ragged_rows(table):
            refusals[row] = self._no_record(row, f"it has {cells} cells instead of {wanted}")
        for column in self.inputs:
            if column.kind == "number" and column.name in table.schema.names:
                numbers, bad = numbers_of_texts(table.column(column.name))
                table = table.set_column(table.schema.names.index(column.name), column.name, numbers)
                for row in bad:
                    refusals.setdefault(row, self._wrong(column, "", row))
        return table, refusals

    def _odd_booleans(self, table: pa.Table, refusals: dict[int, RefusedError]) -> None:
        """Refuse rows of a table whose text for true or false is neither."""
        for column in self.inputs:
            if column.kind != "boolean" or table.schema.names.count(column.name) != 1 or not is_text(table.field(column.name).type):
                continue
            known: dict[Any, bool] = {word: _says(word) for word in table.column(column.name).unique().to_pylist()}
            if not all(known.values()):
                for row, cell in enumerate(table.column(column.name).to_pylist()):
                    if not known[cell]:
                        refusals.setdefault(row, self._wrong(column, cell, row))

    def _unseen_in(self, table: pa.Table, matrix: np.ndarray, refusals: Mapping[int, object]) -> tuple[dict[int, tuple[str, ...]], int]:
        found: dict[int, list[str]] = {}
        for place, name in self.categories:
            lost = np.isnan(matrix[:, place])
            if lost.any():
                there = table.column(name).is_valid().to_numpy()
                for row in np.flatnonzero(lost & there).tolist():
                    if row not in refusals:
                        found.setdefault(row, []).append(name)
        return {row: tuple(found[row]) for row in sorted(found)[:WARNED_ROWS]}, len(found)

    def _reasons(self, matrix: np.ndarray, chosen: np.ndarray, most: int) -> list[list[tuple[str, float]]]:
        """Exact contributions to the margin of the answered class (of the second one, for two classes), strongest first."""
        from filon.trees import contributions

        names = self.bundle.encoding.names
        reasons: list[list[tuple[str, float]]] = []
        at_once = 16
        while len(reasons) < len(matrix):
            _still_awaited()
            began = time.monotonic()
            some_rows = slice(len(reasons), len(reasons) + at_once)
            parts = contributions(self.bundle.ensemble, matrix[some_rows], self.threads)
            for own, best in zip(parts, chosen[some_rows].tolist(), strict=True):
                margin = own[0 if len(own) == 1 else max(best, 0), :-1]
                order = np.argsort(-np.abs(margin), kind="stable")[:most]
                reasons.append([(names[place], float(margin[place])) for place in order.tolist()])
            if time.monotonic() - began < EXPLAINED_S:
                at_once *= 4
        return reasons


def _still_awaited() -> None:
    if time.monotonic() > UNTIL.get():
        raise refused("serve.took-too-long", "the answer took too long", "the time of a request is over", "send fewer rows at once")


def _says(value: object) -> bool:
    """Whether a value of a boolean column is one, or missing (as a blank text is)."""
    return not isinstance(value, str) or value.strip().lower() in BOOLEANS


def _is_there(value: object) -> bool:
    return value is not None and value == value


def _fits(value: object, column: Column) -> bool:
    if value is None or (isinstance(value, (bool, int, float)) and column.kind != "date"):
        return True
    if column.kind == "boolean":
        return isinstance(value, str) and _says(value)
    return isinstance(value, (str, dt.date)) if column.kind != "number" else isinstance(value, dt.date)


def _with_dates(row: Any, names: list[str]) -> Any:
    """Dates that the model sees as numbers, from ISO texts; naive ones are UTC."""
    if not isinstance(row, dict):
        return row
    made = {}
    for name in names:
        value = row.get(name)
        if isinstance(value, str):
            try:
                moment = dt.datetime.fromisoformat(value)
                made[name] = moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
            except (ValueError, OverflowError):  # the first or last day of all, with an offset
                continue
    return {**row, **made} if made else row


def _json_word(value: object) -> str:
    words = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "record", type(None): "null"}
    return words.get(type(value), type(value).__name__)
