"""The environment that a job takes with it: wheels for the lane's Python and platform, unpacked into one relocatable archive.

Spark unpacks it beside the job (`--archives FILE#environment`), and `environment/bin/python` runs the place's own Python on it. The same
input gives the same bytes, so that a place can tell by the hash that it has it already.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from filon import __version__
from filon.errors import SetupError
from filon.events import Event, Listen, silence
from filon.files import write_atomic
from filon.places.lanes import Lane, Versions, own_versions, require_lane
from filon.places.wheels import download, own, own_files, pins, requirements, unpack

SITE = "site-packages"
UNUSED_S = 30 * 24 * 3600
"""An environment in the cache that no job took along for so long is deleted when the next one is built."""

PROBE = """
import importlib, json, sys
names = json.loads(sys.argv[1])
for name in names:
    importlib.import_module(name)
print(json.dumps({"python": sys.version.split()[0], "filon": importlib.import_module("filon").__file__}))
"""

IMPORTED = ("duckdb", "matplotlib", "mlflow", "numpy", "onnx", "onnxruntime", "optuna", "pandas", "pyarrow", "pydantic", "scipy", "sqlglot")
IMPORTED_OWN = ("xgboost", "filon.api", "filon.cli.group", "filon.engines.trainer", "filon.pipeline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An archive that was built. `packages` are name==version; `checked` says whether it was imported from on this machine."""

    path: Path
    lane: str
    sha256: str
    size_bytes: int
    packages: tuple[str, ...]
    checked: bool


def build(
    lane: Lane, out: Path, *, extra: Sequence[str] = (), constraint: Path | None = None, machine: str = "x86_64", listen: Listen = silence
) -> Environment:
    """Download, unpack, check, and write the archive whole or not at all.

    Parameters
    ----------
    lane : whose Python and platform the wheels are for
    extra : further packages, as pip writes them
    constraint : a file of `name==version` lines; the versions installed here when left out

    Raises
    ------
    SetupError : `places.environment-pip`, `places.environment-download`, `places.environment-broken`, `places.outside-lane`
    """
    known = pins(constraint)
    xgboost = known.get("xgboost-cpu") or known.get("xgboost") or own_versions().xgboost
    require_lane(Versions(spark=lane.spark, python=lane.python, xgboost=xgboost), lane.name)
    with tempfile.TemporaryDirectory(prefix="filon-environment-") as folder:
        wheels, tree = Path(folder) / "wheels", Path(folder) / "environment"
        wheels.mkdir()
        listen(Event(stage="package", text=f"wheels for Python {lane.python} on {lane.platforms(machine)[0]}"))
        download(lane, (*requirements(extra, lane.provides, lane), f"xgboost-cpu=={xgboost}"), wheels, known, machine)
        listen(Event(stage="package", text="the archive"))
        names = unpack(wheels, tree / SITE, lane)
        own(tree / SITE)
        facts = {"lane": lane.name, "machine": machine, "python": lane.python, "spark": lane.spark, "filon": __version__, "wheels": names}
        _write(tree / "lane.json", json.dumps(facts, indent=1, sort_keys=True) + "\n")
        _write(tree / "bin" / "python", starter(lane), executable=True)
        beside = out.with_name(f".{out.name}.{os.getpid()}.tmp")
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            digest = pack(tree, beside)
            listen(Event(stage="package", text="imported from in a clean process, where the processor is of this machine's kind"))
            checked = machine == platform.machine() and probe(beside, lane, Path(folder) / "clean")
            beside.replace(out)
        finally:
            beside.unlink(missing_ok=True)
    packages = tuple(sorted("==".join(name.split("-")[:2]) for name in names))
    return Environment(path=out, lane=lane.name, sha256=digest, size_bytes=out.stat().st_size, packages=packages, checked=checked)


def cached(
    lane: Lane, *, extra: Sequence[str] = (), constraint: Path | None = None, machine: str = "x86_64", listen: Listen = silence
) -> Environment:
    """As `build`, kept under the user's cache by what goes into it, so that an unchanged environment costs nothing; of several processes
    that want the same one, the first builds it and the others wait."""
    import fcntl

    key = environment_key(lane, extra=extra, constraint=constraint, machine=machine)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "filon" / "environments"
    archive, facts = folder / f"{lane.name}-{key}.tar.gz", folder / f"{lane.name}-{key}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{lane.name}-{key}.lock").open("w") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            listen(Event(stage="package", text="waiting: another process builds this environment"))
            fcntl.flock(turn, fcntl.LOCK_EX)
        if archive.exists() and facts.exists():
            archive.touch()
            told = json.loads(facts.read_text(encoding="utf-8"))
            return Environment(**{**told, "path": archive, "packages": tuple(told["packages"])})
        made = build(lane, archive, extra=extra, constraint=constraint, machine=machine, listen=listen)
        plain = {item.name: getattr(made, item.name) for item in fields(made)}
        write_atomic(facts, json.dumps({**plain, "path": archive.name}, indent=1))
        _forget_unused(folder)
        return made


def _forget_unused(folder: Path) -> None:
    """Each is a quarter of a gigabyte, and every change of a version makes another."""
    for archive in folder.glob("*.tar.gz"):
        with suppress(OSError):  # another process did it
            if archive.stat().st_mtime < time.time() - UNUSED_S:
                archive.unlink()
                for beside in (".json", ".lock"):
                    archive.with_name(archive.name.removesuffix(".tar.gz") + beside).unlink(missing_ok=True)


def environment_key(lane: Lane, *, extra: Sequence[str] = (), constraint: Path | None = None, machine: str = "x86_64") -> str:
    """Hash of all that goes into an environment: lane, versions, our own code."""
    digest = hashlib.sha256()
    told = [
        lane.name,
        lane.python,
        machine,
        *requirements(extra, lane.provides, lane),
        *sorted(f"{a}=={b}" for a, b in pins(constraint).items()),
    ]
    digest.update("\n".join(told).encode())
    for name, file in own_files():
        digest.update(name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def starter(lane: Lane) -> str:
    """`bin/python`: the place's own Python on this environment."""
    return f"""#!/bin/sh
# Filon's environment of the lane {lane.name}: the Python of this machine on the packages of this archive.
here=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$here/{SITE}${{PYTHONPATH:+:$PYTHONPATH}}" PYTHONNOUSERSITE=1
exec python{lane.python} "$@"
"""


def pack(tree: Path, out: Path) -> str:
    """A .tar.gz with sorted names and no dates or owners: equal trees give equal bytes. Its SHA-256."""
    with (
        out.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=3, mtime=0, filename="") as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.GNU_FORMAT) as tar,
    ):
        for file in sorted(one for one in tree.rglob("*") if one.is_file()):
            data = file.read_bytes()
            entry = tarfile.TarInfo(file.relative_to(tree).as_posix())
            entry.size, entry.mode = len(data), 0o755 if os.access(file, os.X_OK) else 0o644
            tar.addfile(entry, io.BytesIO(data))
    return hashlib.sha256(out.read_bytes()).hexdigest()


def probe(archive: Path, lane: Lane, folder: Path) -> bool:
    """Import from the archive in a process that has nothing else; False where this machine has not the lane's Python.

    Raises
    ------
    SetupError : `places.environment-broken`
    """
    python = shutil.which(f"python{lane.python}")
    if python is None or not sys.platform.startswith("linux"):
        return False
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    clean = {"PATH": os.defpath + os.pathsep + str(Path(python).parent), "HOME": str(folder), "MPLBACKEND": "Agg", "LANG": "C.UTF-8"}
    words = ["sh", str(folder / "bin" / "python"), "-c", PROBE, json.dumps([*IMPORTED, *IMPORTED_OWN])]
    done = subprocess.run(words, capture_output=True, text=True, env=clean, cwd=folder, check=False)
    if done.returncode or str(folder) not in done.stdout:
        why = (done.stderr.strip().splitlines() or [done.stdout.strip() or "it said nothing"])[-1][:500]
        raise SetupError(
            "places.environment-broken", "a package of the environment cannot be imported", why, "--constraint FILE with other versions"
        )
    return True


def lane_of_archive(archive: Path) -> Mapping[str, str]:
    """lane.json of an archive: lane, python, spark, filon; empty when it is another kind of archive."""
    try:
        with tarfile.open(archive) as tar:
            for entry in tar:
                if entry.name.lstrip("./") == "lane.json":
                    opened = tar.extractfile(entry)
                    return json.loads(opened.read()) if opened else {}
    except (OSError, tarfile.TarError, ValueError):
        return {}
    return {}


def built_for(archive: str) -> str:
    """The processors that a local archive is for, "" where it cannot be told (it is in S3, or no archive of ours)."""
    told = lane_of_archive(Path(archive)) if archive and "://" not in archive else {}
    return told.get("machine", "x86_64") if told else ""


def _write(path: Path, text: str, executable: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if executable:
        path.chmod(0o755)
