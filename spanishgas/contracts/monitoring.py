"""Contracts of what monitoring publishes: drift, performance, business, and whether to train again."""

from typing import Final

from spanishgas.contracts.base import Column, Contract
from spanishgas.contracts.columns import AT_RUN_DATE, count, run_date

RUN_DATE = run_date("Day that the monitoring was done for.")
STATES: Final = ("ok", "alarm", "unknown")
ROLES: Final = ("root", "dependant", "none")
CHECKS: Final = (
    "freshness",
    "source_rows",
    "rows",
    "missingness",
    "new_categories",
    "vanished_categories",
    "distribution",
    "prediction",
)
POPULATIONS: Final = ("untreated", "never_targeted", "held_out", "treated")
GROUPS: Final = ("all", "month", "segment")
STATUSES: Final = ("measured", "estimated", "unknown")


def _text(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name=name, type="string", description=description, nullable=nullable)


def _number(name: str, description: str, unit: str | None = None, *, nullable: bool = True) -> Column:
    return Column(name=name, type="float", description=description, unit=unit, nullable=nullable)


def _share(name: str, description: str, *, nullable: bool = True) -> Column:
    return Column(
        name=name, type="float", unit="share", description=description, minimum=0, maximum=1, nullable=nullable
    )


def _flag(name: str, description: str) -> Column:
    return Column(name=name, type="bool", description=description)


def _day(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name=name, type="date", description=description, nullable=nullable)


def _one_of(name: str, domain: tuple[str, ...], description: str) -> Column:
    return Column(name=name, type="string", description=description, domain=domain)


DRIFT_CHECKS = Contract(
    name="drift_checks",
    layer="gold",
    version=1,
    grain="run date x check x subject",
    description=(
        "Every drift check of a run date with its figure, its limit and what came of it. An alarm is a difference that "
        "is both beyond its limit and beyond chance (Holm over all checks of the run date)."
    ),
    primary_key=("run_date", "check", "subject"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        _one_of("check", CHECKS, "What is checked; `distribution` is the PSI with a bin for missing values."),
        _text("subject", "Feature, silver table, or `risk` for predictions and `customers` for the rows scored."),
        _text("family", "Family of the feature; `source`, `table` or `prediction` for other subjects."),
        _one_of("state", STATES, "`unknown` where too little is there to tell, which is not the same as `ok`."),
        _one_of("role", ROLES, "A root alarm, or one that is declared to follow from a root; `none` without alarm."),
        _text("root", "`check:subject` of the alarm that it hangs on, its own for a root; empty without alarm."),
        _number("value", "The figure: PSI, difference of shares, days, ratio; null where unknown."),
        _number("limit", "The figure from which on it matters, from conf/monitoring.", nullable=False),
        _number("p_value", "Chance of such a difference if nothing has changed; null for rules without chance."),
        _number("p_adjusted", "The same by Holm over all checks of the run date."),
        _number("reference", "The same quantity in the baseline, e.g. the missing share or the mean."),
        _number("current", "The same quantity now."),
        _flag("is_used", "The champion uses the feature; true for subjects that are no feature."),
        _text("sentence", "The figures and the limit, in words."),
    ),
)

DRIFT_BINS = Contract(
    name="drift_bins",
    layer="gold",
    version=1,
    grain="run date x subject x bin",
    description="Shares behind each PSI: the baseline's beside today's.",
    primary_key=("run_date", "subject", "place"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        _text("subject", "Feature, or `risk`."),
        count("place", "Order of the bin, from 0; the bin of missing values comes last."),
        _text("label", "Range of values, category, `missing` or `new`.").model_copy(update={"personal": "free"}),
        _share("reference_share", "Share of the baseline's rows.", nullable=False),
        _share("current_share", "Share of today's rows.", nullable=False),
    ),
)

DRIFT_SUMMARY = Contract(
    name="drift_summary",
    layer="gold",
    version=1,
    grain="run date",
    description="One row per run date: what was compared with what, and how it ended.",
    primary_key=("run_date",),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        _one_of("state", STATES, "`alarm` with any alarm; `unknown` if the predictions or most features are."),
        _text("roots", "Root alarms as `check:subject`, separated by `|`; empty without alarm."),
        count("alarms", "Alarms, dependants included."),
        count("root_alarms", "Root alarms."),
        count("unknown", "Checks that could not tell."),
        count("checks", "All checks."),
        count("customers", "Customers scored."),
        count("reference_rows", "Rows of the baseline that was compared with."),
        _day("as_of", "Date of today's features."),
        _day("reference_as_of", "Date of the baseline, of those that the champion learned from."),
        count("season_gap_months", "Months of the year between the two."),
        _text("model_version", "Version of the champion."),
        _text("model_digest", "Digest of its files."),
        _number("prediction_psi", "PSI of the predicted risk."),
        _number("mean_risk", "Mean predicted risk.", "probability"),
        _number("reference_mean_risk", "Mean predicted risk of the baseline.", "probability"),
        _number("largest_psi", "Largest PSI of a feature that could be judged."),
        _text("largest_psi_feature", "That feature; empty where none could be."),
    ),
)

MODEL_PERFORMANCE = Contract(
    name="model_performance",
    layer="gold",
    version=1,
    grain="run date x population x group x member x metric",
    description=(
        "How good published scores were, by month and by segment. Months whose outcomes are not mature are estimated "
        "from the calibrated scores and say so."
    ),
    primary_key=("run_date", "population", "group", "member", "metric"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        _one_of(
            "population",
            POPULATIONS,
            "`untreated`: never targeted and, weighted, held out: risk if nothing is done. `treated` were offered "
            "something and are told apart.",
        ),
        _one_of("group", GROUPS, "All mature months together, one month, or one segment over all mature months."),
        _text("member", "`all`, the date of the scored features (ISO), or the segment's identity."),
        _text("label", "The member in words: month, or name of the segment."),
        _text("metric", "Metric; see `evaluation.METRICS`."),
        _one_of("status", STATUSES, "Measured on mature outcomes, or estimated from the scores; or too few to tell."),
        _number("value", "Its value; null where unknown."),
        _number("lo", "Lower bound of its 95 % interval."),
        _number("hi", "Upper bound."),
        _number("floor", "What it must reach; null where it has none."),
        _number("ceiling", "What it must not pass; null where it has none."),
        _one_of("state", STATES, "`alarm` where the whole interval is beyond a bound; of measured figures only."),
        count("rows", "Customers scored."),
        _number("weight", "Customers that they stand for.", "customers"),
        count("leavers", "Leavers among them; null where not mature.", nullable=True),
        _number("observed", "Weighted share that left; null where not mature.", "share"),
        _number("expected", "Weighted mean of the risk.", "probability"),
        _text("model_version", "Versions of the champion that scored them, separated by `|`."),
    ),
)

PERFORMANCE_RELIABILITY = Contract(
    name="performance_reliability",
    layer="gold",
    version=1,
    grain="run date x population x bin",
    description="Predicted and observed share per bin of equal mass, over all mature months.",
    primary_key=("run_date", "population", "place"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        _one_of("population", POPULATIONS, "Who."),
        count("place", "Order of the bin, from 0."),
        count("rows", "Rows in it."),
        _share("predicted", "Weighted mean of the risk.", nullable=False),
        _share("observed", "Weighted share that left.", nullable=False),
        _share("lo", "Lower bound of its 95 % interval.", nullable=False),
        _share("hi", "Upper bound.", nullable=False),
    ),
)

BUSINESS_MONTHS = Contract(
    name="business_months",
    layer="gold",
    version=1,
    grain="run date x month of decisions",
    description="What was offered by month, what it costs, and its expected margin beside what the hold-out says.",
    primary_key=("run_date", "month"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        _day("month", "First day of the month of the decisions."),
        count("decisions", "Run dates in it."),
        count("customers", "Decisions about a customer."),
        count("offers", "Offers made."),
        count("held_out", "Chosen and held out."),
        _number("spend_eur", "Expected cost of the offers made.", "EUR", nullable=False),
        _number("expected_margin_eur", "Expected margin of the offers made, costs taken off.", "EUR", nullable=False),
        count("followed_days", "Days after the last decision for which leaving is known, at most the hold-out's."),
        _one_of("status", STATUSES, "`measured` from the hold-out; `unknown` where too few or too early."),
        _number("effect", "Share that left among the offered minus that among the held out."),
        _number("lo", "Lower bound of its 95 % interval."),
        _number("hi", "Upper bound."),
        _number("measured_margin_eur", "Margin by that effect, over the same horizon, costs taken off.", "EUR"),
        _number("measured_lo_eur", "Lower bound of its 95 % interval.", "EUR"),
        _number("measured_hi_eur", "Upper bound.", "EUR"),
        _text("verdict", "What can be said of it, in words."),
    ),
)

RETRAIN_SIGNAL = Contract(
    name="retrain_signal",
    layer="gold",
    version=1,
    grain="run date",
    description="Whether to train again, why, and what speaks against it.",
    primary_key=("run_date",),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        _flag("retrain", "Train again."),
        _flag("investigate", "Something drifts, which alone is a reason to look and none to train."),
        _text("reasons", "`no_champion`, `performance`, `persistent_drift`, `age`, separated by `|`."),
        _text("held_back_by", "`cooldown` where there are reasons and a model was trained just before."),
        _text("model_version", "Version of the champion; empty without one."),
        _text("model_digest", "Digest of its files; empty without one."),
        count("model_age_days", "Days since the last date that the champion learned from.", nullable=True),
        count("days_since_training", "Days since the data end of the model trained last.", nullable=True),
        count("new_leavers", "Leavers registered since the champion was trained.", nullable=True),
        _text("evidence", "The figures behind it, as JSON."),
    ),
)

MONITORING_TABLES: tuple[Contract, ...] = (
    DRIFT_CHECKS,
    DRIFT_BINS,
    DRIFT_SUMMARY,
    MODEL_PERFORMANCE,
    PERFORMANCE_RELIABILITY,
    BUSINESS_MONTHS,
    RETRAIN_SIGNAL,
)
