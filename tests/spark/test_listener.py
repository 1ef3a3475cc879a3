"""Where the time went, and what held a run back."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.spark.twins import LOCAL

from filon.engines.spark.listener import Account, Inputs, StageFacts, account, held_back, leave, step, watched
from filon.engines.spark.session import Session
from filon.events import Event

pytestmark = [pytest.mark.spark]


@pytest.fixture(scope="module")
def session(spark_session: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    made = Session(LOCAL, tmp_path_factory.mktemp("session"))
    yield made
    made.close()


BUSY = StageFacts(
    number=1, step="check", name="collect", state="complete", tasks=8, failed=0, wall_s=62.0, run_s=480.0, gc_s=1.0,
    read_bytes=0, shuffle_bytes=0, spill_memory_bytes=0, spill_disk_bytes=0, median_s=60.0, slowest_s=62.0,
)  # fmt: skip
REST = replace(BUSY, number=2, step="search", wall_s=38.0, run_s=300.0)
ACCOUNT = Account(slots=8, stages=(BUSY, REST), seconds={"check": 62.0, "search": 38.0})


def with_first(**changes: object) -> Account:
    return replace(ACCOUNT, stages=(replace(BUSY, **changes), REST))  # type: ignore[arg-type]


def test_one_partition_of_a_gzipped_csv_is_named_with_what_to_do() -> None:
    found = replace(with_first(tasks=1), inputs=Inputs(files=1, size_bytes=10_000_000_000, gzipped=1, format="csv"))
    line = "62 % of the time in reading for the profile: 1 partition for 10.0 GB of gzipped CSV; split the file, or keep it as Parquet"
    assert held_back(found) == line


def test_files_are_blamed_only_where_they_are_read_and_large_enough_to_be_cut() -> None:
    small = Inputs(files=1, size_bytes=80_000, gzipped=1, format="csv")
    assert "split" not in held_back(replace(with_first(tasks=1), inputs=small))
    large = Inputs(files=1, size_bytes=10_000_000_000, gzipped=1, format="csv")
    later = replace(BUSY, step="evaluate", tasks=1)
    line = held_back(Account(slots=8, stages=(later, REST), seconds={"evaluate": 62.0, "search": 38.0}, inputs=large))
    assert line == "62 % of the time in evaluate: 1 partition on 8 slots; the others waited"


@pytest.mark.parametrize(
    ("account", "word"),
    [
        (with_first(gc_s=200.0), "spark.executor.memory"),
        (with_first(spill_disk_bytes=3_000_000_000), "3.0 GB spilled"),
        (with_first(median_s=5.0, slowest_s=60.0), "spread unevenly"),
        (with_first(tasks=2), "2 partitions on 8 slots"),
        (replace(with_first(tasks=2), inputs=Inputs(files=2, size_bytes=1 << 30, format="csv")), "split the files"),
        (with_first(tasks=1, alone=True), "more executors would not"),
        (Account(slots=2, stages=(replace(REST, tasks=1),) * 2, seconds={"search": 76.0}), "2 tasks did it"),
        (Account(slots=2, stages=(replace(REST, tasks=1),) * 3, seconds={"search": 114.0}), "more executors would share it"),
        (replace(ACCOUNT, lost=("executor 3: exit 137",)), "exit 137"),
        (ACCOUNT, "more executors would share it"),
        (Account(slots=1, stages=()), "told nothing"),
    ],
)
def test_what_held_a_run_back_is_said_on_one_line(account: Account, word: str) -> None:
    line = held_back(account)
    assert word in line
    assert "\n" not in line


def test_a_run_keeps_the_facts_of_every_stage_under_its_step(session: Session, tmp_path: Path) -> None:
    before = {one.number for one in account(session).stages}  # of other tests: they share the session
    with step(session, "check"):
        session.spark.range(0, 100_000, 1, 4).selectExpr("id % 7 AS k", "id").groupBy("k").count().collect()
    heard: list[Event] = []
    leave(session, tmp_path, Inputs(files=1, size_bytes=1000, format="csv"), heard.append)
    written = json.loads((tmp_path / "spark.json").read_text())
    mine = [one for one in written["stages"] if one["step"] == "check" and one["number"] not in before]
    assert sum(one["tasks"] for one in mine) >= 5
    assert all(one["wall_s"] >= 0 and one["state"] == "complete" for one in mine)
    assert sum(one["shuffle_bytes"] for one in mine) > 0
    assert written["seconds"]["check"] > 0
    assert written["held_back"] == heard[-1].fields["held_back"]


def test_steps_do_not_leak_into_what_follows(session: Session) -> None:
    with step(session, "check"):
        pass
    before = len(account(session).stages)
    session.spark.range(0, 10, 1, 2).collect()
    after = account(session).stages[before:]
    assert [one.step for one in after] == ["other"]


def test_what_a_notebook_did_before_is_not_of_the_run(session: Session, tmp_path: Path) -> None:
    session.spark.range(0, 10, 1, 2).collect()
    later = Session(LOCAL, tmp_path)
    try:
        assert account(later).stages == ()
        with step(later, "check"):
            later.spark.range(0, 10, 1, 2).collect()
        assert [one.step for one in account(later).stages] == ["check"]
    finally:
        later.close()


def test_a_long_piece_of_work_says_which_stage_it_is_in(session: Session) -> None:
    heard: list[Event] = []

    def slow(batches):  # type: ignore[no-untyped-def]
        for batch in batches:
            time.sleep(5)
            yield batch

    def work() -> int:
        return len(session.spark.range(0, 4, 1, 2).mapInArrow(slow, "id long").collect())

    assert watched(session, "search", "a test", work, heard.append) == 4
    assert any("0 of 2 tasks" in event.text for event in heard)


def test_an_error_of_watched_work_comes_out(session: Session) -> None:
    with pytest.raises(ZeroDivisionError):
        watched(session, "search", "a test", lambda: 1 // 0, lambda event: None)
