"""The report for people: Markdown, one HTML page and five plots."""

from pathlib import Path

from filon.evaluate.records import Context, Exam
from filon.evaluate.verdict import Verdict
from filon.evaluate.view import View
from filon.files import write_atomic
from filon.pages import Lang, Numbers, Words, render

PLOTS = ("roc_curve.png", "pr_curve.png", "confusion_matrix.png", "calibration.png", "feature_importances.png")


def write_report(folder: Path, exam: Exam, context: Context, lang: Lang) -> tuple[str, ...]:
    """Write EVALUATION_REPORT.md, report.html and the five plots into a folder; each beside, then renamed.

    Returns
    -------
    the names written

    Raises
    ------
    SetupError : `run.not-writable`, `run.disk-full`
    """
    files = report_files(exam, context, lang)
    for name, content in files.items():
        write_atomic(folder / name, content)
    return tuple(files)


def report_files(exam: Exam, context: Context, lang: Lang) -> dict[str, bytes]:
    """The files of a report by name, for a caller with its own way of writing."""
    view = View(exam, context, lang)
    return {**pages(view), **plots(view)}


def pages(view: View) -> dict[str, bytes]:
    """The Markdown and the HTML page."""
    return {
        "EVALUATION_REPORT.md": render("report.md.j2", view.lang, page="report", **view.values).encode(),
        "report.html": render("report.html.j2", view.lang, page="report", **view.values).encode(),
    }


def headlines(exam: Exam, context: Context, lang: Lang) -> tuple[str, ...]:
    """What was found, in three lines of plain text."""
    return Verdict(exam, context, Words(lang, "report"), Numbers(lang)).headlines()


def plots(view: View) -> dict[str, bytes]:
    """The five plots as PNG; what cannot be drawn says why on its sheet."""
    from filon.pages import figures

    exam, words, numbers, drawings = view.exam, view.words, view.numbers, view.drawings
    importances = view.values["importances"]
    why = words(f"why.{exam.metrics['areaUnderROC'].why or 'no-rows'}")
    drawn, title = bool(drawings.numbers_drawn), words("importances.title")
    series = [words("importances.shap"), words("importances.gain")] if importances["shap"] else [words("importances.gain")]
    scale = words("importances.each") if importances["shap"] else ""
    axes = words("decision.true"), words("decision.predicted")
    return {
        "roc_curve.png": figures.lines(drawings.roc(), numbers) if drawn else figures.note(why, words("curve.roc")),
        "pr_curve.png": figures.lines(drawings.pr(), numbers) if drawn else figures.note(why, words("curve.pr")),
        "confusion_matrix.png": figures.matrix(exam.confusion, exam.classes, _matrix_title(view), *axes, numbers),
        "calibration.png": figures.lines(drawings.calibration(), numbers)
        if drawings.bins
        else figures.note(why, words("curve.calibration")),
        "feature_importances.png": figures.bars(importances["bars"], series, title, scale)
        if importances["bars"]
        else figures.note(words("importances.none"), title),
    }


def _matrix_title(view: View) -> str:
    title = view.words("decision.matrix")
    if view.exam.threshold is None:
        return title
    return f"{title} · {view.words('curve.threshold', threshold=view.numbers.number(view.exam.threshold))}"
