"""Columns of a source: names refused or kept, kinds declared or guessed, roles by the recipe."""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from filon.engines.base import Column, Role
from filon.engines.cast import quoted
from filon.engines.kinds import NEVER_FEATURES, inside
from filon.errors import DataError, RecipeError, some
from filon.read.settings import DataSettings


def refuse_alike(names: Sequence[str], origin: str) -> None:
    """Raise when two columns have one name, or names that differ only by case (SQL cannot tell them apart).

    Raises
    ------
    DataError : `read.columns-alike`
    """
    counts = Counter(name.casefold() for name in names)
    alike = [name for name in names if counts[name.casefold()] > 1]
    if alike:
        raise DataError(
            "read.columns-alike",
            f"columns of {origin} have the same name" if len({*alike}) < len(alike) else f"columns of {origin} differ only by case",
            f"{some(alike)} among {len(names)} columns",
            "rename them in the file, or (CSV) give every column its name: data.csv.names = [...] with data.csv.header = true",
        )


def declare(columns: Sequence[Column], settings: DataSettings) -> tuple[Column, ...]:
    """Source columns with the recipe's types, then the derived ones.

    Raises
    ------
    RecipeError : `read.column-unknown`, `read.type-impossible`, `read.derive-name`
    """
    known = {column.name for column in columns}
    for name in settings.derive:
        if name.casefold() in {one.casefold() for one in known}:
            raise RecipeError(
                "read.derive-name",
                f'the derived column "{name}" has the name of a source column',
                f"the table has {some(sorted(known))}",
                f'name it otherwise, e.g. [data.derive] "{name}_2" = ...',
            )
    for name in settings.columns:
        require(name, [*known, *settings.derive], f"data.columns.{name}")
    typed = [_declared(column, settings) for column in columns]
    derived = [_derived(name, sql.strip(), settings) for name, sql in settings.derive.items()]
    return (*typed, *derived)


def _derived(name: str, sql: str, settings: DataSettings) -> Column:
    """A derived column; its kind, where the recipe does not declare it, is found by the engine (`stored` is "" until then)."""
    kind = settings.columns.get(name)
    return Column(name=name, kind=kind or "number", stored="declared" if kind else "", sql=sql)


def _declared(column: Column, settings: DataSettings) -> Column:
    kind = settings.columns.get(column.name)
    if kind is None or kind == column.kind:
        return replace(column, whole=False) if kind == "number" else column
    if column.kind == "other":
        raise RecipeError(
            "read.type-impossible",
            f'the column "{column.name}" cannot become a {kind}',
            f"it holds {column.stored}",
            f"drop it, and derive what you need: [data.derive] x = '{inside(column.stored, quoted(column.name))[1]}'",
        )
    return replace(column, kind=kind, whole=False)


def require(name: str, names: Sequence[str], where: str) -> None:
    """Raise unless the table has the column.

    Raises
    ------
    RecipeError : `read.column-unknown`, with the nearest name
    """
    if name in names:
        return
    near = nearest(name, names)
    raise RecipeError(
        "read.column-unknown",
        f'the recipe names a column "{name}" the table does not have',
        f"{where}; " + (f"the {len(names)} columns include {some(near)}" if near else f"the {len(names)} columns are {some(names)}"),
        f'write "{near[0]}" in {where}' if near else f"correct {where}",
    )


def nearest(name: str, names: Sequence[str]) -> list[str]:
    """Names most like one, best first: by letters, case left aside, or by a part they share."""
    low: Mapping[str, str] = {one.casefold(): one for one in names}
    wanted = name.casefold()
    close = [low[one] for one in difflib.get_close_matches(wanted, list(low), n=3, cutoff=0.6)]
    parts = [one for one in names if wanted and (wanted in one.casefold() or (len(one) > 3 and one.casefold() in wanted))]
    return list(dict.fromkeys(close + parts))[:3]


def assign(columns: Sequence[Column], settings: DataSettings) -> tuple[Column, ...]:
    """Columns with their roles.

    Raises
    ------
    RecipeError : `read.label-missing`, `read.column-unknown`, `read.role-twice`, `read.type-impossible`
    """
    names = [column.name for column in columns]
    if settings.label not in names:
        raise _label_missing(settings.label, names)
    roles: dict[str, Role] = {settings.label: "label"}
    wanted: list[tuple[str, str, Role]] = [(name, "data.drop", "dropped") for name in settings.drop]
    wanted += [(name, "data.key", "key") for name in settings.key]
    wanted += [(settings.weight, "data.weight", "weight")] if settings.weight else []
    wanted += [(settings.time, "data.time", "time")] if settings.time else []
    for name, where, role in wanted:
        require(name, names, where)
        if roles.get(name, role) != role:
            raise RecipeError(
                "read.role-twice",
                f'the column "{name}" is given two roles',
                f"it is {roles[name]} and stands in {where} too",
                f'take "{name}" out of one of them',
            )
        roles[name] = role
    for column in columns:
        refuse_unusable(column, roles.get(column.name))
    return tuple(_with_role(column, roles.get(column.name)) for column in columns)


def refuse_unusable(column: Column, role: Role | None) -> None:
    """Raise when a list, a struct, a time of day or binary is to be the label, a key or the time: they are neither counted nor compared.

    Raises
    ------
    RecipeError : `read.type-impossible`
    """
    binary = "binary" in column.stored.partition("<")[0]
    by_value = role == "key" and column.stored.startswith(("time", "duration"))  # which are hashed as the numbers they are
    if column.kind == "other" and role in ("label", "key", "time") and not by_value:
        sql = f"hex({quoted(column.name)})" if binary else inside(column.stored, quoted(column.name))[1]
        raise RecipeError(
            "read.type-impossible",
            f'the column "{column.name}" cannot be the {role}',
            f"it holds {column.stored}",
            f"name another column, or derive one: [data.derive] x = '{sql}', and [data] {role} = " + ('["x"]' if role == "key" else '"x"'),
        )


def _label_missing(label: str, names: Sequence[str]) -> RecipeError:
    near = nearest(label, names)
    why = f"the {len(names)} columns include {some(near)}" if near else f"the {len(names)} columns are {some(names)}"
    fix = f'set data.label = "{near[0]}"' if near else f'set data.label to one of them, e.g. "{names[-1]}"'
    return RecipeError("read.label-missing", "the recipe names a label the table does not have", f'label = "{label}"; {why}', fix)


def _with_role(column: Column, role: Role | None) -> Column:
    if role == "key" and column.stored == "text" and column.kind in {"number", "text"}:
        return replace(column, role=role, kind="category", whole=False)  # identity is by text: an id of 19 digits must keep them all
    if role is None and column.kind in NEVER_FEATURES and not column.sql:
        return replace(column, role="left-out", why=NEVER_FEATURES[column.kind])
    return replace(column, role=role or "feature")
