"""Files are found in one order, with the values of their folders, and nothing hidden is taken."""

from pathlib import Path

import pytest

from filon.engines.base import File
from filon.engines.storage import find_files, piece, require_space, under
from filon.engines.storage import partition as hive
from filon.errors import DataError, SetupError


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a,b\n1,2\n")


def found(source: str, base: Path) -> list[str]:
    return [Path(file.path).relative_to(base).as_posix() for file in find_files(source, base)]


def test_a_file_a_folder_and_globs(tmp_path: Path) -> None:
    write(tmp_path, "d/b.csv", "d/a.csv", "d/deep/c.csv", "d/_SUCCESS", "d/.hidden.csv", "d/_tmp/x.csv", "e.csv")
    assert found("e.csv", tmp_path) == ["e.csv"]
    assert [file.path for file in find_files(str(tmp_path / "e.csv"), Path("/nowhere"))] == [str(tmp_path / "e.csv")]
    assert found("d", tmp_path) == ["d/a.csv", "d/b.csv", "d/deep/c.csv"]
    assert found("d/*.csv", tmp_path) == ["d/a.csv", "d/b.csv"]
    assert found("d/**/*.csv", tmp_path) == ["d/a.csv", "d/b.csv", "d/deep/c.csv"]
    assert found("d/[ab].csv", tmp_path) == ["d/a.csv", "d/b.csv"]


def test_a_name_that_looks_like_a_glob_is_taken_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, "data [1].csv")
    assert found("data [1].csv", tmp_path) == ["data [1].csv"]


def test_a_hidden_folder_above_the_root_does_not_hide_the_files(tmp_path: Path) -> None:
    write(tmp_path, ".cache/_x/d/a.csv")
    assert found(".cache/_x/d", tmp_path) == [".cache/_x/d/a.csv"]
    assert found(".cache/_x/d/*.csv", tmp_path) == [".cache/_x/d/a.csv"]


def test_folders_give_values(tmp_path: Path) -> None:
    write(tmp_path, "t/year=2023/zone=north/a.csv", "t/year=2024/zone=Le%C3%B3n/a.csv", "t/year=2024/zone=__HIVE_DEFAULT_PARTITION__/a.csv")
    values = [file.partition for file in find_files("t", tmp_path)]
    assert values == [(("year", "2023"), ("zone", "north")), (("year", "2024"), ("zone", "León")), (("year", "2024"), ("zone", ""))]
    assert [file.partition for file in find_files("t/*/*/a.csv", tmp_path)] == values
    assert hive("plain/a.csv") == hive("=x/a.csv") == ()


def test_what_is_not_there_is_told_with_what_is_near(tmp_path: Path) -> None:
    write(tmp_path, "bank.csv", "empty/_SUCCESS")
    with pytest.raises(DataError, match=r'read\.file-missing.*[\s\S]*"bank\.csv"'):
        find_files("banks.csv", tmp_path)
    with pytest.raises(DataError, match=r"the folder .*nowhere does not exist"):
        find_files("nowhere/bank.csv", tmp_path)
    with pytest.raises(DataError, match=r"no file matches"):
        find_files("*.parquet", tmp_path)
    with pytest.raises(DataError, match=r"read\.folder-empty"):
        find_files("empty", tmp_path)


def test_a_piece_ends_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    file = File(path=str(tmp_path / "a"), size_bytes=10)
    assert (piece(file, 3, 4), piece(file, 8, 4), piece(file, 12, 4)) == (b"3456", b"89", b"")


def test_a_copy_that_cannot_end_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"read\.disk-full"):
        require_space(tmp_path, 1 << 60)


def test_what_is_written_under_a_folder_or_glob_would_be_found_there(tmp_path: Path) -> None:
    assert under("in/scored", "in", tmp_path)
    assert under(str(tmp_path / "in"), "in/", tmp_path)
    assert under("in/a/b", "in/*", tmp_path)
    assert under("s3://lake/in/scored", "s3://lake/in/", tmp_path)
    assert not under("in.scored", "in", tmp_path)
    assert not under("out", "in/*", tmp_path)
    assert not under("s3://lake/inner", "s3://lake/in", tmp_path)
    assert not under("in/scored", "s3://lake/in", tmp_path)
