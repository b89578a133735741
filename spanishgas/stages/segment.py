"""Stage `segment`: customers of a date in groups that keep their identity from one refresh to the next."""

import json
from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd
from pydantic import BaseModel, ConfigDict

from spanishgas.config import SegmentationSettings, Settings
from spanishgas.contracts import Contract
from spanishgas.contracts.gold import (
    CHURN_TRAINING_DATASET,
    CUSTOMER_FEATURES,
    SEGMENT_PROFILES,
    SEGMENT_SUMMARY,
    SEGMENTS,
)
from spanishgas.engine.store import Manifest, TableStore, read_json
from spanishgas.errors import PublishError
from spanishgas.registry import ModelRegistry
from spanishgas.segmentation import SegmentModel, refresh
from spanishgas.segmentation.profiles import MARGIN
from spanishgas.stages.base import Build, LandedFile, PlainStage, Product, Report, Request, Target, Workspace
from spanishgas.stages.features import STAGE as FEATURES
from spanishgas.stages.places import features_at, segments_at
from spanishgas.stages.training_set import TRAINING_SET
from spanishgas.training.sampling import are_alike

PARTITION = "asof_date"
MODEL = "segment_model"
FILE = "segments.json"
CONTRACTS: dict[str, Contract] = {table.name: table for table in (SEGMENTS, SEGMENT_PROFILES, SEGMENT_SUMMARY)}


class SegmentSettings(BaseModel):
    """What the segments of one date depend on beside the tables."""

    model_config = ConfigDict(frozen=True)

    as_of: date
    segmentation: SegmentationSettings


class Segment(PlainStage):
    """One partition per `as_of`; each date begins where the newest date before it stood."""

    name = "segment"
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The date."""
        return {"as_of": max(settings.as_of).isoformat()}

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        """The features of the date; of several dates, each earlier one first, as a run of its own."""
        earlier = [
            Request(self, settings.model_copy(update={"as_of": (day,)})) for day in sorted(set(settings.as_of))[:-1]
        ]
        calm = settings.model_copy(update={"as_of": (max(settings.as_of),), "force": False})
        return [*earlier, Request(FEATURES, calm, if_stale=True)]

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The last of the dates.

        Raises:
            PublishError: Its features are not published.
        """
        day = max(settings.as_of)
        features = store.read(features_at(day), made_by=f"features -P as_of={day}")
        manifests: dict[str, Manifest] = {"features": features}
        inputs = {"features": features.tables[CUSTOMER_FEATURES.name].content_hash}
        before = None if settings.segmentation.restart else _before(store, day, settings.segmentation)
        if before is not None:
            manifests["before"] = before
            inputs["before"] = before.content_hash
        training = store.find(TRAINING_SET)
        if training is not None and not store.missing_files(training):
            manifests["training_set"] = training
            inputs["training_set"] = training.content_hash
        view = SegmentSettings(as_of=day, segmentation=settings.segmentation)
        return [Target(segments_at(day), view, inputs, manifests)]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Fits or refits."""
        (target,) = targets
        view = target.settings
        assert isinstance(view, SegmentSettings)
        engine, store = workspace.engine, workspace.store
        wanted = list(dict.fromkeys([*view.segmentation.features, MARGIN]))

        def read(name: str, table: str, *columns: str) -> pd.DataFrame:
            rows = engine.scan(store.files(target.manifests[name], table))
            chosen = [column for column in ("customer_id", "as_of", *columns) if column in rows.columns]
            return engine.frame(rows.select(*chosen).order_by("as_of", "customer_id"))

        workspace.progress("reading features")
        table = read("features", CUSTOMER_FEATURES.name, *wanted)
        past = None
        if "training_set" in target.manifests:
            past = read("training_set", CHURN_TRAINING_DATASET.name, *wanted, "left_horizon", "sampled")
            past = past[past["left_horizon"].notna() & are_alike(past)]
        previous, before = None, None
        if "before" in target.manifests:
            previous = model_of(store, target.manifests["before"])
            before = read("before", SEGMENTS.name, "segment_id")
        workspace.progress(f"grouping {len(table):,} customers")
        found = refresh(table, view.segmentation, previous=previous, before=before, past=past)
        file = workspace.drafts[target.publication] / FILE
        file.write_text(json.dumps(found.model.state, indent=1) + "\n", encoding="utf-8")
        as_of = pd.Timestamp(view.as_of)
        product = Product(
            tables={
                SEGMENTS.name: found.assigned,
                SEGMENT_PROFILES.name: found.profiles.assign(as_of=as_of)[list(SEGMENT_PROFILES.column_names)],
                SEGMENT_SUMMARY.name: found.summary.assign(as_of=as_of)[list(SEGMENT_SUMMARY.column_names)],
            },
            contracts=CONTRACTS,
            landed={MODEL: [LandedFile.of(file, file.parent)]},
            metrics=found.metrics,
            tags={"before": target.manifests["before"].publication.value if previous is not None else "none"},
        )
        report = Report(
            markdown=found.report,
            figures=found.figures,
            texts={
                "tables/segments.csv": found.summary.to_csv(index=False),
                "tables/profiles.csv": found.profiles.to_csv(index=False),
            },
            headline=found.headline,
        )
        return Build({target.publication: product}, report)


def model_of(store: TableStore, manifest: Manifest) -> SegmentModel:
    """The published segments as something that new customers can be put into.

    Raises:
        PublishError: The file cannot be read.
    """
    (file,) = store.files(manifest, MODEL)
    state = read_json(file)
    if state is None:
        raise PublishError("the segments cannot be read", where=str(file), todo="Run `segment` again")
    return SegmentModel.restore(state)


def _before(store: TableStore, day: date, settings: SegmentationSettings) -> Manifest | None:
    """The newest segments before a date, if a refresh can go on from them: same features and, if asked for, count."""
    earlier = [one for one in store.partitions("gold", "segments") if one.value < day.isoformat()]
    for publication in reversed(earlier):
        manifest = store.find(publication)
        if manifest is None or store.missing_files(manifest):
            continue
        model = model_of(store, manifest)
        same = {*model.features, *model.left_out} == set(settings.features)
        return manifest if same and settings.count in (None, len(model.ids)) else None
    return None


STAGE = Segment()
