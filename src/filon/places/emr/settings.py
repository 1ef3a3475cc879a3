"""What a recipe says about EMR: the table `[places.emr]`."""

from pydantic import Field

from filon.settings import Settings


class EmrSettings(Settings):
    """The account's side of the job; credentials come by the AWS environment variables and profiles, never from a recipe."""

    region: str = Field("", description="AWS region; empty: by the AWS environment variables and profiles")
    bucket: str = Field("", description="s3://bucket/prefix that code, data, models and results go to")
