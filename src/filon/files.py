"""One file, written wholly or not at all (law 6)."""

import contextlib
import errno
import os
from pathlib import Path

from filon.errors import SetupError


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write beside, flush to the disk, rename: a reader sees the old file or the new one."""
    data = content.encode() if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise cannot_write(path, exc) from exc


def cannot_write(path: Path, exc: OSError) -> SetupError:
    """The coded error of a folder that cannot be written or a disk that is full; every command writes, so no option is named here."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return SetupError("run.disk-full", f"the disk is full: {path} was not written", str(exc), "free some space, then run it again")
    fix = f"change the rights of {path.parent}, or choose another place"
    return SetupError("run.not-writable", f"{path} cannot be written", str(exc), fix)


def place_of(path: str) -> str:
    """One name for one file or folder, however it is reached: an absolute path without links, or a URI."""
    return path.rstrip("/") if "://" in path else str(Path(path).expanduser().resolve())
