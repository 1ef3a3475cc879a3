"""What the checklist may not look at is said, and never counted as good."""

from typing import Any

import pytest

from filon.errors import PlaceError
from filon.places.emr.checklist import budget
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


class OneBudget:
    """An account of whose budgets only the project's own may be seen."""

    region = "us-east-1"

    def __init__(self, tag: str) -> None:
        self.tag = tag

    def call(self, service: str, operation: str, /, **words: Any) -> dict[str, Any]:
        if operation == "describe_budgets":
            raise PlaceError("places.access-denied", "you may not list budgets", "AccessDeniedException", "ask")
        if operation == "describe_notifications_for_budget":
            return {"Notifications": [{}, {}]}
        assert (operation, words["BudgetName"]) == ("describe_budget", "mineria-emr")
        filters = {"TagKeyValue": [self.tag]}
        return {"Budget": {"BudgetName": "mineria-emr", "CostFilters": filters, "BudgetLimit": {"Amount": "100"}}}


@pytest.mark.parametrize(("tag", "code"), [("user:filon-project$mineria", ""), ("user:filon-project${var.name}", "checklist.budget-blind")])
def test_the_projects_own_budget_is_seen_where_no_other_may_be(tag: str, code: str) -> None:
    job = Job(name="mineria", settings=EmrSettings(bucket="s3://acme/mineria"), sources=())
    (line,) = budget(Look(job=job, aws=OneBudget(tag), account="123456789012"))
    assert line.code == code, line
