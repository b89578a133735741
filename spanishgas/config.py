"""Settings: frozen, typed, complete. Hydra composes them, this module decides whether they are valid.

Below the entry point nothing sees a configuration mapping: functions take these models, or plain values. An unknown key
is an error everywhere.
"""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class SettingsModel(BaseModel):
    """Base of all settings: frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DemoSettings(SettingsModel):
    """The demo retailer's world.

    Attributes:
        seed: Seed of everything drawn; the same seed gives the same files.
        customers: Number of distinct customers over the whole period.
        start: First day of history.
        end: Last day of history (inclusive).
        world: How customers respond to offers: ``loglinear`` or with ``interactions`` between traits.
        churn_rate_90d: Mean probability of leaving within 90 days that the hazards are scaled to.
        hourly_format: File format of the hourly readings.
        block_customers: Customers generated at a time; bounds memory.
        until: Continue the same world to this day (later than ``end``): earlier rows stay unchanged.
        actions: Published recommendations whose offers take effect after ``end``, or None.
    """

    seed: int = 20240101
    customers: int = Field(default=3000, ge=1)
    start: date = date(2024, 1, 1)
    end: date = date(2026, 1, 31)
    world: Literal["loglinear", "interactions"] = "loglinear"
    churn_rate_90d: float = Field(default=0.06, gt=0.0, lt=0.5)
    hourly_format: Literal["parquet", "csv"] = "parquet"
    block_customers: int = Field(default=250, ge=1)
    until: date | None = None
    actions: Path | None = None

    @model_validator(mode="after")
    def _period(self) -> "DemoSettings":
        if self.end <= self.start:
            raise ValueError(f"end ({self.end}) must be after start ({self.start})")
        if self.until is not None and self.until <= self.end:
            raise ValueError(f"until ({self.until}) must be after end ({self.end})")
        if self.actions is not None and self.until is None:
            raise ValueError("actions need `until`: offers take effect only after the world's end")
        return self


class ColumnMapping(SettingsModel):
    """Where a contract column comes from in a raw file, and how its values are to be read.

    Exactly one of ``column``, ``value``, ``file_pattern`` and ``absent`` is given. In YAML a bare string stands for
    ``column``.

    Attributes:
        column: Raw column, or the dotted path of a nested JSON field.
        value: A constant.
        file_pattern: Regular expression on the file's name; its first group is the value.
        absent: Why the source has no such column; the contract column is then null.
        plus: Further raw numeric columns that are added to ``column``; a missing one makes the sum missing.
        factor: The raw number is multiplied by this to reach the contract's unit.
        codes: Raw code -> contract value. Codes that are not listed stay as they are.
        zero: What a zero means: a value, or that the value is missing.
        date_format: strptime format of a date written as text; None for ISO 8601.
    """

    column: str | None = None
    value: str | int | float | bool | date | None = None
    file_pattern: str | None = None
    absent: str | None = None
    plus: tuple[str, ...] = ()
    factor: float = 1.0
    codes: dict[str, str] = Field(default_factory=dict)
    zero: Literal["value", "missing"] = "value"
    date_format: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "ColumnMapping":
        origins = ("column", "value", "file_pattern", "absent")
        given = [name for name in origins if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(origins)}, not {given or 'none'}")
        if self.plus and self.column is None:
            raise ValueError("plus needs a column to add to")
        return self


def _as_mapping(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


Mappings = dict[str, Annotated[ColumnMapping, BeforeValidator(_as_mapping)]]


class SourcePart(SettingsModel):
    """One set of raw files that feeds a source.

    Attributes:
        files: Path or glob, relative to the data set's ``raw`` folder; a folder means every data file in it.
        format: File format; ``auto`` goes by the ending (.csv, .csv.gz, .json, .jsonl, .parquet).
        delimiter: CSV delimiter, or None to detect it.
        encoding: Text encoding of CSV files.
        columns: Contract column -> origin. Contract columns that are not listed are taken from the raw column of the
            same name, if there is one.
    """

    files: str
    format: Literal["auto", "csv", "json", "parquet"] = "auto"
    delimiter: str | None = None
    encoding: str = "utf-8"
    columns: Mappings = Field(default_factory=dict)


class SourceSettings(SettingsModel):
    """Where one source lies and how it maps to its contract.

    Attributes:
        parts: One part per set of files; several parts are stacked.
        absent: Why the data set has no such source; its features are then null, and the run says so.
        clock: Clock of hourly timestamps: ``utc``, ``civil`` wall time, or ``hour_index`` of the interval's end.
    """

    parts: tuple[SourcePart, ...] = ()
    absent: str | None = None
    clock: Literal["utc", "civil", "hour_index"] = "civil"

    @model_validator(mode="after")
    def _parts_or_absent(self) -> "SourceSettings":
        if bool(self.parts) == (self.absent is not None):
            raise ValueError("give either parts, or absent with the reason")
        return self


class ExtraColumn(SettingsModel):
    """An attribute beyond the contracts.

    Attributes:
        column: Raw column.
        type: Type of the value.
        description: What it means.
        unit: Unit, or None.
        known_at: ``extraction``: visible from the extraction date on; ``static``: never changes, visible always.
        documented: Whether the retailer documents when the value becomes known. False marks a leak risk.
    """

    column: str
    type: Literal["float", "string", "bool"]
    description: str
    unit: str | None = None
    known_at: Literal["extraction", "static"] = "extraction"
    documented: bool = True


class ExtraTable(SettingsModel):
    """Raw files with attributes beyond the contracts, one row per customer."""

    part: SourcePart
    columns: dict[str, ExtraColumn]


class DataSettings(SettingsModel):
    """A data set: where its raw files lie and where its tables are published.

    Attributes:
        kind: ``files`` for a retailer's own files, ``demo`` for the generated retailer.
        name: Name of the data set; also the suffix of its models.
        root: Folder under which its tables are published.
        raw: Folder of its raw files.
        run_date: Default ingestion date.
        as_of: Default feature date.
        extracted_on: Day on which undated files were extracted; None means the ingestion's run date.
        cut: Last day that the files are complete for; None derives it from the latest dated event.
        timezone: Civil time of the retailer's mainland.
        sources: Contract name -> source.
        extras: Tables with attributes beyond the contracts.
    """

    kind: Literal["files"] = "files"
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    root: Path
    raw: Path
    run_date: date
    as_of: date
    extracted_on: date | None = None
    cut: date | None = None
    timezone: str = "Europe/Madrid"
    sources: dict[str, SourceSettings]
    extras: tuple[ExtraTable, ...] = ()

    def complete_until(self) -> date | None:
        """Last day that the files are complete for, where the configuration knows it."""
        return self.cut


class DemoData(DemoSettings, DataSettings):
    """The demo retailer: a data set whose raw files the ``demo_data`` stage writes."""

    kind: Literal["demo"] = "demo"  # type: ignore[assignment]

    def complete_until(self) -> date | None:
        """The end of the generated world."""
        return self.cut or self.until or self.end


class EngineSettings(SettingsModel):
    """The tables' engine. None of these settings changes a result.

    Attributes:
        kind: ``duckdb``, embedded.
        threads: Worker threads; None takes all cores.
        memory_limit_mib: Memory of the engine before it spills to disk.
    """

    kind: Literal["duckdb"] = "duckdb"
    threads: int | None = Field(default=None, ge=1)
    memory_limit_mib: int = Field(default=2048, ge=256)


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
    """First and last month of ``as_of`` dates (month ends) of one split."""

    first: date
    last: date


class LabelSettings(SettingsModel):
    """Horizon, cut-offs, maturity and split of the training set.

    Attributes:
        kind: ``dated`` for sources with churn dates, ``snapshot`` for one snapshot without them.
        horizon_days: Horizon H; a multiple of ``window_days``.
        window_days: Length of a hazard window.
        registration_lag_days: Days after leaving by which a leaver is registered.
        censor_at_offers: Censor follow-up at the first retention offer and weight by its propensity.
        split: Split name -> range of ``as_of`` months, in temporal order (dated only).
        shares: Split name -> share of customers by stable hash (snapshot only).
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
    split: dict[Literal["train", "valid", "test"], SplitRange] = Field(default_factory=dict)
    shares: dict[Literal["train", "valid", "test"], float] = Field(default_factory=dict)
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
        if self.kind == "dated" and set(self.split) != {"train", "valid", "test"}:
            raise ValueError("dated labels need split.train, split.valid and split.test")
        if self.kind == "snapshot" and abs(sum(self.shares.values()) - 1.0) > 1e-9:
            raise ValueError("snapshot labels need shares that sum to 1")
        return self


class SearchRange(SettingsModel):
    """Values that a setting may take in a search."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "SearchRange":
        if self.high <= self.low or (self.log and self.low <= 0):
            raise ValueError(f"needs low < high, and low > 0 where log is set, not {self.low} to {self.high}")
        return self


class TuningSettings(SettingsModel):
    """A search for the model's settings, by log-loss on the rows kept for early stopping.

    Attributes:
        trials: Trials in total, those of an interrupted search included; 0 takes the settings as they are.
        seed: Seed of the search.
        space: Setting -> lowest and highest value; ``log`` where its logarithm is drawn evenly.
    """

    trials: int = Field(default=0, ge=0)
    seed: int = 0
    space: dict[str, SearchRange] = Field(default_factory=dict)


class ModelSettings(SettingsModel):
    """What every churn model is configured with.

    Attributes:
        leave_out: Features not to use; names or patterns with ``*``.
        trending: What to do with features whose level drifts with the market: ``leave_out`` them, ``use`` them, or
            ``auto``: leave them out where training and scoring are apart in time.
        tuning: Search for settings.
    """

    leave_out: tuple[str, ...] = ()
    trending: Literal["auto", "leave_out", "use"] = "auto"
    tuning: TuningSettings = TuningSettings()


class LogisticSettings(ModelSettings):
    """The interpretable baseline; see ``models.LogisticHazard``."""

    kind: Literal["logistic"] = "logistic"
    c: float = Field(default=0.1, gt=0)
    max_iter: int = Field(default=500, ge=1)


class XGBoostSettings(ModelSettings):
    """Boosted trees; see ``models.XGBoostHazard``.

    Attributes:
        monotone: Whether the signs declared with the features bind the model.
    """

    kind: Literal["xgboost"] = "xgboost"
    max_depth: int = Field(default=3, ge=1, le=12)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    rounds: int = Field(default=600, ge=1)
    stop_after: int = Field(default=40, ge=1)
    min_child_weight: float = Field(default=20.0, ge=0)
    subsample: float = Field(default=0.8, gt=0, le=1)
    colsample: float = Field(default=0.5, gt=0, le=1)
    l2: float = Field(default=5.0, ge=0)
    monotone: bool = True
    seed: int = 0


AnyModelSettings = Annotated[LogisticSettings | XGBoostSettings, Field(discriminator="kind")]


class OutOfFoldSettings(SettingsModel):
    """Cross-fitting over customers, for sources with one snapshot; search and calibration happen inside each fold.

    Attributes:
        folds: Folds, stratified by the outcome; 0 does without.
        seeds: Repetitions with other folds; the reported figure is their mean.
        group_by: Features whose equal values stay in one fold, as where one campaign sold many contracts.
        trials: Trials of the search inside each fold; 0 takes the settings as they are.
    """

    folds: int = Field(default=0, ge=0)
    seeds: int = Field(default=1, ge=1)
    group_by: tuple[str, ...] = ()
    trials: int = Field(default=0, ge=0)


class BacktestSettings(SettingsModel):
    """Rolling origins: at each, a model learns from what was mature then and is judged on what came after.

    Attributes:
        first: First origin, a month end; None where there is nothing to roll over.
        last: Last origin.
        every: Months from one origin to the next.
        history_months: Most months of `as_of` dates to learn from.
    """

    first: date | None = None
    last: date | None = None
    every: int = Field(default=1, ge=1)
    history_months: int = Field(default=12, ge=1)

    @model_validator(mode="after")
    def _both_or_none(self) -> "BacktestSettings":
        if (self.first is None) != (self.last is None) or (self.first and self.last and self.last < self.first):
            raise ValueError(f"needs first <= last, or neither, not {self.first} and {self.last}")
        return self


class EvaluationSettings(SettingsModel):
    """How models are judged.

    Attributes:
        replicates: Bootstrap replicates of the intervals.
        groups: Features by whose values the figures are told apart.
        explained_rows: Rows of the SHAP summary.
        oof: Cross-fitting.
        backtest: Rolling origins.
    """

    replicates: int = Field(default=200, ge=0)
    groups: tuple[str, ...] = ()
    explained_rows: int = Field(default=3000, ge=1)
    oof: OutOfFoldSettings = OutOfFoldSettings()
    backtest: BacktestSettings = BacktestSettings()


class SegmentationSettings(SettingsModel):
    """How customers are grouped.

    Attributes:
        features: Features to group by; those without any value are left out and told.
        count: Number of segments; None chooses it among ``candidates``.
        candidates: Numbers to choose from.
        min_share: Least share of customers in the smallest segment.
        min_stability: Least mean adjusted Rand index between fits on bootstrap draws.
        stability_draws: Bootstrap draws per candidate.
        stability_rows: Most customers per draw.
        seed: Seed of draws and starts.
        restart: Forget the segments of earlier dates.
    """

    features: tuple[str, ...] = ()
    count: int | None = Field(default=None, ge=2, le=20)
    candidates: tuple[int, ...] = (4, 5, 6, 7, 8)
    min_share: float = Field(default=0.05, ge=0, lt=0.5)
    min_stability: float = Field(default=0.85, ge=0, le=1)
    stability_draws: int = Field(default=10, ge=2)
    stability_rows: int = Field(default=5000, ge=100)
    seed: int = 0
    restart: bool = False


class GateSettings(SettingsModel):
    """What a challenger must reach. "Beyond noise" means: the whole 95 % interval, by a bootstrap over customers.

    Attributes:
        better_on: Metrics of which one must be better than the champion's beyond noise, and none worse beyond noise.
        min_roc_auc: ROC-AUC that the interval must reach above: better than chance.
        calibration_slope: Range that the slope's interval must touch.
        observed_over_expected: Range that observed over expected leavers must touch.
        max_ece_growth: Most that ECE may grow over the champion's beyond noise, as a share of the base rate.
        max_group_pr_auc_loss: Most of the champion's PR-AUC that a month, segment or group may lose beyond noise.
        max_group_log_loss_growth: Most that a group's log-loss may grow beyond noise, as a share of the champion's.
        max_row_ms: Milliseconds for one customer, median of several.
        max_thousand_rows_ms: Milliseconds for 1,000 customers.
        max_size_mib: Size of the model's files.
    """

    better_on: tuple[str, ...] = ("pr_auc", "recall_at_10")
    min_roc_auc: float = Field(default=0.55, ge=0, le=1)
    calibration_slope: tuple[float, float] = (0.7, 1.4)
    observed_over_expected: tuple[float, float] = (0.67, 1.5)
    max_ece_growth: float = Field(default=0.1, ge=0)
    max_group_pr_auc_loss: float = Field(default=0.2, ge=0, le=1)
    max_group_log_loss_growth: float = Field(default=0.02, ge=0)
    max_row_ms: float = Field(default=50.0, gt=0)
    max_thousand_rows_ms: float = Field(default=2000.0, gt=0)
    max_size_mib: float = Field(default=50.0, gt=0)

    @model_validator(mode="after")
    def _ranges(self) -> "GateSettings":
        for name in ("calibration_slope", "observed_over_expected"):
            low, high = getattr(self, name)
            if low >= high:
                raise ValueError(f"{name} needs low < high, not {low} to {high}")
        return self


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) else value


class PromotionSettings(SettingsModel):
    """How a challenger becomes champion.

    Attributes:
        action: ``promote`` the candidate, ``rollback`` to the champion before, or list the ``history``.
        mode: ``enforce`` the gates, only say what would happen (``dry_run``), or ``force`` the candidate through.
        reason: Why; mandatory for ``force``.
        candidate: Alias or version number of who wants to become champion.
        gates: What it must reach.
    """

    action: Literal["promote", "rollback", "history"] = "promote"
    mode: Literal["enforce", "dry_run", "force"] = "enforce"
    reason: str = Field(default="", max_length=1000)
    candidate: Annotated[str, BeforeValidator(_as_text)] = Field(default="challenger", min_length=1)
    gates: GateSettings = GateSettings()

    @model_validator(mode="after")
    def _reasoned(self) -> "PromotionSettings":
        if self.mode == "force" and not self.reason.strip():
            raise ValueError("mode=force needs a reason: promotion.reason='why the gates are overruled'")
        return self


class TrackingSettings(SettingsModel):
    """Where runs are recorded.

    Attributes:
        uri: Tracking store; ``MLFLOW_TRACKING_URI`` wins over it.
        artifacts: Artifact folder of the local store; unused on a tracking server.
        experiment: Experiment of stand-alone runs; a launched run stays where it was launched.
        lock: What all who promote share, so that one does at a time: the server's database (``postgresql://...``) or a
            file on one machine (``file:///...``). None where ``uri`` itself is a database; ``SPANISHGAS_LOCK_URI`` wins
            over it.
    """

    uri: str
    artifacts: Path
    experiment: str
    lock: str | None = None


class PipelineSettings(SettingsModel):
    """Which stages one command runs, in order."""

    stages: tuple[str, ...]


class Settings(SettingsModel):
    """Everything a run is configured with, composed and validated once at entry."""

    run_date: date
    as_of: tuple[date, ...]
    force: bool = False
    data: Annotated[DataSettings | DemoData, Field(discriminator="kind")]
    engine: EngineSettings
    features: FeatureSettings
    labels: LabelSettings
    model: AnyModelSettings = XGBoostSettings()
    baseline: AnyModelSettings = LogisticSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    promotion: PromotionSettings = PromotionSettings()
    tracking: TrackingSettings
    pipeline: PipelineSettings
