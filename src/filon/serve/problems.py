"""What a client is told when a request cannot be answered: a status, a code, and the field it is about. Never a path, never a trace."""

import re
from typing import Any

from filon.errors import BundleError, Code, DataError, FilonError
from filon.serve.settings import Limits

STATUS: dict[str, int] = {
    "serve.body-too-large": 413,
    "serve.bundle-refused": 422,
    "serve.bundle-unknown": 404,
    "serve.busy": 503,
    "serve.media-type": 415,
    "serve.method": 405,
    "serve.no-such-page": 404,
    "serve.not-acceptable": 406,
    "serve.origin-foreign": 403,
    "serve.row-unfit": 422,
    "serve.too-many-reasons": 413,
    "serve.too-many-rows": 413,
    "serve.too-slow": 408,
    "serve.took-too-long": 503,
    "serve.unauthorized": 401,
    "serve.value-type": 422,
    "package.column-missing": 422,
    "package.column-twice": 422,
    "package.column-type": 422,
    "package.column-unreadable": 422,
    "read.derive-failed": 422,
    "read.derive-not-whole": 422,
    "rows.column-missing": 422,
}
"""Of codes that are not a plain 400."""

_NAMED = re.compile(r'"([^"]+)"')


class RefusedError(Exception):
    """A request, or one of its rows, that is refused: a coded error with a field and a row where there are any."""

    def __init__(self, error: FilonError, *, field: str | None = None, row: int | None = None) -> None:
        super().__init__(error.code)
        self.error = type(error)(error.code, _sayable(error.what), _sayable(error.why), _sayable(error.fix))
        self.field, self.row = None if field is None else _sayable(field), row

    @property
    def status(self) -> int:
        """HTTP status."""
        return STATUS.get(self.error.code, 400 if isinstance(self.error, (DataError, BundleError)) else 500)

    def to_plain(self) -> dict[str, Any]:
        """As the answer has it."""
        plain: dict[str, Any] = {"code": self.error.code, "what": self.error.what, "why": self.error.why, "fix": self.error.fix}
        if self.field is not None:
            plain["field"] = self.field
        if self.row is not None:
            plain["row"] = self.row
        return plain


def _sayable(text: str) -> str:
    """Words that may quote a client's own: half a surrogate pair, which JSON can write and UTF-8 cannot, is shown by its number."""
    return text.encode("utf-8", "backslashreplace").decode()


def refused(code: Code, what: str, why: str, fix: str, *, field: str | None = None, row: int | None = None) -> RefusedError:
    """A refusal in our words."""
    return RefusedError(DataError(code, what, why, fix), field=field, row=row)


def too_large(limits: Limits) -> RefusedError:
    """The body goes beyond the limit."""
    why = f"at most {limits.body_bytes:,} bytes are read, also after unpacking"
    return refused("serve.body-too-large", "the body is too large", why, "send it in parts, or raise --max-body (MiB)")


def too_many(rows: int, limits: Limits) -> RefusedError:
    """The body has more rows than the limit."""
    why = f"at least {rows:,}, where at most {limits.rows:,} are answered at once"
    return refused("serve.too-many-rows", "the body has too many rows", why, "send it in parts, raise --max-rows, or use `filon predict`")


def unreadable(kind: str, exc: Exception) -> RefusedError:
    """The body is not what its type says."""
    why = str(exc).splitlines()[0][:200] if str(exc) else type(exc).__name__
    return refused("serve.body-unreadable", f"the body is not {kind}", why, "compare it with the example on the page at /")


def too_long(limits: Limits) -> RefusedError:
    """The answer was not ready in time."""
    fix = "send fewer rows at once, or ask without ?explain"
    return refused("serve.took-too-long", "the answer took too long", f"it was not done within {limits.seconds:g} s", fix)


def of(error: FilonError, row: int | None = None) -> RefusedError:
    """A coded error of a room below, with the column it speaks of."""
    named = _NAMED.search(error.what)
    return RefusedError(error, field=named.group(1) if named and isinstance(error, DataError) else None, row=row)


def unforeseen() -> RefusedError:
    """Our bug: the trace goes to the log."""
    fix = "tell whoever runs this server; its log has the details under the same time"
    return RefusedError(
        FilonError("bug.unexpected", "the server failed in a way it did not foresee", "this is no fault of the request", fix)
    )
