"""What the checklist may not look at is said, and never counted as good."""

from typing import Any

import pytest

from filon.errors import PlaceError
from filon.places.emr.lines import Job, Look
from filon.places.emr.probes import bucket
from filon.places.emr.settings import EmrSettings


class Bucket:
    """A bucket in which a probe may be left, and whose settings nobody may see (`denied`) or has made."""

    region = "us-east-1"

    def __init__(self, denied: str) -> None:
        self.denied, self.probe = denied, ("", b"")

    def call(self, service: str, operation: str, /, **words: Any) -> dict[str, Any]:
        if operation == self.denied:
            raise PlaceError("places.access-denied", f"you may not {operation}", "AccessDenied", "ask")
        if operation == "put_object":
            self.probe = (words["Key"], words["Body"])
        if operation == "get_public_access_block":
            raise PlaceError("places.request-refused", "AWS refuses", "NoSuchPublicAccessBlockConfiguration: none", "make one")
        answers: dict[str, dict[str, Any]] = {
            "get_object": {"Body": self},
            "list_objects_v2": {"Contents": [{"Key": self.probe[0]}]},
            "get_bucket_versioning": {"Status": "Enabled"},
        }
        return answers.get(operation, {})

    def read(self) -> bytes:
        return self.probe[1]


def settings_line(denied: str) -> tuple[str, str, str]:
    job = Job(name="mineria", settings=EmrSettings(bucket="s3://acme/mineria"), sources=())
    rights, settings = bucket(Look(job=job, aws=Bucket(denied)))
    assert rights.level == "ok"
    return settings.level, settings.code, settings.what


@pytest.mark.parametrize("denied", ["get_public_access_block", "get_bucket_versioning"])
def test_settings_that_nobody_may_see_are_not_good(denied: str) -> None:
    level, code, what = settings_line(denied)
    assert (level, code) == ("warning", "checklist.not-seen")
    assert "we may not look" in what


def test_settings_that_nobody_made_are_said() -> None:
    level, code, what = settings_line("")
    assert (level, code) == ("warning", "checklist.bucket-settings")
    assert "public access is not blocked" in what
    assert "versions" not in what
