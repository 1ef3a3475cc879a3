"""The sources of the user's own Python functions (`module:function`), for machines that do not have the recipe's folder."""

import ast
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

PYTHON = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_python(sql: str) -> bool:
    """Whether a derived column names a Python function.

    >>> is_python("features:distance"), is_python("x::INTEGER")
    (True, False)
    """
    return PYTHON.fullmatch(sql) is not None


def sources(derived: Iterable[str], base: str) -> dict[str, bytes]:
    """The modules below a folder that functions come from, and those below it that they import.

    Parameters
    ----------
    derived : what derived columns are made by; SQL among it is passed over
    base : the recipe's folder

    Returns
    -------
    content by path below `base`; installed modules are not among it, they come with the environment
    """
    found: dict[str, bytes] = {}
    open_names = [sql.partition(":")[0] for sql in derived if is_python(sql)]
    seen: set[str] = set()
    while base and open_names:
        name = open_names.pop()
        if name in seen:
            continue
        seen.add(name)
        for module, file in _files(name, Path(base)):
            place = file.relative_to(base).as_posix()
            if place not in found:
                found[place] = file.read_bytes()
                open_names += _imported(found[place], module if file.name == "__init__.py" else module.rpartition(".")[0])
    return dict(sorted(found.items()))


def _files(name: str, base: Path) -> Iterator[tuple[str, Path]]:
    """A module's file and those of the packages that it is in, as far as they are below the folder."""
    parts = name.split(".")
    for many in range(1, len(parts) + 1):
        stem = base.joinpath(*parts[:many])
        for file in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            if file.is_file():
                yield ".".join(parts[:many]), file
                break


def _imported(source: bytes, package: str) -> Iterator[str]:
    """Names that may be modules, in the import statements of a module of a package ("" for none)."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # whoever imports it is told
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            stem = ".".join([*above, *([node.module] if node.module else [])])
            yield from (name for name in (stem, *(f"{stem}.{one.name}".lstrip(".") for one in node.names)) if name)


def zipped(contents: Mapping[str, bytes]) -> tuple[str, bytes]:
    """A name by the content, and an archive that Python imports from; equal sources give equal bytes."""
    mark = hashlib.sha256(repr(sorted(contents.items())).encode()).hexdigest()[:12]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path, content in sorted(contents.items()):
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), content)
    return f"filon_modules_{mark}.zip", made.getvalue()
