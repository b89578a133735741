"""Settings of exports without names."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from spanishgas.config.base import SettingsModel


class ExportSettings(SettingsModel):
    """Which tables to export, and where to.

    Attributes:
        tables: Tables of silver and gold as ``layer/table``; of those with a partition per date the newest at or before
            the run date.
        into: Folder outside the data root that is not there yet; ``force=true`` replaces it.
        formats: Formats of the files; ``delta`` makes a folder for each table, which engines that read Delta Lake
            open as a table. It is installed by ``pip install 'spanishgas[delta]'``.
    """

    tables: tuple[str, ...] = ()
    into: Path | None = None
    formats: tuple[Literal["parquet", "csv", "delta"], ...] = Field(default=("parquet", "csv"), min_length=1)
