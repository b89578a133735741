"""Stage `retrain_signal`: whether to train again, from what monitoring has published."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from pydantic import BaseModel, ConfigDict

from spanishgas.config import Settings, SignalSettings
from spanishgas.contracts.monitoring import DRIFT_CHECKS, RETRAIN_SIGNAL
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.errors import ModelFileError
from spanishgas.monitoring.signal import DriftPeriod, Evidence, Signal, decide, render_markdown
from spanishgas.registry import CHALLENGER, CHAMPION, ModelRegistry, ModelVersion, RunLog
from spanishgas.stages.base import Build, LandedFile, PlainStage, Product, Report, Target, Workspace
from spanishgas.stages.churn_models import CHAMPION_MODEL, fetch_baseline, registered_name
from spanishgas.stages.drift import drift_on
from spanishgas.stages.performance import performance_on
from spanishgas.stages.score import PARTITION
from spanishgas.stages.silver import SILVER
from spanishgas.stages.typed import typed

SIGNAL = "retrain_signal"
FILE = "retrain_signal.json"
EVENTS = "churn_events"
DRIFTS, PERFORMED = "drift.", "performance"
TRAINED_LAST = "trained_last"
YES, NO = "true", "false"


class RetrainSignalSettings(BaseModel):
    """What the signal depends on beside what is published."""

    model_config = ConfigDict(frozen=True)

    run_date: date
    signal: SignalSettings
    champion: str


class RetrainSignal(PlainStage):
    """One partition per run date. Reads what is published at or before it; makes nothing of it again."""

    name = SIGNAL
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The run date."""
        return {"run_date": settings.run_date.isoformat()}

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The signal of the run date.

        Raises:
            PublishError: Silver tables are not published.
        """
        name = registered_name(settings)
        champion = models.with_alias(name, CHAMPION)
        contenders = {} if champion is None else {CHAMPION_MODEL: champion}
        # Of a challenger that became champion and was rolled back, only its number tells that it was trained last.
        last = models.with_alias(name, CHALLENGER) or models.newest(name)
        if last is not None and (champion is None or last.digest != champion.digest):
            contenders[TRAINED_LAST] = last
        silver = store.read(SILVER, made_by="silver")
        manifests: dict[str, Manifest] = {"silver": silver}
        if champion is not None:
            periods = settings.monitoring.signal.drift_periods
            for found in _newest_periods(store, settings.run_date, champion, periods):
                manifests[DRIFTS + found.publication.value] = found
            performed = _newest(store, settings.run_date, champion)
            if performed is not None:
                manifests[PERFORMED] = performed
        inputs = {
            EVENTS: silver.tables[EVENTS].content_hash,
            **{key: one.content_hash for key, one in manifests.items() if key != "silver"},
            **{key: one.digest for key, one in contenders.items()},
        }
        signal = settings.monitoring.signal.model_copy(
            update={"obey": True, "exit_code": 0}
        )  # of the caller, no result
        view = RetrainSignalSettings(
            run_date=settings.run_date, signal=signal, champion="" if champion is None else champion.version
        )
        return [Target(signal_on(settings.run_date), view, inputs, manifests, contenders)]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Decides."""
        (target,) = targets
        view = target.settings
        assert isinstance(view, RetrainSignalSettings)
        signal = decide(_evidence(workspace, target, view), view.signal)
        champion = target.models.get(CHAMPION_MODEL)
        text = signal.to_json(view.run_date, view.champion)
        file = workspace.drafts[target.publication] / FILE
        file.write_text(text, encoding="utf-8")
        row = {
            "retrain": signal.retrain,
            "investigate": signal.investigate,
            "reasons": "|".join(signal.reasons),
            "held_back_by": signal.held_back_by,
            "model_version": view.champion,
            "model_digest": "" if champion is None else champion.digest,
            **{name: signal.facts.get(name) for name in ("model_age_days", "days_since_training", "new_leavers")},
            "evidence": json.dumps(dict(signal.facts), sort_keys=True),
        }
        product = Product(
            tables={RETRAIN_SIGNAL.name: typed(pd.DataFrame([row]), RETRAIN_SIGNAL, view.run_date)},
            contracts={RETRAIN_SIGNAL.name: RETRAIN_SIGNAL},
            landed={"signal": [LandedFile.of(file, file.parent)]},
            metrics={"retrain": float(signal.retrain), "investigate": float(signal.investigate)},
            tags=_tags(signal),
        )
        report = Report(markdown=render_markdown(signal, view.run_date, view.champion), headline=_headline(signal))
        return Build({target.publication: product}, report)

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Puts the signal on the run, cached or not, and the newest one where schedulers look."""
        (manifest,) = manifests
        (file,) = store.files(manifest, "signal")
        text = file.read_text(encoding="utf-8")
        run.log_text(text, FILE)
        if store.partitions("gold", SIGNAL)[-1] == manifest.publication:
            store.storage.put(f"gold/{FILE}", text.encode())
        return f"already published: {manifest.tags['retrain_in_words']}"


def signal_on(day: date) -> Publication:
    """Where the signal of a run date is published."""
    return Publication(layer="gold", name=SIGNAL, partition=f"{PARTITION}={day.isoformat()}")


def says_yes(manifest: Manifest) -> bool:
    """Whether a published signal says to train again."""
    return manifest.tags["retrain"] == YES


def _tags(signal: Signal) -> dict[str, str]:
    return {
        "retrain": YES if signal.retrain else NO,
        "retrain_reasons": "|".join(signal.reasons) or "none",
        "investigate": YES if signal.investigate else NO,
        "retrain_in_words": _headline(signal),
    }


def _headline(signal: Signal) -> str:
    verdict = "train again" if signal.retrain else "investigate" if signal.investigate else "nothing to do"
    return f"{verdict}: {'; '.join(signal.sentences)}"


def _newest_periods(store: TableStore, run_date: date, champion: ModelVersion, periods: int) -> list[Manifest]:
    """The last drift of each feature date, of this champion, newest dates first."""
    found: dict[str, Manifest] = {}
    for publication in reversed(store.partitions("gold", drift_on(run_date).name)):
        if publication.value > run_date.isoformat():
            continue
        manifest = store.find(publication)
        if manifest is None or store.missing_files(manifest) or manifest.tags["model_digest"] != champion.digest:
            continue
        found.setdefault(manifest.tags["as_of"], manifest)
    return [found[as_of] for as_of in sorted(found, reverse=True)[:periods]]


def _newest(store: TableStore, run_date: date, champion: ModelVersion) -> Manifest | None:
    """The newest judgement of this champion's own scores."""
    for publication in reversed(store.partitions("gold", performance_on(run_date).name)):
        if publication.value > run_date.isoformat():
            continue
        manifest = store.find(publication)
        if manifest is not None and not store.missing_files(manifest):
            return manifest if manifest.tags["model_digest"] == champion.digest else None
    return None


def _evidence(workspace: Workspace, target: Target, view: RetrainSignalSettings) -> Evidence:
    champion, last = target.models.get(CHAMPION_MODEL), target.models.get(TRAINED_LAST)
    if champion is None:
        return Evidence(view.run_date)
    learned, trained = _dates(workspace, champion), None if last is None else _dates(workspace, last)
    known = [one[1] for one in (learned, trained) if one is not None and one[1] is not None]
    performed = target.manifests.get(PERFORMED)
    own = performed is not None and performed.tags["performance_is_of_champion"] == YES
    state = "not published" if performed is None else performed.tags["performance"] if own else "unknown"
    alarms: list[str] = []
    if performed is not None and own and performed.tags["performance"] == "alarm":
        alarms = [performed.tags["performance_alarms"]]
    return Evidence(
        run_date=view.run_date,
        champion=view.champion,
        learned_until=None if learned is None else learned[0],
        trained_until=max(known, default=None),
        new_leavers=_new_leavers(workspace, target, view, None if learned is None else learned[1]),
        performance=alarms,
        performance_state=state,
        drift=[_period(workspace, one) for name, one in target.manifests.items() if name.startswith(DRIFTS)],
    )


def _dates(workspace: Workspace, version: ModelVersion) -> tuple[date, date | None] | None:
    """Last date that a model learned from, and the end of its data; None where that is not on record."""
    with TemporaryDirectory() as folder:
        try:
            baseline = fetch_baseline(workspace.models, version, Path(folder))
        except ModelFileError:
            return None
    return baseline.last_date, baseline.data_until


def _new_leavers(workspace: Workspace, target: Target, view: RetrainSignalSettings, since: date | None) -> int | None:
    """Leavers registered after the champion's data ended, until the run date."""
    if since is None:
        return None
    events = workspace.engine.scan(workspace.store.files(target.manifests["silver"], EVENTS))
    known = events.known_at.cast("date")
    new = events.filter(events.churn & (known > since) & (known <= view.run_date))
    return workspace.engine.integer(new.customer_id.nunique())


def _period(workspace: Workspace, manifest: Manifest) -> DriftPeriod:
    checks = workspace.engine.frame(workspace.engine.scan(workspace.store.files(manifest, DRIFT_CHECKS.name)))
    alarms = checks[(checks["state"] == "alarm") & checks["is_used"]]
    roots = checks[checks["role"] == "root"]
    return DriftPeriod(
        as_of=date.fromisoformat(manifest.tags["as_of"]),
        run_date=date.fromisoformat(manifest.publication.value),
        alarms=frozenset(alarms["check"] + ":" + alarms["subject"]),
        roots=tuple(sorted(roots["check"] + ":" + roots["subject"])),
        state=manifest.tags["drift"],
    )


STAGE = RetrainSignal()
