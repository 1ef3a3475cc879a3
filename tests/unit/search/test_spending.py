"""`[search.budget] dollars`: the search ends in time, and the run at the sum."""

import time

import pytest

from filon.errors import EngineError, RecipeError
from filon.events import Event, silence
from filon.search import spending as money
from filon.search.budget import start
from filon.search.settings import Budget


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place where an hour costs six dollars, begun just now."""
    monkeypatch.setenv(money.RATE, "6.0")
    monkeypatch.setattr(money, "_BEGAN", time.time())


def test_without_a_price_dollars_alone_are_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        start(Budget(dollars=3))
    assert caught.value.code == "search.dollars-without-minutes"


def test_dollars_become_a_deadline_that_leaves_money_for_what_follows(priced: None) -> None:
    left = start(Budget(dollars=1.0)).left_s()
    assert left == pytest.approx(0.7 * 600, abs=5)


def test_the_earlier_of_minutes_and_dollars_counts(priced: None) -> None:
    assert start(Budget(dollars=1.0, minutes=2)).left_s() == pytest.approx(120, abs=5)
    assert start(Budget(dollars=0.1, minutes=2)).left_s() == pytest.approx(42, abs=5)


def test_what_was_paid_before_the_job_began_counts(priced: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(money.BEFORE, "0.1")
    running = money.meter()
    assert running is not None
    assert running.spent() == pytest.approx(0.6, abs=0.02)
    assert start(Budget(dollars=0.5)).over


def test_the_run_is_stopped_at_the_sum_wherever_it_is(priced: None, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Event] = []
    listen = money.metered(heard.append, Budget(dollars=1.0))
    listen(Event(stage="fit", text="round 1"))
    assert heard[-1].fields["dollars"] == pytest.approx(0.0, abs=0.05)
    monkeypatch.setattr(money, "_BEGAN", time.time() - 3600)
    listen = money.metered(heard.append, Budget(dollars=1.0))
    with pytest.raises(EngineError) as caught:
        listen(Event(stage="fit", text="round 2"))
    assert caught.value.code == "search.dollars-spent"
    assert heard[-1].text == "round 2", "what was said is heard first"
    listen(Event(stage="package", text="sealing"))


def test_without_a_sum_or_a_price_nobody_is_metered(priced: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert money.metered(silence, Budget()) is silence
    monkeypatch.delenv(money.RATE)
    assert money.metered(silence, Budget(dollars=1.0)) is silence


@pytest.mark.parametrize("said", ["", "free", "0", "-1"])
def test_a_rate_that_is_none_is_none(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(money.RATE, said)
    assert money.meter() is None
