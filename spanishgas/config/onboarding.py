"""Settings of the onboarding of a retailer's files."""

from datetime import date
from pathlib import Path

from pydantic import Field

from spanishgas.config.base import SettingsModel


class OnboardingSettings(SettingsModel):
    """Which files to look at, and where the configuration is written.

    Attributes:
        raw: Folder of the raw files; on the command line `raw=DIR` for short.
        name: Name of the data set; on the command line `name=NAME` for short.
        into: Folder of options that `data/NAME.yaml` is written into, for `--config-dir`; `into=DIR` for short.
        run_date: Day on which the files were taken; None tells it by their newest day. `run_date=DAY` for short.
        overwrite: Whether a file that is already there is written over.
        sample_mib: What is read of each file in the sample run; smaller files are read whole.
    """

    raw: Path | None = None
    name: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    into: Path = Path("onboarded")
    run_date: date | None = None
    overwrite: bool = False
    sample_mib: int = Field(default=32, ge=1)
