"""Base of all settings."""

from pydantic import BaseModel, ConfigDict


class SettingsModel(BaseModel):
    """Base of all settings: frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
