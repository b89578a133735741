"""Contracts of the gold tables: what models and decisions read."""

from spanishgas.contracts.base import Column, Contract, KnownAt
from spanishgas.contracts.sources import CUSTOMER_ID

AS_OF = Column(name="as_of", type="date", description="Cutoff: nothing known after the end of this civil day is used.")
AT_AS_OF = KnownAt(column="as_of")

# What registered models take is what these tables hold: see the signature of a version.
FEATURE_TYPES = "Every number among the features is a double, whole ones too; flags are booleans, words are strings."


def _eur(name: str, description: str) -> Column:
    return Column(name=name, type="float", unit="EUR", description=description, nullable=True)


CUSTOMER_MONTH_MARGIN = Contract(
    name="customer_month_margin",
    layer="gold",
    version=1,
    grain="as_of x customer x month",
    description=(
        "Margin per customer and month as known at `as_of`, before VAT and electricity tax. Null where a component "
        "cannot be known or imputed."
    ),
    primary_key=("customer_id", "as_of", "month"),
    event_time="month",
    known_at=AT_AS_OF,
    partition="asof_date",
    columns=(
        CUSTOMER_ID,
        AS_OF,
        Column(name="month", type="date", description="First day of the month."),
        Column(name="elec_kwh", type="float", unit="kWh", description="Imported electricity.", nullable=True),
        Column(name="gas_m3", type="float", unit="m3", description="Gas.", nullable=True),
        _eur("elec_margin_eur", "Electricity margin of the month."),
        _eur("gas_margin_eur", "Gas margin of the month; 0 where the customer has no gas."),
        _eur("margin_eur", "Total margin of the month."),
        Column(
            name="is_price_imputed",
            type="bool",
            description="A price was filled from the customer, the segment's month or the month.",
        ),
        Column(
            name="is_cost_carried",
            type="bool",
            description="The month's cost was not known yet; the last one was.",
        ),
        Column(
            name="coverage",
            type="float",
            unit="share",
            description="Hours seen over hours expected.",
            nullable=True,
            minimum=0,
            maximum=1,
        ),
    ),
)

CUSTOMER_FEATURES = Contract(
    name="customer_features_asof_date",
    layer="gold",
    version=2,
    grain="as_of x customer",
    description=f"Point-in-time features of every customer known to be active at `as_of`. {FEATURE_TYPES}",
    primary_key=("customer_id", "as_of"),
    event_time="as_of",
    known_at=AT_AS_OF,
    partition="asof_date",
    open=True,
    columns=(CUSTOMER_ID, AS_OF),
)


def _window(name: str, description: str) -> Column:
    return Column(name=name, type="int", description=description, nullable=True, minimum=0, maximum=1)


CHURN_TRAINING_DATASET = Contract(
    name="churn_training_dataset",
    layer="gold",
    version=5,
    grain="as_of x customer at risk",
    description=(
        "Features, outcomes per 30-day window and split. An outcome is null once the customer has left in an earlier "
        "window or from the window on in which follow-up was censored; a censored outcome is never a negative. "
        f"{FEATURE_TYPES}"
    ),
    primary_key=("customer_id", "as_of"),
    event_time="as_of",
    known_at=AT_AS_OF,
    open=True,
    columns=(
        CUSTOMER_ID,
        AS_OF,
        Column(
            name="split",
            type="string",
            description="Temporal split; rows of the embargo between splits are learned from by a refit only.",
            domain=("train", "valid", "test", "embargo"),
        ),
        _window("left_0_30", "Left in days 1 to 30."),
        _window("left_30_60", "Left in days 31 to 60, among those still at risk."),
        _window("left_60_90", "Left in days 61 to 90, among those still at risk."),
        _window(
            "left_horizon",
            "Left within the horizon; null where follow-up was censored before, or the horizon is not mature.",
        ),
        Column(
            name="churn_reason",
            type="string",
            description="Reason of leaving within the horizon.",
            nullable=True,
        ),
        Column(
            name="followup_days",
            type="int",
            unit="days",
            description="Days observed after `as_of`, at most the horizon.",
            minimum=0,
        ),
        Column(
            name="censored_by",
            type="string",
            description="What ended follow-up before the horizon.",
            nullable=True,
            domain=("offer", "maturity"),
        ),
        *(
            Column(
                name=f"weight_{window}",
                type="float",
                description=f"Inverse probability of being uncensored through window {window}.",
                nullable=True,
                minimum=0.0,
            )
            for window in ("0_30", "30_60", "60_90")
        ),
        Column(
            name="left_day",
            type="int",
            unit="days",
            description="Days after `as_of` until the customer left, beyond the horizon too; null where not known.",
            nullable=True,
            minimum=1,
        ),
        Column(
            name="observed_days",
            type="int",
            unit="days",
            description=(
                "Days after `as_of` that leaving is known for, until the first offer; at most two years. 0 where "
                "labels have no dates."
            ),
            minimum=0,
        ),
        Column(
            name="sampled",
            type="bool",
            description=(
                "Whether the customer was drawn for `labels.sample.stayers`; rows that are not are there "
                "because they leave. Rows that are have the features of everybody."
            ),
        ),
        Column(
            name="sample_weight",
            type="float",
            description=(
                "How many rows this one stands for: 1 / `labels.sample.leavers` if it leaves within the horizon, else "
                "1 / `labels.sample.stayers`."
            ),
            minimum=1.0,
        ),
    ),
)


def _hazard(name: str, days: str) -> Column:
    return Column(
        name=name,
        type="float",
        unit="probability",
        description=f"Probability of leaving in {days} for those still there at its begin; null without churn dates.",
        nullable=True,
        minimum=0,
        maximum=1,
    )


RISK = Column(
    name="risk",
    type="float",
    unit="probability",
    description="Probability of leaving within the horizon.",
    minimum=0,
    maximum=1,
)
HAZARDS = (
    _hazard("hazard_0_30", "days 1 to 30"),
    _hazard("hazard_30_60", "days 31 to 60"),
    _hazard("hazard_60_90", "days 61 to 90"),
)

MODEL_PREDICTIONS = Contract(
    name="model_predictions",
    layer="gold",
    version=1,
    grain="split x as_of x customer",
    description="Scores of rows that a model has not learned from, one partition per model and settings.",
    primary_key=("split", "customer_id", "as_of"),
    event_time="as_of",
    known_at=AT_AS_OF,
    partition="model",
    columns=(
        CUSTOMER_ID,
        AS_OF,
        Column(
            name="split",
            type="string",
            description="What the rows were to the model: `valid` stopped and calibrated it; `oof` is out-of-fold.",
            domain=("valid", "test", "oof"),
        ),
        RISK,
        *HAZARDS,
    ),
)

ORIGIN = Column(name="origin", type="date", description="The model learned from what was known at the end of this day.")

BACKTEST_METRICS = Contract(
    name="backtest_metrics",
    layer="gold",
    version=1,
    grain="origin x metric",
    description="How good the models trained at each origin were on the customers of that day.",
    primary_key=("origin", "metric"),
    event_time="origin",
    known_at=KnownAt(column="origin"),
    partition="model",
    columns=(
        ORIGIN,
        Column(name="metric", type="string", description="Metric; see `evaluation.METRICS`."),
        Column(name="value", type="float", description="Its value.", nullable=True),
        Column(name="lo", type="float", description="Lower bound of its 95 % interval.", nullable=True),
        Column(name="hi", type="float", description="Upper bound.", nullable=True),
    ),
)

BACKTEST_FEATURES = Contract(
    name="backtest_features",
    layer="gold",
    version=1,
    grain="origin x feature",
    description="What the models trained at each origin used.",
    primary_key=("origin", "feature"),
    event_time="origin",
    known_at=KnownAt(column="origin"),
    partition="model",
    columns=(
        ORIGIN,
        Column(name="feature", type="string", description="Feature."),
        Column(name="mean_abs", type="float", unit="log-odds", description="Mean absolute contribution.", minimum=0),
        Column(name="rank", type="int", description="Its place, from 1.", minimum=1),
    ),
)

CONTENDER = Column(
    name="contender",
    type="string",
    description="Part that the model plays in the comparison.",
    domain=("champion", "challenger", "baseline"),
)

PROMOTION_SCORES = Contract(
    name="promotion_scores",
    layer="gold",
    version=1,
    grain="contender x as_of x customer",
    description="Scores of the frozen test rows on which models were compared, one partition per pair of models.",
    primary_key=("contender", "customer_id", "as_of"),
    event_time="as_of",
    known_at=AT_AS_OF,
    partition="contest",
    columns=(CUSTOMER_ID, AS_OF, CONTENDER, RISK, *HAZARDS),
)

PROMOTION_FIGURES = Contract(
    name="promotion_figures",
    layer="gold",
    version=1,
    grain="contender x metric",
    description="How the compared models did on the frozen test rows.",
    primary_key=("contender", "metric"),
    event_time=None,
    known_at=KnownAt(column=None),
    partition="contest",
    columns=(
        CONTENDER,
        Column(name="model_version", type="string", description="Version in the registry."),
        Column(name="metric", type="string", description="Metric; see `evaluation.METRICS`."),
        Column(name="value", type="float", description="Its value.", nullable=True),
        Column(name="lo", type="float", description="Lower bound of its 95 % interval.", nullable=True),
        Column(name="hi", type="float", description="Upper bound.", nullable=True),
    ),
)

PROMOTION_GATES = Contract(
    name="promotion_gates",
    layer="gold",
    version=1,
    grain="gate",
    description="How the challenger came through the gates.",
    primary_key=("gate",),
    event_time=None,
    known_at=KnownAt(column=None),
    partition="contest",
    columns=(
        Column(name="gate", type="string", description="Stable identifier of the gate."),
        Column(
            name="state",
            type="string",
            description="`not asked` where there was nothing to compare with.",
            domain=("passed", "failed", "not asked"),
        ),
        Column(name="sentence", type="string", description="The figures and the limit, in words."),
    ),
)

SEGMENT_ID = Column(name="segment_id", type="string", description="Identity of the segment; lasts across refreshes.")

SEGMENTS = Contract(
    name="segments",
    layer="gold",
    version=1,
    grain="as_of x customer",
    description="Segment of every customer active at `as_of`.",
    primary_key=("customer_id", "as_of"),
    event_time="as_of",
    known_at=AT_AS_OF,
    partition="asof_date",
    columns=(
        CUSTOMER_ID,
        AS_OF,
        SEGMENT_ID,
        Column(name="segment_name", type="string", description="Name of the segment in plain English words."),
    ),
)

SEGMENT_PROFILES = Contract(
    name="segment_profiles",
    layer="gold",
    version=1,
    grain="as_of x segment x feature",
    description="How the segments differ from everybody.",
    primary_key=("as_of", "segment_id", "feature"),
    event_time="as_of",
    known_at=AT_AS_OF,
    partition="asof_date",
    columns=(
        AS_OF,
        SEGMENT_ID,
        Column(name="feature", type="string", description="Feature."),
        Column(name="mean", type="float", description="Mean in the segment, in the feature's unit.", nullable=True),
        Column(name="overall_mean", type="float", description="Mean of everybody.", nullable=True),
        Column(
            name="z",
            type="float",
            unit="standard deviations",
            description="Distance of the two means, on the scale that customers are grouped on.",
            nullable=True,
        ),
    ),
)

SEGMENT_SUMMARY = Contract(
    name="segment_summary",
    layer="gold",
    version=1,
    grain="as_of x segment",
    description="Size, name, churn and margin of every segment.",
    primary_key=("as_of", "segment_id"),
    event_time="as_of",
    known_at=AT_AS_OF,
    partition="asof_date",
    columns=(
        AS_OF,
        SEGMENT_ID,
        Column(name="name_en", type="string", description="Name in English."),
        Column(name="name_es", type="string", description="Name in Spanish."),
        Column(name="customers", type="int", unit="customers", description="Customers in it.", minimum=0),
        Column(name="share", type="float", unit="share", description="Of all customers.", minimum=0, maximum=1),
        _eur("margin_eur_month", "Mean margin per month over twelve months."),
        Column(
            name="churn_rate",
            type="float",
            unit="share",
            description="Left within the horizon, among the training set's customers who looked like this.",
            nullable=True,
            minimum=0,
            maximum=1,
        ),
        Column(name="churn_rows", type="int", unit="rows", description="Rows behind the churn rate.", minimum=0),
    ),
)

GOLD_TABLES: tuple[Contract, ...] = (
    CUSTOMER_MONTH_MARGIN,
    CUSTOMER_FEATURES,
    CHURN_TRAINING_DATASET,
    MODEL_PREDICTIONS,
    BACKTEST_METRICS,
    BACKTEST_FEATURES,
    PROMOTION_SCORES,
    PROMOTION_FIGURES,
    PROMOTION_GATES,
    SEGMENTS,
    SEGMENT_PROFILES,
    SEGMENT_SUMMARY,
)
