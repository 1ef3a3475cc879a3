"""The Java that Spark needs: found, and asked its version, before a JVM is started that would fail in ten lines of its own."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from filon.errors import SetupError

WANTED: dict[int, tuple[int, ...]] = {3: (8, 11, 17), 4: (17, 21)}
"""By Spark's major version, the Java versions it is tested with."""

ANSWER_S = 20


def require(spark_version: str) -> int:
    """Java's major version.

    Raises
    ------
    SetupError : `engines.java-missing`, `engines.java-wrong`
    """
    major = int(spark_version.split(".")[0])
    wanted = WANTED.get(major, WANTED[4])
    program = _program()
    get = "apt-get install openjdk-17-jre-headless (or https://adoptium.net), then set JAVA_HOME to it"
    if program is None:
        home = os.environ.get("JAVA_HOME")
        where = f"JAVA_HOME is {home}, which has no bin/java" if home else "JAVA_HOME is not set, and there is no java on the PATH"
        raise SetupError("engines.java-missing", f"Spark {spark_version} needs Java {_either(wanted)}", where, get)
    found, said = _version(program)
    if found not in wanted and not (found > max(wanted) and found % 4 == 1 and major >= 4):
        raise SetupError(
            "engines.java-wrong",
            f"Spark {spark_version} does not run on this Java",
            f"{program} says {said}; Java {_either(wanted)} is needed",
            get,
        )
    return found


def _program() -> str | None:
    home = os.environ.get("JAVA_HOME")
    if home:
        inside = Path(home) / "bin" / "java"
        return str(inside) if inside.is_file() else None
    return shutil.which("java")


def _version(program: str) -> tuple[int, str]:
    """Major version and the line that says it; 0 when it says none."""
    try:
        done = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        return 0, str(exc)
    lines = (done.stderr + done.stdout).strip().splitlines()
    said = next((line for line in lines if "version" in line), lines[0] if lines else f"nothing (exit {done.returncode})")
    number = re.search(r'version "(\d+)(?:\.(\d+))?', said)
    if number is None:
        return 0, said
    major = int(number[1])
    return (int(number[2] or 0) if major == 1 else major), said  # "1.8" is Java 8


def _either(versions: tuple[int, ...]) -> str:
    """The versions as a person says them.

    >>> _either((8, 11, 17))
    '8, 11 or 17'
    """
    return ", ".join(map(str, versions[:-1])) + f" or {versions[-1]}"
