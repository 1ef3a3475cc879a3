"""Version lanes: which Spark, Python and XGBoost go together, read by `check`, by the places and by `filon package-env`.

A combination outside the table is refused with the nearest lane: it may import, and fail an hour into a paid job.
"""

from __future__ import annotations

import difflib
import platform
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version

from filon.errors import RecipeError, SetupError


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One row of the table. `spark` is "" where there is none; `pythons` are minor versions, the one that environments are built for first;
    `xgboost` is the first version that no longer goes with Python 3.11 (newer ones need 3.12); `glibc` the C library of the place's
    machines; `ends` the end of its support; `provides` what the place has already, so that an environment leaves it out."""

    name: str
    spark: str
    pythons: tuple[str, ...]
    xgboost: str
    glibc: tuple[int, int]
    ends: date | None
    note: str = ""
    provides: tuple[str, ...] = ("pyspark", "py4j")

    @property
    def python(self) -> str:
        """The Python that environments are built for."""
        return self.pythons[0]

    @property
    def spark_minor(self) -> str:
        """3.5.6 is 3.5: patch releases go together."""
        return ".".join(self.spark.split(".")[:2])

    def platforms(self, machine: str = "x86_64") -> tuple[str, ...]:
        """Wheel tags that the place's machines take, best first."""
        newest = self.glibc[1]
        return (*(f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)), f"manylinux2014_{machine}", f"linux_{machine}")


LANES: tuple[Lane, ...] = (
    Lane(
        name="emr-7.13.0",
        spark="3.5.6",
        pythons=("3.11",),
        xgboost="3.3",
        glibc=(2, 34),
        ends=date(2028, 4, 21),
        note="EMR's own default, Python 3.9, is too old: the environment names python3.11",
    ),
    Lane(
        name="emr-spark-8.0.0",
        spark="4.0.2",
        pythons=("3.11", "3.12", "3.13"),
        xgboost="3.3",
        glibc=(2, 34),
        ends=date(2027, 5, 20),
        note="XGBoost 3.3 and newer need Python 3.12",
    ),
    Lane(
        name="sagemaker-xgboost-3.2-0",
        spark="",
        pythons=("3.11",),
        xgboost="3.3",
        glibc=(2, 31),
        ends=None,
        note='pin the image: "latest" resolves to version 1',
        provides=(),
    ),
    Lane(name="spark-3.5", spark="3.5.9", pythons=("3.11",), xgboost="3.3", glibc=(2, 28), ends=None, note="a cluster of your own"),
    Lane(
        name="spark-4.0",
        spark="4.0.2",
        pythons=("3.11", "3.12", "3.13"),
        xgboost="3.3",
        glibc=(2, 28),
        ends=None,
        note="a cluster of your own",
    ),
    Lane(
        name="spark-4.1",
        spark="4.1.4",
        pythons=("3.11", "3.12", "3.13"),
        xgboost="3.3",
        glibc=(2, 28),
        ends=None,
        note="a cluster of your own",
    ),
)
"""The table."""

XGBOOST_NEEDS = (3, 12)
"""XGBoost 3.3 and newer have no wheels for an older Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What would run together: "" for what is not known or not there. `python` is a minor version."""

    spark: str
    python: str
    xgboost: str

    def __str__(self) -> str:
        spark = f"Spark {self.spark}, " if self.spark else ""
        return f"{spark}Python {self.python}" + (f", XGBoost {self.xgboost}" if self.xgboost else "")


def find_lane(name: str) -> Lane:
    """A lane by its name.

    Raises
    ------
    RecipeError : `places.lane-unknown`
    """
    for lane in LANES:
        if lane.name == name:
            return lane
    names = [lane.name for lane in LANES]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    raise RecipeError("places.lane-unknown", f'there is no lane "{name}"', f"the lanes are {', '.join(names)}", f"--lane {near[0]}")


def own_versions() -> Versions:
    """What this process would bring."""
    return Versions(
        spark=_version("pyspark"),
        python=".".join(platform.python_version_tuple()[:2]),
        xgboost=_version("xgboost-cpu") or _version("xgboost"),
    )


def nearest_lane(wanted: Versions) -> Lane:
    """The lane with the fewest differences (one with a Spark where there is one); ties by the table's order."""
    lanes = [lane for lane in LANES if bool(lane.spark) or not wanted.spark]
    return min(lanes, key=lambda lane: len(differences(wanted, lane)))


def differences(wanted: Versions, lane: Lane) -> tuple[str, ...]:
    """What of a combination is outside a lane, in words; empty when it is inside."""
    found = []
    if wanted.spark and lane.spark and _numbers(wanted.spark)[:2] != _numbers(lane.spark)[:2]:
        found.append(f"Spark {wanted.spark} is not {lane.spark_minor}")
    if wanted.python and wanted.python not in lane.pythons:
        found.append(f"Python {wanted.python} is not {' or '.join(lane.pythons)}")
    newer = bool(wanted.xgboost) and _numbers(wanted.xgboost) >= _numbers(lane.xgboost)
    if newer and not (wanted.python in lane.pythons and _numbers(wanted.python) >= XGBOOST_NEEDS):
        found.append(f"XGBoost {wanted.xgboost} is not older than {lane.xgboost}")
    return tuple(found)


def require_lane(wanted: Versions, name: str = "") -> Lane:
    """The lane of a combination (the one named, or any).

    Raises
    ------
    SetupError : `places.outside-lane`, with the nearest lane
    RecipeError : `places.lane-unknown`
    """
    lane = find_lane(name) if name else nearest_lane(wanted)
    wrong = differences(wanted, lane)
    if not wrong:
        return lane
    what = f"{wanted} do not go together" if not name else f"{wanted} is outside the lane {name}"
    python = lane.python if wanted.python not in lane.pythons else wanted.python
    spark = f", Spark {lane.spark_minor}" if lane.spark else ""
    fix = f"the nearest lane is {lane.name}: Python {python}{spark}, XGBoost older than {lane.xgboost}"
    raise SetupError("places.outside-lane", what, "; ".join(wrong), fix)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
