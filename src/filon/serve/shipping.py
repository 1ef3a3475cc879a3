"""Sends captured files from the spool on this machine to S3, in a process of its own: neither answers nor lines ever wait for S3.

A file is one object, under the same hour; it leaves the spool when S3 has all its bytes. What a server that was killed left behind is sent
by the next one with the same place.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filon.errors import FilonError
from filon.serve.meters import Meters
from filon.serve.settings import OPEN
from filon.serve.sockets import log

LOOK_S = 0.5
MOST_PAUSE_S = 15.0
"""While S3 is away, the pause between two tries doubles up to this."""

STOP_S = 8.0
"""After the workers have ended, or less where SIGTERM was long ago; what is not sent by then waits in the spool for the next start."""

STOP_BY = "stop-by"
"""File in which the supervisor says when all must be over, in seconds of the machine's steady clock."""


class OverError(BaseException):
    """There is no more time; no handler of S3's errors takes it for one of them."""


class Shipper:
    """Brings files of a spool to a place on S3.

    Parameters
    ----------
    spool : folder of files as `Capture` writes them; place : s3:// URI
    """

    def __init__(self, spool: Path, place: str, meters: Meters) -> None:
        self.spool, self.place, self.meters = spool, place.rstrip("/"), meters
        self.trouble = ""
        self.ending = False

    def run(self, parent: int) -> None:
        """Send until told to stop, or until the supervisor is no more; then send what is left, as long as there is time."""
        with contextlib.suppress(OverError):
            self._run(parent)
        if left := list(self.waiting()):
            log(f"{len(left)} captured files wait in {self.spool} for the next start: {self.trouble or 'there was no time to send them'}")

    def stop(self, until: float) -> None:
        """Stop in time: what S3 has not answered by then is given up, and kept (SIGALRM interrupts the wait)."""
        self.ending = True
        signal.setitimer(signal.ITIMER_REAL, max(0.1, until - time.monotonic()))

    def _run(self, parent: int) -> None:
        pause = LOOK_S
        while not self.ending and os.getppid() == parent:
            self.adopt()  # at the start what an earlier server left, later what a killed worker leaves
            pause = LOOK_S if self.sweep() else min(2 * pause, MOST_PAUSE_S)
            until = time.monotonic() + pause
            while time.monotonic() < until and not self.ending and os.getppid() == parent:
                time.sleep(0.1)
        self.adopt()
        if not self.ending:
            self.stop(time.monotonic() + STOP_S)
        while not self.sweep():
            time.sleep(LOOK_S)

    def waiting(self) -> Iterator[Path]:
        """Files that can be sent, oldest hour first."""
        yield from sorted(self.spool.rglob("*.jsonl"))

    def adopt(self) -> None:
        """Files whose writer was killed can be sent too; a line that it did not finish is cut off."""
        for file in self.spool.rglob(f"*.jsonl{OPEN}"):
            if _alive(file):
                continue
            with contextlib.suppress(OSError):
                data = file.read_bytes()
                whole = data[: data.rfind(b"\n") + 1]
                if len(whole) < len(data):
                    os.truncate(file, len(whole))
                file.rename(file.with_suffix("")) if whole else file.unlink()

    def sweep(self) -> bool:
        """Send every file; False when S3 did not take one."""
        files = list(self.waiting())
        self.meters.set("capture_unsent", len(files))
        for number, file in enumerate(files):
            try:
                self._send(file)
            except FileNotFoundError:
                continue  # another server with the same place has sent it
            except OverError:
                raise
            except (OSError, FilonError) as exc:
                said = exc.why if isinstance(exc, FilonError) else str(exc)
                if not self.trouble:
                    log(f"captured files wait for S3: {said.splitlines()[0][:200]}")
                self.trouble = said.splitlines()[0][:200]
                return False
            self.meters.set("capture_unsent", len(files) - number - 1)
        if self.trouble:
            log("captured files are sent again")
            self.trouble = ""
        return True

    def _send(self, file: Path) -> None:
        from filon.engines.s3 import ask, filesystem, key_of

        uri = f"{self.place}/{file.relative_to(self.spool).as_posix()}"
        size = file.stat().st_size

        def put() -> int:
            store = filesystem()
            with store.open_output_stream(key_of(uri)) as out, file.open("rb") as source:
                while block := source.read(8 << 20):
                    out.write(block)
            return int(store.get_file_info(key_of(uri)).size)

        kept: Any = ask(put, uri)
        if kept != size:
            raise OSError(f"S3 has {kept} of {size} bytes of {uri}")
        file.unlink()
        with contextlib.suppress(OSError):  # folders of hours that are over
            for folder in list(file.parents)[:6]:
                if folder == self.spool:
                    break
                folder.rmdir()


def _alive(file: Path) -> bool:
    """Whether the process that writes a file lives; its number is in the name, after the slot."""
    words = file.name.partition(".")[0].split("-")
    try:
        os.kill(int(words[4]), 0)
    except (ProcessLookupError, ValueError, IndexError):
        return False
    except PermissionError:
        return True
    return True


def main(text: str) -> int:
    """The sender, as the supervisor starts it."""
    words = json.loads(text)
    shipper = Shipper(Path(words["spool"]), words["place"], Meters(Path(words["state"]) / "meters-shipping"))

    def stop(number: int, frame: Any) -> None:  # noqa: ARG001 - a signal handler's words
        until = time.monotonic() + STOP_S
        with contextlib.suppress(OSError, ValueError):
            until = min(until, float((Path(words["state"]) / STOP_BY).read_text(encoding="utf-8")))
        shipper.stop(until)

    def over(number: int, frame: Any) -> None:  # noqa: ARG001
        raise OverError

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, over)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shipper.run(os.getppid())
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stderr.flush()
    os._exit(code)  # a request that S3 does not answer would hold the process up
