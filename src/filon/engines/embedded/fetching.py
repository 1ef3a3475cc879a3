"""Local UTF-8 copies of what DuckDB cannot read in place: remote files, and texts in another encoding."""

import gzip
import time
from collections.abc import Callable
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, cast

from filon.engines.base import File, Source
from filon.engines.s3 import is_remote
from filon.engines.storage import fetch, require_space
from filon.errors import DataError
from filon.events import Event, Listen

SAY_EVERY_S = 2.0
CHARACTERS = 1 << 20
UTF8 = {"utf-8", "utf8", "utf-8-sig", "ascii", "us-ascii"}


def localised(source: Source, scratch: Path, listen: Listen) -> Source:
    """The source with every file on this machine and in UTF-8; folders keep their names, so hive values stay in the paths.

    Raises
    ------
    SetupError : `read.disk-full`, `read.s3-*`
    DataError : `read.encoding`
    """
    source = _fetched(source, scratch / "remote", listen)
    if source.dialect is not None and source.dialect.encoding.lower() not in UTF8:
        source = _transcoded(source, scratch / "utf8", listen)
    return source


def _fetched(source: Source, folder: Path, listen: Listen) -> Source:
    remote = [file for file in source.files if is_remote(file.path)]
    if not remote:
        return source
    total = sum(file.size_bytes for file in remote)
    require_space(folder, total)
    said = _Progress(listen, "copying", total)
    copies = {}
    for file in remote:
        target = folder / file.path.removeprefix("s3://")
        if not target.exists() or target.stat().st_size != file.size_bytes:
            fetch(file, target, said.moved)
        copies[file.path] = str(target)
    return replace(source, files=tuple(replace(file, path=copies.get(file.path, file.path)) for file in source.files))


def _transcoded(source: Source, folder: Path, listen: Listen) -> Source:
    assert source.dialect is not None
    total = sum(file.size_bytes for file in source.files)
    require_space(folder, 2 * total)
    said = _Progress(listen, f"rewriting from {source.dialect.encoding} to UTF-8", total)
    files = []
    for place, file in enumerate(source.files):
        kept = [f"{name}={value}" for name, value in file.partition]  # hive values live in the path
        target = folder.joinpath(str(place), *(Path(file.path).parts[-1 - len(kept) : -1] if kept else ()), "rows.csv")
        _transcode(file, target, source.dialect.encoding, source.dialect.compression == "gzip", said.moved)
        files.append(replace(file, path=str(target)))
    return replace(source, files=tuple(files), dialect=replace(source.dialect, encoding="utf-8", compression=""))


def _transcode(file: File, target: Path, encoding: str, packed: bool, moved: Callable[[int], None]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".part")
    with Path(file.path).open("rb") as raw, beside.open("w", encoding="utf-8", newline="") as out:
        plain = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
        text = TextIOWrapper(plain, encoding=encoding, newline="")
        seen = 0
        try:
            while part := text.read(CHARACTERS):
                out.write(part)
                now = raw.tell()
                moved(now - seen)
                seen = now
        except UnicodeDecodeError as exc:
            raise DataError(
                "read.encoding",
                f"{file.path} is not written in {encoding}",
                f"bytes {exc.object[exc.start : exc.end].hex(' ')} about byte {seen:,} are no {encoding}",
                "set data.csv.encoding to what the file was saved as",
            ) from exc
        except (EOFError, gzip.BadGzipFile) as exc:
            raise DataError(
                "read.gzip-damaged",
                f"{file.path} is not a whole gzip file",
                str(exc),
                "fetch it again; `gzip -t FILE` tells whether it is whole",
            ) from exc
    beside.replace(target)


class _Progress:
    """Says how far a copy is, every two seconds (law 8)."""

    def __init__(self, listen: Listen, what: str, total: int) -> None:
        self.listen, self.what, self.total = listen, what, total
        self.done, self.began = 0, time.monotonic()
        self.next = self.began + SAY_EVERY_S

    def moved(self, size: int) -> None:
        self.done += size
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + SAY_EVERY_S
        left = (now - self.began) * (self.total - self.done) / max(1, self.done)
        text = f"{self.what}: {self.done / 2**20:,.0f} of {self.total / 2**20:,.0f} MiB"
        self.listen(Event(stage="read", text=text, done=self.done, total=self.total, left_s=left))
