"""`[track]`: where the records of a run are sent."""

from pydantic import Field, field_validator

from filon.settings import Settings


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
