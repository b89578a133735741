"""Settings of how what is published is stored, wherever the data root is."""

from pathlib import Path

from pydantic import AwareDatetime, Field

from spanishgas.config.base import SettingsModel


class StorageSettings(SettingsModel):
    """How what is published is stored, and as of when it is read.

    Attributes:
        cache: Folder for local copies of what lies in an object store; None takes one below the user's cache folder.
        keep_published_days: Days for which what is replaced is kept, so that it can be read again; 0 keeps none.
        as_published: Read what was published at this moment, a time with its offset to UTC; None reads what is
            published now. Commands that publish refuse it.
    """

    cache: Path | None = None
    keep_published_days: float = Field(default=0, ge=0, le=36_500)
    as_published: AwareDatetime | None = None
