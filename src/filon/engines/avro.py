"""Avro container files, as far as the manifests of Iceberg tables need: one reader of records, no schema resolution."""

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MAGIC = b"Obj\x01"
NUMBERS = {"float": ("<f", 4), "double": ("<d", 8)}

Read = Callable[["Bytes"], Any]


class Bytes:
    """Bytes with a place in them."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        """The next bytes.

        Raises
        ------
        EOFError : there are fewer
        """
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise EOFError("the Avro file ends too early")
        found = self.data[self.at : end]
        self.at = end
        return found

    def long(self) -> int:
        """A zigzag number of variable length."""
        shift = found = 0
        while True:
            (byte,) = self.take(1)
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                return found >> 1 ^ -(found & 1)
            shift += 7

    def text(self) -> str:
        """A string."""
        return self.take(self.long()).decode()


def records(data: bytes) -> Iterator[dict[str, Any]]:
    """The records of a container file, by the names in its own schema.

    Raises
    ------
    ValueError : no Avro, damaged, or packed in a way this reader does not know
    EOFError : the file was cut
    """
    source = Bytes(data)
    if source.take(4) != MAGIC:
        raise ValueError("it is no Avro container file")
    about: dict[str, bytes] = _map(sized)(source)
    sync = source.take(16)
    read, unpack = reader(json.loads(about["avro.schema"]), {}), _codec(about.get("avro.codec", b"null").decode())
    while source.at < len(data):
        count = source.long()
        block = Bytes(unpack(source.take(source.long())))
        for _ in range(count):
            yield read(block)
        if source.take(16) != sync:
            raise ValueError("a block of the Avro file is damaged")


def _codec(name: str) -> Callable[[bytes], bytes]:
    if name == "null":
        return bytes
    if name == "deflate":
        return lambda packed: zlib.decompress(packed, wbits=-15)
    raise ValueError(f"the Avro file is packed by {name}")


def reader(schema: Any, named: dict[str, Read]) -> Read:
    """What reads values of a schema; `named` collects the records and fixed types that are referred to by name."""
    if isinstance(schema, list):
        choices = [reader(one, named) for one in schema]
        return lambda source: choices[source.long()](source)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, (dict, list)):
        return reader(kind, named)
    if kind in named:
        return named[kind]
    if kind in ("record", "fixed", "enum"):
        return _named(schema, named)
    if kind == "array":
        return _array(reader(schema["items"], named))
    if kind == "map":
        return _map(reader(schema["values"], named))
    return _primitive(kind)


def _primitive(kind: str) -> Read:
    if kind in NUMBERS:
        form, size = NUMBERS[kind]
        return lambda source: struct.unpack(form, source.take(size))[0]
    simple: Mapping[str, Read] = {
        "null": lambda _source: None,
        "boolean": lambda source: source.take(1) == b"\x01",
        "int": Bytes.long,
        "long": Bytes.long,
        "bytes": sized,
        "string": Bytes.text,
    }
    if kind not in simple:
        raise ValueError(f"the Avro file holds the unknown type {kind}")
    return simple[kind]


def _named(schema: Mapping[str, Any], named: dict[str, Read]) -> Read:
    if schema["type"] == "fixed":
        size = int(schema["size"])
        named[schema["name"]] = lambda source: source.take(size)
    elif schema["type"] == "enum":
        symbols = schema["symbols"]
        named[schema["name"]] = lambda source: symbols[source.long()]
    else:
        fields: list[tuple[str, Read]] = []
        named[schema["name"]] = lambda source: {name: read(source) for name, read in fields}
        fields += [(field["name"], reader(field["type"], named)) for field in schema["fields"]]
    return named[schema["name"]]


def sized(source: Bytes) -> bytes:
    """Bytes with their length before them."""
    return source.take(source.long())


def _blocks(source: Bytes) -> Iterator[None]:
    """Once for each item of an array or a map."""
    while count := source.long():
        if count < 0:
            source.long()  # the block's size in bytes, for those who skip it
        for _ in range(abs(count)):
            yield


def _array(item: Read) -> Read:
    return lambda source: [item(source) for _ in _blocks(source)]


def _map(value: Read) -> Read:
    return lambda source: {source.text(): value(source) for _ in _blocks(source)}
