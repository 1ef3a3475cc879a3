"""The place `dry-run`: every call and every file that `--on emr` would send, written down and checked, none of them sent."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filon.errors import PlaceError, SetupError
from filon.events import Event, Listen, silence
from filon.places.base import Handle, Job

if TYPE_CHECKING:
    from filon.places.emr.place import Emr
    from filon.places.settings import PlacesSettings

SHOWN_BYTES = 4000
"""Of a small text that would be sent; the rest is counted."""


@dataclass(slots=True, kw_only=True)
class PaperAws:
    """Takes every request, checks it against botocore's own model of the service, and answers as an empty account would."""

    region: str
    listen: Listen = silence
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def call(self, service: str, operation: str, /, **words: Any) -> dict[str, Any]:
        """Check and write down one request.

        Raises
        ------
        PlaceError : `places.request-refused`, when AWS would not take it
        """
        check_request(service, operation, words)
        self.calls.append((service, operation, words))
        self.listen(Event(stage="dry-run", text=f"{service}:{operation} {shown(words)}", fields={"request": plain(words)}))
        return self._answer(operation, words)

    def _answer(self, operation: str, words: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "head_bucket":
            return {"BucketRegion": self.region}
        if operation in ("head_object", "get_object"):
            raise PlaceError("places.object-missing", "nothing is there in a dry run", str(words.get("Key")), "leave --on dry-run out")
        if operation == "describe_cluster":
            return {"Cluster": {"Status": {"State": "WAITING"}, "ReleaseLabel": "emr-7.13.0", "Tags": []}}
        if operation == "get_application":
            return {"application": {"state": "CREATED", "releaseLabel": "emr-7.13.0", "tags": {}}}
        made: dict[str, dict[str, Any]] = {
            "run_job_flow": {"JobFlowId": "j-DRYRUN"},
            "add_job_flow_steps": {"StepIds": ["s-DRYRUN"]},
            "create_application": {"applicationId": "00dryrun"},
            "start_job_run": {"applicationId": "00dryrun", "jobRunId": "00dryrunjob"},
            "get_caller_identity": {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/you"},
        }
        parts = {"create_multipart_upload": {"UploadId": "dry"}, "upload_part": {"ETag": "dry"}}
        return {**made, **parts}.get(operation, {})


def check_request(service: str, operation: str, words: Mapping[str, Any]) -> None:
    """Check a request against botocore's model of the service.

    Raises
    ------
    PlaceError : `places.request-refused`
    SetupError : `places.aws-extra-missing`
    """
    try:
        import botocore.session
        from botocore import xform_name
        from botocore.validate import ParamValidator
    except ImportError as exc:
        raise SetupError("places.aws-extra-missing", "the AWS client is not installed", f"{exc}", "pip install 'filon[aws]'") from exc
    model = botocore.session.get_session().get_service_model(service)
    names = {xform_name(name): name for name in model.operation_names}
    if operation not in names:
        raise PlaceError("places.request-refused", f"{service} has no operation {operation}", "botocore does not know it", "send us this")
    shape = model.operation_model(names[operation]).input_shape
    report = ParamValidator().validate(dict(words), shape) if shape is not None else None
    if report is not None and report.has_errors():
        fix = "correct the recipe's table [places.emr]"
        raise PlaceError("places.request-refused", f"{service}:{operation} would be refused", report.generate_report()[:600], fix)


def plain(value: Any) -> Any:
    """A request as JSON can hold it: bytes as their length, hash and, when they are a short text, the text."""
    if isinstance(value, bytes):
        told: dict[str, Any] = {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()[:16]}
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return told
        return {**told, "text": text} if len(text) <= SHOWN_BYTES else told
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def shown(words: Mapping[str, Any]) -> str:
    """A request in one line."""
    text = json.dumps(plain(words), ensure_ascii=False)
    return text if len(text) <= SHOWN_BYTES else f"{text[:SHOWN_BYTES]} and {len(text) - SHOWN_BYTES:,} more characters"


class DryRun:
    """EMR on paper: the very code of the place, with nobody at the other end."""

    name = "dry-run"
    goes_on = True

    def __init__(self, settings: PlacesSettings) -> None:
        self.settings = settings

    def submit(self, job: Job, listen: Listen) -> Handle:
        """Print what would be sent.

        Raises
        ------
        PlaceError : `places.request-refused`, and what the place itself refuses
        """
        place = self._place(listen)
        handle = place.submit(job, listen)
        count = len(place.aws.calls)  # type: ignore[attr-defined]
        listen(Event(stage="dry-run", text=f"{count} requests, each as botocore's model of the service wants it; none was sent"))
        return Handle(place=self.name, id=handle.id, job=job, state="pending", out=handle.out, facts={"requests": str(count)})

    def follow(self, handle: Handle, listen: Listen) -> Handle:
        """Nothing was sent, so nothing is to be followed."""
        del listen
        return handle

    def _place(self, listen: Listen) -> Emr:
        from filon.places.emr.ledger import NoLedger
        from filon.places.emr.place import open_emr
        from filon.places.emr.shapes import machine_of, shape_of
        from filon.places.lanes import find_lane

        emr = self.settings.emr
        region = emr.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        aws = PaperAws(region=region, listen=listen)
        if not (emr.archive or emr.cluster_id or emr.application_id):  # it is not built here, but whether it could be is known
            find_lane(emr.release)
            if not emr.serverless:
                machine_of(shape_of(emr).kinds)
        archive = emr.archive or "s3://(environment of the lane, built and uploaded when it is not there yet)"
        on_paper = emr.model_copy(update={"archive": archive})
        return open_emr(on_paper, aws=aws, ledger=NoLedger(), strategy=self.settings.spark.strategy, keep=False)
