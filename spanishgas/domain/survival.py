"""The hazard beyond the model's windows: a person-month model on the risk, the months ahead and the calendar.

A model of churn tells the hazards of three windows. Margin is counted over two years, and the risk of today is not that
of next year: a renewal passes, a price is set anew, and who is still there was less at risk than it seemed. For month j
after the windows the log of the hazard rate is

    c + w (z - c) + b_0 + b_1 u + (z - c) (b_2 + b_3 u) + renewal_j b_4 + ... ,    u = log(j / windows)

with z the log of the mean rate of the windows and c its mean. The first two terms are the *stated rule*: the risk
returns half-way to the portfolio's level. Every b has a normal prior with mean zero, so that short histories stay at
the rule, and no history is the rule. Person-period data and the Poisson form of the piecewise exponential model: Laird
and Olivier, JASA 76, 1981; several dates of a customer are weighted down to the number of customers who left.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from spanishgas.domain.repricing import AS_IT_IS, Amounts, Repricing

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
WINDOW_DAYS = 30
YEAR_DAYS = 365.25
# How far a risk goes back to the portfolio's level where nothing can be learned.
STATED_WEIGHT = 0.5
# What is known in advance of a customer's calendar, at `as_of`; a feature that is not there is not known.
CALENDAR = (
    "days_to_renewal",
    "term_age_days",
    "tenure_days",
    "price_over_new_terms",
    "term_peers_over_new_terms",
)
# Days to the next renewal that a month lies at: in its month, one and two before, one and two after.
AROUND_RENEWAL = ((0, 30), (30, 60), (60, 90), (-30, 0), (-60, -30))
TERM_DAYS = (60.0, 1500.0)
MOST_RATE = 3.0
LEAST_RATE = 1e-6
GAP = 0.5
# Standard deviations on either side of the mean that hold 90 %.
SIDE = 1.645
# Columns of an outlook where it is published.
OUTLOOK = tuple(f"{name}{end}" for name in ("expected_months", "lifetime_value_eur") for end in ("", "_lo", "_hi"))
USUAL_RATE = 0.02


@dataclass(frozen=True)
class Survival:
    """How hazards go on after the windows.

    Attributes:
        centre: Mean log rate of a month, the portfolio's level.
        terms: Coefficients by name; empty for the stated rule alone.
        level_sd: Standard deviation of the log of the level from month to month, beyond chance.
        error_sd: Standard error of the log level of the curve.
        facts: Leavers and months that it was learned from.
        repricing: What renewals do to prices.
    """

    centre: float
    terms: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    level_sd: float = 0.0
    error_sd: float = 0.0
    facts: Mapping[str, float] = field(default_factory=dict)
    repricing: Repricing = AS_IT_IS

    def ahead(self, windows: Floats, calendar: "Calendar", months: int) -> Floats:
        """Hazard of each month ahead.

        Args:
            windows: Hazards of the windows, shape (customers, windows).
            calendar: What is known of the same customers.
            months: Months ahead, of 30 days.

        Returns:
            Shape (customers, months); the first ones are the windows.
        """
        known = windows[:, :months]
        count = months - known.shape[1]
        if count <= 0:
            return np.asarray(known)
        log_rate = self._log_rate(windows, calendar, np.arange(known.shape[1] + 1, months + 1))
        later = -np.expm1(-np.clip(np.exp(log_rate), LEAST_RATE, MOST_RATE))
        return np.hstack([known, later])

    @property
    def spread(self) -> float:
        """Standard deviation of the log of the level of the risk: by the market, and by the estimate."""
        return float(np.hypot(self.level_sd, self.error_sd))

    def _log_rate(self, windows: Floats, calendar: "Calendar", month: npt.NDArray[np.int64]) -> Floats:
        z = log_rate_of(windows) - self.centre
        found = np.repeat((self.centre + STATED_WEIGHT * z)[:, None], len(month), axis=1)
        if self.terms:
            for name, block in terms_of(z[:, None], calendar, month[None, :], windows.shape[1]):
                for values, weight in zip(block, self.terms[name], strict=True):
                    if weight:
                        found += weight * values
        return found

    @property
    def state(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {
            "centre": self.centre,
            "terms": {name: list(values) for name, values in self.terms.items()},
            "level_sd": self.level_sd,
            "error_sd": self.error_sd,
            "facts": dict(self.facts),
            "repricing": self.repricing.state,
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "Survival":
        """Takes back what ``state`` gave."""
        terms = {str(name): tuple(map(float, values)) for name, values in state["terms"].items()}
        return cls(
            float(state["centre"]),
            terms,
            float(state["level_sd"]),
            float(state["error_sd"]),
            state["facts"],
            # Versions of earlier releases carried prices on as they were.
            Repricing.restore(state["repricing"]) if "repricing" in state else AS_IT_IS,
        )


# The rule where nothing is known of the portfolio either.
STATED = Survival(float(np.log(USUAL_RATE)))


@dataclass(frozen=True)
class Calendar:
    """What is known in advance of customers, each of shape (customers,), NaN where it is not known.

    Attributes:
        to_renewal: Days until the current term ends.
        term: Length of a term in days.
        tenure: Days since supply began.
        price_gap: Price over that of new terms, minus 1.
        market_gap: The same of the middle customer whose term began in the same month.
        day: Day of the year of `as_of`, in turns of the year.
    """

    to_renewal: Floats
    term: Floats
    tenure: Floats
    price_gap: Floats
    market_gap: Floats
    day: Floats

    @classmethod
    def of(cls, known: Mapping[str, npt.ArrayLike], as_of: npt.ArrayLike) -> "Calendar":
        """Reads the columns of ``CALENDAR``.

        Args:
            known: Feature -> values; one that is missing is not known.
            as_of: Date of the features, one for all or one each.
        """
        day = np.atleast_1d(np.asarray(as_of, "datetime64[D]"))
        count = max([len(day), *(len(np.atleast_1d(np.asarray(known[name]))) for name in CALENDAR if name in known)])
        told = {
            name: np.asarray(known[name], np.float64) if name in known else np.full(count, np.nan) for name in CALENDAR
        }
        length = told["term_age_days"] + told["days_to_renewal"]
        is_term = (length >= TERM_DAYS[0]) & (length <= TERM_DAYS[1])
        turn = (day - day.astype("datetime64[Y]")).astype(np.int64) / YEAR_DAYS
        return cls(
            told["days_to_renewal"],
            np.where(is_term, length, YEAR_DAYS),
            told["tenure_days"],
            told["price_over_new_terms"],
            told["term_peers_over_new_terms"],
            np.broadcast_to(turn, (count,)).astype(np.float64),
        )

    @classmethod
    def of_table(cls, features: "pd.DataFrame", as_of: npt.ArrayLike) -> "Calendar":
        """The same from a frame of features."""
        known = {name: features[name].to_numpy(np.float64, na_value=np.nan) for name in CALENDAR if name in features}
        return cls.of(known, as_of)

    def take(self, rows: npt.NDArray[Any]) -> "Calendar":
        """Some of the customers."""
        return Calendar(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


def log_rate_of(windows: Floats) -> Floats:
    """Log of the mean rate of leaving in a month over the windows, shape (customers,)."""
    rate = -np.log1p(-np.clip(windows, 0.0, 1 - 1e-12)).mean(axis=1)
    return np.asarray(np.log(np.clip(rate, LEAST_RATE, MOST_RATE)), np.float64)


@dataclass(frozen=True)
class Outlook:
    """How long customers are expected to stay and what they are expected to bring without any offer.

    The bounds are those of 90 %, of the level of the risk: by the market and by the estimate; the dice of one customer
    come on top.

    Attributes:
        months: Months of the horizon that customers are expected to stay, with bounds; shape (customers, 3).
        value: Margin over the horizon in EUR of today, with bounds; same shape, NaN where the margin is not known.
    """

    months: Floats
    value: Floats

    @classmethod
    def of(cls, hazards: Floats, margin: Amounts, spread: float, rate_year: float) -> "Outlook":
        """From hazards and margins.

        Args:
            hazards: Hazard of each month of the horizon, shape (customers, months).
            margin: Expected margin of the months ahead.
            spread: Standard deviation of the log of the level, ``Survival.spread``.
            rate_year: Yearly rate at which later euros count less.
        """
        count = hazards.shape[1]
        delta = (1 + rate_year) ** (-np.arange(1, count + 1) / 12)
        lost = np.cumsum(np.log1p(-np.clip(hazards, 0.0, 1 - 1e-9)), axis=1)
        worth = margin.by_month(count) * delta
        months, value = [], []
        for shift in (0.0, SIDE * spread, -SIDE * spread):
            stay = np.exp(np.exp(shift) * lost)
            months.append(0.5 + stay.sum(axis=1) - stay[:, -1] / 2)
            value.append((stay * worth).sum(axis=1))  # a product of matrices would depend on who is beside
        lo, hi = np.minimum(value[1], value[2]), np.maximum(value[1], value[2])
        return cls(np.column_stack(months), np.column_stack([value[0], lo, hi]))

    @property
    def columns(self) -> dict[str, Floats]:
        """By the names of published columns."""
        return dict(zip(OUTLOOK, np.hstack([self.months, self.value]).T, strict=True))


def terms_of(
    z: Floats, calendar: Calendar, month: npt.NDArray[np.int64], windows: int
) -> list[tuple[str, list[Floats]]]:
    """Terms of the regression by name; rows times months, or one row per person-month where both have one shape."""

    def wide(values: Floats) -> Floats:
        return values[:, None] if month.ndim == 2 and month.shape[0] == 1 and values.ndim == 1 else values

    u = np.log(month / windows)
    middle = np.asarray(WINDOW_DAYS * (month - 0.5), np.float64)
    to_renewal, term = wide(calendar.to_renewal), wide(calendar.term)
    renewed = np.where(np.isnan(to_renewal), 0.0, (middle > to_renewal).astype(np.float64))
    gap = np.clip(np.nan_to_num(wide(calendar.price_gap)), -GAP, GAP)
    now = [np.zeros(1)] * len(AROUND_RENEWAL)
    for window in range(windows):
        flags = _around_renewal(to_renewal, term, WINDOW_DAYS * (window + 0.5))
        now = [one + flag / windows for one, flag in zip(now, flags, strict=True)]
    years = np.maximum(wide(calendar.tenure), 0.0) / YEAR_DAYS
    tenure = np.nan_to_num(np.log1p(years + middle / YEAR_DAYS) - np.log1p(years))
    day = wide(calendar.day)
    return [
        ("level", [np.ones_like(u)]),
        ("months", [u]),
        ("risk", [z]),
        ("risk_months", [z * u]),
        ("renewal", _around_renewal(to_renewal, term, middle)),
        ("renewal_now", now),
        ("renewed", [renewed]),
        ("renewed_risk", [renewed * z]),
        ("renewed_price", [renewed * gap]),
        ("tenure", [tenure]),
        ("season", [_turn(day, middle, windows, turn) for turn in (np.sin, np.cos)]),
    ]


def _around_renewal(to_renewal: Floats, term: Floats, at: Floats | float) -> list[Floats]:
    """Whether days lie around a renewal, which comes again each term; zeros where it is not known."""
    left = np.mod(to_renewal - at, term)  # days to the next renewal
    return [
        np.asarray(
            (left >= first) & (left < last) if first >= 0 else (left - term >= first) & (left - term < last)
        ).astype(np.float64)
        for first, last in AROUND_RENEWAL
    ]


def _turn(day: Floats, middle: Floats, windows: int, turn: Any) -> Floats:
    """The season of a month against that of the windows."""
    angle = 2 * np.pi
    now = np.mean([turn(angle * (day + WINDOW_DAYS * (one + 0.5) / YEAR_DAYS)) for one in range(windows)], axis=0)
    return cast(Floats, turn(angle * (day + middle / YEAR_DAYS)) - now)
