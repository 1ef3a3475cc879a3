"""Scores to the body of an answer, in the form that Accept asks for: JSON, JSON Lines, CSV or an Arrow stream."""

import io
import json
from typing import Any

import pyarrow as pa

from filon.errors import some
from filon.package.bundle import Bundle
from filon.serve.bodies import ARROW, CSV, JSON, LINES
from filon.serve.problems import refused
from filon.serve.scoring import Scores

FORMS = {JSON: JSON, LINES: LINES, "application/x-ndjson": LINES, "application/jsonl": LINES, CSV: CSV, ARROW: ARROW}
ANYTHING = {"*/*", "application/*", ""}


def form_of(accept: str) -> str:
    """The form of an Accept header, by the client's own order of preference; JSON for anything.

    Raises
    ------
    RefusedError : `serve.not-acceptable`
    """
    if accept in ANYTHING:
        return JSON
    wishes = []
    for place, item in enumerate(accept.split(",")):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            wishes.append((-float(quality), place, name))
        except ValueError:
            continue
    for worth, _, name in sorted(wishes):
        if worth < 0 and (name in ANYTHING or name in FORMS or name == "text/*"):
            return FORMS.get(name, CSV if name == "text/*" else JSON)
    raise refused(
        "serve.not-acceptable", "no form of answer suits the client", f"Accept is {accept[:80]!r}", f"accept one of {some(FORMS, 8)}"
    )


class Writer:
    """Writes answers of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self.classes = bundle.classes
        self.model = {"name": bundle.name, "version": bundle.version}
        self._tail = f'],"model":{json.dumps(self.model, ensure_ascii=False)}'

    def write(self, scores: Scores, form: str) -> bytes:
        """The body of an answer."""
        if form == JSON:
            return self._json(scores)
        if form == LINES:
            return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in self.rows(scores)).encode()
        return self._csv(scores) if form == CSV else self._arrow(scores)

    def rows(self, scores: Scores) -> list[dict[str, Any]]:
        """Answers as plain Python: label, probability by class, then reasons and warnings where there are any; or the row's error."""
        classes = self.classes
        rows: list[dict[str, Any]] = [
            {"label": classes[number], "probability": dict(zip(classes, shares, strict=True))}
            for number, shares in zip(scores.chosen.tolist(), scores.probability.tolist(), strict=True)
        ]
        if scores.reasons is not None:
            for row, reasons in zip(rows, scores.reasons, strict=True):
                row["reasons"] = [{"feature": name, "contribution": value} for name, value in reasons]
        for number, names in scores.unseen.items():
            rows[number]["warnings"] = [_warning(name) for name in names]
        for number, refusal in scores.refusals.items():
            rows[number] = {"error": refusal.to_plain()}
        return rows

    def _json(self, scores: Scores) -> bytes:
        rows = json.dumps(self.rows(scores), ensure_ascii=False, separators=(",", ":"))
        counts = f',"refused":{len(scores.refusals)}' if scores.refusals else ""
        counts += f',"warned":{scores.unseen_rows}' if scores.unseen_rows else ""
        return f'{{"predictions":{rows[:-1]}{self._tail}{counts}}}'.encode()

    def table(self, scores: Scores) -> pa.Table:
        """Answers as a table: label, probability_<class>, error (code and field), warnings (columns with an unseen category)."""
        good = scores.chosen >= 0
        count = len(good)
        names = pa.array(self.classes, pa.string())
        label = names.take(pa.array(scores.chosen, mask=~good))
        shares = [
            pa.array(scores.probability[:, place].copy(), mask=~good if scores.refusals else None) for place in range(len(self.classes))
        ]
        errors: list[str | None] = [None] * count
        for row, refusal in scores.refusals.items():
            errors[row] = f"{refusal.error.code}: {refusal.error.what}"
        warned: list[list[str] | None] = [None] * count
        for row, unseen in scores.unseen.items():
            warned[row] = list(unseen)
        columns = {"label": label, **{f"probability_{name}": cells for name, cells in zip(self.classes, shares, strict=True)}}
        columns |= {"error": pa.array(errors, pa.string()), "warnings": pa.array(warned, pa.list_(pa.string()))}
        if scores.reasons is not None:
            kind = pa.list_(pa.struct([("feature", pa.string()), ("contribution", pa.float32())]))
            told = [[{"feature": name, "contribution": value} for name, value in row] for row in scores.reasons]
            columns["reasons"] = pa.array(told, kind)
        return pa.table(columns).replace_schema_metadata({"filon:model": json.dumps(self.model)})

    def _arrow(self, scores: Scores) -> bytes:
        table, sink = self.table(scores), io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return sink.getvalue()

    def _csv(self, scores: Scores) -> bytes:
        """Label, then the probability of each class in order; no header, as the body has none; a refused row is a row of empty cells."""
        import pyarrow.compute as pc

        good = scores.chosen >= 0
        label = pa.array([_cell(name) for name in self.classes], pa.string()).take(pa.array(scores.chosen, mask=~good))
        shares = [pc.cast(pa.array(scores.probability[:, place].copy(), mask=~good), pa.string()) for place in range(len(self.classes))]
        lines = pc.binary_join_element_wise(label, *shares, ",", null_handling="replace", null_replacement="")
        return ("\n".join(lines.to_pylist()) + "\n").encode()


def _cell(text: str) -> str:
    """A class as a CSV cell."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def _warning(name: str) -> dict[str, str]:
    return {"code": "serve.unseen-category", "field": name, "what": f'"{name}" has a category not seen in training: scored as missing'}
