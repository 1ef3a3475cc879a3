"""What every test shares: the public data sets, a clean environment, and the switch that rewrites golden texts."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

settings.register_profile("laptop", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("laptop"), derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A process that a script put into the background ignores Ctrl-C, and so would the commands that tests start and interrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["MPLBACKEND"] = "Agg"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1")  # a JVM of a test lives too short to be optimised

PRIVATE = ("AWS_", "MLFLOW_TRACKING_", "MLFLOW_REGISTRY_", "MLFLOW_S3_")
"""Variables of the person who runs the tests; none of them may reach a test by accident."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the texts of tests/golden from what the product says now")


TOGETHER = ("tests/spark/", "tests/parity/", "tests/emr/", "tests/infra/")
"""Rooms whose modules share a server, a cluster or a session that is dear to start."""


class _ByRoom(LoadScopeScheduling):
    """A module of these rooms goes to one worker, so that what its tests share is made once; every other test goes where there is room.

    xdist takes the scopes with most tests first, so single tests fill the cores up at the end. (Its own groups never reach the names of
    tests under pytest 9.2, without a word.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if nodeid.startswith(TOGETHER) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """How tests are shared out among the workers of `pytest -n`."""
    return _ByRoom(config, log)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PRIVATE):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """A file of the public data sets by its path there ("bank-uci/bank.csv"); the test is skipped where the sets are absent."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"the public data set {name} is not beside this repository")
        return path

    return find


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with tests/golden/NAME; `pytest --update-golden` rewrites it instead."""

    def compare(name: str, said: str) -> None:
        path = ROOT / "tests" / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(said, encoding="utf-8")
        assert path.exists(), f"{path.relative_to(ROOT)} is missing: pytest --update-golden writes it"
        assert said == path.read_text(encoding="utf-8"), f"{path.relative_to(ROOT)} differs: if meant, pytest --update-golden"

    return compare
