"""Peers of a fit over the cluster; no Spark is started."""

import pytest

from filon.engines.spark.distributed import met
from filon.engines.trainer.peers import Together, tracker


def test_a_peer_meets_the_others_without_a_line_on_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    with met(tracker("127.0.0.1", 1), 0):
        assert Together().many == 1
        print("of the fit")
    assert capsys.readouterr().out == "of the fit\n"
