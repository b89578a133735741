"""Settings of erasing customers."""

from pathlib import Path
from typing import Literal

from spanishgas.config.base import SettingsModel


class ErasureSettings(SettingsModel):
    """Whom to erase, and whether in earnest.

    Attributes:
        customers: Text file with one customer id per line; ids themselves are never settings, because settings
            stand on runs. None goes by the list of those who were erased before.
        mode: ``dry_run`` counts and changes nothing, ``erase`` does it, ``lift`` takes customers off the list, so that
            files that are landed later bring them back.
    """

    customers: Path | None = None
    mode: Literal["dry_run", "erase", "lift"] = "dry_run"
