"""Labels the slow way: one customer and date at a time."""

from dataclasses import dataclass
from datetime import date
from math import prod


@dataclass(frozen=True)
class Offer:
    """One row of a past campaign."""

    day: date
    action: str
    propensity: float | None


@dataclass(frozen=True)
class Life:
    """What is known of a customer at the data cut."""

    left_on: date | None
    offers: tuple[Offer, ...]


WINDOWS = {"0_30": (0, 30), "30_60": (30, 60), "60_90": (60, 90)}


def label(life: Life, as_of: date, cut: date, *, horizon: int, lag: int, censor_at_offers: bool) -> dict[str, object]:
    """Outcome columns of one row, or only ``left_unregistered`` where the customer had left already."""
    left = None if life.left_on is None else (life.left_on - as_of).days
    if left is not None and left <= 0:
        return {"left_unregistered": True}
    # Day by day: until when is everything known?
    mature = max((end for _, end in WINDOWS.values() if (cut - as_of).days >= end + lag), default=0)
    observed = min(mature, horizon)
    made = [offer for offer in life.offers if censor_at_offers and 0 < (offer.day - as_of).days <= horizon]
    real = [(offer.day - as_of).days for offer in made if offer.action != "none"]
    first = min((day for day in real if left is None or day <= left), default=None)
    leaves = left is not None and left <= observed and (first is None or left <= first)
    by_offer = not leaves and first is not None and first <= observed
    by_offer = by_offer and (left is None or left > first)  # type: ignore[operator]
    end = first if by_offer else observed
    assert end is not None
    result: dict[str, object] = {"left_unregistered": False}
    for name, (begin, finish) in WINDOWS.items():
        outcome: int | None = None
        if leaves and begin < left <= finish:  # type: ignore[operator]
            outcome = 1
        elif not (leaves and left <= begin) and finish <= min(end, horizon):  # type: ignore[operator]
            outcome = 0
        result[f"left_{name}"] = outcome
        spared = [
            offer.propensity
            for offer in made
            if offer.action == "none"
            and offer.propensity
            and (offer.day - as_of).days <= finish
            and (left is None or (offer.day - as_of).days <= left)
        ]
        result[f"weight_{name}"] = None if outcome is None else prod(1 / share for share in spared)
    result["left_horizon"] = None if observed < horizon else 1 if leaves else 0 if end >= horizon else None
    result["followup_days"] = left if leaves else end
    result["censored_by"] = "offer" if by_offer else None if leaves or observed >= horizon else "maturity"
    ever = [(offer.day - as_of).days for offer in life.offers if censor_at_offers and offer.action != "none"]
    before = [day for day in ever if day > 0 and (left is None or day <= left)]
    followed = min([max((cut - as_of).days - lag, 0), *before])
    result["observed_days"] = followed
    result["left_day"] = left if left is not None and left <= followed else None
    return result
