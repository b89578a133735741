"""What a customer is told of their data and of the decision: gathered from published tables and the registry."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spanishgas.contracts import SILVER_TABLES
from spanishgas.contracts.decisions import RECOMMENDATIONS
from spanishgas.contracts.gold import SEGMENT_SUMMARY
from spanishgas.engine.store import Manifest, Publication, PublishedTable, TableStore
from spanishgas.engine.suppression import PSEUDONYM, Pseudonyms, Suppression
from spanishgas.errors import PublishError
from spanishgas.registry.champions import SWITCHES, Decision
from spanishgas.registry.reading import RegisteredVersion
from spanishgas.stages.places import segments_at

CUSTOMER = "customer_id"
# Tables of what was found wrong, which say nothing of a customer.
NOT_DATA = ("quarantine", "quality", "delivery_figures")
DERIVED = ("features", "segments", "scoring", "recommendations")
TRAINED_ON = "training_set"


@dataclass(frozen=True)
class Kept:
    """What one table holds of a customer.

    Attributes:
        table: The table.
        rows: Its rows of the customer.
        first: First day that they are of; None where they are undated.
        last: Last such day.
        known: Day from which on the first of them was known.
    """

    table: str
    rows: int
    first: date | None
    last: date | None
    known: date | None


@dataclass(frozen=True)
class ModelFacts:
    """The model behind a decision.

    Attributes:
        version: Version in the registry.
        digest: Digest of its files.
        registered: UTC, ISO 8601; empty where the version is gone from the registry.
        decision: How it became champion; None where that is not on record.
        reviewers: Tags of the version that name who looked at it.
    """

    version: str
    digest: str
    registered: str = ""
    decision: Decision | None = None
    reviewers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Explanation:
    """Everything that the text is written from.

    Attributes:
        customer: Whom it is about.
        delivered: Run date of the delivery that the data were read from.
        files: Raw files of that delivery; 0 where its landing is gone.
        kept: Data by table.
        derived: Name of what was computed -> dates that it was computed for.
        learned_from: Rows of the customer that the present model's training set holds.
        decision: The row of the recommendations; None where there is none.
        segment: Name of the segment by language; empty where there is none.
        model: The model behind the decision.
        run_id: The run that decided.
    """

    customer: str
    delivered: str
    files: int
    kept: Sequence[Kept]
    derived: Mapping[str, Sequence[str]]
    learned_from: int
    decision: Mapping[str, Any] | None
    segment: Mapping[str, str]
    model: ModelFacts | None
    run_id: str


def named(store: TableStore, asked: str) -> str:
    """The customer that is meant: an identifier as it is, or the one whom runs call by a pseudonym.

    Raises:
        PublishError: The customer was erased, or nobody is called so.
    """
    if asked.startswith(PSEUDONYM):
        called = Pseudonyms.of(store.storage)
        found = next((one for one in _customers(store) if called.of_customer(one) == asked), None)
        if found is None:
            raise PublishError(
                "no customer is called so",
                where=asked,
                todo="Take a pseudonym from a run's report, of the same data root",
            )
        return found
    if Suppression.of(store.storage).matches([asked]):
        raise PublishError(
            "the customer was erased: nothing is held that could be explained",
            where=asked,
            todo="Confirm the erasure; the runs of `erase` say when it was done",
        )
    return asked


def gather(
    store: TableStore,
    customer: str,
    run_date: date,
    versions: Sequence[RegisteredVersion],
    decisions: Sequence[Decision],
) -> Explanation:
    """What is published of a customer, and how the newest decision up to a day came about.

    Args:
        store: The data set's published tables.
        customer: The customer.
        run_date: The decision is that of this day, or the last before it.
        versions: Versions of the churn model.
        decisions: Who became champion, oldest first.

    Raises:
        PublishError: Nothing is published, or nothing of this customer.
    """
    silver = store.read(Publication(layer="silver", name="silver"), made_by="silver")
    kept = [one for one in (_kept(store, silver, name, customer) for name in _personal(silver)) if one is not None]
    if not kept:
        raise PublishError(
            f"holds nothing of the customer {customer!r}",
            where=str(silver.publication),
            todo="Check the identifier as the retailer writes it; an erased customer is not held either",
        )
    publication = store.newest("gold", RECOMMENDATIONS.name, run_date)
    manifest = None if publication is None else store.find(publication)
    row = None if manifest is None else _row(store, manifest, RECOMMENDATIONS.name, customer)
    model = None
    if row is not None:
        model = _model(str(row["model_version"]), str(row["model_digest"]), versions, decisions)
    trained = store.find(Publication(layer="gold", name=TRAINED_ON))
    learned = 0 if trained is None else sum(len(_of(store, trained, name, customer)) for name in _personal(trained))
    return Explanation(
        customer=customer,
        delivered=silver.tags["bronze_run_date"],
        files=_raw_files(store, silver.tags["bronze_run_date"]),
        kept=kept,
        derived={name: days for name in DERIVED if (days := _dates(store, name, customer))},
        learned_from=learned,
        decision=row,
        segment=_segment(store, row),
        model=model,
        run_id="" if manifest is None or row is None else manifest.run_id,
    )


def _raw_files(store: TableStore, delivered: str) -> int:
    """Raw files that the landing of a run date was made of."""
    landing = store.find(Publication(layer="bronze", name="ingest", partition=f"run_date={delivered}"))
    return 0 if landing is None else len(landing.inputs)


def _customers(store: TableStore) -> Iterable[str]:
    """All customers that silver has."""
    silver = store.read(Publication(layer="silver", name="silver"), made_by="silver")
    seen: set[str] = set()
    for name in _personal(silver):
        for file in store.files(silver, name):
            column = pq.read_table(file, columns=[CUSTOMER], partitioning=None)[CUSTOMER]
            seen.update(str(one) for one in pc.unique(column).to_pylist())
    return seen


def _personal(manifest: Manifest) -> list[str]:
    """Tables with rows by customer."""
    return [name for name, table in manifest.tables.items() if CUSTOMER in table.columns and name not in NOT_DATA]


def _of(store: TableStore, manifest: Manifest, name: str, customer: str) -> pa.Table:
    return pa.concat_tables(
        [
            pq.read_table(file, partitioning=None, filters=[(CUSTOMER, "=", customer)])
            for file in store.files(manifest, name)
        ],
        promote_options="permissive",
    )


def _row(store: TableStore, manifest: Manifest, name: str, customer: str) -> Mapping[str, Any] | None:
    rows = _of(store, manifest, name, customer).to_pylist()
    return rows[0] if rows else None


def _kept(store: TableStore, manifest: Manifest, name: str, customer: str) -> Kept | None:
    rows = _of(store, manifest, name, customer)
    if not len(rows):
        return None
    event = next((one.event_time for one in SILVER_TABLES if one.name == name), None)
    first, last = _bounds(rows, event)
    known, _ = _bounds(rows, "known_at")
    return Kept(name, len(rows), first, last, known)


def _bounds(rows: pa.Table, column: str | None) -> tuple[date | None, date | None]:
    if column is None or column not in rows.column_names:
        return None, None
    found = pc.min_max(rows[column]).as_py()
    return _day(found["min"]), _day(found["max"])


def _day(moment: date | datetime | None) -> date | None:
    return moment.date() if isinstance(moment, datetime) else moment


def _dates(store: TableStore, name: str, customer: str) -> list[str]:
    """Dates for which something was computed of a customer."""
    found = []
    for publication in store.partitions("gold", name):
        manifest = store.find(publication)
        if manifest is None or store.missing_files(manifest):
            continue
        if any(len(_of(store, manifest, one, customer)) for one in _by_customer(manifest.tables)):
            found.append(publication.value)
    return found


def _by_customer(tables: Mapping[str, PublishedTable]) -> list[str]:
    return [name for name, table in tables.items() if CUSTOMER in table.columns][:1]


def _segment(store: TableStore, row: Mapping[str, Any] | None) -> dict[str, str]:
    if row is None or not row["segment"]:
        return {}
    manifest = store.find(segments_at(_day(row["as_of"]) or row["as_of"]))
    if manifest is None or store.missing_files(manifest):
        return {"en": str(row["segment_name"]), "es": str(row["segment_name"])}
    for file in store.files(manifest, SEGMENT_SUMMARY.name):
        for one in pq.read_table(file, partitioning=None).to_pylist():
            if one["segment_id"] == row["segment"]:
                return {"en": str(one["name_en"]), "es": str(one["name_es"])}
    return {}


def _model(
    version: str, digest: str, versions: Sequence[RegisteredVersion], decisions: Sequence[Decision]
) -> ModelFacts:
    found = next((one for one in versions if one.version.digest == digest and one.version.version == version), None)
    came = [one for one in decisions if one.after == version and one.action in SWITCHES and one.state == "done"]
    tags = {} if found is None else found.version.tags
    return ModelFacts(
        version=version,
        digest=digest,
        registered="" if found is None else found.created_at,
        decision=came[-1] if came else None,
        reviewers={name: value for name, value in tags.items() if "review" in name or "approved" in name},
    )
