"""Settings of monitoring: what counts as drift, which performance is too low, and when to train again."""

from typing import Literal

from pydantic import Field, model_validator

from spanishgas.config.base import SettingsModel

CHECK_LIMITS = (
    "freshness",
    "source_rows",
    "rows",
    "missingness",
    "new_categories",
    "vanished_categories",
    "distribution",
    "prediction",
)


class DriftSettings(SettingsModel):
    """What is compared with the champion's baseline, and from when on a difference matters.

    Attributes:
        alpha: Chance of any false alarm in one run date when nothing has changed, over all checks together.
        min_rows: Rows that a comparison needs on either side; below it is unknown.
        limits: Check -> the figure from which on a difference matters: days, shares or PSI.
        features: Feature or pattern with ``*`` -> limits of its own for some checks; the last match counts.
        freshness_days: Silver table -> most days between its newest known row and the run date.
        source_rows: Silver table -> largest relative change of its rows per month; None takes that of ``limits``.
        seasonal: Features or patterns whose level belongs to the season.
        max_season_gap_months: Months of the year between the two dates up to which these are compared; beyond, they
            are unknown.
        not_compared: Feature or pattern whose distribution says nothing about customers -> why.
        dependants: ``check:subject`` -> features or patterns whose alarms follow from an alarm of it. What follows from
            a table, and predictions from features, is known from the declarations.
        charted_run_dates: Run dates before this one whose figures stand on the run beside its own, to be charted.
    """

    alpha: float = Field(default=0.05, gt=0, lt=1)
    min_rows: int = Field(default=200, ge=30)
    limits: dict[str, float]
    features: dict[str, dict[str, float]] = Field(default_factory=dict)
    freshness_days: dict[str, int] = Field(default_factory=dict)
    source_rows: dict[str, float | None] = Field(default_factory=dict)
    seasonal: tuple[str, ...] = ()
    max_season_gap_months: int = Field(default=1, ge=0, le=6)
    not_compared: dict[str, str] = Field(default_factory=dict)
    dependants: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    charted_run_dates: int = Field(default=30, ge=0)

    @model_validator(mode="after")
    def _complete(self) -> "DriftSettings":
        told = {*self.limits, *(name for limits in self.features.values() for name in limits)}
        unknown, missing = sorted(told - set(CHECK_LIMITS)), sorted(set(CHECK_LIMITS) - set(self.limits))
        if unknown or missing:
            raise ValueError(
                f"limits: unknown checks {', '.join(unknown) or 'none'}, missing ones {', '.join(missing) or 'none'}"
            )
        unread = [name for name in self.dependants if name.partition(":")[0] not in CHECK_LIMITS]
        if unread:
            raise ValueError(
                f"dependants: {', '.join(unread)} do not begin with a check, as in distribution:tenure_days"
            )
        return self


class PerformanceSettings(SettingsModel):
    """How published scores are judged once outcomes are mature.

    Attributes:
        months: Most months of scores to look back on.
        min_rows: Rows that a figure needs.
        min_leavers: Leavers that it needs.
        min_held_out: Customers held out that are enough to stand for all who were chosen; with fewer, outcomes of the
            chosen are filled in by their scores.
        min_skill_share: Share of the champion's skill beyond chance, as judged before its promotion, that ranking
            metrics must keep.
        observed_over_expected: Bounds of observed over expected leavers.
        calibration_slope: Bounds of the calibration slope.
        replicates: Bootstrap replicates of the intervals, and simulated outcomes of the estimates.
        seed: Their seed.
    """

    months: int = Field(default=12, ge=1)
    min_rows: int = Field(default=200, ge=1)
    min_leavers: int = Field(default=10, ge=1)
    min_held_out: int = Field(default=20, ge=1)
    min_skill_share: float = Field(default=0.6, gt=0, le=1)
    observed_over_expected: tuple[float, float] = (0.67, 1.5)
    calibration_slope: tuple[float, float] = (0.5, 1.6)
    replicates: int = Field(default=200, ge=20)
    seed: int = 0


class SignalSettings(SettingsModel):
    """When to train again.

    Attributes:
        drift_periods: Feature dates in a row with the same alarm that make it persistent.
        min_new_leavers: Leavers registered since the champion was trained that persistent drift needs to be a reason:
            without new outcomes there is nothing new to learn.
        max_age_days: Days since the last date that the champion learned from, after which age is a reason.
        cooldown_days: Days after a training, counted by its data, during which no reason but a missing champion counts.
        obey: Whether a pipeline that asks the signal stops where it says no.
        exit_code: How a process of its own ends where the signal says yes; 0 does not tell.
    """

    drift_periods: int = Field(default=2, ge=1)
    min_new_leavers: int = Field(default=100, ge=0)
    max_age_days: int = Field(default=240, ge=1)
    cooldown_days: int = Field(default=30, ge=0)
    obey: bool = True
    exit_code: int = Field(default=0, ge=0, le=125)


class MonitoringSettings(SettingsModel):
    """Monitoring.

    Attributes:
        drift: Features and predictions against the champion's baseline.
        performance: Published scores against outcomes.
        signal: Whether to train again.
        evidently: Whether runs carry the reports as Evidently's HTML and JSON too, or Markdown and tables only.
    """

    drift: DriftSettings
    performance: PerformanceSettings = PerformanceSettings()
    signal: SignalSettings = SignalSettings()
    evidently: Literal["reports", "none"] = "reports"
