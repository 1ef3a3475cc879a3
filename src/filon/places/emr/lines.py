"""What the production checklist is made of: a line for each thing looked at, and what the looks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from filon.errors import Code, FilonError, PlaceError
from filon.places.emr.client import Aws
from filon.places.emr.policies import PROJECT_TAG, Scope
from filon.places.emr.settings import EmrSettings
from filon.places.emr.work import Table

Level = Literal["ok", "warning", "blocker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing looked at: how it is, what was seen, and what to do where it is not well (`code` names it then)."""

    name: str
    level: Level
    what: str
    fix: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the checklist is about: the recipe's parts that matter to a cluster.

    sources : what the recipe reads; strategy : `places.spark.strategy`; dollars : `search.budget.dollars`
    expected : dollars and hours of the run, as estimated
    """

    name: str
    settings: EmrSettings
    sources: tuple[str, ...]
    strategy: str = "auto"
    table: Table | None = None
    dollars: float | None = None
    expected: tuple[float, float] | None = None
    priced: str = ""


@dataclass(slots=True, kw_only=True)
class Look:
    """The state of one pass: who asks, and what earlier looks found out for later ones."""

    job: Job
    aws: Aws
    account: str = ""
    caller: str = ""
    partition: str = "aws"
    cluster: Mapping[str, Any] = field(default_factory=dict)
    groups: list[dict[str, Any]] = field(default_factory=list)
    service_role: str = ""
    nodes_role: str = ""

    @property
    def settings(self) -> EmrSettings:
        """The recipe's table."""
        return self.job.settings

    @property
    def bucket(self) -> str:
        """Name of the project's bucket."""
        return self.settings.bucket.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """The project's folder in it, with a slash at its end, or empty."""
        key = self.settings.bucket.removeprefix("s3://").partition("/")[2].strip("/")
        return f"{key}/" if key else ""

    @property
    def scope(self) -> Scope:
        """What the policies are about."""
        return Scope(
            partition=self.partition,
            region=self.aws.region,
            account=self.account,
            bucket=self.bucket,
            prefix=self.prefix,
            project=self.job.name,
        )

    def may(
        self, principal: str, wanted: Mapping[str, Iterable[str]], passed_to: str = "", held: Mapping[str, str] | None = None
    ) -> list[str]:
        """Actions that a role or user may not do on resources, by IAM's own simulation; empty when it may do all.

        Parameters
        ----------
        held : tags of the resources; None for those that we would make, which carry ours and the recipe's

        Raises
        ------
        PlaceError : the simulation itself was refused
        """
        given = {**self.settings.tags, PROJECT_TAG: self.job.name}
        held = given if held is None else held
        told = {f"{key}/{tag}": value for key in ("aws:RequestTag", "elasticmapreduce:RequestTag") for tag, value in given.items()}
        told |= {f"{key}/{tag}": value for key in ("aws:ResourceTag", "elasticmapreduce:ResourceTag") for tag, value in held.items()}
        if passed_to:
            told["iam:PassedToService"] = passed_to
        context = [{"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"} for key, value in told.items()]
        refused = []
        for resource, actions in wanted.items():
            answer = self.aws.call(
                "iam",
                "simulate_principal_policy",
                PolicySourceArn=principal,
                ActionNames=list(actions),
                ResourceArns=[resource],
                ContextEntries=context,
            )
            refused += [f"{one['EvalActionName']} on {resource}" for one in answer["EvaluationResults"] if one["EvalDecision"] != "allowed"]
        return refused


Check = Callable[[Look], list[Line]]


def ok(name: str, what: str) -> Line:
    """All is well."""
    return Line(name=name, level="ok", what=what)


def warn(name: str, code: Code, what: str, fix: str) -> Line:
    """It runs, and somebody may be sorry."""
    return Line(name=name, level="warning", what=what, fix=fix, code=code)


def block(name: str, code: Code, what: str, fix: str) -> Line:
    """It would fail, or cost for nothing."""
    return Line(name=name, level="blocker", what=what, fix=fix, code=code)


def failed(name: str, exc: FilonError, level: Level = "blocker") -> Line:
    """A look that ended in an error of AWS's: its own words; where only the look was refused, the thing itself may be well."""
    return Line(name=name, level=level, what=f"{exc.what}: {exc.why}"[:400], fix=exc.fix, code=exc.code)


def refused_look(name: str, exc: PlaceError) -> Line:
    """We may not look: a warning, because the job may be allowed what we are not."""
    if exc.code == "places.access-denied":
        return warn(
            name, "checklist.not-seen", f"we may not look: {exc.what}", "attach policies/caller.json of filon infra init to whoever asks"
        )
    return failed(name, exc)
