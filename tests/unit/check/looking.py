"""Small tables through the real profiler and the real check."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from filon.check import Checked, check
from filon.check.records import Finding
from filon.check.settings import CheckSettings
from filon.engines.base import Column, LabelPlan, Profile, Source
from filon.engines.profiling import Profiler
from filon.read.settings import DataSettings

ANSWERS = ["no", "yes"] * 150
"""Three hundred labels that no other column of a test knows by accident."""

SPREAD = [(place * 7919 % 307) + 0.25 for place in range(300)]
"""A harmless number: all different, in no order, telling nothing."""


def kind_of(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_temporal(kind):
        return "date"
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return "other"
    return "category" if pa.types.is_string(kind) or pa.types.is_null(kind) else "number"


def source_of(table: pa.Table, label: str, kinds: Mapping[str, str], roles: Mapping[str, str]) -> Source:
    """As `read` would give it: dates, free text and nested cells are left out by their kind."""
    columns = []
    for field in table.schema:
        kind = kinds.get(field.name, kind_of(field.type))
        usual = "left-out" if kind in ("date", "text", "other") else "feature"
        role = "label" if field.name == label else roles.get(field.name, usual)
        columns.append(Column(name=field.name, kind=kind, role=role, stored=str(field.type)))  # type: ignore[arg-type]
    return Source(format="parquet", files=(), dialect=None, columns=tuple(columns), origin="table.parquet")


def profile_of(table: pa.Table, source: Source, label: str, misfits: Mapping[str, Sequence[str | None]] = {}) -> Profile:
    for name, texts in misfits.items():
        table = table.append_column(f"misfit:{name}", pa.array(texts, pa.string()))
    profiler = Profiler(source.columns, LabelPlan(column=label), misfits={name: f"misfit:{name}" for name in misfits})
    for batch in table.to_batches(max_chunksize=97):
        profiler.add(batch)
    return profiler.finish()


def looked(
    table: Mapping[str, Any],
    /,
    *,
    label: str = "y",
    kinds: Mapping[str, str] = {},
    roles: Mapping[str, str] = {},
    misfits: Mapping[str, Sequence[str | None]] = {},
    settings: Mapping[str, Any] = {},
    **data: Any,
) -> Checked:
    """Check a table; `data` are keys of [data]."""
    rows = pa.table(dict(table))
    source = source_of(rows, label, {**kinds, **data.get("columns", {})}, roles)
    profile = profile_of(rows, source, label, misfits)
    return check(profile, source, CheckSettings(**settings), DataSettings(source="table.parquet", label=label, **data))


def found(checked: Checked, code: str, column: str | None = None) -> Finding:
    """The one finding of a code (and column)."""
    those = [one for one in checked.findings if one.code == code and column in (None, one.column)]
    assert len(those) == 1, f"{code}: {[(one.code, one.column) for one in checked.findings]}"
    return those[0]


def codes(checked: Checked) -> list[str]:
    return [one.code for one in checked.findings]


def role(checked: Checked, name: str) -> str:
    return next(column.role for column in checked.source.columns if column.name == name)
