"""How a server is to behave: where it listens, what it refuses, what it keeps."""

import hashlib
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MIB = 1 << 20
CAPTURE_KEY = "FILON_CAPTURE_KEY"
"""Environment variable with the key of hashed columns."""

OPEN = ".open"
"""Ending of a captured file that is still written to, where files are sent on: the sender takes those without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may cost.

    body_bytes : also after unpacking
    pending : requests that a thread works at or that wait for one, one more is answered 503; bodies that still come do not count
    bodies : of the largest size, so many may be held at once, while they come and until they are answered; 503 beyond
    """

    body_bytes: int = 64 * MIB
    rows: int = 500_000
    seconds: float = 60.0
    pending: int = 256
    bodies: int = 8

    @property
    def held_bytes(self) -> int:
        """Bytes of all bodies together that come in parts."""
        return self.bodies * self.body_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSettings:
    """What is kept of what was asked and answered.

    place : folder or s3:// URI, "" for no capture; share : part of the requests that is kept, 0 to 1
    leave_out, hashed : columns that are not written, or written as a keyed hash
    spool : where lines wait for S3; roll_s : after so many seconds a file is sent, if its hour is not over sooner
    """

    place: str = ""
    spool: str = ""
    roll_s: float = 300.0
    share: float = 1.0
    leave_out: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()

    @property
    def remote(self) -> bool:
        """Whether files go to S3."""
        return self.place.startswith("s3://")

    @property
    def folder(self) -> str:
        """Where lines are written on this machine, "" for no capture; always the same for one S3 place, so that what was left is sent."""
        if not self.remote:
            return self.place
        mark = hashlib.sha256(self.place.encode()).hexdigest()[:12]
        return self.spool or str(Path(os.environ.get("FILON_SCRATCH") or tempfile.gettempdir()) / f"filon-capture-{mark}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """An alias of MLflow's registry that the server follows.

    every_s : seconds between two looks, 0 for one look at the start; have : number of the version in service
    """

    uri: str
    name: str
    alias: str
    every_s: float = 30.0
    have: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Everything `filon serve` was told. The token is read from the environment by each worker, so that it stands in no command line.

    models : folder of the bundles that a request may put in service, "" for none; shelf : folder of the versions that an alias names
    """

    bundle: str
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    models: str = ""
    shelf: str = ""
    limits: Limits = field(default_factory=Limits)
    capture: CaptureSettings = field(default_factory=CaptureSettings)
    followed: Followed | None = None

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def from_plain(plain: dict[str, Any]) -> ServeSettings:
    """Settings that a supervisor handed to its worker."""
    capture = {**plain["capture"], **{name: tuple(plain["capture"][name]) for name in ("leave_out", "hashed")}}
    followed = None if plain["followed"] is None else Followed(**plain["followed"])
    return ServeSettings(**{**plain, "limits": Limits(**plain["limits"]), "capture": CaptureSettings(**capture), "followed": followed})
