"""Numbers kept as text, such as 1.234,50 €: which mark is the decimal one, and the line that makes numbers of them."""

import re
from collections.abc import Sequence

from filon.check.wording import derive_line, plain_name, toml_key


def number_line(name: str, stored: str, numbers: Sequence[str], cell: str) -> str:
    """The line that makes numbers of such texts: a declaration where the reader can take them, else SQL.

    Parameters
    ----------
    stored : "text" in a CSV, whose decimal mark can be declared
    cell : the column in SQL
    """
    mark = decimal_mark(numbers)
    form = r"\s*[-+]?\d*\.?\d+([eE][-+]?\d+)?\s*" if mark == "." else r"\s*[-+]?\d+(,\d+)?\s*"
    if numbers and all(re.fullmatch(form, text) for text in numbers) and (mark == "." or stored == "text"):
        return f'[data.columns]: {toml_key(name)} = "number"' + ('; [data.csv]: decimal = ","' if mark == "," else "")
    bare = f"regexp_replace({cell}, '[^0-9{mark}eE+-]', '', 'g')"
    bare = bare if mark == "." else f"replace({bare}, ',', '.')"
    return "[data.derive]: " + derive_line(plain_name(name, "number"), f"TRY_CAST({bare} AS DOUBLE)")


def decimal_mark(texts: Sequence[str]) -> str:
    """The decimal mark of amounts: the comma where it stands last in one of them, and is not followed by three digits in each.

    >>> decimal_mark(["1.234,5", "7"]), decimal_mark(["1,234", "12,500"]), decimal_mark(["1.234 €"]), decimal_mark(["$1,234.50", "$3"])
    (',', '.', ',', '.')
    """
    bare = [re.sub(r"[^0-9.,]", "", text) for text in texts]
    last = {mark: [text for text in bare if mark in text and max(text.rfind("."), text.rfind(",")) == text.rfind(mark)] for mark in ",."}
    sure = {mark: sum(1 for text in found if not re.fullmatch(rf"[1-9]\d{{0,2}}([{mark}]\d{{3}})+", text)) for mark, found in last.items()}
    if sure[","] or sure["."]:
        return "," if sure[","] > sure["."] else "."
    return "," if last["."] and not last[","] else "."  # all are thousands: the decimal mark is the other one
