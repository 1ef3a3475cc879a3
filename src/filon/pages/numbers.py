"""Numbers as a reader of the language writes them."""

import math
from dataclasses import dataclass

from filon.pages.words import Lang

NONE = "–"
THIN = "\u202f"  # narrow no-break space: groups of three in Spanish (RAE, Ortografía 2010, 8.3), before units in both


@dataclass(frozen=True, slots=True)
class Numbers:
    """Formats of one language. None and NaN become a dash.

    >>> Numbers("en").integer(1234567), Numbers("es").number(1234.5, 1)
    ('1,234,567', '1234,5')
    """

    lang: Lang

    def number(self, value: float | None, digits: int = 3) -> str:
        """With a fixed number of decimals."""
        if value is None or not math.isfinite(value):
            return NONE
        whole, _, decimals = f"{abs(value):.{digits}f}".partition(".")
        sign = "−" if value < 0 and float(f"{value:.{digits}f}") != 0 else ""
        if self.lang == "es":
            grouped = whole if len(whole) < 5 else f"{int(whole):,}".replace(",", THIN)
            return f"{sign}{grouped},{decimals}" if decimals else f"{sign}{grouped}"
        return f"{sign}{int(whole):,}.{decimals}" if decimals else f"{sign}{int(whole):,}"

    def integer(self, value: float | None) -> str:
        """Without decimals, thousands grouped."""
        return self.number(value, 0)

    def signed(self, value: float | None, digits: int = 3) -> str:
        """With its sign, also when positive.

        >>> Numbers("en").signed(0.0213), Numbers("en").signed(-0.5, 1)
        ('+0.021', '−0.5')
        """
        text = self.number(value, digits)
        return f"+{text}" if value is not None and value > 0 else text

    def significant(self, value: float | None, figures: int = 3) -> str:
        """With so many significant figures; very small or large ones as a power of ten.

        >>> Numbers("en").significant(0.000123456), Numbers("en").significant(98765.4), Numbers("en").significant(2.5e-9)
        ('0.000123', '98,765', '2.5e-9')
        """
        if value is None or not math.isfinite(value):
            return NONE
        if value == 0:
            return "0"
        power = math.floor(math.log10(abs(value)))
        if power < -5 or power > 14:
            mantissa, _, exponent = f"{value:.{figures - 1}e}".partition("e")
            mantissa = mantissa.rstrip("0").rstrip(".")
            return f"{mantissa.replace('.', ',') if self.lang == 'es' else mantissa}e{int(exponent)}"
        text = self.number(value, max(0, figures - 1 - power))
        mark = "," if self.lang == "es" else "."
        return text.rstrip("0").rstrip(mark) if mark in text and power < figures - 1 else text

    def percent(self, value: float | None, digits: int = 1) -> str:
        """A share in [0, 1] as a percentage."""
        if value is None or not math.isfinite(value):
            return NONE
        return f"{self.number(100 * value, digits)}{THIN + '%' if self.lang == 'es' else '%'}"

    def seconds(self, value: float | None) -> str:
        """A duration.

        >>> Numbers("en").seconds(0.42), Numbers("en").seconds(75.2), Numbers("en").seconds(7300)
        ('0.42\u202fs', '1\u202fmin 15\u202fs', '2\u202fh 1\u202fmin')
        """
        if value is None or not math.isfinite(value):
            return NONE
        if value < 60:
            return f"{self.number(value, 2 if value < 9.95 else 0)}{THIN}s"
        if value < 3600:
            return f"{int(value // 60)}{THIN}min {int(value % 60)}{THIN}s"
        return f"{int(value // 3600)}{THIN}h {int(value % 3600 // 60)}{THIN}min"

    def bytes(self, value: float | None) -> str:
        """A size in binary units.

        >>> Numbers("es").bytes(3 * 2**20 + 2**19)
        '3,5\u202fMiB'
        """
        if value is None or not math.isfinite(value):
            return NONE
        for unit in ("B", "KiB", "MiB", "GiB"):
            if value < 1024:
                return f"{self.number(value, 0 if unit == 'B' else 1)}{THIN}{unit}"
            value /= 1024
        return f"{self.number(value, 1)}{THIN}TiB"
