"""Contracts of the silver tables: clean, typed, every version kept with its known-at day."""

from spanishgas.contracts import sources
from spanishgas.contracts.base import Column, Contract, KnownAt
from spanishgas.contracts.bronze import REJECTED_ROW

KNOWN_AT = Column(
    name="known_at",
    type="date",
    description="Civil day from whose end on the row may be used.",
)
IN_COLUMN = KnownAt(column="known_at")


def _carried(source: Contract, *, drop: tuple[str, ...] = ()) -> tuple[Column, ...]:
    """The source's columns as a silver table carries them: all present, arrival replaced by `known_at`."""
    left_out = {"recorded_at", *drop}
    kept = (column for column in source.columns if column.name not in left_out)
    return (*(column.model_copy(update={"required": True}) for column in kept), KNOWN_AT)


CUSTOMERS = Contract(
    name="customers",
    layer="silver",
    version=1,
    grain="customer x version",
    description="Customer attributes, every version.",
    primary_key=("customer_id", "known_at"),
    event_time=None,
    known_at=IN_COLUMN,
    columns=(
        *_carried(sources.CUSTOMER_ATTRIBUTES),
        Column(
            name="is_snapshot",
            type="bool",
            description="The source carries no arrival day: static columns are visible earlier, the others are not.",
        ),
    ),
)

CONTRACTS = Contract(
    name="contracts",
    layer="silver",
    version=1,
    grain="customer x contract term x version",
    description="Contract terms, every version.",
    primary_key=("customer_id", "contract_start_date", "known_at"),
    event_time="contract_start_date",
    known_at=IN_COLUMN,
    columns=_carried(sources.CUSTOMER_CONTRACTS),
)

PRICES = Contract(
    name="prices",
    layer="silver",
    version=1,
    grain="customer x month x version",
    description="Prices the customer pays; zeros are null where the data set says that a zero means missing.",
    primary_key=("customer_id", "pricing_date", "known_at"),
    event_time="pricing_date",
    known_at=IN_COLUMN,
    columns=_carried(sources.PRICE_HISTORY),
)

COSTS = Contract(
    name="costs",
    layer="silver",
    version=1,
    grain="province x month x version",
    description="Energy and access costs.",
    primary_key=("province_code", "month", "known_at"),
    event_time="month",
    known_at=IN_COLUMN,
    columns=_carried(sources.COSTS_BY_PROVINCE_MONTH),
)

INTERACTIONS = Contract(
    name="interactions",
    layer="silver",
    version=1,
    grain="interaction x version",
    description="Interactions, flattened.",
    primary_key=("customer_id", "date", "channel", "interaction_summary", "known_at"),
    event_time="date",
    known_at=IN_COLUMN,
    columns=_carried(sources.CUSTOMER_INTERACTIONS),
)


def _energy(name: str, description: str, unit: str = "kWh") -> Column:
    return Column(name=name, type="float", unit=unit, description=description)


def _count(name: str, description: str) -> Column:
    return Column(name=name, type="int", unit="readings", description=description, minimum=0)


CONSUMPTION_DAILY = Contract(
    name="consumption_daily",
    layer="silver",
    version=2,
    grain="customer x civil day x version",
    description=(
        "Readings reduced to days, the sum of the customer's supply points. A version holds the whole day as known on "
        "its known-at day. Energy columns hold non-negative readings only; negative ones stand apart. Missing hours "
        "are not zeros: compare `hours_seen` with `hours_expected`."
    ),
    primary_key=("customer_id", "day", "known_at"),
    event_time="day",
    known_at=IN_COLUMN,
    columns=(
        sources.CUSTOMER_ID,
        Column(name="day", type="date", description="Civil day of the supply point."),
        _energy("elec_p1_kwh", "Imported in the peak period."),
        _energy("elec_p2_kwh", "Imported in the standard period."),
        _energy("elec_p3_kwh", "Imported in the off-peak period."),
        _energy("gas_m3", "Gas volume.", unit="m3"),
        _energy("gas_kwh", "Gas energy at 11 kWh/m3."),
        _count("hours_expected", "Hours of the civil day: 23, 24 or 25."),
        _count(
            "hours_seen",
            "Hours that the day's readings of electricity or gas cover, the mean of the customer's supply points, "
            "rounded down. It equals `hours_expected` only where every supply point is complete.",
        ),
        _count("readings", "Readings that the sums are made of."),
        _count("elec_negative_count", "Negative electricity readings."),
        _energy("elec_negative_kwh", "Their energy, as a negative number."),
        _count("gas_negative_count", "Negative gas readings."),
        _energy("gas_negative_m3", "Their volume, as a negative number.", unit="m3"),
        _count("estimated_count", "Estimated readings."),
        _energy("estimated_kwh", "Electricity in estimated readings; part of the sums above."),
        _count(
            "duplicate_count",
            "Readings dropped because the same interval stood twice with the same known-at day.",
        ),
        Column(
            name="supply_points",
            type="int",
            unit="supply points",
            description=(
                "Supply points of the customer: those with a reading of the day or of the 31 days before, as known "
                "then. Null where readings do not name them."
            ),
            nullable=True,
            minimum=1,
        ),
        KNOWN_AT,
    ),
)

CONSUMPTION_PERIODS = Contract(
    name="consumption_periods",
    layer="silver",
    version=1,
    grain="customer x metered period x version",
    description="Energy over stated periods, for retailers without hourly readings.",
    primary_key=("customer_id", "period_start", "period_end", "known_at"),
    event_time="period_end",
    known_at=IN_COLUMN,
    optional=True,
    columns=_carried(sources.CONSUMPTION_PERIODS, drop=("supply_point_id",)),
)

SUPPLY_POINTS = Contract(
    name="supply_points",
    layer="silver",
    version=1,
    grain="supply point x holder",
    description="Which customer holds which supply point, and from when to when.",
    primary_key=("supply_point_id", "customer_id", "valid_from", "known_at"),
    event_time=None,
    known_at=IN_COLUMN,
    optional=True,
    columns=_carried(sources.SUPPLY_POINTS),
)

CHURN_EVENTS = Contract(
    name="churn_events",
    layer="silver",
    version=1,
    grain="customer x version",
    description="Who left and when it became known; customers who stayed have `churn` false.",
    primary_key=("customer_id", "known_at"),
    event_time="churn_date",
    known_at=IN_COLUMN,
    columns=_carried(sources.CHURN_LABEL),
)

RETENTION_OFFERS = Contract(
    name="retention_offers",
    layer="silver",
    version=1,
    grain="campaign x eligible customer x version",
    description="Past retention campaigns with their propensities and outcomes.",
    primary_key=("campaign_id", "customer_id", "known_at"),
    event_time="offer_date",
    known_at=IN_COLUMN,
    optional=True,
    columns=_carried(sources.RETENTION_OFFERS),
)

CUSTOMER_EXTRAS = Contract(
    name="customer_extras",
    layer="silver",
    version=1,
    grain="customer x attribute x version",
    description="Columns beyond the contracts, as the data set declares them.",
    primary_key=("customer_id", "name", "known_at"),
    event_time=None,
    known_at=IN_COLUMN,
    optional=True,
    columns=(
        sources.CUSTOMER_ID,
        Column(name="name", type="string", description="Name of the attribute."),
        Column(
            name="number", type="float", description="Value of a numeric attribute.", nullable=True, personal="free"
        ),
        Column(name="text", type="string", description="Value of a text attribute.", nullable=True, personal="free"),
        KNOWN_AT,
    ),
)

QUARANTINE = Contract(
    name="quarantine",
    layer="silver",
    version=2,
    grain="rejected row x reason",
    description="Every rejected row with its source, file, line and reason. Nothing is dropped in silence.",
    primary_key=("source", "source_file", "source_line", "reason"),
    event_time=None,
    known_at=KnownAt(column=None),
    columns=(
        *REJECTED_ROW,
        Column(
            name="energy_kwh",
            type="float",
            unit="kWh",
            description="Energy in the row, electricity and gas at 11 kWh/m3, without sign; null where it has none.",
            nullable=True,
        ),
    ),
)

QUALITY = Contract(
    name="quality",
    layer="silver",
    version=2,
    grain="source x check",
    description="Counts of every data-quality check of the run.",
    primary_key=("source", "check"),
    event_time=None,
    known_at=KnownAt(column=None),
    columns=(
        Column(name="source", type="string", description="Source contract."),
        Column(name="check", type="string", description="Stable code of the check, e.g. `zero_price`."),
        Column(name="rows", type="int", unit="rows", description="Rows read.", minimum=0),
        Column(name="affected", type="int", unit="rows", description="Rows concerned.", minimum=0),
        Column(name="share", type="float", unit="share", description="affected / rows.", minimum=0, maximum=1),
        Column(
            name="energy_kwh",
            type="float",
            unit="kWh",
            description=(
                "Energy in the rows read, electricity and gas at 11 kWh/m3, without sign; null where the source has "
                "none."
            ),
            nullable=True,
        ),
        Column(
            name="affected_energy_kwh",
            type="float",
            unit="kWh",
            description="Energy in the rows concerned; null where it is not counted.",
            nullable=True,
        ),
        Column(name="handling", type="string", description="What was done with them."),
    ),
)

DELIVERY_FIGURES = Contract(
    name="delivery_figures",
    layer="silver",
    version=1,
    grain="source x month x figure",
    description="What the delivery says, summed up by month: what the next delivery is held against.",
    primary_key=("source", "month", "figure"),
    event_time=None,
    known_at=KnownAt(column=None),
    columns=(
        Column(name="source", type="string", description="Source contract."),
        Column(name="month", type="string", description="Month of the events, `YYYY-MM`; empty without an event."),
        Column(
            name="figure",
            type="string",
            description=(
                "`rows`; `<column>`: sum of its values; `<column>.told`: values that are there; `<column>=<value>`: "
                "rows with that value; `day=<day>`, `kwh.day=<day>`: rows and energy of a day of the month; "
                "`present_share`: share of the customers expected to have a row who have one."
            ),
        ),
        Column(name="value", type="float", description="The figure, in the column's unit."),
    ),
)

SILVER_TABLES: tuple[Contract, ...] = (
    CUSTOMERS,
    CONTRACTS,
    PRICES,
    COSTS,
    INTERACTIONS,
    CONSUMPTION_DAILY,
    CONSUMPTION_PERIODS,
    SUPPLY_POINTS,
    CHURN_EVENTS,
    RETENTION_OFFERS,
    CUSTOMER_EXTRAS,
    QUARANTINE,
    QUALITY,
    DELIVERY_FIGURES,
)
