"""Law 8 where Spark works: nobody waits in silence."""

import time

import pytest

from filon.engines.spark import voice
from filon.engines.spark.voice import Voice
from filon.events import Event


def test_silence_is_broken_with_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "SILENCE_S", 0.1)
    heard: list[Event] = []
    speaker = Voice(heard.append, "Spark starts")
    speaker.start()
    time.sleep(0.35)
    speaker(Event(stage="split", text="hashing"))
    speaker.now = lambda: "stage 4, 1 of 2 tasks"
    time.sleep(0.35)
    speaker.stop()
    said = len(heard)
    time.sleep(0.25)
    assert len(heard) == said, "it speaks after its end"
    texts = [event.text.rpartition(",")[0] or event.text for event in heard]
    assert texts[0] == "Spark starts"
    assert texts[-1] == "stage 4, 1 of 2 tasks"
    assert heard[-1].stage == "split"
    assert texts.index("hashing") > 0


def test_who_is_heard_often_needs_no_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "SILENCE_S", 0.5)
    heard: list[Event] = []
    speaker = Voice(heard.append, "Spark starts")
    speaker.start()
    for _ in range(8):
        speaker(Event(stage="fit", text="round"))
        time.sleep(0.02)
    speaker.stop()
    assert [event.text for event in heard] == ["round"] * 8


def test_a_session_that_cannot_say_what_it_does_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "SILENCE_S", 0.05)
    heard: list[Event] = []
    speaker = Voice(heard.append, "Spark starts")
    speaker.now = lambda: str(1 // 0)
    speaker.start()
    time.sleep(0.2)
    speaker.stop()
    assert not heard
