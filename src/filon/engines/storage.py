"""Files behind a path, folder, glob or s3:// URI: found, looked into and fetched."""

import datetime as dt
import glob
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast
from urllib.parse import unquote

from filon.engines import s3
from filon.engines.base import File
from filon.errors import DataError, SetupError, some

HIVE_MISSING = "__HIVE_DEFAULT_PARTITION__"
CHUNK = 8 << 20
WILD = "*?["


def find_files(source: str, base: Path) -> tuple[File, ...]:
    """Files of a source in the order of their paths: a file, a folder (with all below it), a glob, or the same in S3.

    Parameters
    ----------
    source : local path (relative ones start at `base`), glob (`**` for any depth) or s3:// URI

    Raises
    ------
    DataError : `read.file-missing`, `read.folder-empty`, and those of `s3.ask`
    """
    if s3.is_remote(source):
        return _remote(source)
    path = Path(source).expanduser()
    where = (path if path.is_absolute() else base / path).absolute()
    if where.is_file():
        return (_local(where, ()),)
    root = where if where.is_dir() else _root(where)
    names = sorted(_walk(where)) if where.is_dir() else sorted(glob.glob(str(where), recursive=True)) if _wild(str(path)) else []  # noqa: PTH207
    files = tuple(
        _local(Path(name), partition(os.path.relpath(name, root))) for name in names if Path(name).is_file() and _visible(name, root)
    )
    if files:
        return files
    if where.is_dir():
        raise DataError(
            "read.folder-empty",
            f"the folder {source} holds no data file",
            "hidden files, and those whose name starts with _ or ., are passed over",
            "point data.source at CSV or Parquet files",
        )
    raise DataError(
        "read.file-missing", f"there is no {source}", _nearby(where), "correct data.source (relative paths start at the recipe's folder)"
    )


def below(files: tuple[File, ...], source: str, base: Path) -> tuple[File, ...]:
    """Files that were found under a folder or glob by somebody else, with the values that the names of its folders give them.

    As they are where the folders of some name other columns than those of the rest.
    """
    if s3.is_remote(source):
        pattern = s3.key_of(source)
        root = str(_root(Path(pattern))) if _wild(pattern) else pattern
        named = tuple(replace(file, partition=partition(s3.key_of(file.path)[len(root) :].lstrip("/"))) for file in files)
    else:
        where = (base / Path(source).expanduser()).absolute()
        folder = where if where.is_dir() else _root(where)
        named = tuple(replace(file, partition=partition(os.path.relpath(file.path, folder))) for file in files)
    return named if len({tuple(name for name, _value in file.partition) for file in named}) == 1 else files


def under(path: str, source: str, base: Path) -> bool:
    """Whether what is written to a path would be found under a folder or glob."""
    if s3.is_remote(path) != s3.is_remote(source):
        return False
    if s3.is_remote(path):
        place, found = s3.key_of(path), s3.key_of(source)
    else:
        place, found = (str((base / Path(one).expanduser()).absolute()) for one in (path, source))
    above = [place, *map(str, PurePosixPath(place).parents)]
    return found in above or (_wild(found) and any(fits(one, found) for one in above))


def _walk(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        yield from (f"{parent}{os.sep}{name}" for name in names)


def _visible(name: str, root: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in Path(os.path.relpath(name, root)).parts if part not in {".", ".."})


def _wild(path: str) -> bool:
    return any(mark in path for mark in WILD)


def _root(path: Path) -> Path:
    """The part of a glob before its first wild card."""
    sure = []
    for part in path.parts[:-1]:
        if _wild(part):
            break
        sure.append(part)
    return Path(*sure) if sure else Path()


def _local(path: Path, values: tuple[tuple[str, str], ...]) -> File:
    try:
        seen = path.stat()
        with path.open("rb"):
            pass
    except OSError as exc:
        raise SetupError(
            "read.file-refused",
            f"the file {path} cannot be read",
            exc.strerror or str(exc),
            "give yourself the right to read it (chmod u+r), or run as its owner",
        ) from exc
    modified = dt.datetime.fromtimestamp(seen.st_mtime, dt.UTC).isoformat(timespec="milliseconds")
    return File(path=str(path), size_bytes=seen.st_size, modified=modified, partition=values)


def _nearby(where: Path) -> str:
    import difflib

    folder = where.parent
    if _wild(str(where)):
        return f"no file matches {where}"
    if not folder.is_dir():
        return f"the folder {folder} does not exist"
    near = difflib.get_close_matches(where.name, [entry.name for entry in sorted(folder.iterdir())[:10_000]], n=3, cutoff=0.4)
    return f"the folder {folder} has {some(near)}" if near else f"the folder {folder} has nothing of a like name"


def partition(relative: str) -> tuple[tuple[str, str], ...]:
    """Hive values of a path below its root.

    >>> partition("year=2024/region=Le%C3%B3n/part-0.parquet")
    (('year', '2024'), ('region', 'León'))
    """
    folders = PurePosixPath(relative).parts[:-1]
    pairs = [part.split("=", 1) for part in folders if "=" in part and not part.startswith("=")]
    return tuple((unquote(name), "" if value == HIVE_MISSING else unquote(value)) for name, value in pairs)


def _remote(uri: str) -> tuple[File, ...]:
    from pyarrow import fs

    store = s3.filesystem()
    pattern = s3.key_of(uri)
    if not pattern or _wild(pattern.split("/")[0]):
        raise DataError(
            "read.s3-missing", f"{uri} names no bucket", "an S3 address is s3://bucket/key", "write data.source = 's3://bucket/folder/'"
        )
    info = s3.ask(lambda: store.get_file_info(pattern), uri)
    if info.type == fs.FileType.File:
        return (_object(info, ()),)
    root = str(_root(Path(pattern))) if _wild(pattern) else pattern
    found = s3.ask(lambda: store.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=False)), uri)
    kept = [
        one
        for one in found
        if one.type == fs.FileType.File and one.size and _visible_key(one.path, root) and (not _wild(pattern) or fits(one.path, pattern))
    ]
    if not kept:
        raise DataError(
            "read.s3-missing",
            f"there is no data file at {uri}",
            f"{len(found)} objects stand under s3://{root}, none fits",
            f"list what is there: aws s3 ls --recursive s3://{root}/",
        )
    return tuple(_object(one, partition(one.path[len(root) :].lstrip("/"))) for one in sorted(kept, key=lambda one: str(one.path)))


def _visible_key(path: str, root: str) -> bool:
    return not any(part.startswith((".", "_")) for part in path[len(root) :].lstrip("/").split("/"))


def fits(path: str, pattern: str) -> bool:
    """Whether a key fits a glob, where `*` stays inside one folder and `**` crosses them."""
    import re

    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]*\])", pattern)
    parts = [wild.get(part) or (part.replace("[!", "[^") if part.startswith("[") else re.escape(part)) for part in parts]
    return re.fullmatch("".join(parts), path) is not None


def _object(info: object, values: tuple[tuple[str, str], ...]) -> File:
    modified = info.mtime.isoformat(timespec="milliseconds") if info.mtime else ""  # type: ignore[attr-defined]
    return File(path="s3://" + info.path, size_bytes=info.size, modified=modified, partition=values)  # type: ignore[attr-defined]


def piece(file: File, start: int, length: int) -> bytes:
    """Bytes of a file from a place on: at most `length`, fewer at its end."""
    if not s3.is_remote(file.path):
        with Path(file.path).open("rb") as handle:
            handle.seek(start)
            return handle.read(length)

    def read() -> bytes:
        with s3.filesystem().open_input_file(s3.key_of(file.path)) as handle:
            return bytes(handle.read_at(min(length, max(0, file.size_bytes - start)), start))

    return s3.ask(read, file.path)


def opened(file: File) -> BinaryIO:
    """A file's bytes for random reading; the caller closes it."""
    if not s3.is_remote(file.path):
        return Path(file.path).open("rb")
    return cast(BinaryIO, s3.ask(lambda: s3.filesystem().open_input_file(s3.key_of(file.path)), file.path))


def fetch(file: File, target: Path, moved: Callable[[int], None]) -> None:
    """Copy a remote file beside its place and rename it there; `moved` hears the bytes of each chunk.

    Raises
    ------
    SetupError : `read.disk-full`, and those of `s3.ask`
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".part")
    source = opened(file)
    try:
        with source, beside.open("wb") as out:
            while chunk := s3.ask(lambda: source.read(CHUNK), file.path):
                out.write(chunk)
                moved(len(chunk))
    except OSError as exc:
        beside.unlink(missing_ok=True)
        raise disk_full(target.parent, file.size_bytes, str(exc)) from exc
    if beside.stat().st_size != file.size_bytes:
        beside.unlink()
        raise SetupError(
            "read.s3-changed",
            f"{file.path} changed while it was copied",
            f"{file.size_bytes:,} bytes were listed, others came",
            "run the command again when nobody writes there",
        )
    beside.replace(target)


def require_space(folder: Path, needed: int) -> None:
    """Refuse to begin a copy that cannot end.

    Raises
    ------
    SetupError : `read.disk-full`
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if not has_space(folder, needed):
        raise disk_full(folder, needed, f"{free / 2**20:,.0f} MiB are free")


def has_space(folder: Path, needed: int) -> bool:
    """Whether so many bytes fit in the folder's disk."""
    return needed <= shutil.disk_usage(folder).free


def disk_full(folder: Path, needed: int, said: str) -> SetupError:
    """The error for a scratch folder without room."""
    return SetupError(
        "read.disk-full",
        f"there is no room in {folder}",
        f"{needed / 2**20:,.0f} MiB are needed: {said}",
        "free some space, or point TMPDIR at a larger disk",
    )
