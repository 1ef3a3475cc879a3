"""The report: whole, offline, escaped, in two languages, and the same bytes for the same exam."""

import dataclasses
import html.parser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.unit.evaluate.examples import context, exam_empty, exam_many, exam_two, exam_undefined

from filon.errors import SetupError
from filon.evaluate import Context, Exam, headlines, report_files, write_report
from filon.evaluate.report import PLOTS, pages
from filon.evaluate.view import View
from filon.pages import Lang

EXAMS = {"two": exam_two, "many": exam_many, "undefined": exam_undefined, "empty": exam_empty}
VOID = {"meta", "link", "input", "br", "img"}


class Tags(html.parser.HTMLParser):
    """Collects what is not closed, what a browser would load, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.scripts = 0
        self.wrong: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.loads += [
            value for name, value in attrs if name in ("src", "href", "action", "data") and value and not value.startswith(("#", "data:"))
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def written(exam: Exam, around: Context, lang: Lang = "en") -> tuple[str, str]:
    """Markdown and HTML."""
    found = pages(View(exam, around, lang))
    return found["EVALUATION_REPORT.md"].decode(), found["report.html"].decode()


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize("kind", EXAMS)
def test_every_exam_makes_a_whole_report_that_loads_nothing(kind, lang):
    exam = EXAMS[kind]()
    files = report_files(exam, context(exam), lang)
    assert set(files) == {"EVALUATION_REPORT.md", "report.html", *PLOTS}
    tags = parsed(files["report.html"].decode())
    assert (tags.open, tags.wrong, tags.loads) == ([], [], [])
    assert b"url(" not in files["report.html"]
    assert b"@import" not in files["report.html"]
    assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", files["report.html"])
    for name in PLOTS:
        assert files[name].startswith(b"\x89PNG"), name


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize("kind", ["two", "many"])
def test_the_markdown_is_as_it_was(kind, lang, golden):
    exam = EXAMS[kind]()
    golden(f"report/{kind}.{lang}.md", written(exam, context(exam), lang)[0])


def test_markdown_tables_have_no_hole():
    exam = exam_two()
    text = written(exam, context(exam), "en")[0]
    lines = text.splitlines()
    for before, rule, after in zip(lines, lines[1:], lines[2:], strict=False):
        if re.fullmatch(r"\|[-:| ]+\|", rule):
            assert before.count(" |") == rule.count("|") - 1 or "\\|" in before, before
            assert after.startswith("| "), rule


def test_the_same_exam_makes_the_same_bytes():
    exam = exam_two()
    assert report_files(exam, context(exam), "en") == report_files(exam_two(), context(exam), "en")


def test_names_from_the_data_cannot_break_the_page():
    exam = exam_two(classes=("<b>no</b>", "</script><script>alert(1)</script>"), column='x" onload="alert(1)')
    page = written(exam, dataclasses.replace(context(exam), run="<img src=x>", source="a|b & `c`"), "en")[1]
    tags = parsed(page)
    assert (tags.open, tags.wrong, tags.loads) == ([], [], [])
    assert tags.scripts == 1
    assert "alert(1)</script><" not in page


def test_spanish_says_its_numbers_in_spanish():
    exam = exam_two()
    text = written(exam, context(exam), "es")[0]
    value = exam.metrics["areaUnderROC"].value
    assert f"{value:.4f}".replace(".", ",") in text
    assert f"{value:.4f}" not in text
    assert "hidden" not in text


def test_the_page_of_a_bundle_says_nothing_of_trials_or_folds():
    exam = exam_two()
    page = written(exam, Context(run="bundle", version="0.1.0", source="new.csv", examined="new.csv"), "en")[1]
    assert 'id="search"' not in page
    assert "new.csv" in page
    assert "labelled rows with" in page


def test_thirty_classes_are_told_by_their_confusions():
    exam = exam_many(tuple(f"class {number:02d}" for number in range(30)))
    page = written(exam, context(exam), "en")[1]
    assert 'class="matrix' not in page
    assert "Most frequent confusions" in page
    assert "The 8 classes with most rows are drawn." in page


def test_headlines_are_three_plain_lines():
    exam = exam_two()
    lines = headlines(exam, context(exam), "en")
    assert len(lines) == 3
    assert lines[0].startswith("areaUnderROC 0.")
    assert lines[1] == "What matters most: age, job, day."
    assert not any(mark in "".join(lines) for mark in "*`")
    assert "no rows of the positive class" in headlines(exam_undefined(), context(exam), "en")[0]


def test_validation_that_flattered_is_pointed_out():
    exam = exam_two()
    lucky = dataclasses.replace(context(exam), valid={"areaUnderPR": 0.99})
    fair = dataclasses.replace(context(exam), valid={"areaUnderPR": exam.metrics["areaUnderPR"].value})
    assert "Validation flattered the model." in written(exam, lucky, "en")[0]
    assert "Validation and test agree." in written(exam, fair, "en")[0]


def test_a_lower_loss_in_validation_flatters_too():
    exam = exam_two()
    lucky = dataclasses.replace(context(exam), metric="logLoss", valid={"logLoss": 0.01}, trials=())
    assert "Validation flattered the model." in written(exam, lucky, "en")[0]


def test_a_second_opening_of_the_test_fold_is_pointed_out():
    exam = exam_two()
    twice = dataclasses.replace(context(exam), openings=("first look", "second look"))
    text = written(exam, twice, "en")[0]
    assert "The test fold was opened 2 times." in text
    assert "2. second look" in text


def test_what_the_engine_and_the_run_tell_in_english_is_said_in_the_language_of_the_report():
    exam = exam_two()
    base = context(exam)
    told = ("average of trials 2, 3 and 4", "same as trial 3", "prefix of trial 4")
    trials = [dataclasses.replace(one, shared=shared) for one, shared in zip(base.trials, told, strict=False)]
    facts = {"seed": "42", "engine": "embedded", "digest of train": "00ff", "xgboost": "3.2.0"}
    page = written(exam, dataclasses.replace(base, trials=trials, facts=facts), "es")[1]
    for text in (
        "media de los ensayos 2, 3 y 4",
        "igual que el ensayo 3",
        "principio del ensayo 4",
        "semilla",
        "motor",
        "huella del entrenamiento",
    ):
        assert text in page
    for text in (*told, "evaluation of", "digest of", ">seed<"):
        assert text not in page


def test_write_report_leaves_only_whole_files(tmp_path):
    exam = exam_two()
    names = write_report(tmp_path / "report", exam, context(exam), "en")
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == sorted(names)


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").exists(), reason="root may write anywhere")
def test_a_folder_that_cannot_be_made_is_an_error_with_a_fix(tmp_path):
    (tmp_path / "file").write_text("in the way")
    exam = exam_two()
    with pytest.raises(SetupError) as caught:
        write_report(tmp_path / "file" / "report", exam, context(exam), "en")
    assert caught.value.code == "run.not-writable"


@pytest.mark.browser
def test_the_threshold_card_shows_what_filon_counted(tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    exam = exam_two()
    write_report(tmp_path, exam, context(exam), "es")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    page = subprocess.run(
        [chromium, *flags, f"file://{tmp_path / 'report.html'}"], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    for name in ("precision", "recall", "f1", "accuracy"):
        shown = re.search(rf'data-out="{name}">([^<]+)<', page)[1]
        assert shown == f"{100 * exam.at_threshold[name]:.1f}".replace(".", ",") + "\u202f%"
    assert re.search(r'data-out="fn">([^<]+)<', page)[1] == f"{exam.at_threshold['fn']:.0f}"


def test_odd_names_are_shown_as_they_are_in_markdown_and_plots(tmp_path):
    exam = exam_two(classes=("<b>no</b>", "*yes*|$x^$"), column="Sales ($) % of cost ($) 🚀")
    write_report(tmp_path, exam, context(exam), "en")  # a formula that is none, and a sign that the font lacks, ended it
    text = (tmp_path / "EVALUATION_REPORT.md").read_text(encoding="utf-8")
    assert "| &lt;b>no&lt;/b> |" in text
    assert "\\*yes\\*\\|$x^$ |" in text
    assert not re.search(r"^\|.*<b>", text, re.MULTILINE)
