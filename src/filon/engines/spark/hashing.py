"""Which shuffle partition a key goes to: Spark's own hash, so that rows can be sent to the partition we mean without sampling them."""

MASK = 0xFFFFFFFF


def murmur3(value: int, seed: int = 42) -> int:
    """Spark's hash of an int column (Murmur3 x86 32 of four bytes), signed.

    >>> murmur3(0), murmur3(1)
    (933211791, -559580957)
    """
    k = _rotated(value * 0xCC9E2D51 & MASK, 15) * 0x1B873593 & MASK
    h = (_rotated(seed ^ k, 13) * 5 + 0xE6546B64) & MASK
    h ^= 4
    h = (h ^ h >> 16) * 0x85EBCA6B & MASK
    h = (h ^ h >> 13) * 0xC2B2AE35 & MASK
    h ^= h >> 16
    return h - (1 << 32) if h >> 31 else h


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (32 - by)) & MASK


def keys_of(partitions: int) -> tuple[int, ...]:
    """For each partition the least int that Spark's `repartition(partitions, column)` sends to it.

    >>> [murmur3(key) % 3 for key in keys_of(3)]
    [0, 1, 2]
    """
    found: dict[int, int] = {}
    key = 0
    while len(found) < partitions:
        found.setdefault(murmur3(key) % partitions, key)
        key += 1
    return tuple(found[place] for place in range(partitions))
