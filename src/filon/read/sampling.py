"""Pieces of a source: the head, and samples from the middle and the end, since a sorted file shows one face only."""

import zlib
from collections.abc import Sequence

from filon.engines.base import File
from filon.engines.s3 import is_remote
from filon.engines.storage import opened, piece

HEAD = 1 << 20
PIECE = 96 << 10
PIECES = 6
"""Pieces of the first file beside its head: with the head, 1.6 MiB are read whatever the table's size."""

OTHER_FILES = 8
GZIP_LOOK = 128 << 20
"""Unpacked bytes of a gzip file looked at, since it cannot be entered in the middle: a second or less."""

GZIP_REMOTE_LOOK = 4 << 20


MOST_HEAD = 128 << 20
"""Bytes of the head looked at when its first rows are longer than that of other tables: one cell may hold megabytes."""


def is_gzip(file: File) -> bool:
    """Whether a file begins as gzip does."""
    return piece(file, 0, 2) == b"\x1f\x8b"


def pieces(files: Sequence[File], *, head: int = HEAD) -> list[bytes]:
    """The head of the first file, then pieces that begin and end anywhere, from all over the source."""
    first = files[0]
    if is_gzip(first):
        found = _gzip_pieces(first, head)
    else:
        found = [piece(first, 0, head)]
        rest = first.size_bytes - head
        if rest > 0:
            # Multiples of four, so that UTF-16 and UTF-32 characters stay whole
            length = min(PIECE, rest)
            places = [head + (rest - length) * k // PIECES // 4 * 4 for k in range(1, PIECES + 1)]
            found += [piece(first, place, length) for place in sorted(set(places))]
    step = max(1, (len(files) - 1) // OTHER_FILES)
    for file in files[1:][::-step][:OTHER_FILES]:
        found += _gzip_pieces(file, PIECE)[:1] if is_gzip(file) else [piece(file, max(0, file.size_bytes - PIECE) // 4 * 4, PIECE)]
    return found


def _gzip_pieces(file: File, head: int) -> list[bytes]:
    """The unpacked head, then a piece every sixteenth of what is looked at."""
    look = GZIP_REMOTE_LOOK if is_remote(file.path) else GZIP_LOOK
    stride = max(head, min(look, file.size_bytes * 5) // 16)
    found, seen = [bytearray()], 0
    unpack = zlib.decompressobj(wbits=31)
    with opened(file) as source:
        while seen < look and (packed := source.read(256 << 10)):
            try:
                plain = unpack.decompress(packed)
            except zlib.error:
                break  # told by the engine, which reads to the end
            _keep(plain, seen, found, head, stride)
            seen += len(plain)
    return [bytes(part) for part in found]


def _keep(plain: bytes, seen: int, found: list[bytearray], head: int, stride: int) -> None:
    if seen < head:
        found[0] += plain[: head - seen]
    elif seen // stride >= len(found):
        found.append(bytearray(plain[:PIECE]))


def first_bytes(file: File, most: int = 64 << 10) -> bytes:
    """The first (unpacked) bytes of a file."""
    if not is_gzip(file):
        return piece(file, 0, most)
    return zlib.decompressobj(wbits=31).decompress(piece(file, 0, most), most)
