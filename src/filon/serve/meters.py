"""Counts of a server for Prometheus: a few numbers in memory that its workers share, so that any of them can tell them all."""

import mmap
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

ROUTES = ("invocations", "models", "other")
STATUSES = (200, 400, 401, 403, 404, 405, 406, 408, 413, 415, 422, 500, 503)
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Upper bounds of the histogram's buckets, seconds."""

PLAIN = {
    "rows": "Rows asked to be scored.",
    "rows_refused": "Rows that could not be scored.",
    "rows_unseen": "Rows with a category not seen in training.",
    "capture_lines": "Requests written to the capture.",
    "capture_dropped": "Requests that the capture had to drop.",
    "shadow_dropped": "Requests that the shadow model did not see, because it was too slow.",
    "swaps": "Models put in service after the start.",
    "registry_failed": "Looks at the model registry that failed.",
    "registry_refused": "Versions of the registry that were not put in service.",
}
NAMES = (
    *(f"{route} {status}" for route in ROUTES for status in STATUSES),
    *(f"le {bound}" for bound in (*BOUNDS, "+Inf")),
    "seconds",
    *PLAIN,
    "capture_waiting",
    "capture_unsent",
    "pending",
)
PLACES = {name: place for place, name in enumerate(NAMES)}


def waiting_of(file: Path) -> float:
    """What the capture of a worker had not written when it ended, 0 where nothing is known."""
    try:
        return memoryview(file.read_bytes()).cast("d")[PLACES["capture_waiting"]]
    except (OSError, TypeError, IndexError):
        return 0.0


class Meters:
    """The numbers of one worker, in a file that its neighbours can read (or in memory of its own)."""

    def __init__(self, file: Path | None = None) -> None:
        self.folder = None if file is None else file.parent
        if file is None:
            self.values = memoryview(bytearray(8 * len(NAMES))).cast("d")
            return
        with file.open("a+b") as handle:
            handle.truncate(8 * len(NAMES))
            self.values = memoryview(mmap.mmap(handle.fileno(), 8 * len(NAMES))).cast("d")
        self.set("capture_waiting", 0)  # a worker that comes back in a dead one's place starts with nothing waiting
        self.set("capture_unsent", 0)
        self.set("pending", 0)

    def add(self, name: str, value: float = 1) -> None:
        """Count something."""
        self.values[PLACES[name]] += value

    def set(self, name: str, value: float) -> None:
        """Set a gauge."""
        self.values[PLACES[name]] = value

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self.values[PLACES[f"{route} {status}"]] += 1
        if route == "invocations":
            self.values[PLACES["le 0.0005"] + bisect_left(BOUNDS, seconds)] += 1
            self.values[PLACES["seconds"]] += seconds

    def total(self) -> list[float]:
        """Sums over the workers."""
        if self.folder is None:
            return list(self.values)
        sums = [0.0] * len(NAMES)
        for file in sorted(self.folder.glob("meters-*")):
            data = file.read_bytes()
            if len(data) == 8 * len(NAMES):
                sums = [left + right for left, right in zip(sums, memoryview(data).cast("d"), strict=True)]
        return sums

    def text(self, models: dict[str, tuple[str, str]], workers: int) -> str:
        """The numbers in Prometheus' text format. `models` : name and version by part (champion, challenger)."""
        return "\n".join(_lines(dict(zip(NAMES, self.total(), strict=True)), models, workers)) + "\n"


def _lines(total: dict[str, float], models: dict[str, tuple[str, str]], workers: int) -> Iterator[str]:
    yield from _head("requests_total", "counter", "Requests answered, by route and status.")
    for route in ROUTES:
        for status in STATUSES:
            if total[f"{route} {status}"]:
                yield f'filon_requests_total{{route="{route}",status="{status}"}} {total[f"{route} {status}"]:.0f}'
    yield from _head("invocation_seconds", "histogram", "Time from a request's first byte to its answer's last, in the server.")
    running = 0.0
    for bound in (*BOUNDS, "+Inf"):
        running += total[f"le {bound}"]
        yield f'filon_invocation_seconds_bucket{{le="{bound}"}} {running:.0f}'
    yield f"filon_invocation_seconds_sum {total['seconds']:.6f}"
    yield f"filon_invocation_seconds_count {running:.0f}"
    for name, said in PLAIN.items():
        yield from _head(f"{name}_total", "counter", said)
        yield f"filon_{name}_total {total[name]:.0f}"
    for name, value, said in (
        ("capture_waiting", total["capture_waiting"], "Requests waiting to be written to the capture."),
        ("capture_unsent_files", total["capture_unsent"], "Captured files waiting to be sent to S3."),
        ("pending_requests", total["pending"], "Requests being worked at."),
        ("workers", workers, "Workers the server was told to run."),
    ):
        yield from _head(name, "gauge", said)
        yield f"filon_{name} {value:.0f}"
    yield from _head("model_info", "gauge", "Models in service, 1 each.")
    for part, (name, version) in models.items():
        yield f'filon_model_info{{part="{part}",name="{_escaped(name)}",version="{version}"}} 1'


def _head(name: str, kind: str, said: str) -> Iterator[str]:
    yield f"# HELP filon_{name} {said}"
    yield f"# TYPE filon_{name} {kind}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
