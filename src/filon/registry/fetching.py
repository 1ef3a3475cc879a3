"""`python -m filon.registry.fetching WORDS`: the version an alias points at, proved by its golden rows, onto a server's shelf.

A process of its own, so that a server never imports MLflow; what it found is the last line it prints.
"""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from filon.errors import FilonError, SetupError
from filon.serve.following import plain
from filon.track import Registry, TrackSettings


def fetch(words: dict[str, str]) -> dict[str, str]:
    """Number and folder of the version; a version that the shelf has is not fetched again, and without a shelf none is.

    Raises
    ------
    FilonError : `track.*`, `registry.*`, `package.*`, `serve.bundle-refused`
    """
    registry = Registry(TrackSettings(uri=words["uri"], register_model=words["name"]), Path.cwd(), words["name"])
    alias = words["alias"]
    version = registry.version(alias) if alias.isdigit() else registry.pointed(alias)
    if version is None:
        why = f"{registry.shown} has no such alias of {registry.name!r}"
        raise SetupError("serve.registry-unusable", f"{registry.name}@{alias} points nowhere", why, f"filon promote RUN --to {alias}")
    if "shelf" not in words:
        return {"version": version.number}
    folder = Path(words["shelf"]) / plain(f"{registry.name}-v{version.number}")
    if version.number != words.get("have") or not folder.exists():
        _put(registry, version, folder)
    return {"version": version.number, "folder": folder.name}


def _put(registry: Registry, version: Any, folder: Path) -> None:
    """The version on the shelf, proved; a copy that is there and does not prove itself (half deleted, a bad disk) is fetched again."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        with contextlib.suppress(FilonError):
            _prove(folder)
            return
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        registry.copy(version, beside)
        _prove(beside)
        if folder.exists():
            folder.rename(old)
        beside.rename(folder)
    finally:
        for rest in (beside, old):
            shutil.rmtree(rest, ignore_errors=True)


def _prove(folder: Path) -> None:
    from filon.package import open_bundle
    from filon.serve.meters import Meters
    from filon.serve.served import Served

    Served(open_bundle(folder), Meters(), threads=1).warm()


def main(text: str) -> int:
    """Print one line of JSON: what was found, or the coded error."""
    try:
        print(json.dumps(fetch(json.loads(text))), flush=True)
    except FilonError as exc:
        told = {"family": type(exc).__name__, "code": exc.code, "what": exc.what, "why": exc.why, "fix": exc.fix}
        print(json.dumps({"error": told}), flush=True)
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
