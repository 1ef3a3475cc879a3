"""`[track]`: where the records of a run are sent."""

import re

from pydantic import Field, field_validator

from filon.settings import Settings


def unfit_alias(alias: str) -> str:
    """Why no alias can have this name, "" where one can: MLflow refuses it, or it would mean a version in `models:/NAME@ALIAS`.

    >>> unfit_alias("champion"), unfit_alias("v7")
    ('', 'it would be taken for a version')
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", alias):
        return "an alias has letters without accents, digits, - and _"
    return "it would be taken for a version" if re.fullmatch(r"latest|v?\d+", alias.lower()) else ""


class TrackSettings(Settings):
    """An MLflow server or file; training never waits for it."""

    enabled: bool = Field(True, description="false sends nothing by itself; `filon track RUN` still does when asked")
    uri: str = Field(
        "sqlite:///mlflow.db", description="MLflow's tracking URI: sqlite:///file.db (relative to the recipe's folder), http(s)://server"
    )
    experiment: str | None = Field(None, description="the MLflow experiment; the recipe's name when left out")
    register_model: bool | str = Field(True, description="true: registers the bundle under the recipe's name; or a name; or false")
    alias: str | None = Field(
        None, description="this alias (e.g. 'champion') is to point at the new version: judged by [gates] as `filon promote` does, once"
    )
    tags: dict[str, str] = Field(default_factory=dict, description="tags of the parent run")

    @field_validator("uri")
    @classmethod
    def _can_be_sent_to(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "http://", "https://", "postgresql", "mysql", "mssql", "databricks", "arn:aws:sagemaker")):
            raise ValueError("write sqlite:///file.db for a file, or http(s)://server for a server")
        return value

    @field_validator("alias")
    @classmethod
    def _can_be_an_alias(cls, value: str | None) -> str | None:
        if value is not None and (why := unfit_alias(value)):
            raise ValueError(f"{why}; choose another name, such as champion")
        return value

    @field_validator("register_model")
    @classmethod
    def _can_be_registered(cls, value: bool | str) -> bool | str:
        if isinstance(value, str) and (not value.strip() or re.search("[/:]", value)):
            raise ValueError("MLflow takes a name without / and :, or true for the recipe's name")
        return value
