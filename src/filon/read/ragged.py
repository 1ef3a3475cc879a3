"""Lines of unequal length at a CSV's beginning, told by what most often makes them."""

from collections.abc import Sequence

from filon.errors import DataError

MOST_LINES = 10
"""Lines that may stand above a header: the title, date and remarks of an export."""


def refuse_ragged(head: Sequence[Sequence[str]], width: int, origin: str, separator: str) -> None:
    """Raise when records of the head differ in their number of cells.

    Raises
    ------
    DataError : `read.ragged`
    """
    odd = [(place + 1, len(record)) for place, record in enumerate(head) if len(record) != width]
    if not odd:
        return
    mark = {"\t": "tab", " ": "space"}.get(separator, f"'{separator}'")
    shown = "; ".join(f"record {place} has {cells}" for place, cells in odd[:5])
    more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
    why = f"with separator {mark} the table has {width} columns, but {shown}{more}"
    fix = "quote the cells that hold the separator, or set data.csv.separator and data.csv.quote"
    if above := lines_above(head):
        first = f"line has {_cells(len(head[0]))}" if above == 1 else f"{above} lines have other numbers of them"
        why = f"with separator {mark} the first {first}, all after {'it' if above == 1 else 'them'} have {len(head[-1])}"
        fix = f"take the {'line' if above == 1 else f'{above} lines'} above the header out of the file"
        if above == 1 and 1 < len(head[0]) == len(head[-1]) - 1 and not head[0][0].startswith("sep="):
            fix = "give the header the name that it lacks (a separator at the end of every row begins one more cell)"
    raise DataError("read.ragged", f"the lines of {origin} do not have the same number of cells", why, fix)


def lines_above(head: Sequence[Sequence[str]]) -> int:
    """How many records stand above those that are all of one width; 0 when it is not only the beginning that differs.

    >>> lines_above([["sales 2024"], *[["1", "2"]] * 8]), lines_above([["1", "2"]] * 8)
    (1, 0)
    """
    width = len(head[-1])
    above = next(place for place, record in enumerate(head) if len(record) == width)
    if above > min(MOST_LINES, len(head) / 4) or any(len(record) != width for record in head[above:]):
        return 0
    return above


def _cells(number: int) -> str:
    return f"{number} cell" if number == 1 else f"{number} cells"
