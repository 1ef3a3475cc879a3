"""Parquet files: their schema, and a sample of their texts."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from filon.engines.base import File, Kind
from filon.engines.storage import opened
from filon.errors import DataError, FilonError, some

ROWS = 1000
"""Rows sampled in each of the row groups looked at (first, middle and last of the first and last files)."""


def is_parquet(head: bytes) -> bool:
    """Whether a file begins as Parquet does."""
    return head[:4] == b"PAR1"


def footers(files: Sequence[File]) -> list[Any]:
    """Each file's Arrow schema with its number of rows: [(schema, rows)].

    Raises
    ------
    DataError : `read.parquet-damaged`
    """
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(_footer, files))


def _footer(file: File) -> tuple[Any, int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with opened(file) as source, pq.ParquetFile(source) as parquet:
            return parquet.schema_arrow, parquet.metadata.num_rows
    except FilonError:
        raise
    except (pa.ArrowException, OSError, EOFError) as exc:
        raise damaged(file.path, exc) from exc


def damaged(path: str, exc: Exception) -> DataError:
    """The error for a Parquet file that cannot be read."""
    said = " ".join(str(exc).split())[:200]
    return DataError(
        "read.parquet-damaged",
        f"{path} is not a whole Parquet file",
        said,
        "write it again; a Parquet file ends with the bytes PAR1, and one that was cut does not",
    )


def one_schema(files: Sequence[File], seen: Sequence[tuple[Any, int]]) -> Any:
    """The schema all files share (column order may differ, and a column's integer or float width).

    Raises
    ------
    DataError : `read.schemas-differ`
    """
    first = seen[0][0]
    wanted = {field.name: kind_of(field.type) for field in first}
    for file, (schema, _rows) in zip(files[1:], seen[1:], strict=True):
        found = {field.name: kind_of(field.type) for field in schema}
        lacking, extra = wanted.keys() - found.keys(), found.keys() - wanted.keys()
        changed = {
            name
            for name in wanted.keys() & found.keys()
            if wanted[name] != found[name] and "null" not in (str(first.field(name).type), str(schema.field(name).type))
        }
        if lacking or extra or changed:
            why = [f"lacks {some(sorted(lacking))}" if lacking else "", f"adds {some(sorted(extra))}" if extra else ""]
            why += [f'has "{name}" as {schema.field(name).type}, not {first.field(name).type}' for name in sorted(changed)[:3]]
            raise DataError(
                "read.schemas-differ",
                "the files of the source do not have the same columns",
                f"{file.path} " + ", ".join(part for part in why if part) + f", against {files[0].path}",
                "name the files that belong together in data.source, or write them again with one schema",
            )
    return _widest(first, [schema for schema, _rows in seen])


def _widest(first: Any, schemas: Sequence[Any]) -> Any:
    """The first schema, with each number as wide as in any file, and with the type of another file where it has only nulls."""
    import pyarrow as pa

    if all(schema.equals(first) for schema in schemas):
        return first
    fields = []
    for field in first:
        kinds = {schema.field(field.name).type for schema in schemas}
        kinds = {kind for kind in kinds if not pa.types.is_null(kind)} or {pa.null()}
        wide = next(iter(kinds)) if len(kinds) == 1 else pa.float64() if kind_of(next(iter(kinds))) == "number" else field.type
        fields.append(field.with_type(wide))
    return pa.schema(fields)


def kind_of(stored: Any) -> Kind:
    """Kind of an Arrow type; "category" for texts until their cells are looked at."""
    from pyarrow import types

    if types.is_dictionary(stored):
        stored = stored.value_type
    if types.is_boolean(stored):
        return "boolean"
    if types.is_integer(stored) or types.is_floating(stored) or types.is_decimal(stored):
        return "number"
    if types.is_string(stored) or types.is_large_string(stored) or types.is_string_view(stored) or types.is_null(stored):
        return "category"
    if types.is_date(stored) or types.is_timestamp(stored):
        return "date"
    return "other"


def stored_name(stored: Any) -> str:
    """Name of an Arrow type as `Column.stored` keeps it: texts are "string", dictionaries of them too."""
    from pyarrow import types

    if types.is_dictionary(stored):
        stored = stored.value_type
    return "string" if kind_of(stored) == "category" and not types.is_null(stored) else str(stored)


def sample_texts(files: Sequence[File], names: Sequence[str]) -> dict[str, list[str]]:
    """Sampled cells of text columns, nulls left away."""
    cells: dict[str, list[str]] = {name: [] for name in names}
    if not names:
        return cells
    for file in dict.fromkeys((files[0], files[len(files) // 2], files[-1])):
        _sample_file(file, cells)
    return cells


def _sample_file(file: File, cells: dict[str, list[str]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with opened(file) as source, pq.ParquetFile(source) as parquet:
            groups = parquet.num_row_groups
            for group in sorted({0, groups // 2, groups - 1} & set(range(groups))):
                batch = next(parquet.iter_batches(batch_size=ROWS, row_groups=[group], columns=list(cells)), None)
                if batch is None:
                    continue
                for name in cells:
                    cells[name] += [str(value) for value in batch.column(name).to_pylist() if value is not None]
    except (pa.ArrowException, OSError) as exc:
        raise damaged(file.path, exc) from exc
