"""UBJSON as XGBoost writes it, with typed arrays as numpy arrays, so that a model of 50 MB is edited in milliseconds.

Source: https://ubjson.org/type-reference/container-types/ (optimised containers: type and count); numbers are big-endian.
"""

import struct
from typing import Any

import numpy as np

_ARRAYS = {b"d": ">f4", b"D": ">f8", b"i": "i1", b"U": "u1", b"I": ">i2", b"l": ">i4", b"L": ">i8"}
_NUMBERS = {b"d": ">f", b"D": ">d", b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q"}
_MARKS = {np.dtype(code).newbyteorder("="): mark for mark, code in _ARRAYS.items()}


class _Reader:
    """A cursor over the bytes."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.raw):
            raise ValueError("UBJSON ends too early")
        piece = self.raw[self.at : self.at + size]
        self.at += size
        return piece

    def number(self, mark: bytes) -> Any:
        form = _NUMBERS[mark]
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self) -> str:
        return self.take(int(self.number(self.take(1)))).decode("utf-8")

    def value(self) -> Any:
        mark = self.take(1)
        if mark == b"{":
            return self.mapping()
        if mark == b"[":
            return self.array()
        if mark == b"S":
            return self.text()
        if mark in b"TFZ":
            return {b"T": True, b"F": False, b"Z": None}[mark]
        if mark in _NUMBERS:
            return self.number(mark)
        raise ValueError(f"UBJSON mark {mark!r} at byte {self.at - 1} is not known")

    def mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.raw[self.at : self.at + 1] != b"}":
            name = self.text()
            found[name] = self.value()
        self.at += 1
        return found

    def array(self) -> Any:
        kind = b""
        if self.raw[self.at : self.at + 1] == b"$":
            kind = self.take(2)[1:]
        if self.raw[self.at : self.at + 1] != b"#":
            items = []
            while self.raw[self.at : self.at + 1] != b"]":
                items.append(self.value())
            self.at += 1
            return items
        self.at += 1
        count = int(self.number(self.take(1)))
        if not kind:
            return [self.value() for _ in range(count)]
        dtype = np.dtype(_ARRAYS[kind])
        return np.frombuffer(self.take(count * dtype.itemsize), dtype=dtype).astype(dtype.newbyteorder("="))


def read(raw: bytes) -> Any:
    """Parse UBJSON: mappings to dict, mixed arrays to list, typed arrays to numpy arrays (native byte order).

    Raises
    ------
    ValueError : when the bytes are not UBJSON
    """
    reader = _Reader(bytes(raw))
    try:
        return reader.value()
    except (KeyError, IndexError, struct.error) as exc:
        raise ValueError(f"not UBJSON: byte {reader.at}") from exc


def write(value: Any) -> bytes:
    """The bytes of a value that `read` gave; equal values give equal bytes."""
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def _write(value: Any, parts: list[bytes]) -> None:
    if isinstance(value, dict):
        parts.append(b"{")
        for name, item in value.items():
            parts.append(_text(name))
            _write(item, parts)
        parts.append(b"}")
    elif isinstance(value, np.ndarray):
        mark = _MARKS[value.dtype]
        parts += (b"[$", mark, b"#L", struct.pack(">q", len(value)), value.astype(_ARRAYS[mark]).tobytes())
    elif isinstance(value, (list, tuple)):
        parts.append(b"[#L" + struct.pack(">q", len(value)))
        for item in value:
            _write(item, parts)
    elif isinstance(value, str):
        parts.append(b"S" + _text(value))
    elif isinstance(value, (bool, type(None))):
        parts.append({True: b"T", False: b"F", None: b"Z"}[value])
    elif isinstance(value, int):
        parts.append(_integer(value))
    elif isinstance(value, float):
        parts.append(b"d" + struct.pack(">f", value))
    else:
        raise TypeError(f"UBJSON cannot hold {type(value).__name__}")


def _text(value: str) -> bytes:
    raw = value.encode("utf-8")
    return b"L" + struct.pack(">q", len(raw)) + raw


def _integer(value: int) -> bytes:
    for mark, bits in ((b"i", 7), (b"I", 15), (b"l", 31)):
        if -(1 << bits) < value < (1 << bits) - 1:  # strictly inside, as XGBoost does: what is read is written back byte for byte
            return mark + struct.pack(_NUMBERS[mark], value)
    return b"L" + struct.pack(">q", value)
