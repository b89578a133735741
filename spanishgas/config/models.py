"""Settings of models: training, search, judgement, segments, promotion."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from spanishgas.config.base import SettingsModel


class SearchRange(SettingsModel):
    """Values that a setting may take in a search.

    Attributes:
        low: Lowest.
        high: Highest.
        log: Whether its logarithm is drawn evenly.
    """

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
    """The interpretable baseline; see ``models.LogisticHazard``.

    Attributes:
        kind: The model; chosen by ``model=logistic``.
        c: Inverse strength of the ridge penalty.
        max_iter: Most iterations of the solver.
    """

    kind: Literal["logistic"] = "logistic"
    c: float = Field(default=0.1, gt=0)
    max_iter: int = Field(default=500, ge=1)


class XGBoostSettings(ModelSettings):
    """Boosted trees; see ``models.XGBoostHazard``.

    Attributes:
        kind: The model; chosen by ``model=xgboost``.
        max_depth: Depth of a tree.
        learning_rate: Share of each tree that is added.
        rounds: Most trees.
        stop_after: Trees without gain on held-out customers after which fitting stops.
        min_child_weight: Least sum of hessians in a leaf: larger is smoother.
        subsample: Share of rows that a tree sees.
        colsample: Share of features that a tree sees.
        l2: Ridge penalty on leaves.
        seed: Seed of both shares.
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


class BlendSettings(ModelSettings):
    """Several kinds of trees, the mean of their log-odds; see ``models.BlendHazard``.

    Attributes:
        kind: The model; chosen by ``model=blend``.
        members: Who takes part; `lightgbm` and `catboost` are installed by `pip install 'spanishgas[blend]'`.
        max_depth: Depth of boosted trees; LightGBM's have half the leaves of such a tree instead.
        learning_rate: Share of each boosted tree that is added.
        rounds: Most boosted trees of a member.
        stop_after: Trees without gain on held-out customers after which a member stops.
        min_child_weight: Least sum of hessians in a leaf, of extra trees as many rows of average risk; not CatBoost's.
        subsample: Share of rows that a boosted tree sees.
        colsample: Share of features that a boosted tree sees, of CatBoost's each level.
        l2: Ridge penalty on leaves.
        forest_trees: Number of extra trees.
        forest_leaves: Most leaves of an extra tree.
        seed: Seed of whatever is drawn.
        monotone: Whether the signs declared with the features bind the boosted members.
    """

    kind: Literal["blend"] = "blend"
    members: tuple[Literal["xgboost", "lightgbm", "catboost", "extra_trees"], ...] = Field(
        default=("xgboost", "lightgbm", "catboost", "extra_trees"), min_length=1
    )
    max_depth: int = Field(default=6, ge=1, le=12)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    rounds: int = Field(default=1000, ge=1)
    stop_after: int = Field(default=40, ge=1)
    min_child_weight: float = Field(default=1.0, ge=0)
    subsample: float = Field(default=0.8, gt=0, le=1)
    colsample: float = Field(default=0.5, gt=0, le=1)
    l2: float = Field(default=3.0, ge=0)
    forest_trees: int = Field(default=200, ge=1)
    forest_leaves: int = Field(default=1000, ge=2)
    monotone: bool = True
    seed: int = 0

    @model_validator(mode="after")
    def _once(self) -> "BlendSettings":
        if len(set(self.members)) != len(self.members):
            raise ValueError(f"names a member twice: {', '.join(self.members)}")
        return self


AnyModelSettings = Annotated[LogisticSettings | XGBoostSettings | BlendSettings, Field(discriminator="kind")]


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
        months: Months before the newest one that can be judged at which origins may lie, that one among them.
        first: First origin by date, a month end, for studies; with `last`, `months` is not used.
        last: Last origin by date.
        every: Months from one origin to the next.
    """

    months: int = Field(default=12, ge=1)
    first: date | None = None
    last: date | None = None
    every: int = Field(default=1, ge=1)

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
        max_row_ms: Milliseconds of CPU for one customer, the least of several.
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
        refit: Whether the recipe that passes is learned again from all mature rows, as a version of its own that
            becomes champion; otherwise the judged version does.
        gates: What it must reach.
    """

    action: Literal["promote", "rollback", "history"] = "promote"
    mode: Literal["enforce", "dry_run", "force"] = "enforce"
    reason: str = Field(default="", max_length=1000)
    candidate: Annotated[str, BeforeValidator(_as_text)] = Field(default="challenger", min_length=1)
    refit: bool = True
    gates: GateSettings = GateSettings()

    @model_validator(mode="after")
    def _reasoned(self) -> "PromotionSettings":
        if self.mode == "force" and not self.reason.strip():
            raise ValueError("mode=force needs a reason: promotion.reason='why the gates are overruled'")
        return self
