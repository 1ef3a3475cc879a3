"""What the C library does with memory that was freed: kept while tables stream, given back before the trainer asks for much more."""

import contextlib
import ctypes

import pyarrow as pa

TRIM, MMAP = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h."""

BLOCK_BYTES, KEPT_BYTES = 32 << 20, 256 << 20
"""Blocks up to 32 MiB (the most that glibc takes) are cut from memory that is there, of which 256 MiB stay for the next batch."""


def keep_freed() -> None:
    """Let batches use the memory of the batches before them: asking the system each time took a third of its share of a split."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # only glibc has it
        library = ctypes.CDLL(None)
        library.mallopt(MMAP, BLOCK_BYTES)
        library.mallopt(TRIM, KEPT_BYTES)


def give_back() -> None:
    """Let go of what Arrow and the C library keep for later: after ten million rows 350 MiB, which would count beside the matrix."""
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
