"""A file in the making: written beside its place (an S3 object: to scratch), and put there by one rename once it is whole."""

import contextlib
import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import pyarrow as pa

from filon.engines import s3
from filon.errors import FilonError, RecipeError, SetupError, some

CHUNK = 8 << 20
COPY_LIMIT = 5 << 30
"""Largest object that S3 renames in one go; a larger one is sent to its own name at once."""


class Target:
    """Rows of one output, CSV or Parquet. Nothing is there until it is left without an error; nothing is made when nothing was added.

    Parameters
    ----------
    path : local path or s3:// URI; "" swallows what is added
    scratch : where an S3 object is made

    Raises
    ------
    SetupError : `engines.output-unusable`, `engines.output-disk-full`, `read.s3-*`
    RecipeError : `engines.output-no-text`
    """

    def __init__(self, path: str, form: Literal["csv", "parquet"], scratch: Path) -> None:
        self.path, self._form = path, form
        self._remote = s3.is_remote(path)
        self._final = scratch / "object" if self._remote else Path(path)
        self._beside = self._final.parent / f".{self._final.name}.{os.getpid()}.partial"
        self._writer: Any = None

    @property
    def begun(self) -> bool:
        """Whether anything was added."""
        return self._writer is not None or not self.path

    def add(self, rows: pa.Table) -> None:
        """Append rows; the first ones settle the columns."""
        if not self.path:
            return
        try:
            if self._writer is None:
                self._begin(rows.schema)
            self._writer.write_table(rows)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
            raise self._no_text(rows.schema, exc) from exc
        except OSError as exc:
            raise self._told(exc) from exc

    def _begin(self, schema: pa.Schema) -> None:
        if self._final.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(self._final))
        self._final.parent.mkdir(parents=True, exist_ok=True)
        if self._form == "parquet":
            import pyarrow.parquet as pq

            self._writer = pq.ParquetWriter(str(self._beside), schema, compression="zstd")
        else:
            import pyarrow.csv as pacsv

            self._writer = pacsv.CSVWriter(str(self._beside), schema)

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
                if kind is None:
                    self._commit()
        except OSError as exc:
            if kind is None:
                raise self._told(exc) from exc
        finally:
            if self.path:
                with contextlib.suppress(OSError):
                    self._beside.unlink(missing_ok=True)

    def _commit(self) -> None:
        if not self._remote:
            self._beside.replace(self._final)
            return
        key, size = s3.key_of(self.path), self._beside.stat().st_size
        sent = key if size > COPY_LIMIT else f"{key}.{os.getpid()}.partial"
        store = s3.filesystem()
        with self._beside.open("rb") as source:
            stream = s3.ask(lambda: store.open_output_stream(sent), self.path)
            while chunk := source.read(CHUNK):
                s3.ask(lambda part=chunk: stream.write(part), self.path)  # type: ignore[misc]
            s3.ask(stream.close, self.path)
        if sent != key:
            s3.ask(lambda: store.move(sent, key), self.path)

    def _no_text(self, schema: pa.Schema, exc: pa.ArrowException) -> FilonError:
        """What a CSV has no way to write: lists, structs, binary."""
        kinds = pa.types
        odd = [field for field in schema if kinds.is_nested(field.type) or kinds.is_binary(field.type) or kinds.is_large_binary(field.type)]
        return RecipeError(
            "engines.output-no-text",
            f"{self.path} cannot hold all columns as text",
            some(f"{field.name} ({field.type})" for field in odd) or str(exc),
            "name an output that ends in .parquet (--out, --rejects), or leave the column out of --keep",
        )

    def _told(self, exc: OSError) -> FilonError:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return SetupError(
                "engines.output-disk-full",
                f"the disk filled up while {self.path} was written",
                "what was written has been removed; a file that was there before is untouched",
                "free some space, or write to another disk",
            )
        return SetupError(
            "engines.output-unusable",
            f"{self.path} cannot be written",
            exc.strerror or str(exc),
            "name a file in a folder of yours",
        )


def forget(path: str) -> None:
    """Remove an earlier output of this name, which would be taken for one of the rows written now: nobody has anything to say there.

    Raises
    ------
    SetupError : `engines.output-unusable`, `read.s3-*`
    """
    if not path:
        return
    if s3.is_remote(path):
        from pyarrow import fs

        store, key = s3.filesystem(), s3.key_of(path)
        if s3.ask(lambda: store.get_file_info(key), path).type == fs.FileType.File:
            s3.ask(lambda: store.delete_file(key), path)
        return
    try:
        if Path(path).is_file():
            Path(path).unlink()
    except OSError as exc:
        raise SetupError("engines.output-unusable", f"{path} cannot be removed", exc.strerror or str(exc), "name another file") from exc
