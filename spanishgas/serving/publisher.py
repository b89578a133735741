"""What a server serves, from the registry and the published tables: resolved, fetched, laid out for look-ups.

One process does this for all workers, so that none of them needs MLflow, and the files are mapped by all.
"""

import hashlib
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq

from spanishgas.config import TrackingSettings
from spanishgas.contracts.decisions import DECISION_STANDING, RECOMMENDATION_LIMITS, RECOMMENDATIONS
from spanishgas.contracts.gold import CUSTOMER_FEATURES, SEGMENTS
from spanishgas.domain.survival import OUTLOOK
from spanishgas.engine.keyed import FORMAT, KeyedTable, build_keyed
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.errors import PromotionError, PublishError
from spanishgas.models.files import LOADER, ChurnModel, digest_of
from spanishgas.policy.recommendations import limit_names
from spanishgas.policy.terms import Terms
from spanishgas.registry import CHAMPION, ModelRegistry, ModelVersion, Tracker
from spanishgas.serving.descriptor import FILE, Descriptor, ServedDate, ServedRun, left_by_newest
from spanishgas.serving.settings import ServingSettings
from spanishgas.stages.places import TERMS, features_at, segments_at

UNUSED_SECONDS = 3600.0
DECISION_COLUMNS = (
    "risk_score",
    "risk_bucket",
    "segment",
    "segment_name",
    "action",
    "channel",
    "timing_window",
    "expected_margin_impact",
    "expected_spend",
    "p_accept",
    "reason_codes",
    "veto_codes",
    "is_held_out",
    *OUTLOOK,
)
FEATURE_KEYS = ("customer_id", "as_of")


class Publisher:
    """Keeps the descriptor of what is served up to date.

    Args:
        settings: The server's settings.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings
        self._store = TableStore(settings.root)
        tracking = TrackingSettings(uri=settings.tracking_uri, artifacts=Path("mlruns"), experiment="spanishgas")
        self._tracker = Tracker(tracking)
        self.file = settings.cache_folder / FILE
        self._checked: dict[Path, list[tuple[str, int, int]]] = {}

    @property
    def _models(self) -> ModelRegistry:
        return ModelRegistry(self._tracker.client)

    def publish(self) -> Descriptor:
        """Makes what is to be served now ready and puts its descriptor in place.

        Raises:
            PromotionError: There is no champion.
            PublishError: There are no features.
            SpanishGasError: A part cannot be read.
        """
        version = self._models.with_alias(self._settings.model_name, CHAMPION)
        if version is None:
            raise PromotionError(
                "there is no champion",
                where=f"models:/{self._settings.model_name}@{CHAMPION}",
                todo="Run `promote`, or `make demo`",
            )
        runs = self._runs()
        dates = self._dates([run.as_of for run in runs])
        descriptor = Descriptor(
            model_name=version.name,
            model_version=version.version,
            model_digest=version.digest,
            model_files=self._model(version),
            dates=dates,
            runs=runs,
        )
        if Descriptor.read(self.file) != descriptor:
            descriptor.write(self.file)
            self._forget(descriptor)
        return descriptor

    def _model(self, version: ModelVersion) -> Path:
        folder = self._settings.cache_folder / "models" / version.digest[:16]
        if folder.is_dir():
            state = sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in folder.iterdir())
            if self._checked.get(folder) == state or digest_of(folder) == version.digest:
                self._checked[folder] = state
                return folder.resolve()
            shutil.rmtree(folder)  # damaged since it was fetched
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as draft:
            files = self._models.fetch(version, Path(draft), loader=LOADER, digest=digest_of)
            ChurnModel.load(files)
            with suppress(FileExistsError):  # another was faster
                files.rename(folder)
        return folder.resolve()

    def _runs(self) -> tuple[ServedRun, ...]:
        found = []
        for publication in self._store.partitions("gold", "recommendations")[-self._settings.runs :]:
            manifest = self._store.find(publication)
            # What a run of an earlier release decided cannot be served with what it rests on.
            if manifest is not None and _is_of_this_release(manifest) and not self._store.missing_files(manifest):
                found.append(self._run(manifest, date.fromisoformat(publication.value)))
        return left_by_newest(found)

    def _run(self, manifest: Manifest, run_date: date) -> ServedRun:
        decisions = self._keyed(manifest, RECOMMENDATIONS.name, DECISION_COLUMNS)
        terms_hash = manifest.tables[TERMS].content_hash
        terms = self._settings.cache_folder / "terms" / f"{_short(terms_hash)}.json"
        if not terms.is_file():
            terms.parent.mkdir(parents=True, exist_ok=True)
            draft = terms.with_suffix(".draft")
            shutil.copyfile(self._store.files(manifest, TERMS)[0], draft)
            draft.replace(terms)
        told = Terms.load(terms)
        files = self._store.files(manifest, RECOMMENDATION_LIMITS.name)
        limits = [row for file in files for row in pq.read_table(file, partitioning=None).to_pylist()]
        by_name = {row["limit"]: row for row in limits}
        order = [by_name[name] for name in limit_names(told.settings)]
        table = KeyedTable.open(decisions)
        risks = table.numbers[:, table.number_names.index("risk_score")]
        high, medium = told.settings.risk_buckets
        edges = np.quantile(risks, [1 - high, 1 - medium]) if len(risks) else (1.0, 1.0)
        return ServedRun(
            run_date=run_date,
            as_of=told.basis.as_of,
            features_hash=manifest.inputs["features"],
            decisions=decisions,
            standing=self._keyed(manifest, DECISION_STANDING.name),
            terms=terms.resolve(),
            prices=tuple(float(row["price_eur"]) for row in order),
            left=tuple(None if row["period_left"] is None else float(row["period_left"]) for row in order),
            period_start=order[0]["period_start"].date(),
            valid_until=order[0]["valid_until"].date(),
            risk_edges=(float(edges[0]), float(edges[1])),
        )

    def _dates(self, decided: Iterable[date]) -> tuple[ServedDate, ...]:
        published = [date.fromisoformat(one.value) for one in self._store.partitions("gold", "features")]
        wanted = sorted({*published[-self._settings.dates :], *(set(published) & set(decided))})
        found = []
        for day in wanted:
            manifest = self._store.find(features_at(day))
            if manifest is None or self._store.missing_files(manifest):
                continue
            columns = [name for name in manifest.tables[CUSTOMER_FEATURES.name].columns if name not in FEATURE_KEYS]
            segments = self._store.find(segments_at(day))
            has_segments = segments is not None and not self._store.missing_files(segments)
            found.append(
                ServedDate(
                    as_of=day,
                    features_hash=manifest.tables[CUSTOMER_FEATURES.name].content_hash,
                    features=self._keyed(manifest, CUSTOMER_FEATURES.name, columns),
                    segments=self._keyed(segments, SEGMENTS.name, ("segment_id", "segment_name"))
                    if has_segments and segments is not None
                    else None,
                )
            )
        if not found:
            raise PublishError(
                "no features are published", where=self._store.where("gold"), todo="Run `features`, or `make demo`"
            )
        return tuple(found)

    def _keyed(self, manifest: Manifest, table: str, columns: Sequence[str] | None = None) -> Path:
        """The folder of a published table as the workers read it; made where it is not there."""
        # The schema is part of the name: the same rows under another release may have other columns.
        told = f"{FORMAT} {table} {manifest.tables[table].content_hash} {columns}"
        folder = self._settings.cache_folder / "tables" / f"{table}-{_short(told)}"
        return build_keyed(self._store.files(manifest, table), folder, columns).resolve()

    def _forget(self, kept: Descriptor) -> None:
        """Removes what is not served any more, some time after it was made: workers may still be at it."""
        used = {kept.model_files, *(one.features for one in kept.dates), *(one.segments for one in kept.dates)}
        used |= {path for run in kept.runs for path in (run.decisions, run.standing, run.terms)}
        for kind in ("models", "tables", "terms"):
            for path in (self._settings.cache_folder / kind).glob("*"):
                if path.resolve() not in used and time.time() - path.stat().st_mtime > UNUSED_SECONDS:
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_of_this_release(manifest: Manifest) -> bool:
    told = {name: table.contract_version for name, table in manifest.tables.items()}
    wanted = (RECOMMENDATIONS, RECOMMENDATION_LIMITS, DECISION_STANDING)
    return TERMS in told and all(told.get(one.name) == one.version for one in wanted)
