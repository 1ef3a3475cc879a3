"""Ctrl-C against real imports and a real DuckDB, in processes of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

TAKEN = "from filon import interrupts\ninterrupts.heed()\n"
PRESS = "import os, signal, threading\npress = lambda: os.kill(os.getpid(), signal.SIGINT)\n"


def python(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script in a folder of its own, ended after a minute."""
    (folder / "script.py").write_text(PRESS + text, encoding="utf-8")
    return subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


IMPORTING = """
from filon import interrupts
interrupts.heed()
try:
    import slow
except KeyboardInterrupt:
    print("cut")
else:
    try:
        threading.Event().wait(30)
        print("lost")
    except KeyboardInterrupt:
        print("whole", slow.whole, interrupts.pressed())
"""


def test_an_import_ends_before_the_interrupt_is_heeded(tmp_path):
    (tmp_path / "slow.py").write_text(PRESS + "press()\nfor _ in range(10**6):\n    pass\nwhole = True\n", encoding="utf-8")
    assert python(IMPORTING, tmp_path).stdout == "whole True True\n"


def test_an_import_that_does_not_end_is_stopped(tmp_path):
    (tmp_path / "slow.py").write_text(PRESS + "import time\npress()\nwhile True:\n    time.sleep(0.01)\n", encoding="utf-8")
    assert python(IMPORTING.replace("interrupts.heed()", "interrupts.PATIENCE_S = 0.5; interrupts.heed()"), tmp_path).stdout == "cut\n"


@pytest.mark.parametrize("taken", [TAKEN, ""], ids=["command", "notebook"])
def test_a_query_of_ours_ends_and_the_interrupt_is_told(tmp_path, taken):
    """DuckDB 2.0 alone is left waiting for itself in one press of four, and raises RuntimeError in the others."""
    said = python(
        taken
        + """
from pathlib import Path
from filon.engines.embedded.session import connect, executed
connection = connect(Path("scratch"), 2, 512)
threading.Timer(0.3, press).start()
try:
    executed(connection, "select sum(range * 2) from range(1000000000000)")
except KeyboardInterrupt as exc:
    print(type(exc.__context__).__name__, connection.execute("select 1").fetchone())
    print(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)
""",
        tmp_path,
    )
    assert said.stdout == f"InterruptException (1,)\n{bool(taken)}\n", said.stderr


def test_what_a_library_makes_of_it_is_known_for_what_it_is(tmp_path):
    said = python(
        TAKEN
        + """
try:
    press()
    threading.Event().wait(5)
except KeyboardInterrupt:
    pass
wrapped = OSError("reading failed")
wrapped.__cause__ = RuntimeError("Query interrupted")
print(interrupts.caused(wrapped), interrupts.caused(ValueError("a fault")))
""",
        tmp_path,
    )
    assert said.stdout == "True False\n", said.stderr


def test_a_handler_that_a_library_sets_is_called_by_ours(tmp_path):
    said = python(
        """
from filon import interrupts
interrupts.heed()
def theirs(number, frame):
    print("jobs cancelled")
    raise KeyboardInterrupt
signal.signal(signal.SIGINT, theirs)
interrupts.renew()
try:
    press()
    threading.Event().wait(5)
except KeyboardInterrupt:
    print(interrupts.pressed())
""",
        tmp_path,
    )
    assert said.stdout == "jobs cancelled\nTrue\n", said.stderr


@pytest.mark.parametrize("code", [0, 1])
def test_a_command_that_has_told_its_result_keeps_its_exit_code(tmp_path, code):
    said = python(
        f"{TAKEN}interrupts.leave({code})\npress()\nthreading.Event().wait(5)\nprint('lost')\n",
        tmp_path,
    )
    assert (said.returncode, said.stdout, said.stderr) == (code, "", "")


def test_nothing_is_taken_over_where_ctrl_c_is_ignored(tmp_path):
    said = python(
        f"signal.signal(signal.SIGINT, signal.SIG_IGN)\n{TAKEN}press()\nprint(interrupts.pressed())\n",
        tmp_path,
    )
    assert said.stdout == "False\n", said.stderr


def test_an_error_is_no_interrupt_when_nothing_was_pressed(tmp_path):
    said = python(f"{TAKEN}print(interrupts.caused(RuntimeError('Query interrupted')), interrupts.caused(KeyboardInterrupt()))\n", tmp_path)
    assert said.stdout == "False True\n", said.stderr
