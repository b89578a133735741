"""Margin and bill of the months ahead: what the next renewal is expected to do to the price.

A price is set anew when a term ends. What the market has done since the term began shows in the prices of all whose
terms began in the same month, and a renewal catches up with it. Of how much dearer, or cheaper, a customer pays than
these, a part is of the term and goes with it; the rest is of the customer and stays. Both shares are learned from past
renewals, see ``models.repricing``. The market ahead is not foretold: by how much it moves the level of all margins is a
standard deviation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MONTH_DAYS = 30
# Prices further from new terms than this are faults, or contracts of another kind.
MOST_GAP = 0.6


@dataclass(frozen=True)
class Repricing:
    """How prices go on.

    Attributes:
        share: Part of a customer's own log distance to new terms that goes at a renewal; 0 leaves it as it is.
        market_share: The same of the distance that is common to the terms that began in the same month.
        level_sd: Standard deviation of the log of the level of all margins over the year ahead.
        facts: Renewals and months that it was learned from.
    """

    share: float = 0.0
    market_share: float = 0.0
    level_sd: float = 0.0
    facts: Mapping[str, float] = field(default_factory=dict)

    def amounts(
        self, now: Floats, bill: Floats, price_gap: Floats, market_gap: Floats, to_renewal: Floats
    ) -> "Amounts":
        """A monthly amount that moves with the energy bill.

        Args:
            now: The amount of a month, margin or the bill itself, in EUR; shape (customers,).
            bill: Energy bill of a month in EUR before VAT.
            price_gap: Price over that of new terms, minus 1; NaN leaves the price as it is.
            market_gap: The same of the middle customer whose term began in the same month; where it is not known, all
                of the gap is the customer's own.
            to_renewal: Days until the term ends; where it is not known, or past, the price stays as it is.
        """
        gap, market = (
            np.log1p(np.clip(np.nan_to_num(one), -MOST_GAP, MOST_GAP))
            for one in (price_gap, np.where(np.isnan(price_gap), np.nan, market_gap))
        )
        step = np.nan_to_num(bill) * np.expm1(-self.market_share * market - self.share * (gap - market))
        return Amounts(now, step, np.where(to_renewal >= 0, to_renewal, np.inf))

    @property
    def state(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {
            "share": self.share,
            "market_share": self.market_share,
            "level_sd": self.level_sd,
            "facts": dict(self.facts),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "Repricing":
        """Takes back what ``state`` gave."""
        # Versions of earlier releases did not tell the market's part from the customer's own.
        market = float(state.get("market_share", state["share"]))
        return cls(float(state["share"]), market, float(state["level_sd"]), dict(state["facts"]))


# The price goes on as it is.
AS_IT_IS = Repricing()


@dataclass(frozen=True)
class Amounts:
    """A monthly amount that changes once, when the term ends.

    Attributes:
        now: EUR of a month, shape (customers,); NaN where it is not known.
        step: What is added from the renewal on.
        begins: Days until the renewal; infinity for never.
    """

    now: Floats
    step: Floats
    begins: Floats

    @classmethod
    def flat(cls, now: Floats) -> "Amounts":
        """Amounts that do not change."""
        return cls(now, np.zeros(len(now)), np.full(len(now), np.inf))

    def __getitem__(self, part: slice | npt.NDArray[Any]) -> "Amounts":
        return Amounts(self.now[part], self.step[part], self.begins[part])

    def by_month(self, months: int) -> Floats:
        """Shape (customers, months); a month has the new price where most of it lies after the renewal."""
        middle = MONTH_DAYS * (np.arange(months) + 0.5)
        return np.asarray(self.now[:, None] + self.step[:, None] * (middle[None, :] > self.begins[:, None]))
