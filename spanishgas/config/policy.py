"""Settings of the policy: what offers there are, what they cost, who may get one, and how decisions are valued."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from spanishgas.config.base import SettingsModel

Action = Literal["small", "medium", "large"]
Channel = Literal["phone", "email", "letter", "sms"]
PeriodName = Literal["run", "week", "month", "quarter"]


def _joined(parts: object) -> object:
    """A list of mappings as one: in composed settings a list replaces another, a mapping would be merged."""
    if isinstance(parts, list) and all(isinstance(part, dict) for part in parts):
        return {name: weight for part in parts for name, weight in part.items()}
    return parts


class EconomicsSettings(SettingsModel):
    """How a decision is turned into euros.

    Attributes:
        horizon_months: Months that margin is counted over.
        discount_rate_year: Yearly rate at which later euros count less.
        discount_months: Months that an accepted discount is paid for.
        effect_months: Months that an offer changes the hazard; then it returns to its base.
        margin_features: Features whose weighted sum is the expected margin per month in EUR.
    """

    horizon_months: int = Field(default=24, ge=3, le=60)
    discount_rate_year: float = Field(default=0.08, ge=0, lt=1)
    discount_months: int = Field(default=3, ge=1)
    effect_months: int = Field(default=3, ge=1)
    margin_features: Annotated[dict[str, float], BeforeValidator(_joined)] = Field(
        default_factory=lambda: {"margin_eur_month_12m": 1.0}, min_length=1
    )


class AssumedSettings(SettingsModel):
    """How customers are assumed to respond.

    Attributes:
        acceptance: Action -> probability of accepting, per window.
        acceptance_factor: Kind of customer, or identity of a segment -> factor on it; 1 where nothing is said.
        accepted_hazard_ratio: Action -> factor on the hazard of those who accept.
        contact_hazard_ratio: Factor on the hazard of everybody who is contacted; above 1 where contact does harm.
    """

    acceptance: dict[Action, tuple[float, float, float]]
    acceptance_factor: dict[str, float] = Field(default_factory=dict)
    accepted_hazard_ratio: dict[Action, float]
    contact_hazard_ratio: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _complete(self) -> "AssumedSettings":
        chances = [chance for windows in self.acceptance.values() for chance in windows]
        ratios = [*self.accepted_hazard_ratio.values(), *self.acceptance_factor.values()]
        if len(self.acceptance) != 3 or len(self.accepted_hazard_ratio) != 3:
            raise ValueError("needs acceptance and accepted_hazard_ratio of every action")
        if not all(0 <= chance <= 1 for chance in chances) or not all(ratio >= 0 for ratio in ratios):
            raise ValueError("an acceptance lies in 0 to 1, a factor or ratio is not negative")
        return self


class LearnedSettings(SettingsModel):
    """How the response is learned from past campaigns.

    Attributes:
        features: Features that the effect may depend on.
        months: Most months of campaigns to learn from.
        min_effective_share: Least effective sample size of every action, as a share of its rows, once weighted by the
            propensities: below, past targeting leaves too little to compare.
        learner: Who learns what offers do to leaving: ``posterior``, ours; ``dr_learner`` or ``causal_forest``, for
            thousands of past offers, installed by `pip install 'spanishgas[causal]'`.
    """

    features: tuple[str, ...] = ()
    months: int = Field(default=24, ge=1)
    min_effective_share: float = Field(default=0.3, ge=0, le=1)
    learner: Literal["posterior", "dr_learner", "causal_forest"] = "posterior"


class ResponseSettings(SettingsModel):
    """Where the response comes from: what is assumed, or what past campaigns tell.

    Attributes:
        kind: ``learned`` starts from what is assumed, and is it where there are no campaigns.
        assumed: What is assumed.
        learned: How it is learned.
    """

    kind: Literal["assumed", "learned"] = "learned"
    assumed: AssumedSettings
    learned: LearnedSettings = LearnedSettings()


class GuardrailSettings(SettingsModel):
    """Whom an offer may not be made to, and which.

    Attributes:
        order: Guardrails, in the order in which their reasons are told.
        min_margin_eur_month: Margin that must be exceeded, before the offer and after the discount.
        channels_without_consent: Channels that may be used where consent is not known; refused consent is always kept.
        rest_days_after_offer: Days without another offer after one.
        rest_days_after_contact: Days without an offer after a contact.
        max_discount_eur_month: Largest discount.
        max_discount_share: Largest share of the energy bill.
        days_before_renewal: An offer's contact comes at most so long before the renewal...
        days_after_renewal: ...and at most so long after it.
        min_term_age_days: Days of a new term without an offer.
    """

    order: tuple[str, ...]
    min_margin_eur_month: float = 0.0
    channels_without_consent: tuple[Channel, ...] = ("letter",)
    rest_days_after_offer: int = Field(default=90, ge=0)
    rest_days_after_contact: int = Field(default=7, ge=0)
    max_discount_eur_month: float = Field(default=60.0, gt=0)
    max_discount_share: float = Field(default=0.12, gt=0, le=1)
    days_before_renewal: int = Field(default=90, ge=0)
    days_after_renewal: int = Field(default=30, ge=0)
    min_term_age_days: int = Field(default=14, ge=0)


class BudgetSettings(SettingsModel):
    """What may be spent and done in one period.

    Attributes:
        period: What budget and capacities are of: a calendar month or quarter, a week from Monday, or every run anew.
            A run has what the earlier run dates of its period left.
        eur: Expected spend on discounts and contacts in EUR; None takes ``eur_per_customer``.
        eur_per_customer: The same per active customer.
        windows: Most contacts per window, as a share of the active customers; None is no limit.
        channels: Channel -> most contacts, as a share of the active customers; no limit where nothing is said.
    """

    period: PeriodName = "month"
    eur: float | None = Field(default=None, ge=0)
    eur_per_customer: float = Field(default=0.25, ge=0)
    windows: tuple[float | None, float | None, float | None] = (None, None, None)
    channels: dict[Channel, float] = Field(default_factory=dict)

    def amount(self, customers: int) -> float:
        """The budget in EUR for so many active customers."""
        return self.eur if self.eur is not None else self.eur_per_customer * customers


class HoldoutSettings(SettingsModel):
    """Who of those chosen is held out, so that the effect can be measured.

    Attributes:
        share: Share of the chosen, where no power is wanted.
        salt: Goes into the hash that decides.
        days: Days that they stay held out.
        power: Wanted probability that the hold-out finds an effect; each run's share follows from it, from how many
            are chosen and from their risk. None takes ``share``.
        wanted_effect: Fall in the share of leavers that is to be found, in a two-sided test at 5 %.
        wanted_runs: Runs like this one that are measured together to find it.
        least_share: Least share that follows from a wanted power.
        most_share: Most of it.
    """

    share: float = Field(default=0.1, ge=0, lt=1)
    salt: str = "retention"
    days: int = Field(default=90, ge=0)
    power: float | None = Field(default=None, gt=0, lt=1)
    wanted_effect: float = Field(default=0.03, gt=0, lt=1)
    wanted_runs: int = Field(default=1, ge=1)
    least_share: float = Field(default=0.05, gt=0, lt=1)
    most_share: float = Field(default=0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> "HoldoutSettings":
        if self.least_share > self.most_share:
            raise ValueError(f"least_share ({self.least_share}) must not exceed most_share ({self.most_share})")
        return self


class SimulationSettings(SettingsModel):
    """What the simulator tries.

    Attributes:
        acceptance_factors: Factors on the acceptance.
        risk_factors: Factors on the hazards.
        budget_factors: Factors on the budget, for the budget curve.
        replicates: Bootstrap replicates over customers of the replay's intervals.
        seed: Seed of the replicates and of the particles.
        futures: Demo only: futures of the present that policies are judged by.
        particles: Demo only: ways in which each customer may be, given the records, that the informed oracle weighs.
    """

    acceptance_factors: tuple[float, ...] = (0.5, 0.75, 1.0, 1.25, 1.5)
    risk_factors: tuple[float, ...] = (0.5, 0.75, 1.0, 1.25, 1.5)
    budget_factors: tuple[float, ...] = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
    replicates: int = Field(default=500, ge=0)
    seed: int = 0
    futures: int = Field(default=16, ge=1)
    particles: int = Field(default=240, ge=2)


class ReplaySettings(SettingsModel):
    """Repetitions of the replay on other demo worlds.

    Attributes:
        worlds: Kinds of world.
        seeds: Seeds of each.
        chosen_on: Seeds that something was chosen on while the policy was built: told apart from the others.
        keep_raw: Whether a world's raw files and bronze tables, 5 GB of the large demo, stay after its replay.
    """

    worlds: tuple[Literal["loglinear", "interactions"], ...] = ("loglinear", "interactions")
    seeds: tuple[int, ...] = tuple(range(1, 11))
    chosen_on: tuple[int, ...] = (11, 12, 13, 14, 15, 16, 21, 31, 32, 33, 34, 41, 42, 20240101)
    keep_raw: bool = False


class PolicySettings(SettingsModel):
    """Who gets which offer, when and through which channel.

    Attributes:
        economics: How a decision is valued.
        discount_share: Action -> share of the energy bill that it takes off.
        contact_cost_eur: Channel -> cost of one contact.
        response: How customers respond.
        guardrails: Who may not get an offer.
        budget: What may be spent.
        holdout: Who is held out.
        risk_buckets: Shares of customers, the riskiest first, whose ends tell the buckets high, medium and low apart.
        prices_valid_days: Days after which published dual prices expire.
        campaign: Name of the campaign; None takes the run date.
        simulation: What the simulator tries.
        replay: Repetitions of the replay.
        measured_until: Last day of the outcomes that `measure` counts; None takes the end of the hold-out.
        measured_together_days: Days before the run date whose runs `measure` pools with it; 0 pools none.
    """

    economics: EconomicsSettings = EconomicsSettings()
    discount_share: dict[Action, float]
    contact_cost_eur: dict[Channel, float]
    response: ResponseSettings
    guardrails: GuardrailSettings
    budget: BudgetSettings = BudgetSettings()
    holdout: HoldoutSettings = HoldoutSettings()
    risk_buckets: tuple[float, float] = (0.1, 0.3)
    prices_valid_days: int = Field(default=30, ge=1)
    campaign: str | None = Field(default=None, min_length=1)
    simulation: SimulationSettings = SimulationSettings()
    replay: ReplaySettings = ReplaySettings()
    measured_until: date | None = None
    measured_together_days: int = Field(default=365, ge=0)

    @property
    def discounts(self) -> tuple[float, float, float]:
        """Share that small, medium and large take off."""
        shares = self.discount_share
        return shares["small"], shares["medium"], shares["large"]

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels, the cheapest first."""
        return tuple(sorted(self.contact_cost_eur, key=lambda name: (self.contact_cost_eur[name], name)))

    @property
    def contact_costs(self) -> tuple[float, ...]:
        """Cost of a contact through each of the channels."""
        return tuple(sorted(self.contact_cost_eur.values()))

    @model_validator(mode="after")
    def _complete(self) -> "PolicySettings":
        shares = [self.discount_share.get(action, -1.0) for action in ("small", "medium", "large")]
        if sorted(shares) != shares or not all(0 <= share < 1 for share in shares):
            raise ValueError("discount_share needs small <= medium <= large, each from 0 to 1")
        if not self.contact_cost_eur or min(self.contact_cost_eur.values()) < 0:
            raise ValueError("contact_cost_eur needs at least one channel, and no negative cost")
        first, second = self.risk_buckets
        if not 0 < first < second < 1:
            raise ValueError(f"risk_buckets need 0 < first < second < 1, not {self.risk_buckets}")
        return self
