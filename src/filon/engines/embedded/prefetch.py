"""One item ahead: the reader works while the last batch is looked at."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_END = object()


def prefetched(items: Iterable[T]) -> Iterator[T]:
    """The same items in order; each next one is made in a thread while the last is used. Errors come where the item would.

    >>> list(prefetched(iter([1, 2, 3])))
    [1, 2, 3]
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, iterator, _END)
        try:
            while (item := waiting.result()) is not _END:
                waiting = pool.submit(next, iterator, _END)
                yield item  # type: ignore[misc]  # next gives an item or _END
        finally:
            waiting.cancel()
            pool.shutdown()  # whoever leaves early closes the iterator after its last step, not within it
            if hasattr(iterator, "close"):
                iterator.close()
