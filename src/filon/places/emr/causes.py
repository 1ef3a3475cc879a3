"""Why a job failed: rules that know the words of YARN, Spark, Python and S3, each with its cause and the setting to change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from filon.places.emr.rules import RULES, Rule

MOST = 5
"""Evidence lines shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a log: the file it stands in (below the cluster's log folder), and its text."""

    file: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a failed job: states and reasons as EMR tells them, lines of its logs in the order of their time."""

    step: str = ""
    cluster: str = ""
    reason: str = ""
    lines: Sequence[Line] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A named cause: what it is, the lines that tell it, what to do; `as_raised` when it is our own error, shown as it was raised."""

    code: str
    what: str
    fix: str
    lines: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()
    as_raised: bool = False


def diagnose(seen: Evidence) -> Cause | None:
    """The cause of a failure, None when nothing known gives it away.

    Our own coded error comes first, as it was raised; then EMR's reasons and the logs by the rules; then the bare states.
    """
    notes = _notes(seen)
    reason = [Line(file="EMR's reason", text=seen.reason)] if seen.reason else []
    by_reason = _by_rules(reason, ("reason", "anywhere"), notes)
    if by_reason is not None and by_reason.code in ("emr.bootstrap-failed", "emr.spot-lost", "emr.quota", "emr.no-capacity"):
        return by_reason
    return _own(seen.lines, notes) or by_reason or _by_rules(seen.lines, ("anywhere",), notes) or _by_state(seen, notes)


def telling(lines: Sequence[Line]) -> list[Line]:
    """Lines in which some rule finds its words: all rules as one expression, by Arrow's linear engine. A log has a hundred thousand lines,
    and Python's own engine would look at each of them for every rule, for longer than the reader waits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(lines) < FEW:
        return list(lines)
    found = pc.match_substring_regex(pa.array([line.text for line in lines], pa.large_string()), _any_rule(), ignore_case=True)
    return [lines[position] for position in pc.indices_nonzero(found).to_pylist()]


FEW = 200
"""Lines that are looked at as they are."""


@cache
def _any_rule() -> str:
    """Every rule's pattern in one, without what only tells more: names of groups, and what must not follow."""
    plain = (re.sub(r"\(\?[!=][^)]*\)", "", rule.pattern.pattern.replace("(?P<", "(?<")) for rule in RULES)
    return "|".join(f"(?:{re.sub(r'[(][?]<[^>]*>', '(?:', pattern)})" for pattern in plain)


def _by_rules(lines: Sequence[Line], where: tuple[str, ...], notes: tuple[str, ...]) -> Cause | None:
    lines = telling(lines)
    for rule in RULES:
        if rule.where not in where:
            continue
        hits = [(line, found) for line in lines for found in rule.pattern.finditer(line.text)]
        if hits:
            told = max((found for _, found in hits), key=_telling)
            return _cause(rule, told, [line for line, _ in hits], notes)
    return None


def _telling(found: re.Match[str]) -> int:
    """How much a match names: a role, an action, a size."""
    return sum(value is not None for value in found.groupdict().values())


def _cause(rule: Rule, found: re.Match[str], lines: Iterable[Line], notes: tuple[str, ...]) -> Cause:
    groups = {name: value.strip() for name, value in found.groupdict().items() if value}
    words = {**rule.defaults, **groups}
    if "resource" in groups:
        words["resource"] = f" on {groups['resource']}"
    if "operation" in groups and "action" not in groups:
        words["action"] = f"s3:{groups['operation']}"
    if "file" in groups and "path" in rule.defaults:
        words["path"] = groups["file"]
    if "library" in groups or "object" in groups:
        words["package"] = groups.get("library") or groups["object"]
    if "used" in groups:
        words["used"] = f"({groups['used']})"
    shown = tuple(dict.fromkeys(lines))[:MOST]
    return Cause(code=rule.code, what=_fill(rule.what, words), fix=_fill(rule.fix, words), lines=shown, notes=notes)


def _fill(text: str, words: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: words.get(found.group(1), ""), text).strip()


OURS = re.compile(r"error\[(?P<code>[a-z]+(?:-[a-z]+)*\.[a-z0-9-]+)\] (?P<what>.*)")


def _own(lines: Sequence[Line], notes: tuple[str, ...]) -> Cause | None:
    """Our own coded error, in its JSON form or as text over three lines; a bug of ours is not a cause when the logs know a better one."""
    for position, line in enumerate(lines):
        told = _json_error(line.text)
        if told is not None and told.get("code") != "bug.unexpected":
            return Cause(
                code=told["code"],
                what=told.get("what", ""),
                fix=told.get("fix", ""),
                lines=(Line(file=line.file, text=told.get("why", "")),),
                notes=notes,
                as_raised=True,
            )
        found = OURS.search(line.text) if "error[" in line.text else None
        if found and found["code"] != "bug.unexpected":
            after = [one.text.strip() for one in lines[position + 1 : position + 12] if one.file == line.file]
            why = next((text[3:].strip() for text in after if text.startswith("why ")), "")
            fix = next((text[3:].strip() for text in after if text.startswith("fix ")), "")
            return Cause(
                code=found["code"],
                what=found["what"],
                fix=fix,
                lines=(Line(file=line.file, text=why or line.text),),
                notes=notes,
                as_raised=True,
            )
    return None


def _json_error(text: str) -> dict[str, str] | None:
    if not text.startswith('{"error"'):
        return None
    try:
        said = json.loads(text)["error"]
    except (ValueError, KeyError):
        return None
    return {str(key): str(value) for key, value in said.items()} if isinstance(said, dict) and "code" in said else None


def _notes(seen: Evidence) -> tuple[str, ...]:
    if seen.step == "FAILED" and seen.cluster == "TERMINATED":
        return (
            "the cluster ended as TERMINATED, without errors, though the step failed: EMR says so of clusters that end after their steps",
        )
    return ()


def _by_state(seen: Evidence, notes: tuple[str, ...]) -> Cause | None:
    shown = (Line(file="EMR's reason", text=seen.reason),) if seen.reason else ()
    if seen.cluster == "TERMINATED_WITH_ERRORS" and seen.reason and seen.step != "FAILED":
        what = "the cluster ended with errors before the job did, for a reason of EMR's that is not in our list"
        fix = "its words are below; filon train sends the job again, on another cluster"
        return Cause(code="emr.unknown", what=what, fix=fix, lines=shown, notes=notes)
    if seen.step == "CANCELLED":
        what = "the step was cancelled before it ran to its end"
        fix = "an earlier step failed, or somebody cancelled it: submit it again"
        return Cause(code="emr.step-cancelled", what=what, fix=fix, lines=shown, notes=notes)
    errors = [line for line in seen.lines if re.search(r"\b(ERROR|FATAL|Traceback|\w*Exception)\b|Error:", line.text)]
    if seen.step in ("FAILED", "INTERRUPTED") and errors:
        what = "the job failed for a reason that is not in our list; these are the last lines that speak of errors"
        return Cause(code="emr.unknown", what=what, fix="filon logs RUN shows them all", lines=tuple(errors[-MOST:]), notes=notes)
    return None
