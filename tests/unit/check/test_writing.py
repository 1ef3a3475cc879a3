import json
import re
from html import escape
from html.parser import HTMLParser

import pytest
from tests.unit.check.looking import ANSWERS, SPREAD, looked

from filon.check.records import Checked
from filon.check.writing import findings_dict, profile_dict, profile_page


@pytest.fixture(scope="module")
def checked() -> Checked:
    days = [f"{1 + place % 28:02d}/12/2017" for place in range(300)]
    table = {
        "x": SPREAD,
        "wide": [value if place else 1e9 for place, value in enumerate(SPREAD)],
        'b<b>"&': [["<script>alert(1)</script>", "a & b", "unknown"][place % 3] for place in range(300)],
        "status": ANSWERS,
        "d": days,
        "n": list(range(300)),
        "flag": [None if place % 5 == 0 else place % 2 == 0 for place in range(300)],
        "tags": [["a"]] * 300,
        "y": [None, *ANSWERS[1:]],
    }
    return looked(table)


def test_findings_json_has_counts_and_every_finding(checked: Checked) -> None:
    written = json.loads(json.dumps(findings_dict(checked), allow_nan=False))
    assert sum(written["counts"].values()) == len(written["findings"]) == len(checked.findings)
    assert written["findings"][0]["level"] == "blocker"
    assert set(written["findings"][0]) == {"level", "code", "column", "what", "evidence", "fix", "facts"}


def test_profile_json_has_every_column_with_its_role(checked: Checked) -> None:
    written = json.loads(json.dumps(profile_dict(checked), allow_nan=False))
    by_name = {column["name"]: column for column in written["columns"]}
    assert list(by_name) == [column.name for column in checked.source.columns]
    assert by_name["n"]["role"] == "left-out"
    assert "identifier" in by_name["n"]["why"]
    assert by_name["x"]["quantiles"][0] == min(SPREAD)
    assert written["label"]["missing"] == 1


class Links(HTMLParser):
    """What a page would fetch, what it points to and what it holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.targets: set[str] = set()
        self.ids: set[str] = set()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name in ("src", "href", "action", "data", "poster") and value:
                (self.targets.add(value[1:]) if value.startswith("#") else self.fetched.append(value))


@pytest.mark.parametrize("lang", ["en", "es"])
def test_page_opens_offline_and_escapes_what_the_data_says(checked: Checked, lang: str) -> None:
    text = profile_page(checked, "fil<ón", lang)  # type: ignore[arg-type]
    links = Links(text)
    assert [link for link in links.fetched if not link.startswith("data:")] == []
    assert not re.search(r"url\((?!['\"]?data:)|@import", text)
    assert links.targets - links.ids == set()
    assert links.tags.count("script") == 1
    assert "alert(1)</script>" not in text.replace("&lt;script&gt;alert(1)&lt;/script&gt;", "")
    assert "fil&lt;ón" in text


def test_page_shows_every_column_and_its_findings(checked: Checked) -> None:
    text = profile_page(checked, "x", "en")
    links = Links(text)
    for place in range(len(checked.source.columns)):
        assert f"c{place}" in links.ids
    for one in checked.findings:
        assert escape(one.what, quote=False).replace('"', "&#34;") in text
    assert links.tags.count("article") == len(checked.source.columns)


def test_spanish_page_has_spanish_findings(checked: Checked) -> None:
    text = profile_page(checked, "x", "es")
    assert "sola predice la etiqueta sin un fallo" in text
    assert "alone predicts the label" not in text
    assert '<html lang="es">' in text


def test_page_of_many_classes_lumps_the_rare_ones() -> None:
    labels = [f"k{place % 15}" for place in range(600)]
    text = profile_page(looked({"x": [*SPREAD, *SPREAD], "y": labels}), "x", "en")
    assert "8 more classes" in text


def test_page_of_a_blocked_label_still_opens() -> None:
    for labels in (["one"] * 300, [None] * 300, SPREAD):
        assert Links(profile_page(looked({"x": ANSWERS, "y": labels}), "x", "es")).ids >= {"findings", "columns"}


@pytest.mark.slow
def test_page_of_three_thousand_columns_stays_small() -> None:
    table = {f"a column of some length {k}": [(place * (k + 7919) % 307) + 0.25 for place in range(300)] for k in range(3000)}
    text = profile_page(looked({**table, "y": ANSWERS}), "x", "en")
    assert len(text.encode()) < 6_000_000
    assert Links(text).tags.count("article") == 150
