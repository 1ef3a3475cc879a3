"""How a server is to behave: where it listens, what it refuses, what it keeps."""

from dataclasses import asdict, dataclass, field
from typing import Any

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may cost.

    body_bytes : also after unpacking; pending : requests that are worked at or wait, one more is answered 503
    """

    body_bytes: int = 64 * MIB
    rows: int = 500_000
    seconds: float = 60.0
    pending: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSettings:
    """What is kept of what was asked and answered.

    place : folder, "" for no capture; share : part of the requests that is kept, 0 to 1
    leave_out, hashed : columns that are not written, or written as a keyed hash
    """

    place: str = ""
    share: float = 1.0
    leave_out: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Everything `filon serve` was told. The token is read from the environment by each worker, so that it stands in no command line."""

    bundle: str
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    models: str = ""
    limits: Limits = field(default_factory=Limits)
    capture: CaptureSettings = field(default_factory=CaptureSettings)

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def from_plain(plain: dict[str, Any]) -> ServeSettings:
    """Settings that a supervisor handed to its worker."""
    capture = {**plain["capture"], **{name: tuple(plain["capture"][name]) for name in ("leave_out", "hashed")}}
    return ServeSettings(**{**plain, "limits": Limits(**plain["limits"]), "capture": CaptureSettings(**capture)})
