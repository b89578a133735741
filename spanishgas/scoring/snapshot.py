"""What is published, by customer: the features of a date, and a run's decisions on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from spanishgas.domain.survival import CALENDAR, Calendar
from spanishgas.engine.keyed import MISSING, Floats, KeyedTable
from spanishgas.policy.candidates import NUMBERS, Candidates, amounts_of, kinds
from spanishgas.policy.economics import Respond
from spanishgas.policy.pricing import Prices
from spanishgas.policy.recommendations import STANDING
from spanishgas.policy.response import assumed
from spanishgas.policy.terms import Terms
from spanishgas.scoring.rows import columns_of_rows

# Features that tell how a customer stood, where no run has looked it up on its day.
STANDING_FEATURES = {"days_since_contact": "days_since_interaction"}


@dataclass(frozen=True)
class Run:
    """The published decisions of a run date.

    Attributes:
        terms: What they were taken under.
        decisions: Table ``recommendations``.
        standing: Table ``decision_standing``.
        prices: Dual prices and what is left.
        risk_edges: Risks above which a customer is in the bucket high, and medium.
        features_hash: Digest of the features that were decided on.
    """

    terms: Terms
    decisions: KeyedTable
    standing: KeyedTable
    prices: Prices
    risk_edges: tuple[float, float]
    features_hash: str


@dataclass(frozen=True)
class Snapshot:
    """What is known as of a date.

    Attributes:
        as_of: Date of the features.
        features: Table of the features.
        features_hash: Its digest.
        segments: Customers' segments; None where there are none.
        run: The newest run that decided on these features' date; None where there is none.
    """

    as_of: date
    features: KeyedTable
    features_hash: str
    segments: KeyedTable | None
    run: Run | None

    def customer(self, row: int) -> str:
        """The customer of a row of the features."""
        return bytes(self.features.keys[row]).decode()


def standing_of(snapshot: Snapshot, row: int, run: Run | None) -> dict[str, float]:
    """How a customer stood on the day of the run, or as the features tell where they are newer or there is no run."""
    place = MISSING
    if run is not None and snapshot.as_of <= run.terms.basis.run_date:
        place = run.standing.find(snapshot.customer(row))
    if run is not None and place != MISSING:
        return {name: run.standing.number(place, name) for name in STANDING}
    return {name: snapshot.features.number(row, STANDING_FEATURES.get(name, name)) for name in STANDING}


def candidate_of(
    snapshot: Snapshot,
    row: int,
    segment: str,
    risk: float,
    hazards: Floats,
    stands: Mapping[str, float],
    terms: Terms,
) -> Candidates:
    """One customer as a decision sees them.

    Args:
        snapshot: The features.
        row: The customer's row in them.
        segment: Identity of the segment.
        risk: Risk by the champion.
        hazards: Hazards of the three windows.
        stands: Of ``standing_of``.
        terms: The policy.
    """
    features = snapshot.features

    def number(name: str) -> Floats:
        return np.array([features.number(row, name)])

    economics = terms.settings.economics
    margin, bill = amounts_of(number, economics.margin_features)
    amounts = {"margin_eur_month": margin, "bill_eur_month": bill}
    flags = [np.nan_to_num(number(name)) > 0 for name in ("is_business", "is_second_home")]
    calendar = calendar_of(snapshot, row)
    return Candidates(
        ids=np.array([snapshot.customer(row)], object),
        kind=kinds(flags[0], flags[1]),
        segment=np.array([segment], object),
        risk=np.array([risk]),
        hazards=hazards[None, :],
        numbers={name: amounts[name] if name in amounts else np.array([stands[name]]) for name in NUMBERS},
    ).looking_ahead(terms.survival, calendar, economics.horizon_months)


def calendar_of(snapshot: Snapshot, row: int) -> Calendar:
    """What is known in advance of a customer."""
    return Calendar.of(
        {name: np.array([snapshot.features.number(row, name)]) for name in CALENDAR}, np.datetime64(snapshot.as_of)
    )


def response_of(snapshot: Snapshot, row: int, candidates: Candidates, terms: Terms) -> Respond:
    """How the customer responds: as learned, or as assumed."""
    respond, effects = assumed(terms.settings.response.assumed, candidates), terms.effects
    if effects is None:
        return respond
    pieces = effects.pieces
    numbers, words = columns_of_rows(snapshot.features, np.array([row]), [*pieces.numbers, *pieces.words])
    told = effects.response_of(pieces.columns_of(numbers, words, 1), respond(slice(0, 1)))
    return lambda _: told


def segment_of(snapshot: Snapshot, row: int, run: Run | None, place: int) -> tuple[str, str]:
    """Identity and name of the segment, as decided on or as published; empty where there is none."""
    if run is not None and place != MISSING:
        return run.decisions.word(place, "segment") or "", run.decisions.word(place, "segment_name") or ""
    if snapshot.segments is None:
        return "", ""
    row = snapshot.segments.find(snapshot.customer(row))
    if row == MISSING:
        return "", ""
    return snapshot.segments.word(row, "segment_id") or "", snapshot.segments.word(row, "segment_name") or ""
