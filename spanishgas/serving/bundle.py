"""The bundle: everything that an answer is made from, loaded, tried and then never changed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spanishgas.engine.keyed import KeyedTable
from spanishgas.errors import PublishError
from spanishgas.models import ChurnModel
from spanishgas.models.files import digest_of
from spanishgas.policy.pricing import Prices
from spanishgas.policy.terms import Terms
from spanishgas.scoring.online import Recommender
from spanishgas.scoring.snapshot import Run, Snapshot
from spanishgas.serving.descriptor import Descriptor, ServedRun

TRIED = 3


@dataclass(frozen=True)
class Bundle:
    """What answers.

    Attributes:
        id: Digest of all that an answer depends on.
        model_name: Registered model.
        recommender: Champion, features, decisions.
        inputs: Feature -> ``number`` or ``text``, as feature rows are given.
    """

    id: str
    model_name: str
    recommender: Recommender
    inputs: Mapping[str, str]

    @classmethod
    def load(cls, descriptor: Descriptor) -> "Bundle":
        """Loads and tries a bundle.

        Raises:
            SpanishGasError: A part cannot be read, or answers something impossible; the message says which.
        """
        found = digest_of(descriptor.model_files)
        if found != descriptor.model_digest:
            raise PublishError(
                f"the champion's files (digest {found[:16]}) are not those that were registered",
                where=str(descriptor.model_files),
                todo="Remove the folder; it is fetched again",
            )
        model = ChurnModel.load(descriptor.model_files)
        runs = {one.as_of: _run(one) for one in descriptor.runs}  # of two runs on one date the newer stays
        snapshots = {
            one.as_of: Snapshot(
                as_of=one.as_of,
                features=KeyedTable.open(one.features),
                features_hash=one.features_hash,
                segments=None if one.segments is None else KeyedTable.open(one.segments),
                run=runs.get(one.as_of),
            )
            for one in descriptor.dates
        }
        newest = runs[descriptor.runs[-1].as_of] if descriptor.runs else None
        recommender = Recommender(model, descriptor.model_version, descriptor.model_digest, snapshots, newest)
        _try(recommender)
        encoding = model.model.encoding_
        inputs = {name: "text" if name in encoding.words else "number" for name in encoding.names}
        return cls(descriptor.id, descriptor.model_name, recommender, inputs)


def _run(served: ServedRun) -> Run:
    left = [np.inf if one is None else one for one in served.left]
    return Run(
        terms=Terms.load(served.terms),
        decisions=KeyedTable.open(served.decisions),
        standing=KeyedTable.open(served.standing),
        prices=Prices(np.array(served.prices), np.array(left, np.float64), served.valid_until),
        risk_edges=served.risk_edges,
        features_hash=served.features_hash,
    )


def _try(recommender: Recommender) -> None:
    """Answers for a few customers of every date, with reasons, and looks at the numbers."""
    for day, snapshot in recommender.snapshots.items():
        rows = sorted({0, len(snapshot.features) // 2, len(snapshot.features) - 1} if len(snapshot.features) else ())
        if not rows:
            continue
        for answer in recommender.answers([(snapshot, row) for row in rows[:TRIED]], day):
            numbers = (answer.risk, *answer.hazards, answer.recommendation.expected_margin_impact)
            chances = numbers[:-1]
            if not np.isfinite(numbers).all() or not all(0 <= chance <= 1 for chance in chances):
                raise PublishError(
                    f"the model answers {chances} for a customer of {day}",
                    where=f"churn v{recommender.version}",
                    todo="Roll back: promote action=rollback",
                )
