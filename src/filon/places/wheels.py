"""Wheels for a lane: what a job needs, downloaded for the place's Python and platform (not this machine's), unpacked into one folder."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from email.parser import Parser
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path, PurePosixPath

from filon import __version__
from filon.errors import SetupError
from filon.places.lanes import Lane

EXTRAS = ("cpu", "spark", "aws")
"""Our own extras that a job needs."""

PRUNED = ("numpy", "pandas", "scipy", "matplotlib", "pyarrow", "onnx", "sqlalchemy", "alembic", "mlflow")
"""Packages whose `tests` folders and headers stay at home: a third of the archive, and no job imports them."""


def requirements(extra: Sequence[str] = (), provided: Sequence[str] = (), lane: Lane | None = None) -> tuple[str, ...]:
    """What a job needs, as pip writes it: our own dependencies and extras in the versions of this process, then `extra`.

    Parameters
    ----------
    extra : further packages, e.g. ["holidays==0.60"]
    provided : names that the place has already
    lane : whose Python decides on conditional dependencies
    """
    from packaging.requirements import Requirement

    wanted: dict[str, str] = {}
    for text in distribution("filon").requires or ():
        one = Requirement(text)
        if one.marker is None or any(one.marker.evaluate({**_marker(lane), "extra": name}) for name in ("", *EXTRAS)):
            wanted[_norm(one.name)] = f"{one.name}{_installed(one.name) or one.specifier}"
    kept = {name: text for name, text in wanted.items() if name not in {_norm(one) for one in provided}}
    return (*sorted(kept.values()), *extra)


def pins(constraint: Path | None = None) -> dict[str, str]:
    """Name to version of everything installed here, or of a file of `name==version` lines: what the resolver may choose."""
    if constraint is not None:
        found = re.findall(r"^([\w.-]+)==([\w.+!-]+)", constraint.read_text(encoding="utf-8"), flags=re.MULTILINE)
        return {_norm(name): number for name, number in found}
    return {_norm(one.metadata["Name"]): one.version for one in distributions() if one.metadata["Name"]}


def download(lane: Lane, wanted: Sequence[str], folder: Path, known: Mapping[str, str], machine: str = "x86_64") -> None:
    """Wheels of the lane's Python and platform, dependencies included.

    pip reads conditions such as `python_version < "3.12"` by its own Python, so what the lane needs besides is asked for afterwards.

    Raises
    ------
    SetupError : `places.environment-pip`, `places.environment-download`
    """
    file = folder / "constraints.txt"
    left_out = {_norm(name) for name in lane.provides}
    file.write_text("".join(f"{name}=={number}\n" for name, number in sorted(known.items()) if name not in {"filon", *left_out}))
    words = [
        "--dest",
        str(folder),
        "--only-binary=:all:",
        "--python-version",
        lane.python,
        "--implementation",
        "cp",
        "--constraint",
        str(file),
    ]
    for tag in lane.platforms(machine):
        words += ["--platform", tag]
    asked: tuple[str, ...] = tuple(wanted)
    for _ in range(4):  # each round can only bring what the last one's packages named
        _pip(["download", *words, *asked], lane)
        asked = missing(folder, lane, machine)
        if not asked:
            return
    raise SetupError(
        "places.environment-download", "the environment does not close", f"still missing: {', '.join(asked)}", "--extra PACKAGE==VERSION"
    )


def missing(folder: Path, lane: Lane, machine: str = "x86_64") -> tuple[str, ...]:
    """Requirements of the wheels in a folder, on the lane's Python, that no wheel there meets."""
    from packaging.requirements import Requirement

    have = {_norm(wheel.name.split("-")[0]) for wheel in folder.glob("*.whl")} | {_norm(name) for name in lane.provides}
    lacking: dict[str, str] = {}
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as opened:
            (name,) = [one for one in opened.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", one)]
            told = Parser().parsestr(opened.read(name).decode("utf-8"))
        for text in told.get_all("Requires-Dist") or ():
            one = Requirement(text)
            if _norm(one.name) not in have and (one.marker is None or one.marker.evaluate({**_marker(lane, machine), "extra": ""})):
                lacking[_norm(one.name)] = f"{one.name}{one.specifier}"
    return tuple(lacking.values())


def unpack(wheels: Path, site: Path, lane: Lane) -> tuple[str, ...]:
    """Every wheel but what the place has, into one folder; the names of those unpacked, in order."""
    site.mkdir(parents=True)
    names = []
    for wheel in sorted(wheels.glob("*.whl")):
        if _norm(wheel.name.split("-")[0]) in {_norm(name) for name in lane.provides}:
            continue
        names.append(wheel.stem)
        with zipfile.ZipFile(wheel) as opened:
            for member in opened.infolist():
                place = _placed(member.filename)
                if place and not member.is_dir():
                    target = site / place
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(opened.read(member))
    return tuple(names)


def _placed(name: str) -> str:
    """Where a file of a wheel goes; "" for scripts, headers and tests, which no job needs."""
    parts = PurePosixPath(name).parts
    if parts[0].endswith(".data"):
        return str(PurePosixPath(*parts[2:])) if len(parts) > 2 and parts[1] in ("purelib", "platlib") else ""
    heavy = parts[0] in PRUNED and any(part in ("tests", "include") for part in parts[1:-1])
    return "" if heavy or "__pycache__" in parts else name


def own_files() -> list[tuple[str, Path]]:
    """Files of our own package, by their place in it."""
    source = Path(__file__).resolve().parents[1]
    found = (file for file in sorted(source.rglob("*")) if file.is_file() and "__pycache__" not in file.parts)
    return [(file.relative_to(source).as_posix(), file) for file in found if file.suffix not in (".pyc", ".tmp")]


def own(site: Path) -> None:
    """Our own code, with what tells its version; built from the files of this process, so that nothing else is needed."""
    for name, file in own_files():
        target = site / "filon" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    try:
        told = distribution("filon").read_text("METADATA") or ""
    except PackageNotFoundError:
        told = f"Metadata-Version: 2.1\nName: filon\nVersion: {__version__}\n"
    facts = site / f"filon-{__version__}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(told, encoding="utf-8")


def _pip(words: Sequence[str], lane: Lane) -> None:
    call = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words, "--quiet"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    said = done.stderr.strip()
    if "No module named pip" in said:
        raise SetupError(
            "places.environment-pip",
            "the environment is filled by pip, which this Python lacks",
            said[:200],
            f"{sys.executable} -m ensurepip",
        )
    lines = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR")]
    why = " ".join(lines)[:600] or said[-600:]
    fix = "name versions that have wheels for it: --constraint FILE, with name==version lines"
    raise SetupError("places.environment-download", f"pip found no set of wheels for the lane {lane.name} (Python {lane.python})", why, fix)


def _marker(lane: Lane | None, machine: str = "x86_64") -> dict[str, str]:
    """The lane's answers to the conditions of dependencies."""
    if lane is None:
        return {}
    return {
        "python_version": lane.python,
        "python_full_version": f"{lane.python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": machine,
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def _installed(name: str) -> str:
    try:
        return f"=={distribution(name).version}"
    except PackageNotFoundError:
        return ""


def _norm(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
