"""Base of all settings."""

from pydantic import BaseModel, ConfigDict


class SettingsModel(BaseModel):
    """Base of all settings: frozen, no unknown keys, and no values in errors: one may be a misplaced password."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
