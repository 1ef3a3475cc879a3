"""What is free, of a machine and of a container, and what is taken of it unless somebody says."""

from pathlib import Path

import pytest

from filon.engines import memory
from filon.engines.memory import default_mib, free_bytes, matrix_mib, memory_bytes

GIB = 1 << 30


def group(folder: Path, **files: str) -> Path:
    """A container's files; "__" stands for a slash, "DOT" for a dot."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("DOT", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="ascii")
    return folder


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    """Of a machine with two gibibytes free."""
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:       24684096 kB\nMemFree:          102400 kB\nMemAvailable:    2097152 kB\n", encoding="ascii")
    return file


def test_of_a_machine_what_the_system_calls_available_is_free(tmp_path: Path, meminfo: Path) -> None:
    assert free_bytes(tmp_path / "none", meminfo) == 2 * GIB


def test_a_container_has_what_is_left_below_its_limit_and_its_idle_files_count_as_free(tmp_path: Path, meminfo: Path) -> None:
    new = group(tmp_path / "v2", memoryDOTmax=str(GIB), memoryDOTcurrent=str(GIB // 2), memoryDOTstat=f"anon 5\ninactive_file {GIB // 4}")
    assert memory_bytes(new) == GIB
    assert free_bytes(new, meminfo) == GIB * 3 // 4
    stat = f"inactive_file 7\ntotal_inactive_file {GIB // 8}"
    old = group(
        tmp_path / "v1", memory__memoryDOTlimit_in_bytes=str(GIB), memory__memoryDOTusage_in_bytes=str(GIB), memory__memoryDOTstat=stat
    )
    assert free_bytes(old, meminfo) == GIB // 8


def test_a_container_without_a_limit_has_what_the_machine_has(tmp_path: Path, meminfo: Path) -> None:
    free = group(tmp_path / "v2", memoryDOTmax="max", memoryDOTcurrent=str(GIB))
    assert free_bytes(free, meminfo) == 2 * GIB
    huge = group(tmp_path / "v1", memory__memoryDOTlimit_in_bytes=str(2**63 - 4096), memory__memoryDOTusage_in_bytes=str(GIB))
    assert free_bytes(huge, meminfo) == 2 * GIB


def test_half_of_what_is_free_is_taken_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_mib() > 0
    monkeypatch.setattr(memory, "free_bytes", lambda: 8 * GIB)
    assert default_mib() == 4096
    assert matrix_mib(4096) == 4096 - memory.BASE_MIB


def test_memory_that_cannot_be_told_sets_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: 0)
    assert default_mib() == 0
    assert matrix_mib(0) == 0


def test_memory_of_this_machine_is_known() -> None:
    assert memory_bytes() > 1 << 28
