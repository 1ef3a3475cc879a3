"""One model in service: how it answers a request."""

from dataclasses import dataclass, field, replace

import numpy as np

from filon.errors import BundleError
from filon.package import sealed
from filon.package.bundle import Bundle
from filon.package.doors import agree, case_names, onnx_door
from filon.package.golden import PROBABILITY
from filon.serve import bodies
from filon.serve.answers import Writer
from filon.serve.bodies import JSON, Rows
from filon.serve.capture import Capture, Event
from filon.serve.meters import Meters
from filon.serve.scoring import Scorer, Scores
from filon.serve.settings import Limits

SMALL_BYTES = 16 * 1024
"""A body up to this size is answered in the event loop: handing it to a thread costs more than it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came. `event` : the client's own id of it, "" for none; `explain` : how many reasons, 0 for none.

    at : seconds since 1970; kept : whether the capture is to have it
    """

    event: str = ""
    event_id: str = ""
    kind: str = JSON
    header: bool = False
    encoding: str = ""
    explain: int = 0
    form: str = JSON
    body: bytes = field(default=b"", repr=False)
    at: float = 0.0
    kept: bool = False

    @property
    def small(self) -> bool:
        """Whether it can be answered in less time than a thread takes to begin."""
        return len(self.body) <= SMALL_BYTES and not self.encoding and not self.explain


class Served:
    """A bundle in service."""

    def __init__(self, bundle: Bundle, meters: Meters, *, part: str = "champion", threads: int = 0, capture: Capture | None = None) -> None:
        self.bundle, self.meters, self.capture = bundle, meters, capture
        self.scorer = Scorer(bundle, threads)
        self.writer = Writer(bundle)
        self.part = part.encode()
        self.version = bundle.version.encode()
        words = bundle.record.get("run", {}).get("read", {}).get("missing", ())
        self.missing = tuple(dict.fromkeys(("", *words)))

    def warm(self) -> None:
        """Answer the golden rows, one by one as a client would ask for them, so that the first client waits for nothing.

        Raises
        ------
        BundleError : `serve.bundle-refused` when an answer is not the sealed one
        """
        import pyarrow.parquet as pq

        # not Bundle.golden(): reading by ParquetFile leaves out pyarrow.dataset, which takes longer to import than all of these answers
        with pq.ParquetFile(self.bundle.path / sealed.GOLDEN) as file:
            table = file.read(use_threads=False)
        expected = np.array(table.column(PROBABILITY).to_pylist(), np.float32)
        rows = table.select([column.name for column in self.bundle.inputs])
        found = onnx_door(self.bundle, rows)
        try:
            agree({"the sealed golden rows": expected, "this server": found}, case_names(table))
        except BundleError as exc:
            fix = "send the bundle again; if it stays so, train again on this machine's versions"
            raise BundleError("serve.bundle-refused", "the bundle does not answer its golden rows as it was sealed", exc.why, fix) from exc

    def answer(self, asked: Asked, limits: Limits) -> tuple[int, bytes]:
        """Status and body. 200 when at least one row was answered, else the status of the first row's refusal.

        Raises
        ------
        RefusedError : when the request as a whole is refused
        """
        body, rows, scores = self.score(asked, limits)
        told = self.tell(scores, asked.form)
        self.keep(asked, body, rows, scores)
        return told

    def watch(self, asked: Asked, limits: Limits) -> None:
        """Score a request that another model answered, for the capture only."""
        self.keep(asked, *self.score(asked, limits))

    def keep(self, asked: Asked, body: bytes, rows: Rows, scores: Scores) -> None:
        """Hand the request, its body unpacked, to the capture, if it is to have it."""
        if self.capture is None or not asked.kept:
            return
        event = Event(
            event_id=asked.event_id,
            inference_id=asked.event,
            at=asked.at,
            kind=asked.kind,
            body=body,
            rows=rows if self.capture.hidden else [],
            scores=scores if scores.reasons is None else replace(scores, reasons=None),  # reasons are not captured
            classes=self.bundle.classes,
            columns=self.scorer.whole,
            model=self.writer.model,
            part=self.part.decode(),
            header=asked.header,
        )
        self.capture.take(event)

    def score(self, asked: Asked, limits: Limits) -> tuple[bytes, Rows, Scores]:
        """The body of a request unpacked, its rows, and their scores."""
        body = bodies.inflate(asked.body, asked.encoding, limits)
        rows = bodies.read(body, asked.kind, self.bundle.inputs, limits, missing=self.missing, header=asked.header)
        scores = None
        if isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], dict) and not asked.explain:
            scores = self.scorer.one(rows[0])
        if scores is None:
            scores = self.scorer.score(rows, asked.explain)
        return body, rows, scores

    def tell(self, scores: Scores, form: str) -> tuple[int, bytes]:
        """Count the rows; status and body."""
        self.meters.add("rows", len(scores.chosen))
        if scores.unseen_rows:
            self.meters.add("rows_unseen", scores.unseen_rows)
        if scores.refusals:
            self.meters.add("rows_refused", len(scores.refusals))
            if len(scores.refusals) == len(scores.chosen):
                raise scores.refusals[min(scores.refusals)]
        return 200, self.writer.write(scores, form)
