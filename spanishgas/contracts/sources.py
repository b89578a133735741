"""Contracts of the raw sources: the seven every retailer has, and the optional ones."""

from spanishgas.contracts.base import Column, Contract, KnownAt

CHANNELS = (
    "presencial_comercial",
    "comparador",
    "oficina",
    "telemarketing",
    "web_propia",
    "unknown",
)
CONTACT_CHANNELS = ("phone", "email", "web", "app", "office", "chat", "letter", "unknown")
OFFER_ACTIONS = ("none", "small", "medium", "large")
OFFER_CHANNELS = ("phone", "email", "letter", "sms", "none")
TIMING_WINDOWS = ("immediate", "30_60", "60_90", "none")
CHURN_REASONS = ("switch", "move_out", "unknown")

CUSTOMER_ID = Column(
    name="customer_id", type="string", description="Stable identifier of the customer.", personal="identifier"
)
SUPPLY_POINT_ID = Column(
    name="supply_point_id",
    type="string",
    description="Identifier of the supply point, such as its CUPS; a customer may have several.",
    personal="identifier",
)
RECORDED_AT = Column(
    name="recorded_at",
    type="date",
    description="Day on which the row reached the retailer's systems.",
    nullable=True,
    required=False,
)

CHURN_LABEL = Contract(
    name="churn_label",
    layer="source",
    version=1,
    grain="customer",
    description="Who left, when, and why. Without `churn_date` only snapshot labels are possible.",
    primary_key=("customer_id",),
    event_time="churn_date",
    known_at=KnownAt(event="churn_date"),
    columns=(
        CUSTOMER_ID,
        Column(name="churn", type="bool", description="Whether the customer has left."),
        Column(
            name="churn_date",
            type="date",
            description="Last day of supply; null for customers who have not left.",
            nullable=True,
            required=False,
        ),
        Column(
            name="reason",
            type="string",
            description="Why: a switch to a competitor, or a move-out that no offer prevents.",
            nullable=True,
            required=False,
            domain=CHURN_REASONS,
            outside="count",
        ),
        RECORDED_AT,
    ),
)

CUSTOMER_ATTRIBUTES = Contract(
    name="customer_attributes",
    layer="source",
    version=1,
    grain="customer x version",
    description="Who the customer is: supply point, location, sales channel, consent.",
    primary_key=("customer_id", "recorded_at"),
    event_time=None,
    known_at=KnownAt(),
    columns=(
        CUSTOMER_ID,
        Column(
            name="contracted_power_kw",
            type="float",
            unit="kW",
            description="Contracted electrical power.",
            nullable=True,
            minimum=0.0,
            maximum=10_000.0,
            outside="count",
        ),
        Column(name="is_industrial", type="bool", description="Business supply.", nullable=True, static=True),
        Column(name="is_second_residence", type="bool", description="Second home.", nullable=True, static=True),
        Column(
            name="province_code",
            type="string",
            description="Province code of the national statistics office, 01 to 52, two digits.",
            nullable=True,
            static=True,
            domain=tuple(f"{number:02d}" for number in range(1, 53)),
            outside="count",
        ),
        Column(name="region", type="string", description="Autonomous community.", nullable=True, static=True),
        Column(
            name="is_high_competition_province",
            type="bool",
            description="Province where competitors are most active.",
            nullable=True,
            static=True,
        ),
        Column(name="is_urban", type="bool", description="Urban supply point.", nullable=True, static=True),
        Column(
            name="sales_channel",
            type="string",
            description="Channel through which the customer was won.",
            nullable=True,
            static=True,
            domain=CHANNELS,
            outside="count",
        ),
        Column(
            name="is_vulnerable",
            type="bool",
            description="Vulnerable customer or social tariff.",
            nullable=True,
            required=False,
        ),
        Column(
            name="marketing_consent",
            type="bool",
            description="Consent to commercial messages.",
            nullable=True,
            required=False,
        ),
        Column(
            name="phone_consent",
            type="bool",
            description="Express prior consent to commercial calls.",
            nullable=True,
            required=False,
        ),
        RECORDED_AT,
    ),
)

CUSTOMER_CONTRACTS = Contract(
    name="customer_contracts",
    layer="source",
    version=1,
    grain="customer x contract term",
    description="Contract terms: one row per term, or one row per customer with the current term only.",
    primary_key=("customer_id", "contract_start_date", "recorded_at"),
    event_time="contract_start_date",
    known_at=KnownAt(event="contract_start_date"),
    columns=(
        CUSTOMER_ID,
        Column(
            name="customer_first_activation_date",
            type="date",
            description="First day of supply.",
            nullable=True,
        ),
        Column(name="contract_start_date", type="date", description="First day of this contract term."),
        Column(
            name="last_product_change_date",
            type="date",
            description="Last change of product; an event of its own, invisible before it happens.",
            nullable=True,
        ),
        Column(
            name="next_renewal_date",
            type="date",
            description="Day on which this term ends and renews.",
            nullable=True,
        ),
        RECORDED_AT,
    ),
)

PRICE_HISTORY = Contract(
    name="price_history",
    layer="source",
    version=1,
    grain="customer x month",
    description="Prices that the customer pays. Known from the day they apply.",
    primary_key=("customer_id", "pricing_date", "recorded_at"),
    event_time="pricing_date",
    known_at=KnownAt(event="pricing_date"),
    columns=(
        CUSTOMER_ID,
        Column(name="pricing_date", type="date", description="First day on which the prices apply."),
        *(
            Column(
                name=f"variable_price_tier{tier}_eur_kwh",
                type="float",
                unit="EUR/kWh",
                description=f"Energy price in period {tier} ({label}).",
                nullable=True,
                minimum=-1.0,
                maximum=5.0,
                outside="count",
            )
            for tier, label in ((1, "peak"), (2, "standard"), (3, "off-peak"))
        ),
        Column(
            name="elec_fixed_fee_eur_month",
            type="float",
            unit="EUR/month",
            description="Fixed electricity fee charged to the customer.",
            nullable=True,
            outside="count",
        ),
        Column(
            name="elec_fixed_cost_eur_month",
            type="float",
            unit="EUR/month",
            description="Fixed electricity cost of the supply.",
            nullable=True,
            outside="count",
        ),
        Column(
            name="elec_fixed_price_eur_kw_year",
            type="float",
            unit="EUR/kW/year",
            description="Fixed electricity price per kW and year, for retailers that quote it so.",
            nullable=True,
            required=False,
            outside="count",
        ),
        Column(
            name="gas_variable_price_eur_m3",
            type="float",
            unit="EUR/m3",
            description="Gas price.",
            nullable=True,
            minimum=0.0,
            maximum=50.0,
            outside="count",
        ),
        Column(
            name="gas_fixed_revenue_eur_year",
            type="float",
            unit="EUR/year",
            description="Fixed gas revenue, counted only where the customer has gas.",
            nullable=True,
            outside="count",
        ),
        Column(
            name="gas_fixed_cost_eur_year",
            type="float",
            unit="EUR/year",
            description="Fixed gas cost, counted only where the customer has gas.",
            nullable=True,
            outside="count",
        ),
        RECORDED_AT,
    ),
)

COSTS_BY_PROVINCE_MONTH = Contract(
    name="costs_by_province_month",
    layer="source",
    version=1,
    grain="province x month",
    description="What energy and access cost the retailer. Settled after the month has ended.",
    primary_key=("province_code", "month", "recorded_at"),
    event_time="month",
    known_at=KnownAt(event="month", month_end=True, delay_days=10),
    columns=(
        Column(
            name="province_code",
            type="string",
            description="Province code, 01 to 52.",
            domain=tuple(f"{number:02d}" for number in range(1, 53)),
        ),
        Column(name="month", type="date", description="First day of the month."),
        Column(
            name="elec_var_cost_eur_kwh",
            type="float",
            unit="EUR/kWh",
            description="Energy cost including losses.",
            nullable=True,
            minimum=-1.0,
            maximum=5.0,
            outside="count",
        ),
        Column(
            name="gas_var_cost_eur_m3",
            type="float",
            unit="EUR/m3",
            description="Gas cost.",
            nullable=True,
            minimum=0.0,
            maximum=50.0,
            outside="count",
        ),
        Column(
            name="peaje_elec_eur_kwh",
            type="float",
            unit="EUR/kWh",
            description="Electricity access toll.",
            nullable=True,
            minimum=0.0,
            maximum=5.0,
            outside="count",
        ),
        RECORDED_AT,
    ),
)

CONSUMPTION_HOURLY = Contract(
    name="consumption_hourly",
    layer="source",
    version=2,
    grain="supply point x interval x version",
    description="Meter readings of hours, half or quarter hours, in the clock that the data set declares.",
    primary_key=("customer_id", "timestamp", "recorded_at"),
    event_time="timestamp",
    known_at=KnownAt(event="timestamp", delay_days=1),
    columns=(
        CUSTOMER_ID,
        SUPPLY_POINT_ID.model_copy(update={"nullable": True, "required": False}),
        Column(
            name="timestamp",
            type="timestamp",
            description="Start or end of the interval, as `stamp` says; or its day, beside `time` or `hour_index`.",
        ),
        Column(
            name="time",
            type="string",
            description="Time of day where `timestamp` is a day: `1`, `01:00`, `24:00`.",
            nullable=True,
            required=False,
        ),
        Column(
            name="hour_index",
            type="int",
            description="Number of the interval within the civil day, to 25, 50 or 100 (clock `hour_index` only).",
            required=False,
            minimum=1,
            maximum=100,
        ),
        Column(
            name="consumption_elec_kwh",
            type="float",
            unit="kWh",
            description="Electricity of the interval (its mean power with `quantity: power`); negative at a surplus.",
            nullable=True,
        ),
        Column(
            name="consumption_gas_m3",
            type="float",
            unit="m3",
            description="Gas of the interval.",
            nullable=True,
            required=False,
        ),
        Column(
            name="is_estimated",
            type="bool",
            description="Estimated by the distributor, not read.",
            nullable=True,
            required=False,
        ),
        RECORDED_AT,
    ),
)

CUSTOMER_INTERACTIONS = Contract(
    name="customer_interactions",
    layer="source",
    version=1,
    grain="interaction",
    description="What customers said and how it was noted down, in Spanish or English.",
    primary_key=("customer_id", "date", "channel", "interaction_summary"),
    event_time="date",
    known_at=KnownAt(event="date"),
    columns=(
        CUSTOMER_ID,
        Column(name="date", type="date", description="Civil day of the interaction."),
        Column(
            name="channel",
            type="string",
            description="Channel of the interaction.",
            nullable=True,
            domain=CONTACT_CHANNELS,
            outside="count",
        ),
        Column(
            name="interaction_summary", type="string", description="The agent's note.", nullable=True, personal="free"
        ),
        RECORDED_AT,
    ),
)

RETENTION_OFFERS = Contract(
    name="retention_offers",
    layer="source",
    version=1,
    grain="campaign x eligible customer",
    description="Past retention campaigns, one row per eligible customer, `action=none` included.",
    primary_key=("campaign_id", "customer_id"),
    event_time="offer_date",
    known_at=KnownAt(event="offer_date"),
    optional=True,
    columns=(
        Column(name="campaign_id", type="string", description="Campaign."),
        CUSTOMER_ID,
        Column(
            name="offer_date",
            type="date",
            description="Day of the offer, or of the decision not to make one.",
        ),
        Column(
            name="channel",
            type="string",
            description="Channel of the offer.",
            nullable=True,
            domain=OFFER_CHANNELS,
            outside="count",
        ),
        Column(name="action", type="string", description="Offer tier; `none` for controls.", domain=OFFER_ACTIONS),
        Column(
            name="timing_window",
            type="string",
            description="Window that the offer was timed for.",
            nullable=True,
            domain=TIMING_WINDOWS,
            outside="count",
        ),
        Column(
            name="propensity",
            type="float",
            unit="probability",
            description="Probability with which the logged action was chosen.",
            nullable=True,
            minimum=0.0,
            maximum=1.0,
        ),
        Column(
            name="accepted",
            type="bool",
            description="Whether the offer was accepted; an outcome, never an input.",
            nullable=True,
        ),
        RECORDED_AT,
    ),
)

CONSUMPTION_PERIODS = Contract(
    name="consumption_periods",
    layer="source",
    version=2,
    grain="supply point x metered period",
    description="Energy over stated periods (a year, a month), for retailers without hourly readings.",
    primary_key=("customer_id", "period_start", "period_end", "recorded_at"),
    event_time="period_end",
    known_at=KnownAt(event="period_end", delay_days=1),
    optional=True,
    columns=(
        CUSTOMER_ID,
        SUPPLY_POINT_ID.model_copy(update={"nullable": True, "required": False}),
        Column(name="period_start", type="date", description="First day of the period."),
        Column(name="period_end", type="date", description="Last day of the period."),
        Column(
            name="consumption_elec_kwh",
            type="float",
            unit="kWh",
            description="Electricity of the period.",
            nullable=True,
        ),
        Column(
            name="consumption_gas_m3",
            type="float",
            unit="m3",
            description="Gas of the period.",
            nullable=True,
        ),
        RECORDED_AT,
    ),
)

SUPPLY_POINTS = Contract(
    name="supply_points",
    layer="source",
    version=1,
    grain="supply point x holder",
    description=(
        "Which customer holds which supply point, and from when to when, where readings name the supply point only. "
        "Master data, used as it is now for all days."
    ),
    primary_key=("supply_point_id", "customer_id", "valid_from"),
    event_time=None,
    known_at=KnownAt(column=None),
    optional=True,
    columns=(
        SUPPLY_POINT_ID,
        CUSTOMER_ID,
        Column(
            name="valid_from",
            type="date",
            description="First day that the customer holds it; null for always.",
            nullable=True,
            required=False,
        ),
        Column(
            name="valid_to",
            type="date",
            description="Last day that the customer holds it; null for until further notice.",
            nullable=True,
            required=False,
        ),
    ),
)

SOURCES: tuple[Contract, ...] = (
    CHURN_LABEL,
    CUSTOMER_ATTRIBUTES,
    CUSTOMER_CONTRACTS,
    PRICE_HISTORY,
    COSTS_BY_PROVINCE_MONTH,
    CONSUMPTION_HOURLY,
    CUSTOMER_INTERACTIONS,
    RETENTION_OFFERS,
    CONSUMPTION_PERIODS,
    SUPPLY_POINTS,
)
