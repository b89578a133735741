"""Settings of the tables: the engine, the features, the labels."""

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from spanishgas.config.base import SettingsModel


class EngineSettings(SettingsModel):
    """The tables' engine. None of these settings changes a result.

    Attributes:
        kind: ``duckdb``, embedded; or ``spark``.
        threads: Worker threads; None takes all cores.
        memory_limit_mib: Memory of the engine before it spills to disk; readings that do not fit into it are worked on
            in ranges of customers. With Spark, of what runs on one worker outside of Spark's own memory.
        workers: Processes that work on ranges side by side; they share the threads and the memory. Spark has its own.
        master: Address of the Spark cluster; None starts Spark in this process, with ``threads`` cores.
        driver_memory_mib: Memory of Spark's driver, which holds no rows.
        spark: Further settings of Spark, each as ``name=value``, such as ``spark.executor.memory=4g``.
    """

    kind: Literal["duckdb", "spark"] = "duckdb"
    threads: int | None = Field(default=None, ge=1)
    memory_limit_mib: int = Field(default=2048, ge=256)
    workers: int = Field(default=1, ge=1)
    master: str | None = None
    driver_memory_mib: int = Field(default=1024, ge=512)
    spark: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _pairs(self) -> "EngineSettings":
        wrong = [one for one in self.spark if not one.partition("=")[0].startswith("spark.") or "=" not in one]
        if wrong:
            raise ValueError(f"spark takes settings of Spark as spark.name=value, not {', '.join(wrong)}")
        return self


class FeatureSettings(SettingsModel):
    """What the features are built with.

    Attributes:
        families: Feature families, in order.
        surplus_price_eur_kwh: Price paid for negative readings, in the margin.
        margin_months: Months of margin history per ``as_of``.
    """

    families: tuple[str, ...]
    surplus_price_eur_kwh: float = 0.0
    margin_months: int = Field(default=12, ge=1)


class SplitRange(SettingsModel):
    """First and last month of ``as_of`` dates (month ends) of one split.

    Attributes:
        first: First month end.
        last: Last month end.
    """

    first: date | None = None
    last: date | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> "SplitRange":
        if (self.first is None) != (self.last is None):
            raise ValueError(f"needs first and last, or neither, not {self.first} and {self.last}")
        return self


class SplitSettings(SettingsModel):
    """Months to learn from and to be judged on (dated only): counted back from the data cut, or by date.

    Attributes:
        months_before_cut: Months from the data cut back to the newest month of test; None takes the newest month whose
            outcomes are mature.
        train_months: Most months of train; fewer where history is shorter.
        valid_months: Months of valid.
        test_months: Months of test.
        embargo_days: Days between splits, no fewer than horizon and registration lag; None takes these.
        warmup_months: Months of history that features need before the first ``as_of`` that is worth learning from.
        train: By date: for studies and replays; with all three the counts above are not used.
        valid: The same.
        test: The same.
    """

    months_before_cut: int | None = Field(default=None, ge=0)
    train_months: int = Field(default=12, ge=1)
    valid_months: int = Field(default=2, ge=1)
    test_months: int = Field(default=2, ge=1)
    embargo_days: int | None = Field(default=None, ge=0)
    warmup_months: int = Field(default=4, ge=0)
    train: SplitRange = SplitRange()
    valid: SplitRange = SplitRange()
    test: SplitRange = SplitRange()

    @model_validator(mode="after")
    def _all_or_none(self) -> "SplitSettings":
        named = [name for name in ("train", "valid", "test") if getattr(self, name).first is not None]
        if named and len(named) < len(("train", "valid", "test")):
            raise ValueError(f"dates are given for {', '.join(named)} only: give them for train, valid and test")
        return self

    @property
    def is_by_date(self) -> bool:
        """Whether months are named instead of counted."""
        return self.train.first is not None


class SampleSettings(SettingsModel):
    """A sample of a training set; weights keep figures, models and calibration those of everybody.

    Attributes:
        stayers: Share of the customers whose rows are all kept.
        leavers: Share of the customers whose rows that leave within the horizon are kept, those of ``stayers`` among
            them; as few leave, all of them are where memory allows.
    """

    stayers: float = Field(default=1.0, gt=0.0, le=1.0)
    leavers: float = Field(default=1.0, gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _nested(self) -> "SampleSettings":
        if self.stayers > self.leavers:
            raise ValueError(f"sample.stayers ({self.stayers}) must be at most sample.leavers ({self.leavers})")
        return self


class LabelSettings(SettingsModel):
    """Horizon, cut-offs, maturity and split of the training set.

    Attributes:
        kind: ``dated`` for sources with churn dates, ``snapshot`` for one snapshot without them.
        horizon_days: Horizon H; a multiple of ``window_days``.
        window_days: Length of a hazard window.
        registration_lag_days: Days after leaving by which a leaver is registered.
        censor_at_offers: Censor follow-up at the first retention offer and weight by its propensity.
        split: Months of train, valid and test (dated only).
        shares: Split name -> share of customers by stable hash (snapshot only).
        sample: Which rows of a training set that would be too large are kept.
        exclude_features: Features to leave out of the training set.
        audit_max_roc_auc: The leak audit flags a feature that alone ranks better than this.
        audit_min_rows: Rows that a value or bin needs to be audited.
        audit_max_churn: Churn above which a value or bin is flagged.
        audit_min_churn: Churn below which a value or bin is flagged.
    """

    kind: Literal["dated", "snapshot"] = "dated"
    horizon_days: int = Field(default=90, ge=1)
    window_days: int = Field(default=30, ge=1)
    registration_lag_days: int = Field(default=15, ge=0)
    censor_at_offers: bool = True
    split: SplitSettings = SplitSettings()
    shares: dict[Literal["train", "valid", "test"], float] = Field(default_factory=dict)
    sample: SampleSettings = SampleSettings()
    exclude_features: tuple[str, ...] = ()
    audit_max_roc_auc: float = 0.95
    audit_min_rows: int = 50
    audit_max_churn: float = 0.9
    audit_min_churn: float = 0.001

    @model_validator(mode="after")
    def _consistent(self) -> "LabelSettings":
        if self.horizon_days % self.window_days:
            raise ValueError(
                f"horizon_days ({self.horizon_days}) must be a multiple of window_days ({self.window_days})"
            )
        if self.kind == "dated" and (self.window_days != 30 or self.horizon_days > 90):
            raise ValueError("dated labels have windows of 30 days and a horizon of 30, 60 or 90")
        least = self.horizon_days + self.registration_lag_days
        if self.kind == "dated" and self.split.embargo_days is not None and self.split.embargo_days < least:
            raise ValueError(
                f"split.embargo_days ({self.split.embargo_days}) must be at least horizon_days + registration_lag_days "
                f"({least}): outcomes of one split would reach into the features of the next"
            )
        if self.kind == "snapshot" and abs(sum(self.shares.values()) - 1.0) > 1e-9:
            raise ValueError("snapshot labels need shares that sum to 1")
        return self
