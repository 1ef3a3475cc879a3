"""`python -m filon.registry.fetching WORDS`: the version an alias points at, proved by its golden rows, onto a server's shelf.

A process of its own, so that a server never imports MLflow; what it found is the last line it prints.
"""

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
    from filon.package import open_bundle
    from filon.serve.meters import Meters
    from filon.serve.served import Served

    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        if not folder.exists():
            registry.copy(version, beside)
        Served(open_bundle(beside if beside.exists() else folder), Meters(), threads=1).warm()
        if beside.exists():
            beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


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
