"""Past campaigns as follow-ups: who was offered what, how much leaving was to be expected, and who left."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.policy.candidates import HAZARDS
from spanishgas.policy.economics import ACTIONS, WINDOW_DAYS, WINDOWS, Floats, cumulative_hazard

MONTH_DAYS = 30.44
CONTROL = -1
NO_OFFER = "none"
# A weight above this says that past targeting left hardly anybody to compare with.
MOST_WEIGHT = 10.0


@dataclass(frozen=True)
class FollowUps:
    """One row per offer from the begin of its window on; three per control, a third of weight for each window.

    Follow-up ends when the effect is expected to end, at the next offer to the same customer, or with what is known.

    Attributes:
        customers: ``customer_id``.
        action: Position in ``ACTIONS``; -1 for controls.
        window: Position in ``WINDOWS``.
        accepted: 1 accepted, 0 refused, NaN not known or nothing to accept.
        weight: Inverse of the propensity, scaled to mean one within an action, times the share of the row.
        expected: Cumulative hazard that was to be expected without an offer while the customer was followed.
        risk: The same had nobody left or been offered something else: it does not know how the follow-up ended.
        left: 1 where the customer left while followed.
        features: What was known at the date of the features before the offer.
    """

    customers: npt.NDArray[np.object_]
    action: npt.NDArray[Any]
    window: npt.NDArray[Any]
    accepted: Floats
    weight: Floats
    expected: Floats
    risk: Floats
    left: Floats
    features: pd.DataFrame

    def __len__(self) -> int:
        return len(self.action)

    def take(self, rows: npt.NDArray[Any]) -> "FollowUps":
        """Some of the rows, by position."""
        parts = {name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "features"}
        return FollowUps(**parts, features=self.features.iloc[rows].reset_index(drop=True))


@dataclass(frozen=True)
class CampaignFacts:
    """What past campaigns hold.

    Attributes:
        offers: Offers that can be followed.
        controls: Customers who were eligible and given nothing.
        leavers: Leavers among the offers.
        control_leavers: Leavers among the controls.
        without_features: Rows whose features or score before the offer are not there; left out.
        not_mature: Rows whose follow-up has not begun by the data cut; left out.
        without_propensity: Rows without a usable propensity; they count as if drawn evenly.
        effective_share: Action -> effective sample size once weighted, as a share of its rows.
    """

    offers: int
    controls: int
    leavers: int
    control_leavers: int
    without_features: int
    not_mature: int
    without_propensity: int
    effective_share: dict[str, float]


NO_CAMPAIGNS = CampaignFacts(0, 0, 0, 0, 0, 0, 0, {})


def follow(
    offers: pd.DataFrame,
    scores: pd.DataFrame,
    left_on: "pd.Series[pd.Timestamp]",
    features: Sequence[str],
    *,
    last_day: date,
    effect_months: int,
) -> tuple[FollowUps, CampaignFacts]:
    """Follows every row of past campaigns.

    Args:
        offers: ``campaign_id, customer_id, offer_date, action, timing_window, propensity, accepted``; one row per
            campaign and customer.
        scores: ``customer_id``, ``as_of``, the three window hazards and the features; a row serves the offers made
            within the 31 days after its date.
        left_on: Day of leaving by ``customer_id``, NaT for those who stay.
        features: Features to keep.
        last_day: Last day that leaving is known for.
        effect_months: Months that an offer is expected to act.
    """
    rows = placed(offers, scores)
    lacking = rows[HAZARDS[0]].isna()
    rows = rows[~lacking].reset_index(drop=True)
    action = (
        rows["action"]
        .map({name: place for place, name in enumerate(ACTIONS)})
        .fillna(CONTROL)
        .to_numpy()
        .astype(np.int64)
    )
    window = rows["timing_window"].map({name: place for place, name in enumerate(WINDOWS)}).to_numpy(np.float64)
    is_control = action == CONTROL
    # Who has no window of its own stands beside the offers of each.
    repeat = np.where(is_control | np.isnan(window), len(WINDOWS), 1)
    place = np.repeat(np.arange(len(rows)), repeat)
    order = np.arange(len(place)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
    window = np.where(repeat[place] == 1, np.nan_to_num(window[place]), order).astype(np.int64)
    chance = rows["propensity"].to_numpy(np.float64)
    usable = (chance > 0) & (chance <= 1)
    weight = _weights(action, np.where(usable, chance, np.nan)) / repeat
    start = (
        np.asarray((rows["offer_date"] - rows["as_of"]).dt.days.to_numpy(np.float64)[place], np.float64)
        + WINDOW_DAYS * window
    )
    gone = rows["customer_id"].map(left_on)
    days = (pd.to_datetime(gone) - rows["as_of"]).dt.days.to_numpy(np.float64)[place]
    end_known = (pd.Timestamp(last_day) - rows["as_of"]).dt.days.to_numpy(np.float64)[place]
    again = (rows["next_offer"] - rows["as_of"]).dt.days.to_numpy(np.float64)[place]
    end = np.fmin(np.minimum(start + effect_months * MONTH_DAYS, end_known), again)
    late = end_known <= start
    until: Floats = np.fmin(end, np.where(np.isnan(days), np.inf, days))
    hazards: Floats = rows[list(HAZARDS)].to_numpy(np.float64)[place]
    expected = cumulative_hazard(hazards, until) - cumulative_hazard(hazards, start)
    risk = cumulative_hazard(hazards, start + effect_months * MONTH_DAYS) - cumulative_hazard(hazards, start)
    # Who has left before the window begins, or is offered something else by then, was never at risk in it.
    keep = np.flatnonzero((end > start) & (expected > 0))
    whole = FollowUps(
        customers=rows["customer_id"].to_numpy(object)[place],
        action=action[place],
        window=window,
        accepted=np.where(is_control, np.nan, pd.to_numeric(rows["accepted"], errors="coerce").to_numpy(np.float64))[
            place
        ],
        weight=weight[place],
        expected=expected,
        risk=risk,
        left=((days > start) & (days <= end)).astype(np.float64),
        features=rows.reindex(columns=list(features)).iloc[place].reset_index(drop=True),
    )
    found = whole.take(keep)
    treated = found.action != CONTROL
    facts = CampaignFacts(
        offers=len(np.unique(place[keep][treated])),
        controls=len(np.unique(place[keep][~treated])),
        leavers=len(np.unique(place[keep][treated & (found.left == 1)])),
        control_leavers=len(np.unique(place[keep][~treated & (found.left == 1)])),
        without_features=int(lacking.sum()),
        not_mature=len(np.unique(place[late])),
        without_propensity=int((~usable).sum()),
        effective_share=_effective_shares(action, weight * repeat),
    )
    return found, facts


def placed(offers: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Every row of past campaigns beside what was known at the date of the features before it, null where nothing was.

    Args:
        offers: As for ``follow``.
        scores: As for ``follow``.
    """
    told = offers.assign(offer_date=pd.to_datetime(offers["offer_date"])).sort_values(["offer_date", "customer_id"])
    told["next_offer"] = _next_offers(told)
    known = scores.assign(as_of=pd.to_datetime(scores["as_of"]).astype(told["offer_date"].dtype)).sort_values("as_of")
    return pd.merge_asof(
        told,
        known,
        left_on="offer_date",
        right_on="as_of",
        by="customer_id",
        tolerance=pd.Timedelta(days=31),
        allow_exact_matches=False,
    )


def _next_offers(told: pd.DataFrame) -> "pd.Series[pd.Timestamp]":
    """Date of the next offer to the same customer after each row, whatever the row itself was; NaT for none."""
    made = told["offer_date"].where(told["action"] != NO_OFFER)
    return made.groupby(told["customer_id"]).bfill().groupby(told["customer_id"]).shift(-1)


def _weights(action: npt.NDArray[Any], chance: Floats) -> Floats:
    """Inverse propensities, of mean one within an action; where a propensity is not known, one."""
    weight = np.ones(len(action))
    for value in np.unique(action):
        rows = action == value
        inverse = 1 / chance[rows]
        mean = np.nanmean(inverse) if np.isfinite(inverse).any() else 1.0
        weight[rows] = np.minimum(np.nan_to_num(inverse / mean, nan=1.0), MOST_WEIGHT)
    return weight


def _effective_shares(action: npt.NDArray[Any], weight: Floats) -> dict[str, float]:
    """Kish's effective sample size of every action, as a share of its rows; zero where there are none."""
    shares = {}
    for place, name in enumerate(("none", *ACTIONS), start=CONTROL):
        some = weight[action == place]
        shares[name] = float(some.sum() ** 2 / (some**2).sum() / len(some)) if len(some) else 0.0
    return shares
