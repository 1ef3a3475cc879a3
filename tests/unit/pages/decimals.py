"""How the numbers of a page are spelt."""

import re


def numbers_with_points(page: str) -> list[str]:
    """Decimals as English writes them, in what a reader sees (titles of shapes too); the version of Filon is none."""
    plain = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)
    told = re.findall(r'(?:aria-label|title)="(.*?)"', plain)
    text = " ".join([re.sub(r"<[^>]+>", " ", plain), *told])
    return re.findall(r"\d\.\d\S*", re.sub(r"Filon \d+\.\d+\.\d+", "", text))
