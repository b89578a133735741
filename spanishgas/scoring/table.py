"""The table that a decision is taken on: scores and features of a date, and how customers stand on the day."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spanishgas.config import EconomicsSettings
from spanishgas.domain.survival import Calendar, Survival
from spanishgas.errors import SourceError
from spanishgas.policy.candidates import HAZARDS, NUMBERS, Candidates, kind_of, monthly_amounts, window_hazards


@dataclass(frozen=True)
class DecisionTable:
    """Customers ready for a decision.

    Attributes:
        candidates: Active customers.
        features: Their features, in the same order.
        is_timed_by_contract: The model does not tell when; timing comes from the contract's dates.
        left: Customers of the features' date who have left by the decision's day.
        missing: Input -> customers for whom it is not known.
    """

    candidates: Candidates
    features: pd.DataFrame
    is_timed_by_contract: bool
    left: int
    missing: Mapping[str, int]


def decision_table(
    features: pd.DataFrame,
    scores: pd.DataFrame,
    standing: pd.DataFrame,
    segments: pd.DataFrame | None,
    held_out: pd.DataFrame | None,
    economics: EconomicsSettings,
    curve: Survival,
) -> DecisionTable:
    """Joins what a decision needs.

    Args:
        features: Features of every customer active at their date.
        scores: ``risk`` and hazards of the same rows.
        standing: How the customers stand, of ``standing.standing``; ``days_since_offer`` counts the offers that the
            retailer has registered.
        segments: ``customer_id``, ``segment_id``; None where there are none.
        held_out: ``customer_id``, ``days_since_offer`` and ``days_since_held_out`` by earlier published runs; None
            where there are none.
        economics: The margin, and the months that it is counted over.
        curve: How the champion's hazards go on after its windows.

    Raises:
        SourceError: Everybody has left.
    """
    known = features.reset_index(drop=True)
    by_customer = standing.set_index("customer_id").reindex(known["customer_id"]).reset_index(drop=True)
    table = pd.DataFrame({"customer_id": known["customer_id"], "kind": kind_of(known)})
    table = table.join(by_customer.drop(columns=["has_left"]))
    hazards, is_timed = window_hazards(
        scores.reset_index(drop=True), table["days_to_renewal"].to_numpy(dtype=np.float64, na_value=np.nan)
    )
    table["risk"] = scores["risk"].to_numpy(np.float64)
    for place, name in enumerate(HAZARDS):
        table[name] = hazards[:, place]
    table["margin_eur_month"], table["bill_eur_month"] = monthly_amounts(known, economics.margin_features)
    table["segment_id"] = (
        "" if segments is None else table["customer_id"].map(segments.set_index("customer_id")["segment_id"])
    )
    table["days_since_held_out"] = np.nan
    if held_out is not None:
        earlier = held_out.set_index("customer_id").reindex(table["customer_id"]).reset_index(drop=True)
        table["days_since_held_out"] = earlier["days_since_held_out"]
        table["days_since_offer"] = np.fmin(
            table["days_since_offer"].to_numpy(dtype=np.float64, na_value=np.nan),
            earlier["days_since_offer"].to_numpy(dtype=np.float64, na_value=np.nan),
        )
    gone = by_customer["has_left"].astype("boolean").fillna(False).to_numpy(bool)
    if gone.all():
        raise SourceError("every customer has left by the decision's day", where="decision", count=len(gone))
    order = np.flatnonzero(~gone)
    order = order[np.argsort(table["customer_id"].to_numpy(object)[order], kind="stable")]
    rows = known.iloc[order]
    calendar = Calendar.of_table(rows, rows["as_of"])
    candidates = Candidates.of(table.iloc[order]).looking_ahead(curve, calendar, economics.horizon_months)
    missing = {name: int(np.isnan(candidates[name]).sum()) for name in NUMBERS if not name.startswith("days_since")}
    return DecisionTable(
        candidates=candidates,
        features=rows.reset_index(drop=True),
        is_timed_by_contract=is_timed,
        left=int(gone.sum()),
        missing={name: count for name, count in missing.items() if count},
    )
