"""One customer at a time: the champion's score, the published decision or one at the dual prices, and the reasons.

The functions are those of the batch; what differs is only that rows come from memory-mapped tables, without a frame or
an engine. So an answer is equal to what the batch has published as long as champion, features and policy are the same,
and says which of them has moved on where they are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from spanishgas.domain.survival import OUTLOOK
from spanishgas.engine.keyed import MISSING, Floats
from spanishgas.errors import SpanishGasError
from spanishgas.models.hazard import union_of
from spanishgas.policy.candidates import HAZARDS, timed_hazards
from spanishgas.policy.reasons import HAS_LEFT, NOT_PRICED, Causes
from spanishgas.policy.recommendations import BUCKETS, outlook_of
from spanishgas.policy.what_if import Supposed, WhatIf, suppose
from spanishgas.scoring.recommended import NOBODY, PUBLISHED, Recommendation, Told, nobody, priced, published
from spanishgas.scoring.rows import RowEncoder
from spanishgas.scoring.snapshot import Run, Snapshot, candidate_of, response_of, segment_of, standing_of

if TYPE_CHECKING:
    from spanishgas.models import ChurnModel

MODEL, FEATURES, POLICY = "model", "features", "policy"


class UnknownCustomerError(SpanishGasError):
    """No published features have this customer."""


class NoFeaturesError(SpanishGasError):
    """The customer, or anybody, has no features of that date; ``nearest`` is the nearest date that has."""

    def __init__(self, what: str, *, nearest: date) -> None:
        super().__init__(what, where="as_of", todo=f"The nearest date is {nearest}")
        self.nearest = nearest


@dataclass(frozen=True)
class Answer:
    """What is said of one customer.

    Attributes:
        customer_id: Customer.
        as_of: Date of the features.
        risk: Probability of leaving within the horizon if nothing is done.
        hazards: The same by window of 30 days, for those still there.
        risk_bucket: ``high``, ``medium`` or ``low``; None where no run tells the edges.
        segment: Identity of the segment; empty where there is none.
        segment_name: Its name.
        recommendation: What to do.
        moved: What has moved on since the published decision: ``model``, ``features``, ``policy``.
        policy_version: Digest of the policy that decided; empty without a decision.
        decision_model: Version of the model that decided; empty without a decision.
        features_hash: Digest of the features that were scored.
        outlook: How long the customer is expected to stay and what that is worth, by the columns of ``Outlook``; None
            where no run tells over how many months.
        supposed: The answer to a what-if.
    """

    customer_id: str
    as_of: date
    risk: float
    hazards: tuple[float, float, float]
    risk_bucket: str | None
    segment: str
    segment_name: str
    recommendation: Recommendation
    moved: tuple[str, ...]
    policy_version: str
    decision_model: str
    features_hash: str
    outlook: Mapping[str, float] | None = None
    supposed: Supposed | None = None


@dataclass(frozen=True)
class Recommender:
    """The champion and what is published, as one immutable whole.

    Attributes:
        model: The champion.
        version: Its version.
        digest: Digest of its files.
        snapshots: By date of the features.
        newest: The newest run; None where none is published.
    """

    model: "ChurnModel"
    version: str
    digest: str
    snapshots: Mapping[date, Snapshot]
    newest: Run | None
    _encoders: Mapping[date, RowEncoder] = field(init=False)
    _causes: Causes = field(init=False)

    def __post_init__(self) -> None:
        """Lays the model's encoding over the features of every date.

        Raises:
            ContractError: Features of the model are not published.
        """
        encoding = self.model.model.encoding_
        encoders = {day: RowEncoder.of(encoding, one.features) for day, one in self.snapshots.items()}
        object.__setattr__(self, "_encoders", encoders)
        object.__setattr__(self, "_causes", Causes.of(encoding.names))

    def hazards_of(self, numbers: Floats) -> tuple[Floats, Floats]:
        """Risk, shape (rows,), and the model's window hazards, shape (rows, windows), of encoded rows."""
        windows = self.model.model.windows_of(numbers)
        return union_of(windows), windows

    def locate(self, customer: str, as_of: date | None) -> tuple[Snapshot, int]:
        """The snapshot of a date, the newest by default, and the customer's row in it.

        Raises:
            UnknownCustomerError: The customer is in no snapshot.
            NoFeaturesError: Not in that one, or there is none of that date.
        """
        day = max(self.snapshots) if as_of is None else as_of
        snapshot = self.snapshots.get(day)
        row = MISSING if snapshot is None else snapshot.features.find(customer)
        if snapshot is not None and row != MISSING:
            return snapshot, row
        others = [one for one, found in self.snapshots.items() if found.features.find(customer) != MISSING]
        if not others:
            raise UnknownCustomerError("no published features have this customer", where="customer_id")
        nearest = min(others, key=lambda one: (abs((one - day).days), one))
        raise NoFeaturesError(f"the customer has no features of {day}", nearest=nearest)

    def answers(
        self,
        wanted: Sequence[tuple[Snapshot, int]],
        today: date,
        *,
        explain: bool = True,
        what_if: WhatIf | None = None,
    ) -> list[Answer]:
        """Answers for customers that were located; all are scored in one call of the model.

        Args:
            wanted: Of ``locate``.
            today: The day of the question; decides whether dual prices still hold.
            explain: Whether the causes of the risk are told where no published decision of this model tells them.
            what_if: What to suppose, if anything.
        """
        numbers = np.concatenate([self._encoders[one.as_of].numbers(np.array([row])) for one, row in wanted])
        risks, windows = self.hazards_of(numbers)
        return [
            self._answer(
                snapshot, row, numbers[place : place + 1], risks[place], windows[place], today, explain, what_if
            )
            for place, (snapshot, row) in enumerate(wanted)
        ]

    def _answer(
        self,
        snapshot: Snapshot,
        row: int,
        numbers: Floats,
        risk: float,
        windows: Floats,
        today: date,
        explain: bool,
        what_if: WhatIf | None,
    ) -> Answer:
        run = self._run_for(snapshot)
        place = MISSING if run is None else run.decisions.find(snapshot.customer(row))
        is_gone = run is not None and place == MISSING and run.terms.basis.as_of == snapshot.as_of
        stands = standing_of(snapshot, row, run)
        hazards = self._hazards(risk, windows, stands["days_to_renewal"])
        moved = () if run is None or place == MISSING else self._moved(run, snapshot)
        segment, name = segment_of(snapshot, row, run, place)

        def causes() -> Told:
            if not explain:
                return None
            added, _ = self.model.model.contributions_of(numbers)
            return tuple(self._causes.strongest(added)[0])

        supposed: Supposed | None = None
        outlook: Mapping[str, float] | None = None
        is_changed = MODEL in moved or FEATURES in moved
        candidate = None
        if run is not None and (place == MISSING or is_changed or what_if is not None):
            candidate = candidate_of(snapshot, row, segment, risk, hazards, stands, run.terms)
        if run is not None and place != MISSING:
            told = published(run, place, causes if is_changed else None)
        elif run is None or is_gone:
            told = nobody(HAS_LEFT if is_gone else NOT_PRICED, causes(), run if is_gone else None)
        elif today > run.prices.valid_until:
            told = nobody(NOT_PRICED, causes(), None)
        else:
            assert candidate is not None
            told = priced(candidate, response_of(snapshot, row, candidate, run.terms), run, causes())
        if run is not None and candidate is not None:
            if what_if is not None:
                supposed = suppose(
                    candidate, response_of(snapshot, row, candidate, run.terms), run.terms.settings, what_if
                )
            outlook = {
                name: float(values[0]) for name, values in outlook_of(candidate, run.terms.settings).columns.items()
            }
        elif run is not None:
            outlook = {name: run.decisions.number(place, name) for name in OUTLOOK}
        return Answer(
            customer_id=snapshot.customer(row),
            as_of=snapshot.as_of,
            risk=float(risk),
            hazards=(float(hazards[0]), float(hazards[1]), float(hazards[2])),
            risk_bucket=self._bucket(run, place, risk, moved),
            segment=segment,
            segment_name=name,
            recommendation=told,
            moved=moved,
            policy_version="" if run is None or told.source == NOBODY else run.terms.basis.policy_version,
            decision_model="" if run is None or told.source != PUBLISHED else run.terms.basis.model_version,
            features_hash=snapshot.features_hash,
            outlook=outlook,
            supposed=supposed,
        )

    def _run_for(self, snapshot: Snapshot) -> Run | None:
        """The run that decided on this date's features, or the newest one where that looked at older ones."""
        if snapshot.run is not None:
            return snapshot.run
        newest = self.newest
        return newest if newest is not None and newest.terms.basis.as_of < snapshot.as_of else None

    def _moved(self, run: Run, snapshot: Snapshot) -> tuple[str, ...]:
        basis, newest = run.terms.basis, self.newest
        found = {
            MODEL: basis.model_digest != self.digest,
            FEATURES: run.features_hash != snapshot.features_hash,
            POLICY: newest is not None and newest.terms.basis.policy_version != basis.policy_version,
        }
        return tuple(name for name, is_other in found.items() if is_other)

    def _hazards(self, risk: float, windows: Floats, days_to_renewal: float) -> Floats:
        told = {
            f"hazard_{name}": windows[place : place + 1]
            for place, name in enumerate(self.model.windows)
            if f"hazard_{name}" in HAZARDS
        }
        found, _ = timed_hazards(np.array([risk]), told, np.array([days_to_renewal]))
        return np.asarray(found[0])

    def _bucket(self, run: Run | None, place: int, risk: float, moved: tuple[str, ...]) -> str | None:
        if run is None:
            return None
        if place != MISSING and MODEL not in moved and FEATURES not in moved:
            return run.decisions.word(place, "risk_bucket")
        high, medium = run.risk_edges
        return BUCKETS[0] if risk > high else BUCKETS[1] if risk > medium else BUCKETS[2]
