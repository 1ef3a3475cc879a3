"""A file in the making."""

import os
from pathlib import Path

import pyarrow as pa
import pytest
from tests.servers.s3 import S3, s3, s3_servers  # noqa: F401 : fixtures

from filon.engines.embedded.target import Target
from filon.errors import SetupError

ROWS = pa.table({"a": list(range(1000)), "b": [str(number) * 40 for number in range(1000)]})


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_disk_that_fills_up_is_a_coded_error_and_leaves_what_was_there(tmp_path: Path, form: str) -> None:
    out = tmp_path / f"out.{form}"
    out.write_text("before")
    (tmp_path / f".{out.name}.{os.getpid()}.partial").symlink_to("/dev/full")

    def fill() -> None:
        with Target(str(out), form, tmp_path) as target:  # type: ignore[arg-type]
            for _ in range(100):
                target.add(ROWS)

    with pytest.raises(SetupError) as caught:
        fill()
    assert caught.value.code == "engines.output-disk-full"
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_text() == "before"


def test_nothing_is_there_before_all_of_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with Target(str(out), "csv", tmp_path) as target:
        target.add(ROWS)
        assert not out.exists()
    assert len(out.read_text().splitlines()) == 1001


def test_without_rows_nothing_is_made(tmp_path: Path) -> None:
    with Target(str(tmp_path / "out.csv"), "csv", tmp_path), Target("", "csv", tmp_path) as nowhere:
        nowhere.add(ROWS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.server
def test_an_object_appears_whole_under_its_own_name_alone(s3: S3, tmp_path: Path) -> None:  # noqa: F811
    with Target("s3://mine/scores/out.csv", "csv", tmp_path) as target:
        target.add(ROWS)
        assert names(s3, "scores") == []
    assert names(s3, "scores") == ["mine/scores/out.csv"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.server
def test_an_error_leaves_no_object(s3: S3, tmp_path: Path) -> None:  # noqa: F811
    def stop() -> None:
        with Target("s3://mine/stopped/out.csv", "csv", tmp_path) as target:
            target.add(ROWS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert names(s3, "stopped") == []


def names(s3: S3, folder: str) -> list[str]:  # noqa: F811
    from pyarrow import fs

    found = s3.filesystem().get_file_info(fs.FileSelector("mine", recursive=True))
    return [one.path for one in found if one.type == fs.FileType.File and one.path.startswith(f"mine/{folder}/")]
