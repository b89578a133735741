"""Contracts of scores and of what the policy publishes: offers, why, within which limits, and what they are worth."""

from spanishgas.contracts.base import Column, ColumnType, Contract, KnownAt
from spanishgas.contracts.columns import AT_RUN_DATE, count, run_date
from spanishgas.contracts.sources import CUSTOMER_ID

RUN_DATE = run_date("Day of the decision.")
DECIDED = ("none", "small", "medium", "large")
OFFERED_WINDOWS = ("none", "immediate", "30_60", "60_90")
OFFERED_CHANNELS = ("none", "phone", "email", "letter", "sms")
RISK_BUCKETS = ("high", "medium", "low")


def _column(name: str, description: str, kind: ColumnType = "string", unit: str | None = None) -> Column:
    return Column(name=name, type=kind, unit=unit, description=description)


def _eur(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name=name, type="float", unit="EUR", description=description, nullable=nullable)


def _chance(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(
        name=name,
        type="float",
        unit="probability",
        description=description,
        nullable=nullable,
        minimum=0,
        maximum=1,
    )


def _flag(name: str, description: str) -> Column:
    return Column(name=name, type="bool", description=description, nullable=True)


def _days(name: str, description: str) -> Column:
    return Column(name=name, type="float", unit="d", description=description, nullable=True)


OUTLOOK = (
    _column(
        "expected_months",
        "Months of the policy's horizon that the customer is expected to stay, without offers.",
        "float",
    ),
    _column("expected_months_lo", "Lower bound of 90 %, by the level of the risk.", "float"),
    _column("expected_months_hi", "Upper bound.", "float"),
    _eur("lifetime_value_eur", "Expected margin over the horizon in euros of today, without offers.", nullable=True),
    _eur("lifetime_value_eur_lo", "Lower bound of 90 %, by the level of the risk.", nullable=True),
    _eur("lifetime_value_eur_hi", "Upper bound.", nullable=True),
)

CUSTOMER_SCORES = Contract(
    name="scoring",
    layer="gold",
    version=2,
    grain="run date x customer active at the features' date",
    description="Risk of leaving by the champion. Who has left since the features' date is scored too.",
    primary_key=("run_date", "customer_id"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        CUSTOMER_ID,
        _chance("risk", "Probability of leaving within the horizon if nothing is done."),
        _chance("hazard_0_30", "Probability of leaving in days 1 to 30 after the features' date.", nullable=True),
        _chance("hazard_30_60", "The same for days 31 to 60, for those still there.", nullable=True),
        _chance("hazard_60_90", "The same for days 61 to 90, for those still there.", nullable=True),
        *OUTLOOK,
        count("risk_rank", "Place by risk, 1 for the riskiest; of equal risks, by customer_id."),
        _column("as_of", "Date of the features.", "date"),
        _column("model_version", "Version of the champion."),
        _column("model_digest", "Digest of its files."),
        _column("features_hash", "Digest of the features that were scored."),
    ),
)

RECOMMENDATIONS = Contract(
    name="recommendations",
    layer="gold",
    version=3,
    grain="run date x active customer",
    description=(
        "Who gets which offer, when, through which channel and why; everybody else with the reason why not. What was "
        "planned for those held out stands beside what they get, which is nothing."
    ),
    primary_key=("run_date", "customer_id"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        CUSTOMER_ID,
        _chance("risk_score", "Probability of leaving within the horizon if nothing is done."),
        Column(name="risk_bucket", type="string", description="The riskiest, the next, the rest.", domain=RISK_BUCKETS),
        _chance("hazard_0_30", "Probability of leaving in days 1 to 30 after the features' date."),
        _chance("hazard_30_60", "The same for days 31 to 60, for those still there."),
        _chance("hazard_60_90", "The same for days 61 to 90, for those still there."),
        _column("segment", "Identity of the customer's segment; empty where there is none."),
        _column("segment_name", "Name of the segment in English."),
        Column(name="action", type="string", description="What the customer is offered.", domain=DECIDED),
        Column(name="channel", type="string", description="Channel of the offer.", domain=OFFERED_CHANNELS),
        Column(name="timing_window", type="string", description="When it is made.", domain=OFFERED_WINDOWS),
        _eur("expected_margin_impact", "Expected change of the margin over the horizon, all costs taken off."),
        _eur("expected_spend", "Expected cost of discount and contact."),
        _chance("p_accept", "Probability that the customer accepts; null without an offer.", nullable=True),
        _column("reason_codes", "Identifiers of the reasons, the weightiest first, separated by `|`."),
        _column("veto_codes", "Guardrails that left the customer without any option, in order, separated by `|`."),
        Column(name="planned_action", type="string", description="What the allocation chose.", domain=DECIDED),
        Column(name="planned_channel", type="string", description="Channel that it chose.", domain=OFFERED_CHANNELS),
        Column(name="planned_window", type="string", description="Window that it chose.", domain=OFFERED_WINDOWS),
        _eur("planned_margin_impact", "What was expected of it."),
        _chance("planned_hazard_0_30", "`hazard_0_30` once the plan is carried out; null without one.", nullable=True),
        _chance("planned_hazard_30_60", "The same for days 31 to 60.", nullable=True),
        _chance("planned_hazard_60_90", "The same for days 61 to 90.", nullable=True),
        _column("is_held_out", "Chosen, and left without an offer to measure what offers bring.", "bool"),
        _chance("propensity", "Probability of what was done, offer or hold-out, once chosen; 1 for all others."),
        _eur("expected_margin_month", "Expected margin per month without an offer.", nullable=True),
        _eur("bill_month", "Expected energy bill per month, what a discount is a share of.", nullable=True),
        *OUTLOOK,
        _column("campaign", "Campaign of the run."),
        _column("as_of", "Date of the features.", "date"),
        _column("model_version", "Version of the champion."),
        _column("model_digest", "Digest of its files."),
        _column("policy_version", "Digest of the policy's settings and code of its response."),
        _column("response", "Where the response comes from: `learned` or `assumed`."),
    ),
)

RECOMMENDATION_VETOES = Contract(
    name="recommendation_vetoes",
    layer="gold",
    version=1,
    grain="run date x customer x guardrail",
    description="Which guardrail took away how many of a customer's options.",
    primary_key=("run_date", "customer_id", "guardrail"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        CUSTOMER_ID,
        _column("guardrail", "Identifier of the guardrail, also its reason code."),
        count("options", "Options (action, window and channel) that it vetoes."),
        _column("is_total", "It leaves the customer without any option by itself.", "bool"),
    ),
)

RECOMMENDATION_LIMITS = Contract(
    name="recommendation_limits",
    layer="gold",
    version=2,
    grain="run date x limit",
    description=(
        "Budget and capacities of a period, what its earlier runs and this one took of them, what is left, and what "
        "one more unit would earn."
    ),
    primary_key=("run_date", "limit"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        _column("limit", "`budget`, `window:<window>` or `channel:<channel>`."),
        Column(
            name="bound",
            type="float",
            description="EUR or contacts that this run may plan: what is left of the period; null for no limit.",
            nullable=True,
        ),
        _column("used", "EUR or contacts that the plan takes, those held out included.", "float"),
        _column("offered", "EUR or contacts that its offers take: those held out commit nothing.", "float"),
        Column(name="price_eur", type="float", unit="EUR", description="Value of one more unit.", minimum=0),
        _column("valid_until", "Last day that the price may be used on, within the period.", "date"),
        _column("period_start", "First day of the period.", "date"),
        _column("period_end", "Last day of the period.", "date"),
        Column(name="period_bound", type="float", description="The whole period's; null for no limit.", nullable=True),
        _column("committed", "What offers of earlier runs of the period take that were not cancelled.", "float"),
        Column(
            name="period_left",
            type="float",
            description="What is left for later runs and for customers without a decision; null for no limit.",
            nullable=True,
        ),
    ),
)

DECISION_STANDING = Contract(
    name="decision_standing",
    layer="gold",
    version=1,
    grain="run date x active customer",
    description="How customers stood on the day of the decision: what guardrails look at beside risk and margin.",
    primary_key=("run_date", "customer_id"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        CUSTOMER_ID,
        _flag("is_vulnerable", "Vulnerable, or on the social tariff."),
        _flag("marketing_consent", "Consents to commercial contact."),
        _flag("phone_consent", "Consents to calls."),
        _days("days_since_offer", "Days since the last offer."),
        _days("days_since_contact", "Days since the last contact of any kind."),
        _days("days_since_held_out", "Days since an earlier run held the customer out."),
        _days("days_to_renewal", "Days until the current term ends; negative once it has."),
        _days("term_age_days", "Days since the current term began."),
    ),
)

RESPONSE_CALIBRATION = Contract(
    name="response_calibration",
    layer="gold",
    version=1,
    grain="fifth of customers by predicted effect",
    description="Learned effects on customers that they were not learned from: predicted beside observed.",
    primary_key=("fifth",),
    event_time=None,
    known_at=KnownAt(column=None),
    columns=(
        Column(name="fifth", type="int", description="1 has the strongest predicted effect.", minimum=1, maximum=5),
        count("offers", "Offers followed."),
        count("leavers", "Leavers among them."),
        _column("predicted_ratio", "Mean predicted hazard ratio of the offers.", "float"),
        Column(name="observed_ratio", type="float", description="Hazard ratio to the controls.", nullable=True),
        Column(name="lo", type="float", description="Lower bound of its 95 % interval.", nullable=True),
        Column(name="hi", type="float", description="Upper bound.", nullable=True),
    ),
)

PAST_POLICIES = Contract(
    name="past_policies",
    layer="gold",
    version=1,
    grain="policy",
    description="What policies would have earned on past randomised campaigns, over no offers, doubly robust.",
    primary_key=("policy",),
    event_time=None,
    known_at=KnownAt(column=None),
    columns=(
        _column("policy", "Our policy by its response, or a rule."),
        count("dates", "Dates of features that campaigns followed on."),
        count("customers", "Rows of campaigns, one per date and customer."),
        count("chosen", "Of them, those that the policy would have chosen."),
        count("matched", "Of those, the ones that were given just what it would have given."),
        count("controls", "Of those chosen, the ones that were given nothing."),
        Column(name="effective", type="float", description="Effective number of the matched, weighted.", minimum=0.0),
        _eur("promised_eur", "What the policy expected to earn."),
        _eur("earned_eur", "The estimate of what it would have earned; what it expected where too few were matched."),
        _eur("sd_eur", "Standard error of the estimate; null where too few were matched.", nullable=True),
        _eur("lo_eur", "Lower bound of its 90 % interval.", nullable=True),
        _eur("hi_eur", "Upper bound.", nullable=True),
        _eur(
            "promised_kept_eur",
            "Margin that the model expected any offer to keep of those chosen; worths are capped at nine in ten.",
        ),
        _eur("kept_eur", "The estimate of it; what the model expected where too few were matched."),
        _eur("kept_sd_eur", "Its standard error; null where too few were matched.", nullable=True),
        Column(name="kept_effective", type="float", description="Effective number of offers behind it.", minimum=0.0),
    ),
)

SIMULATED_GROUPS = Contract(
    name="simulated_groups",
    layer="gold",
    version=1,
    grain="run date x segment x risk bucket",
    description="What a run's offers are expected to bring and cost.",
    primary_key=("run_date", "segment", "risk_bucket"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        _column("segment", "Identity of the segment; empty where there is none."),
        Column(name="risk_bucket", type="string", description="Risk bucket.", domain=RISK_BUCKETS),
        count("customers", "Customers."),
        count("offers", "Offers planned, those held out included."),
        _eur("baseline_margin_eur", "Expected margin over the horizon without offers."),
        _eur("retained_margin_eur", "Expected change of margin, discounts and contacts not yet taken off."),
        _eur("spend_eur", "Expected cost of discounts and contacts."),
        _eur("net_eur", "What is left."),
        Column(name="roi", type="float", description="Net over spend; null without spend.", nullable=True),
    ),
)

SIMULATED_SENSITIVITY = Contract(
    name="simulated_sensitivity",
    layer="gold",
    version=1,
    grain="run date x factor on acceptance x factor on risk",
    description="What the plan would bring if the assumptions were off, and what a plan made for that would.",
    primary_key=("run_date", "acceptance_factor", "risk_factor"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        _column("acceptance_factor", "Factor on the acceptance, and on the effect.", "float"),
        _column("risk_factor", "Factor on the hazards.", "float"),
        _eur("net_eur", "Net value of the plan as it stands."),
        _eur("spend_eur", "Its expected cost."),
        _eur("replanned_net_eur", "Net value of the best plan under these assumptions."),
        count("replanned_offers", "Offers of that plan."),
    ),
)

BUDGET_CURVE = Contract(
    name="budget_curve",
    layer="gold",
    version=1,
    grain="run date x budget",
    description="What each budget would earn.",
    primary_key=("run_date", "budget_eur"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        _eur("budget_eur", "Budget."),
        count("offers", "Offers."),
        _eur("spend_eur", "Expected spend."),
        _eur("net_eur", "Net value."),
        _eur("gap_eur", "Most that a better plan could add."),
        _column("is_chosen", "The budget of the run.", "bool"),
    ),
)

REPLAYED_POLICIES = Contract(
    name="replayed_policies",
    layer="gold",
    version=3,
    grain="run date x policy",
    description="Policies by the demo world's true probabilities, averaged over futures of the same present.",
    primary_key=("run_date", "policy"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        _column("policy", "Name of the policy."),
        count("offers", "Offers."),
        _eur("promised_eur", "What the policy promised; null for those that expect nothing.", nullable=True),
        _eur("promised_lo_eur", "Lower bound of its 90 % interval; null where none is stated.", nullable=True),
        _eur("promised_hi_eur", "Upper bound.", nullable=True),
        _eur("worth_eur", "What its offers truly bring on average, all costs taken off."),
        _eur("spend_eur", "What they truly cost on average."),
        _eur(
            "planned_spend_eur",
            "What all that was planned would truly have cost; offers beyond the budget are not made.",
        ),
        Column(
            name="share",
            type="float",
            description="Share of what the all-knowing oracle earns, which knows each future.",
            nullable=True,
        ),
        Column(name="lo", type="float", description="Lower bound of its 95 % interval.", nullable=True),
        Column(name="hi", type="float", description="Upper bound.", nullable=True),
        Column(
            name="share_of_informed",
            type="float",
            description="Share of what the informed oracle earns, which knows all that is recorded.",
            nullable=True,
        ),
        Column(name="informed_lo", type="float", description="Lower bound of its 95 % interval.", nullable=True),
        Column(name="informed_hi", type="float", description="Upper bound.", nullable=True),
    ),
)

REPLAY_STUDY = Contract(
    name="replay_study",
    layer="gold",
    version=2,
    grain="world x kind of seed x policy",
    description="Shares of the oracles over many demo worlds.",
    primary_key=("world", "is_chosen_on", "policy"),
    event_time=None,
    known_at=KnownAt(column=None),
    columns=(
        _column("world", "Kind of world."),
        _column("is_chosen_on", "Whether something was chosen on these seeds.", "bool"),
        _column("policy", "Name of the policy."),
        count("seeds", "Worlds of that kind."),
        _column("share_of_informed", "Mean share of the informed oracle.", "float"),
        Column(name="informed_lo", type="float", description="Lower bound of its interval over seeds.", nullable=True),
        Column(name="informed_hi", type="float", description="Upper bound.", nullable=True),
        _column("share", "Mean share of the all-knowing oracle.", "float"),
        Column(name="lo", type="float", description="Lower bound of its 95 % interval over seeds.", nullable=True),
        Column(name="hi", type="float", description="Upper bound.", nullable=True),
        _column("lead", "Mean lead of the learned response over this policy.", "float"),
        Column(name="lead_lo", type="float", description="Lower bound of the lead, paired by seed.", nullable=True),
        Column(name="lead_hi", type="float", description="Upper bound.", nullable=True),
    ),
)

MEASURED_EFFECT = Contract(
    name="measured_effect",
    layer="gold",
    version=2,
    grain="run date x scope x group",
    description=(
        "What the offers of a run, and of it with earlier runs, did, from the hold-outs, beside what was expected and, "
        "in the demo, what is true. Effects are differences in the share that left: below zero offers keep customers."
    ),
    primary_key=("run_date", "scope", "group"),
    event_time="run_date",
    known_at=AT_RUN_DATE,
    partition="run_date",
    columns=(
        RUN_DATE,
        Column(
            name="scope",
            type="string",
            description="`run` for this run alone, `together` with earlier runs.",
            domain=("run", "together"),
        ),
        _column("group", "`all`, or an action."),
        count("runs", "Runs that were measured."),
        _column("first_run_date", "Day of the first of them.", "date"),
        count("offered", "Customers who were offered something, once per run."),
        count("held_out", "Customers held out, once per run."),
        count("offered_left", "Of the offered, left by the last day."),
        count("held_out_left", "Of the held out, left by the last day."),
        Column(name="effect", type="float", description="Difference in the share that left.", nullable=True),
        Column(name="lo", type="float", description="Lower bound of its 95 % interval.", nullable=True),
        Column(name="hi", type="float", description="Upper bound.", nullable=True),
        Column(
            name="adjusted_effect",
            type="float",
            description="The same less what the arms' expected risk explains; the one that decides.",
            nullable=True,
        ),
        Column(name="adjusted_lo", type="float", description="Lower bound of its 95 % interval.", nullable=True),
        Column(name="adjusted_hi", type="float", description="Upper bound.", nullable=True),
        Column(
            name="smallest_effect",
            type="float",
            description="Smallest effect that these arms find with a power of 80 %, two-sided at 5 %.",
            nullable=True,
        ),
        count(
            "runs_to_decide",
            "Further runs like these until the expected effect is found with that power; 0 once one is found; null "
            "where that cannot be told.",
            nullable=True,
        ),
        Column(name="expected_effect", type="float", description="What the policy expected.", nullable=True),
        Column(name="true_effect", type="float", description="By the demo's true probabilities.", nullable=True),
        _eur(
            "margin_eur", "Margin that the offers kept over the policy's horizon, their cost taken off.", nullable=True
        ),
        _eur("margin_lo_eur", "Lower bound of its 95 % interval.", nullable=True),
        _eur("margin_hi_eur", "Upper bound.", nullable=True),
        _eur("expected_margin_eur", "What the policy expected of them."),
        _column("verdict", "What can be said of it, in words."),
    ),
)

POLICY_TABLES: tuple[Contract, ...] = (
    CUSTOMER_SCORES,
    RECOMMENDATIONS,
    RECOMMENDATION_VETOES,
    RECOMMENDATION_LIMITS,
    DECISION_STANDING,
    RESPONSE_CALIBRATION,
    PAST_POLICIES,
    SIMULATED_GROUPS,
    SIMULATED_SENSITIVITY,
    BUDGET_CURVE,
    REPLAYED_POLICIES,
    REPLAY_STUDY,
    MEASURED_EFFECT,
)
