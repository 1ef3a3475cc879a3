"""Memory of this machine, or of the container that holds this process: what there is, what is free, and what is taken unless told."""

import os
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
LIMITS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)
"""Files of a container's limit and of what it uses, and the line of `memory.stat` beside them that counts files it could let go of."""

BASE_MIB = 512
"""Resident memory of the embedded engine's process beside the trainer's matrix: libraries, readers' and blocks' buffers."""


def memory_bytes(groups: Path = GROUPS) -> int:
    """All of it; 0 when it cannot be told."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
    for limit, _, _ in LIMITS:
        most = _number(groups / limit)
        if most is not None and most < whole:
            return most
    return whole


def free_bytes(groups: Path = GROUPS, meminfo: Path = Path("/proc/meminfo")) -> int:
    """What can be had of it without taking from others, what the system keeps of files counted as free; 0 when it cannot be told."""
    free = memory_bytes(groups)
    available = _line(meminfo, "MemAvailable:")
    if available is not None:  # in KiB; only Linux has the file, elsewhere the whole is the best guess
        free = min(free, available << 10)
    for limit, used, files in LIMITS:
        most, now = _number(groups / limit), _number(groups / used)
        if most is not None and now is not None:
            idle = _line((groups / used).with_name("memory.stat"), files) or 0
            free = min(free, max(0, most - now + idle))
    return free


def default_mib() -> int:
    """What the embedded engine stays within when nobody says: half of what is free; 0, for no limit, when that cannot be told."""
    free = free_bytes()
    return max(BASE_MIB, free // 2 >> 20) if free else 0


def matrix_mib(memory_mib: int) -> int:
    """What the trainer's matrix may take of it; 0 for no limit."""
    return max(BASE_MIB, memory_mib - BASE_MIB) if memory_mib else 0


def _number(file: Path) -> int | None:
    try:
        said = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(said) if said.isdigit() else None


def _line(file: Path, name: str) -> int | None:
    """The number of one line of a file of names and numbers."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(words[1]) for words in map(str.split, lines) if len(words) > 1 and words[0] == name), None)
