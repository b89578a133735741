"""What the pages of the stages tell from declarations: tables, files and settings of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spanishgas.contracts import SILVER_TABLES, Contract
from spanishgas.contracts import decisions as of_decisions
from spanishgas.contracts import gold as of_gold
from spanishgas.contracts import monitoring as of_monitoring
from spanishgas.contracts.bronze import BRONZE_TABLES


@dataclass(frozen=True)
class Page:
    """What one stage publishes and is configured with.

    Attributes:
        place: The publication as ``layer/name``, with its partition where it has one.
        tables: Contracts of its tables.
        files: Publication's further files -> what they hold.
        settings: Dotted names of groups or settings that it reads beside those of every stage.
        depends: Further ones that its result depends on; the pages of other stages tell what they mean.
    """

    place: str = ""
    tables: tuple[Contract, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()


# Read by every stage: they say where and how, and never what comes out.
EVERYWHERE = ("force", "engine", "tracking", "data.name", "data.root", "storage")
MODEL_SETTINGS = ("model", "labels")
DEMO = ("customers", "seed", "start", "end", "until", "actions", "world", "churn_rate_90d", "hourly_format")
DEMO_SETTINGS = tuple(f"data.{name}" for name in (*DEMO, "block_customers"))
FILES_SETTINGS = ("run_date", "data.kind", "data.raw", "data.sources", "data.extras", "quality")
SPLIT = ("labels.kind", "labels.horizon_days", "labels.window_days", "labels.registration_lag_days")

PAGES: Mapping[str, Page] = {
    "demo_data": Page(
        "raw/demo + ground_truth/demo",
        files={
            "raw/demo": "The raw files: six CSV files, interactions as JSON, hourly readings as Parquet or CSV.",
            "ground_truth/demo": "True hazards and margins by month, the true response to offers; for reports only.",
        },
        settings=DEMO_SETTINGS,
    ),
    "ingest": Page(
        "bronze/ingest, one partition per run_date",
        BRONZE_TABLES,
        {"<source>": "Every raw file as Parquet: texts as text (JSON: one column per dotted path), Parquet as it is."},
        FILES_SETTINGS,
    ),
    "silver": Page(
        "silver/silver",
        SILVER_TABLES,
        {"silver/_meta/deliveries.parquet": "`delivery_figures` of the last forty run dates."},
        ("run_date", "data.sources", "data.extras", "data.extracted_on", "data.timezone", "quality"),
    ),
    "features": Page(
        "gold/features, one partition per asof_date",
        (of_gold.CUSTOMER_FEATURES, of_gold.CUSTOMER_MONTH_MARGIN),
        {"gold/_meta/feature_manifest.json": "Every feature with unit, family, source, window and delay."},
        ("as_of", "features", "data.as_of", "data.extras"),
    ),
    "training_set": Page("gold/training_set", (of_gold.CHURN_TRAINING_DATASET,), {}, ("labels", "data.cut")),
    "train": Page(
        "gold/model, one partition per model and settings",
        (of_gold.MODEL_PREDICTIONS,),
        {
            "model_files": "The model as JSON and XGBoost's binary JSON; the registered version is made from these.",
            "model_baseline": "Counts per bin of what it learned from, for `drift`; registered beside the model.",
        },
        ("model", "baseline", "evaluation", *SPLIT),
        ("features", "labels"),
    ),
    "segment": Page(
        "gold/segments, one partition per asof_date",
        (of_gold.SEGMENTS, of_gold.SEGMENT_PROFILES, of_gold.SEGMENT_SUMMARY),
        {"segment_model": "Scale, centres and names, for later dates and for the gates."},
        ("as_of", "segmentation"),
    ),
    "promote": Page(
        "gold/promotion, one partition per contest=challenger-champion",
        (of_gold.PROMOTION_SCORES, of_gold.PROMOTION_FIGURES, of_gold.PROMOTION_GATES),
        {
            "comparison": "Report, curves, groups and gates of the comparison.",
            "refit_files": "The recipe learned from all mature rows, where it may become champion.",
            "refit_baseline": "Counts per bin of what the refit learned from, for `drift`; registered beside it.",
        },
        ("promotion", "evaluation.replicates", "evaluation.groups"),
        ("features", *SPLIT),
    ),
    "score": Page(
        "gold/scoring, one partition per run_date",
        (of_decisions.CUSTOMER_SCORES,),
        {},
        ("run_date", "scoring", "policy.economics"),
    ),
    "response": Page(
        "gold/response",
        (of_decisions.RESPONSE_CALIBRATION, of_decisions.PAST_POLICIES),
        {"response_model": "What was learned as JSON, or the reasons why nothing was."},
        (
            "policy.response",
            "policy.economics",
            "policy.discount_share",
            "policy.contact_cost_eur",
            "policy.budget",
            "policy.guardrails",
            "as_of",
            "labels.kind",
            "labels.split.warmup_months",
            "labels.split.train.first",
            "labels.registration_lag_days",
            "data.cut",
        ),
    ),
    "recommend": Page(
        "gold/recommendations, one partition per run_date",
        (
            of_decisions.RECOMMENDATIONS,
            of_decisions.RECOMMENDATION_VETOES,
            of_decisions.RECOMMENDATION_LIMITS,
            of_decisions.DECISION_STANDING,
        ),
        {"decision_terms": "Policy, response and basis of the decision, for serving and the dashboard's what-if."},
        ("run_date", "policy", "scoring.max_feature_age_days"),
    ),
    "simulate": Page(
        "gold/simulation, one partition per run_date",
        (
            of_decisions.SIMULATED_GROUPS,
            of_decisions.SIMULATED_SENSITIVITY,
            of_decisions.BUDGET_CURVE,
            of_decisions.REPLAYED_POLICIES,
        ),
        {},
        ("run_date", "policy.simulation", "scoring.max_feature_age_days"),
        ("policy",),
    ),
    "drift": Page(
        "gold/drift, one partition per run_date",
        (of_monitoring.DRIFT_CHECKS, of_monitoring.DRIFT_BINS, of_monitoring.DRIFT_SUMMARY),
        {},
        ("run_date", "monitoring.drift", "monitoring.evidently", "scoring.max_feature_age_days"),
        ("features",),
    ),
    "performance": Page(
        "gold/performance, one partition per run_date",
        (of_monitoring.MODEL_PERFORMANCE, of_monitoring.PERFORMANCE_RELIABILITY, of_monitoring.BUSINESS_MONTHS),
        {},
        (
            "run_date",
            "monitoring.performance",
            "monitoring.evidently",
            "monitoring.drift.charted_run_dates",
            "policy.holdout.days",
            "policy.economics",
            "data.cut",
            *SPLIT,
        ),
        ("labels",),
    ),
    "retrain_signal": Page(
        "gold/retrain_signal, one partition per run_date",
        (of_monitoring.RETRAIN_SIGNAL,),
        {
            "signal": "The signal as JSON.",
            "gold/retrain_signal.json": "The signal of the newest run date, where schedulers look.",
        },
        ("run_date", "monitoring.signal"),
    ),
    "measure": Page(
        "gold/measured, one partition per run_date",
        (of_decisions.MEASURED_EFFECT,),
        {},
        (
            "run_date",
            "policy.measured_until",
            "policy.measured_together_days",
            "policy.holdout",
            "policy.economics",
            "labels.registration_lag_days",
            "data.cut",
        ),
    ),
    "replay": Page("gold/replay_study", (of_decisions.REPLAY_STUDY,), {}, ("policy.replay", "policy.simulation")),
    "backtest": Page(
        "gold/backtest, one partition per model, its settings and the rolling origins",
        (of_gold.BACKTEST_METRICS, of_gold.BACKTEST_FEATURES),
        {},
        ("model", "evaluation.backtest", "evaluation.replicates", "labels", "data.cut"),
        ("features", "evaluation"),
    ),
    "erase": Page(settings=("erasure",)),
    "retention": Page(
        settings=("run_date", "retention"),
        depends=(
            "policy.holdout.days",
            "policy.measured_together_days",
            "policy.guardrails.rest_days_after_offer",
            "policy.budget.period",
            "labels.horizon_days",
            "labels.registration_lag_days",
        ),
    ),
    "export": Page(settings=("run_date", "export")),
    "onboard": Page(settings=("onboarding",)),
    "run_pipeline": Page(settings=("pipeline", "monitoring.signal.obey"), depends=("run_date", "as_of", "data.name")),
}
