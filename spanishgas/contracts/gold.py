"""Contracts of the gold tables: what models and decisions read."""

from spanishgas.contracts.base import Column, Contract, KnownAt
from spanishgas.contracts.sources import CUSTOMER_ID

AS_OF = Column(name="as_of", type="date", description="Cutoff: nothing known after the end of this civil day is used.")
AT_AS_OF = KnownAt(column="as_of")


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
    version=1,
    grain="as_of x customer",
    description="Point-in-time features of every customer known to be active at `as_of`.",
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
    version=1,
    grain="as_of x customer at risk",
    description=(
        "Features, outcomes per 30-day window and split. An outcome is null once the customer has left in an earlier "
        "window or from the window on in which follow-up was censored; a censored outcome is never a negative."
    ),
    primary_key=("customer_id", "as_of"),
    event_time="as_of",
    known_at=AT_AS_OF,
    open=True,
    columns=(
        CUSTOMER_ID,
        AS_OF,
        Column(name="split", type="string", description="Temporal split.", domain=("train", "valid", "test")),
        _window("left_0_30", "Left in days 1 to 30."),
        _window("left_30_60", "Left in days 31 to 60, among those still at risk."),
        _window("left_60_90", "Left in days 61 to 90, among those still at risk."),
        _window("left_horizon", "Left within the horizon; null where follow-up was censored before."),
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
    ),
)

GOLD_TABLES: tuple[Contract, ...] = (CUSTOMER_MONTH_MARGIN, CUSTOMER_FEATURES, CHURN_TRAINING_DATASET)
