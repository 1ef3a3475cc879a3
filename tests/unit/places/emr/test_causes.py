"""The doctor against recorded failures: each file holds what EMR said, what the logs held, and the cause that a person would name."""

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from filon.errors import CODES
from filon.places.emr.causes import Cause, Evidence, Line, diagnose
from filon.places.emr.rules import RULES
from filon.places.emr.settings import EmrSettings
from filon.places.infra.writing import contents

FOLDER = Path(__file__).with_name("failures")
RIGHT_SHARE = 0.9


@dataclass(frozen=True)
class Failure:
    """One recorded failure: the code expected, texts that the cause must name, what was seen."""

    name: str
    expect: str
    names: tuple[str, ...]
    seen: Evidence


def load(path: Path) -> Failure:
    head, *sections = re.split(r"^--- (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    said = dict(line.partition(": ")[::2] for line in head.splitlines() if ":" in line)
    lines = []
    for file, text in zip(sections[::2], sections[1::2], strict=True):
        lines += [Line(file=file, text=line) for line in text.strip("\n").splitlines()]
    seen = Evidence(step=said["step"], cluster=said["cluster"], reason=said.get("reason", "").strip(), lines=lines)
    return Failure(path.stem, said["expect"], tuple(filter(None, said.get("names", "").split(", "))), seen)


FAILURES = [load(path) for path in sorted(FOLDER.glob("*.txt"))]


def test_the_corpus_is_large_enough_and_the_doctor_right_nine_times_in_ten() -> None:
    named = {failure.name: cause.code if (cause := diagnose(failure.seen)) else "" for failure in FAILURES}
    wrong = {failure.name: named[failure.name] for failure in FAILURES if named[failure.name] != failure.expect}
    assert len(FAILURES) >= 25
    assert 1 - len(wrong) / len(FAILURES) >= RIGHT_SHARE, wrong


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_the_cause_is_the_one_a_person_would_name(failure: Failure) -> None:
    cause = diagnose(failure.seen)
    assert isinstance(cause, Cause)
    assert cause.code == failure.expect
    told = f"{cause.what} {cause.fix}"
    assert all(name in told for name in failure.names), told
    assert cause.fix
    assert len(cause.lines) <= 5
    assert "{" not in told


ROUTINE = "26/03/04 10:01:02 INFO TaskSetManager: Finished task {}.0 in stage 3.0 (TID 11) in 812 ms on ip-10-0-0-12 (executor 3) (13/200)"


def buried(seen: Evidence, rows: int) -> Evidence:
    """The same failure in a log of a long job."""
    noise = [Line(file="containers/stderr.gz", text=ROUTINE.format(number)) for number in range(rows)]
    return replace(seen, lines=[*noise, *seen.lines, *noise])


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_the_cause_is_found_in_a_long_log_too(failure: Failure) -> None:
    assert diagnose(buried(failure.seen, 300)) == diagnose(failure.seen)


def test_a_log_of_a_hundred_thousand_lines_is_read_at_once() -> None:
    seen = buried(next(failure for failure in FAILURES if failure.expect == "emr.container-memory").seen, 50_000)
    began = time.process_time()
    cause = diagnose(seen)
    took = time.process_time() - began
    assert cause is not None
    assert cause.code == "emr.container-memory"
    assert took < 2.0, "0.2 s on a quiet machine; rule by rule and line by line it took nine"


@pytest.mark.parametrize("name", ["own-label-json", "own-schema-text"])
def test_our_own_error_is_shown_as_it_was_raised(name: str) -> None:
    cause = diagnose(next(failure for failure in FAILURES if failure.name == name).seen)
    assert cause is not None
    assert cause.as_raised
    assert cause.what
    assert "--debug" not in cause.fix


def test_a_job_that_went_well_has_no_cause() -> None:
    chatter = [
        "26/03/04 10:01:02 INFO SparkContext: Running Spark version 3.5.6-amzn-0",
        "26/03/04 10:01:09 WARN NativeCodeLoader: Unable to load native-hadoop library",
        "26/03/04 10:01:11 INFO ApplicationMaster: Final app status: SUCCEEDED, exitCode: 0",
    ]
    assert diagnose(Evidence(step="RUNNING", cluster="RUNNING", lines=[Line(file="stderr", text=text) for text in chatter])) is None


def test_a_cluster_that_ended_as_terminated_is_remarked_on() -> None:
    cause = diagnose(next(failure for failure in FAILURES if failure.name == "heap-gc-overhead").seen)
    assert cause is not None
    assert "TERMINATED" in cause.notes[0]


def test_every_cause_is_explained_on_the_page_of_errors() -> None:
    assert {rule.code for rule in RULES} <= set(CODES)


def test_a_file_that_a_cause_sends_to_is_one_that_is_written() -> None:
    written = contents("mineria", EmrSettings(bucket="s3://acme/mineria"))
    named = [found for rule in RULES for found in re.findall(r"infrastructure/([\w./-]+\w)", rule.fix)]
    assert named
    assert [one for one in named if one not in written] == []
