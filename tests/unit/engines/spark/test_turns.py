"""Threads of one process that each want a Spark of Filon's own."""

import threading

from filon.engines.spark.turns import Turn


def test_another_thread_waits_until_the_turn_is_given_back_and_says_so(monkeypatch):
    monkeypatch.setattr("filon.engines.spark.turns.ASK_S", 0.02)
    turn, told, seen = Turn(), threading.Event(), []
    turn.take(lambda: None)
    assert not turn.elsewhere, "this thread shares what it has"

    def second():
        seen.append(turn.elsewhere)
        turn.take(told.set)
        seen.append(turn.elsewhere)
        turn.give_back()

    thread = threading.Thread(target=second)
    thread.start()
    assert told.wait(5), "it waits, and not in silence"
    assert seen == [True]
    turn.give_back()
    thread.join(5)
    assert seen == [True, False]
    assert not turn.elsewhere
    turn.give_back()  # a Spark that has stopped twice gives nothing away
    turn.take(lambda: None)
