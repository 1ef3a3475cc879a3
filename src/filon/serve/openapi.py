"""The server described from the bundle's columns: an OpenAPI document, and the page that reads it."""

import base64
import hashlib
import re
from functools import cache
from importlib import resources
from typing import Any

from filon.engines.base import Column
from filon.package.bundle import Bundle
from filon.serve.answers import FORMS
from filon.serve.bodies import ARROW, CSV, JSON, LINES, PARQUET

SHOWN = 100
"""Categories of a column that are listed: a person chooses among them, a program needs none."""

KINDS = {"number": "number", "boolean": "boolean"}


def document(bundle: Bundle) -> dict[str, Any]:
    """OpenAPI 3.1 of a server with that bundle."""
    row = {"$ref": "#/components/schemas/Row"}
    rows = {"type": "array", "items": row, "minItems": 1}
    binary = {"type": "string", "format": "binary"}
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {"columns": {"type": "array", "items": {"type": "string"}}, "data": {"type": "array", "items": {"type": "array"}}},
    }
    forms = [row, rows, {"type": "object", "required": ["instances"], "properties": {"instances": rows}}, split]
    bodies = {JSON: {"anyOf": forms}, **{kind: {"type": "string"} for kind in (CSV, LINES)}, **dict.fromkeys((PARQUET, ARROW), binary)}
    answers = {form: {"schema": {"type": "string"}} for form in dict.fromkeys(FORMS.values()) if form != JSON}
    refusal = {"description": "refused, with a code", "content": {JSON: {"schema": {"$ref": "#/components/schemas/Refusal"}}}}
    ask = {
        "operationId": "invocations",
        "summary": f"Score rows: {bundle.label} by {bundle.ensemble.family}",
        "parameters": [
            {
                "name": "explain",
                "in": "query",
                "description": "how many of the strongest contributions to tell (exact TreeSHAP, in margin units)",
                "schema": {"type": "integer", "minimum": 0, "maximum": 1000},
            }
        ],
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind, schema in bodies.items()}},
        "responses": {
            "200": {
                "description": "answers in the order of the rows",
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/Answers"}}, **answers},
            },
            **{str(status): refusal for status in (400, 401, 406, 408, 413, 415, 422, 503)},
        },
    }
    plain = {"200": {"description": "it does"}, "503": refusal}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": bundle.name,
            "version": bundle.version,
            "description": f"Answers {bundle.label}: {', '.join(bundle.classes[:20])}.",
        },
        "paths": {
            "/invocations": {"post": ask},
            "/ping": {"get": {"operationId": "ping", "summary": "Whether the server lives", "responses": plain}},
            "/healthz": {"get": {"operationId": "healthz", "summary": "Whether the server lives", "responses": plain}},
            "/readyz": {"get": {"operationId": "readyz", "summary": "Whether it takes requests", "responses": plain}},
            "/metrics": {"get": {"operationId": "metrics", "summary": "Counts for Prometheus", "responses": {**plain, "401": refusal}}},
        },
        "components": {"schemas": _schemas(bundle)},
    }


def _schemas(bundle: Bundle) -> dict[str, Any]:
    categories = {item.name: item.categories for item in bundle.encoding.features if item.kind == "category"}
    text, number = {"type": "string"}, {"type": "number"}
    answer = {
        "type": "object",
        "properties": {
            "label": {"type": "string", "enum": list(bundle.classes)},
            "probability": {"type": "object", "properties": {name: {**number, "minimum": 0, "maximum": 1} for name in bundle.classes}},
            "reasons": {"type": "array", "items": {"type": "object", "properties": {"feature": text, "contribution": number}}},
            "warnings": {"type": "array", "items": {"type": "object", "properties": {"code": text, "field": text, "what": text}}},
            "error": {"type": "object"},
        },
    }
    names = ("code", "what", "why", "fix", "field")
    told = {"type": "object", "required": list(names[:4]), "properties": {**dict.fromkeys(names, text), "row": {"type": "integer"}}}
    return {
        "Row": {
            "type": "object",
            "required": [column.name for column in bundle.inputs],
            "properties": {column.name: _column(column, categories.get(column.name, ())) for column in bundle.inputs},
        },
        "Answers": {
            "type": "object",
            "required": ["predictions", "model"],
            "properties": {
                "predictions": {"type": "array", "items": answer},
                "model": {"type": "object", "properties": {"name": text, "version": text}},
                "refused": {"type": "integer"},
                "warned": {"type": "integer"},
            },
        },
        "Refusal": {"type": "object", "required": ["error"], "properties": {"error": told}},
    }


def _column(column: Column, categories: tuple[str, ...]) -> dict[str, Any]:
    kind = "string" if column.stored.startswith(("date", "timestamp")) else KINDS.get(column.kind, "string")
    also = ["number", "boolean"] if column.kind == "category" else []
    schema: dict[str, Any] = {"type": [kind, *also, "null"]}
    if categories:
        schema["examples"] = list(categories[:SHOWN])
        schema["description"] = f"{len(categories)} categories were seen in training, most frequent first; another one is scored as missing"
    return schema


@cache
def page() -> tuple[bytes, bytes]:
    """The page at /, and its Content-Security-Policy: it may ask this server, and nobody else."""
    text = resources.files("filon.serve").joinpath("page.html").read_text(encoding="utf-8")
    script, style = (re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[0] for tag in ("script", "style"))
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (script, style)]
    policy = f"default-src 'none'; img-src data:; connect-src 'self'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'"
    return text.encode(), f"{policy}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'".encode()
