"""The archive that goes to a cluster. The test that downloads and imports the whole of it is marked slow."""

import json
import os
import subprocess
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from filon.errors import SetupError
from filon.events import Event
from filon.places.environment import build, cached, environment_key, lane_of_archive, pack, probe, starter
from filon.places.lanes import find_lane
from filon.places.wheels import download, missing, own, pins, requirements, unpack

LANE = find_lane("emr-7.13.0")


def wheel(folder: Path, name: str, files: dict[str, str], requires: tuple[str, ...] = ()) -> Path:
    """A real wheel file of a few texts."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    told = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" + "".join(f"Requires-Dist: {one}\n" for one in requires)
    with zipfile.ZipFile(path, "w") as out:
        for member, text in {**files, f"{name}-1.0.dist-info/METADATA": told}.items():
            out.writestr(member, text)
    return path


def tree(folder: Path) -> Path:
    """A small environment: one package of somebody, our own code, the starter."""
    wheels = folder / "wheels"
    wheels.mkdir()
    wheel(wheels, "ore", {"ore/__init__.py": "GRADE = 7\n", "ore/tests/test_ore.py": "raise SystemExit\n"})
    unpack(wheels, folder / "environment" / "site-packages", LANE)
    own(folder / "environment" / "site-packages")
    bin_python = folder / "environment" / "bin" / "python"
    bin_python.parent.mkdir()
    bin_python.write_text(starter(LANE))
    bin_python.chmod(0o755)
    return folder / "environment"


def test_what_the_place_provides_is_not_asked_for() -> None:
    names = [one.split("==")[0].split(">")[0] for one in requirements(("holidays==0.60",), LANE.provides, LANE)]
    assert "pyspark" not in names
    assert {"pyarrow", "pandas", "xgboost-cpu", "holidays"} <= set(names)


def test_equal_trees_give_equal_bytes(tmp_path: Path) -> None:
    made = tree(tmp_path)
    first = pack(made, tmp_path / "one.tar.gz")
    for file in made.rglob("*"):
        os.utime(file, (1, 1))
    assert pack(made, tmp_path / "two.tar.gz") == first
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_the_starter_runs_on_the_archive_wherever_it_is_unpacked(tmp_path: Path) -> None:
    pack(tree(tmp_path), tmp_path / "one.tar.gz")
    for place in ("here", "some where else"):
        with tarfile.open(tmp_path / "one.tar.gz") as tar:
            tar.extractall(tmp_path / place / "environment", filter="data")
        call = ["./environment/bin/python", "-c", "import filon, ore; print(ore.GRADE, filon.__file__)"]
        done = subprocess.run(call, cwd=tmp_path / place, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
        grade, file = done.stdout.split(" ", 1)
        assert grade == "7"
        assert str(tmp_path / place) in file


def test_scripts_tests_and_what_the_place_has_stay_at_home(tmp_path: Path) -> None:
    wheel(tmp_path, "pyspark", {"pyspark/__init__.py": ""})
    wheel(
        tmp_path, "numpy", {"numpy/a.py": "", "numpy/tests/t.py": "", "numpy-1.0.data/scripts/f2py": "", "numpy-1.0.data/purelib/b.py": ""}
    )
    names = unpack(tmp_path, tmp_path / "site", LANE)
    left = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*") if path.is_file()}
    assert names == ("numpy-1.0-py3-none-any",)
    assert left == {"numpy/a.py", "b.py", "numpy-1.0.dist-info/METADATA"}


def test_conditions_are_read_by_the_lane_s_python(tmp_path: Path) -> None:
    wheel(
        tmp_path,
        "ore",
        {},
        ('older>=1; python_version < "3.12"', 'newer; python_version >= "3.12"', 'windows; sys_platform == "win32"', "pyspark"),
    )
    assert missing(tmp_path, LANE) == ("older>=1",)


def test_a_package_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    pack(tree(tmp_path), tmp_path / "one.tar.gz")
    with pytest.raises(SetupError) as caught:
        probe(tmp_path / "one.tar.gz", LANE, tmp_path / "clean")
    assert caught.value.code == "places.environment-broken"
    assert "No module named" in caught.value.why


def test_the_archive_says_which_lane_it_is_for(tmp_path: Path) -> None:
    made = tree(tmp_path)
    (made / "lane.json").write_text(json.dumps({"lane": LANE.name, "python": "3.11"}))
    pack(made, tmp_path / "one.tar.gz")
    assert lane_of_archive(tmp_path / "one.tar.gz")["lane"] == LANE.name
    assert lane_of_archive(tmp_path / "absent.tar.gz") == {}


def test_the_key_changes_with_what_goes_in(tmp_path: Path) -> None:
    pinned = tmp_path / "constraints.txt"
    pinned.write_text("numpy==2.0.0\n")
    keys = {environment_key(LANE), environment_key(LANE, extra=("ore",)), environment_key(LANE, constraint=pinned)}
    assert len(keys) == 3
    assert environment_key(LANE) in keys


def test_an_xgboost_outside_the_lane_is_refused_before_any_download(tmp_path: Path) -> None:
    pinned = tmp_path / "constraints.txt"
    pinned.write_text("xgboost-cpu==3.3.0\n")
    with pytest.raises(SetupError) as caught:
        build(LANE, tmp_path / "out.tar.gz", constraint=pinned)
    assert caught.value.code == "places.outside-lane"


@pytest.mark.slow
def test_a_version_without_wheels_is_told_in_pip_s_words(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        build(LANE, tmp_path / "out.tar.gz", extra=("click==0.0.1",))
    assert caught.value.code == "places.environment-download"
    assert "click" in caught.value.why
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_environment_of_a_lane_imports_and_comes_out_the_same_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CACHE_DIR", os.environ.get("PIP_CACHE_DIR") or str(Path.home() / ".cache" / "pip"))
    unused, used = (tmp_path / "cache" / "filon" / "environments" / f"{name}.tar.gz" for name in ("unused", "used"))
    for file, days in ((unused, 31), (used, 29)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (time.time() - days * 24 * 3600,) * 2)
    heard: list[Event] = []
    with ThreadPoolExecutor(2) as both:
        made = list(both.map(lambda _: cached(LANE, listen=heard.append), range(2)))
    assert made[0] == made[1]
    said = [event.text for event in heard]
    assert (said.count("the archive"), said.count("waiting: another process builds this environment")) == (1, 1), said
    assert build(LANE, tmp_path / "again.tar.gz").sha256 == made[0].sha256
    assert cached(LANE) == made[0]
    assert (unused.exists(), used.exists()) == (False, True)
    assert made[0].checked
    assert not [name for name in made[0].packages if name.startswith(("pyspark", "py4j"))]


@pytest.mark.slow
def test_every_package_of_the_environment_has_a_wheel_for_graviton(tmp_path: Path) -> None:
    known = pins()
    xgboost = known.get("xgboost-cpu") or known["xgboost"]
    download(LANE, (*requirements((), LANE.provides, LANE), f"xgboost-cpu=={xgboost}"), tmp_path, known, "aarch64")
    platforms = {wheel.stem.split("-")[0]: wheel.stem.split("-")[-1] for wheel in tmp_path.glob("*.whl")}
    compiled = {name: platform for name, platform in platforms.items() if platform != "any"}
    assert {"duckdb", "numpy", "onnxruntime", "pyarrow", "scipy"} <= set(compiled)
    assert all("aarch64" in platform for platform in platforms.values() if platform != "any"), platforms
