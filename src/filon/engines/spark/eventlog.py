"""Spark's own event log, which its history server shows: written by a session of ours, kept in the run's folder.

Spark leaves passwords, keys and tokens out of it (`spark.redaction.regex`).
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from filon.engines.spark.session import Session

KEPT = "spark-events.zstd"
"""Its name in the run's folder: the history server knows the codec by the ending."""

ENABLED, FOLDER = "spark.eventLog.enabled", "spark.eventLog.dir"
FORM = {"spark.eventLog.compress": "true", "spark.eventLog.compression.codec": "zstd", "spark.eventLog.rolling.enabled": "false"}
NAMES = (ENABLED, FOLDER, *FORM)


def conf(folder: Path) -> dict[str, str]:
    """Properties of a session that logs into `folder`; none where the cluster has a log of its own, which its pages are made of."""
    if _logged_already():
        return {}
    place = folder / "events"
    place.mkdir(parents=True, exist_ok=True)
    return {ENABLED: "true", FOLDER: place.absolute().as_uri(), **FORM}


def _logged_already() -> bool:
    """Whether spark-submit, or the defaults of the Spark that is installed here, say of an event log."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        from pyspark import SparkConf, SparkContext

        SparkContext._ensure_initialized()  # the JVM is there already, and knows
        return str(SparkConf().get(ENABLED, "false")).lower() == "true"
    homes = [os.environ.get("SPARK_CONF_DIR", ""), *([f"{home}/conf"] if (home := os.environ.get("SPARK_HOME")) else [])]
    defaults = next((path for one in homes if one and (path := Path(one) / "spark-defaults.conf").is_file()), None)
    said = defaults.read_text(encoding="utf-8", errors="replace") if defaults is not None else ""
    return re.search(rf"(?m)^\s*{re.escape(ENABLED)}[\s=:]+true\b", said) is not None


def keep(session: Session, target: Path) -> str:
    """Copy the log so far into the run's folder; an account taken before has waited for what was still to be written.

    Returns
    -------
    its name there; where Spark writes it when it is not ours to copy; "" when there is none
    """
    if session.connect:
        return ""
    with suppress(Exception):  # internals of Spark: a run that went well does not fail because they have changed
        scala = session.spark.sparkContext._jsc.sc()
        logger = _logger(scala)
        if logger is None:
            return ""
        place = str(logger.logWriter().logPath())
        ours = session.folder / "events"
        if not re.sub("^file:(//)?", "", place).startswith(str(ours.absolute())):
            return place
        shutil.copyfile(next(ours.glob("[!.]*")), target / KEPT)
        return KEPT
    return ""


def end(session: Session) -> None:
    """Log no more: a stream has no end, and its log would have none."""
    if session.ours and not session.connect:
        with suppress(Exception):
            scala = session.spark.sparkContext._jsc.sc()
            logger = _logger(scala)
            if logger is not None:
                scala.removeSparkListener(logger)


def _logger(scala: Any) -> Any:
    found = scala.eventLogger()
    return found.get() if found.isDefined() else None
