"""The sources of the user's functions, found and packed."""

import subprocess
import sys
from pathlib import Path

from filon.engines.modules import sources, zipped

TREE = {
    "features.py": "import os, numpy, near\nfrom made import inner\nfrom made.deep.own import thing\n",
    "near.py": "VALUE = 3\n",
    "unasked.py": "1 / 0\n",
    "made/__init__.py": "",
    "made/inner.py": "from . import beside\nfrom .deep import own\n",
    "made/beside.py": "from near import VALUE\nimport features\n",
    "made/unasked.py": "",
    "made/deep/__init__.py": "from ..far import KNOWN\n",
    "made/deep/own.py": "thing = 4\n",
    "made/far.py": "KNOWN = 5\n",
}


def test_modules_come_with_those_that_they_import_and_no_others(tmp_path: Path) -> None:
    for path, text in TREE.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = sources(["age * 2", "features:distance", "x::INTEGER", "numpy:array", "nowhere:f"], str(tmp_path))
    assert list(found) == sorted(path for path in TREE if "unasked" not in path)
    name, packed = zipped(found)
    assert (name, packed) == zipped(dict(reversed(found.items())))
    assert zipped({**found, "near.py": b"VALUE = 4"})[0] != name
    archive = tmp_path / "elsewhere" / name
    archive.parent.mkdir()
    archive.write_bytes(packed)
    words = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(archive)!r}); import features; print(features.thing)"]
    assert subprocess.run(words, cwd=archive.parent, capture_output=True, text=True, check=True).stdout == "4\n"


def test_a_module_that_is_no_python_is_still_sent_for_the_import_to_tell(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (")
    assert sources(["broken:f"], str(tmp_path)) == {"broken.py": b"def ("}
    assert sources(["broken:f"], "") == {}
