"""Customers as a decision sees them: risk and margin at the features' date, all else at the decision's time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.domain.repricing import AS_IT_IS, Amounts, Repricing
from spanishgas.domain.survival import Calendar, Survival
from spanishgas.errors import ContractError
from spanishgas.policy.economics import Floats

HOME, SECOND_HOME, BUSINESS = "home", "second_home", "business"
HAZARDS = ("hazard_0_30", "hazard_30_60", "hazard_60_90")
# Features that tell the kind of a customer.
KINDS = ("is_business", "is_second_home")
# Known of everybody, or null.
NUMBERS = (
    "margin_eur_month",
    "bill_eur_month",
    "is_vulnerable",
    "marketing_consent",
    "phone_consent",
    "days_since_offer",
    "days_since_contact",
    "days_since_held_out",
    "days_to_renewal",
    "term_age_days",
)


@dataclass(frozen=True)
class Candidates:
    """Customers that a decision is taken on, in order of their ids.

    Attributes:
        ids: ``customer_id``.
        kind: ``home``, ``second_home`` or ``business``.
        segment: ``segment_id``; empty where there is none.
        risk: Probability of leaving within the horizon.
        hazards: Hazard of each month of 30 days ahead, shape (customers, months): the three windows first, then as far
            as the survival curve was asked, see ``looking_ahead``.
        numbers: The columns of ``NUMBERS``; NaN where a value is not known. Flags are 0 and 1; days count from the
            decision, so that a renewal ahead is positive and what was is positive too.
        spread: Standard deviation of the log of the level of all hazards.
        repricing: What renewals do to prices.
        calendar: What is known in advance of them; None where prices are carried on as they are.
    """

    ids: npt.NDArray[np.object_]
    kind: npt.NDArray[np.object_]
    segment: npt.NDArray[np.object_]
    risk: Floats
    hazards: Floats
    numbers: dict[str, Floats]
    spread: float = 0.0
    repricing: Repricing = AS_IT_IS
    calendar: Calendar | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, name: str) -> Floats:
        """A column of ``numbers``."""
        return self.numbers[name]

    @property
    def market_sd(self) -> float:
        """Standard deviation of the log of the level of what is kept: risks and margins move with the market."""
        return float(np.hypot(self.spread, self.repricing.level_sd))

    @property
    def margin(self) -> Amounts:
        """Expected margin of the months ahead."""
        return self._ahead("margin_eur_month")

    @property
    def bill(self) -> Amounts:
        """Expected energy bill of the months ahead."""
        return self._ahead("bill_eur_month")

    def _ahead(self, name: str) -> Amounts:
        known = self.calendar
        if known is None:
            return Amounts.flat(self[name])
        bill = self["bill_eur_month"]
        return self.repricing.amounts(self[name], bill, known.price_gap, known.market_gap, known.to_renewal)

    def looking_ahead(self, curve: Survival, calendar: Calendar, months: int) -> "Candidates":
        """The same customers with the hazards of all months ahead.

        Args:
            curve: How hazards go on after the windows.
            calendar: What is known in advance of the same customers.
            months: Months ahead.
        """
        return replace(
            self,
            hazards=curve.ahead(self.hazards, calendar, months),
            spread=curve.spread,
            repricing=curve.repricing,
            calendar=calendar,
        )

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Candidates":
        """Reads a frame with the columns named above.

        Raises:
            ContractError: A customer stands twice, or a risk or hazard is missing or no probability.
        """
        ordered = table.sort_values("customer_id", kind="stable", ignore_index=True)
        twice = ordered["customer_id"].duplicated()
        if twice.any():
            raise ContractError(
                "a customer stands twice",
                where="decision",
                count=int(twice.sum()),
                examples=ordered.loc[twice, "customer_id"].head(3).tolist(),
            )
        hazards = ordered[list(HAZARDS)].to_numpy(np.float64)
        risk = ordered["risk"].to_numpy(np.float64)
        wrong = ~((hazards >= 0) & (hazards <= 1)).all(axis=1) | ~((risk >= 0) & (risk <= 1))
        if wrong.any():
            raise ContractError(
                "a risk or hazard is no probability",
                where="decision",
                count=int(wrong.sum()),
                examples=ordered.loc[wrong, "customer_id"].head(3).tolist(),
                todo="Run `score` or `train` again",
            )
        numbers = {
            name: pd.to_numeric(ordered[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            if name in ordered.columns
            else np.full(len(ordered), np.nan)
            for name in NUMBERS
        }
        return cls(
            ids=ordered["customer_id"].to_numpy(object),
            kind=ordered["kind"].to_numpy(object),
            segment=ordered["segment_id"].fillna("").to_numpy(object),
            risk=risk,
            hazards=hazards,
            numbers=numbers,
        )


def window_hazards(scores: pd.DataFrame, days_to_renewal: Floats) -> tuple[Floats, bool]:
    """Hazards of the three windows; where the model knows the horizon only, by the contract's dates.

    Without churn dates a model cannot tell when. Nearly all leave around the end of a term, so the risk is then put
    into the window that the renewal falls into; into the last window where it lies later, evenly where it is unknown
    or past.

    Args:
        scores: ``risk`` and, where the model tells windows apart, the three hazards.
        days_to_renewal: Days until the current term ends; NaN where unknown.

    Returns:
        Shape (customers, 3), and whether the timing comes from the contract's dates.
    """
    return timed_hazards(scores["risk"].to_numpy(np.float64), _told(scores), days_to_renewal)


def timed_hazards(risk: Floats, told: Mapping[str, Floats], days_to_renewal: Floats) -> tuple[Floats, bool]:
    """The same from arrays: ``told`` has the hazards that the model tells, by name."""
    known = _filled(told)
    if known is not None:
        return known, False
    even = 1 - (1 - np.clip(risk, 0, 1 - 1e-12)) ** (1 / 3)
    place = np.clip(np.floor_divide(np.nan_to_num(days_to_renewal, nan=-1.0), 30), -1, 2)
    hazards = np.where(place[:, None] == np.arange(3)[None, :], risk[:, None], 0.0)
    return np.where(place[:, None] < 0, even[:, None], hazards), True


def known_windows(scores: pd.DataFrame) -> Floats | None:
    """Hazards of the three windows as the model tells them; None where it does not tell windows apart.

    Where its horizon is shorter, the mean of the windows that it knows goes on.
    """
    return _filled(_told(scores))


def _told(scores: pd.DataFrame) -> dict[str, Floats]:
    known = [name for name in HAZARDS if name in scores.columns and scores[name].notna().all()]
    return {name: scores[name].to_numpy(np.float64) for name in known}


def _filled(told: Mapping[str, Floats]) -> Floats | None:
    if not told:
        return None
    mean = 1 - np.prod(1 - np.column_stack(list(told.values())), axis=1) ** (1 / len(told))
    return np.column_stack([told.get(name, mean) for name in HAZARDS])


def kind_of(table: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Kind of every customer, from ``is_business`` and ``is_second_home``; unknown counts as home."""
    business, second = (table[name].astype("boolean").fillna(False).to_numpy(bool) for name in KINDS)
    return kinds(business, second)


def kinds(business: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_]:
    """Kind of every customer, from two flags."""
    return np.where(business, BUSINESS, np.where(second, SECOND_HOME, HOME)).astype(object)


def monthly_amounts(table: pd.DataFrame, margin_features: dict[str, float]) -> tuple[Floats, Floats]:
    """Expected margin and energy bill per month in EUR before VAT; NaN where a part is not known.

    Args:
        table: Features. The bill is the year's electricity, scaled up where only part of the year was metered, at the
            newest price.
        margin_features: Features whose weighted sum is the margin.

    Raises:
        ContractError: A feature of the margin does not exist.
    """
    lacking = [name for name in margin_features if name not in table.columns]
    if lacking:
        raise ContractError(
            "features of the margin do not exist",
            where="policy.economics.margin_features",
            count=len(lacking),
            examples=lacking,
            todo="Name features of the data set: docs/FEATURES.md, and extra_<name> for its own columns",
        )

    def number(name: str) -> Floats:
        if name not in table.columns:
            return np.full(len(table), np.nan)
        return np.asarray(pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))

    return amounts_of(number, margin_features)


def amounts_of(number: Callable[[str], Floats], margin_features: Mapping[str, float]) -> tuple[Floats, Floats]:
    """The same from arrays: ``number`` gives a feature's values, NaN where they are not known."""
    parts = [weight * number(name) for name, weight in margin_features.items()]
    margin = np.sum(parts, axis=0)
    coverage = np.nan_to_num(number("coverage_365d"), nan=1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        yearly = np.where(coverage > 0, number("elec_kwh_365d") / coverage, np.nan)
    return margin, yearly / 12 * number("price_energy_eur_kwh")
