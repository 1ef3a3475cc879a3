"""`[data]`: where the table is and what its columns mean."""

from typing import Literal

from pydantic import Field, field_validator

from filon.settings import Settings

ColumnType = Literal["number", "category", "boolean", "date", "text"]

MISSING_WORDS = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "NaN", "nan", "-nan", "None", "none", "NONE")


class CsvSettings(Settings):
    """How a CSV is written; whatever is left out is sniffed."""

    separator: str | None = Field(default=None, description="one character, e.g. ';'; sniffed when left out")
    quote: str | None = Field(default=None, description="the quoting character, usually '\"'; '' for none")
    encoding: str | None = Field(default=None, description="utf-8, cp1252, latin-1, utf-16 ...; sniffed when left out")
    header: bool | None = Field(default=None, description="whether line one names the columns; sniffed when left out")
    decimal: Literal[".", ","] | None = Field(default=None, description="decimal mark; sniffed when left out")
    names: tuple[str, ...] | None = Field(default=None, description="column names for a file without a header")

    @field_validator("separator")
    @classmethod
    def _is_one_character(cls, value: str | None) -> str | None:
        if value and len(value) > 1:
            raise ValueError("a separator is one character")
        return value

    @field_validator("quote")
    @classmethod
    def _is_one_sign_or_none(cls, value: str | None) -> str | None:
        if value and (len(value) > 1 or not "!" <= value <= "~"):  # DuckDB takes one byte
            raise ValueError("""the quoting character is one sign of ASCII, usually '"'; '' for none""")
        return value


class DataSettings(Settings):
    """The table: source, label, and what its columns mean."""

    source: str | tuple[str, ...] = Field(
        description="file, folder or glob; CSV (also .gz) or Parquet; a local path or s3://; delta:FOLDER or iceberg:FOLDER; "
        "on Spark, table:NAME"
    )
    label: str = Field(description="the column to predict")
    positive: str | bool | int | float | None = Field(default=None, description="the positive class of two; leave out for many")
    classes: tuple[str | bool | int | float, ...] | None = Field(
        None, description="fixes the order of the classes; found in the data when left out"
    )
    key: tuple[str, ...] = Field(
        (), description="columns that name the subject: never features; rows that share a key stay in one fold (split.by = 'key')"
    )
    drop: tuple[str, ...] = Field(default=(), description="columns not known when the model will be asked")
    weight: str | None = Field(default=None, description="column of row weights, >= 0")
    time: str | None = Field(default=None, description="column of the time a row happened, for split.by = 'time'")
    columns: dict[str, ColumnType] = Field(default_factory=dict, description="overrides the inferred type of a column")
    derive: dict[str, str] = Field(
        default_factory=dict,
        description="new columns: SQL expressions over the source columns (DuckDB dialect), or a Python function as 'module:function'",
    )
    where: str | None = Field(default=None, description="SQL condition that a row must meet to be used")
    missing: tuple[str, ...] = Field(default=MISSING_WORDS, description="CSV cells that mean missing")
    csv: CsvSettings = CsvSettings()

    @field_validator("derive")
    @classmethod
    def _says_something(cls, value: dict[str, str]) -> dict[str, str]:
        for name, sql in value.items():
            if not name.strip() or not sql.strip():
                raise ValueError(f"a derived column has a name and an expression; {name!r} = {sql!r} lacks one")
        return value

    @field_validator("key", "drop", "source", mode="before")
    @classmethod
    def _one_is_many(cls, value: object, info: object) -> object:
        name = getattr(info, "field_name", "")
        return (value,) if isinstance(value, str) and name != "source" else value
