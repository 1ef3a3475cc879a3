"""`${NAME}`: values that a recipe reads from the environment. They may be secrets: they are told and recorded as they were written."""

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

NAMED = re.compile(r"\$\{(\w+)\}")

LEAST = 6
"""Letters of a value that is looked for in what is told: shorter ones ("dev", "true") stand in every other sentence by chance."""

_read: dict[str, str] = {}
"""`${NAME}` by every spelling of a value that was read by this process."""


def names_in(value: Any) -> tuple[str, ...]:
    """Names of the variables in a text, or in the texts of a list or table."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return tuple(name for one in value for name in names_in(one))
    return tuple(NAMED.findall(value)) if isinstance(value, str) else ()


def expanded(value: Any) -> Any:
    """The same with every `${NAME}` of its texts read from the environment; raises KeyError where there is no such variable."""
    if isinstance(value, Mapping):
        return {key: expanded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [expanded(item) for item in value]
    return NAMED.sub(lambda found: _value(found[1]), value) if isinstance(value, str) else value


def covered(text: str) -> str:
    """A text with `${NAME}` in the place of every value that was read from the environment, longest first.

    Examples
    --------
    >>> import os
    >>> os.environ["FILON_EXAMPLE"] = "hunter2-and-more"
    >>> expanded("the token is ${FILON_EXAMPLE}")
    'the token is hunter2-and-more'
    >>> covered("hunter2-and-more was refused")
    '${FILON_EXAMPLE} was refused'
    """
    for value in sorted(_read, key=len, reverse=True):
        text = text.replace(value, _read[value])
    return text


def as_written(value: Any, written: Any) -> Any:
    """`value` (read, completed by defaults) with what was written in every place where that names a variable.

    >>> as_written({"uri": "http://secret@host", "tags": {}}, {"uri": "http://${TOKEN}@host"})
    {'uri': 'http://${TOKEN}@host', 'tags': {}}
    """
    if isinstance(value, Mapping) and isinstance(written, Mapping):
        return {key: as_written(item, written.get(key)) for key, item in value.items()}
    return written if names_in(written) else value


def _value(name: str) -> str:
    value = os.environ[name]
    for spelling in (value, unquote(value), repr(value)[1:-1]):
        if len(spelling) >= LEAST:
            _read[spelling] = f"${{{name}}}"
    return value
