"""A plain log, on a fake clock: never silent for five seconds while something is said to it, never a word after the command's end."""

import itertools
import time
from collections.abc import Callable

import click
import pytest

from filon.cli.terminal import Terminal
from filon.events import Event


class Clock:
    """Seconds that pass when the test says so; calls what is due on the way."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        one = (self.now + seconds, call)
        self.due.append(one)
        return lambda: self.due.remove(one) if one in self.due else None

    def until(self, when: float) -> None:
        for one in sorted(self.due, key=lambda each: each[0]):
            if one[0] <= when and one in self.due:
                self.now = one[0]
                self.due.remove(one)
                one[1]()
        self.now = when


def told_at(events: list[tuple[float, str]], capsys: pytest.CaptureFixture[str]) -> list[tuple[float, str]]:
    """When each line was told, and its text, for events of one stage at these seconds."""
    clock = Clock()
    terminal = Terminal(as_json=False, clock=clock, later=clock.later)
    for when, text in events:
        clock.until(when)
        terminal(Event(stage="search", text=text))
    clock.until(events[-1][0] + 10)
    lines = capsys.readouterr().err.splitlines()
    return [(float(line.split("s")[0]), line.rsplit(" · ", 1)[-1]) for line in lines]


def test_an_event_that_came_too_soon_is_told_in_time(capsys):
    told = told_at([(0.0, "a"), (3.9, "b"), (5.9, "c")], capsys)
    assert told == [(0.0, "a"), (4.0, "b"), (8.0, "c")]


@pytest.mark.parametrize("every", [0.3, 1.0, 1.9, 3.9, 4.0, 4.9])
def test_the_log_is_never_silent_for_five_seconds_while_events_come(every, capsys):
    told = told_at([(step * every, f"event {step}") for step in range(40)], capsys)
    times = [when for when, _ in told]
    assert max(after - before for before, after in itertools.pairwise(times)) <= 5.0
    assert len(told) <= 40 * every / 4 + 3  # and no more often than it must be
    assert told[-1][1] == "event 39"


def test_nothing_is_told_after_the_result(capsys):
    clock = Clock()
    with click.Context(click.Command("train")):
        terminal = Terminal(as_json=False, clock=clock, later=clock.later)
        terminal(Event(stage="search", text="a"))
        terminal(Event(stage="search", text="b"))
        terminal.say("done")
        terminal(Event(stage="search", text="c"))
    clock.until(60.0)  # the command has ended, perhaps by an error
    said = capsys.readouterr()
    assert said.out == "done\n"
    assert [line.rsplit(" · ", 1)[-1] for line in said.err.splitlines()] == ["a"]


def test_the_timer_of_a_real_command_tells_what_was_held(capsys, monkeypatch):
    monkeypatch.setattr("filon.cli.terminal.LOG_EVERY_S", 0.2)
    terminal = Terminal(as_json=False)
    terminal(Event(stage="search", text="a"))
    terminal(Event(stage="search", text="b"))
    end = time.monotonic() + 10
    said = ""
    while "b" not in said and time.monotonic() < end:
        time.sleep(0.02)
        said += capsys.readouterr().err
    assert [line.rsplit(" · ", 1)[-1] for line in said.splitlines()] == ["a", "b"]


@pytest.mark.parametrize("live", [False, True])
def test_every_request_of_a_dry_run_is_a_line_of_its_result(live, capsys):
    terminal = Terminal(as_json=False)
    terminal.live = live
    long = "emr:run_job_flow " + "x" * 500
    for text in ("s3:put_object", "s3:head_object", long):
        terminal(Event(stage="dry-run", text=text, fields={"request": {}}))
    assert capsys.readouterr().out.splitlines() == ["s3:put_object", "s3:head_object", long], "none overtaken, none cut"
