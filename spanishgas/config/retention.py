"""Settings of how long what is published is kept."""

from typing import Literal

from pydantic import Field

from spanishgas.config.base import SettingsModel


class RetentionSettings(SettingsModel):
    """Ages from which publications and logs go, counted back from the run date; None keeps a layer for good.

    Attributes:
        mode: ``dry_run`` says what would go, ``remove`` removes it.
        bronze_days: Age of landings, by their run date.
        gold_days: Age of what is published by date in gold: features, segments, scores, decisions, measurements.
        models_days: Age of what is published by model in gold: predictions, contests, backtests; since it was made.
        request_log_days: Age of days of the server's request log.
    """

    mode: Literal["dry_run", "remove"] = "dry_run"
    bronze_days: int | None = Field(default=None, ge=1)
    gold_days: int | None = Field(default=None, ge=1)
    models_days: int | None = Field(default=None, ge=1)
    request_log_days: int | None = Field(default=None, ge=1)
