"""The one base of all settings: frozen, unknown keys and endless numbers refused."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen settings that refuse unknown keys, and numbers such as nan and inf."""

    # pydantic's own error would quote what was read from the environment
    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=False, populate_by_name=True, hide_input_in_errors=True, allow_inf_nan=False
    )
