"""Stage `promote`: who becomes champion, by gates on frozen rows; rollback; history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import BaseModel, ConfigDict

from spanishgas.config import GateSettings, PromotionSettings, Settings
from spanishgas.contracts.gold import CHURN_TRAINING_DATASET, PROMOTION_FIGURES, PROMOTION_GATES, PROMOTION_SCORES
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.errors import PromotionError
from spanishgas.features import declared
from spanishgas.registry import (
    CHALLENGER,
    CHAMPION,
    JUDGED_TAG,
    LEARNED_TAG,
    Decision,
    ModelRegistry,
    ModelVersion,
    RunLog,
    Verdict,
    same_as,
)
from spanishgas.registry.validation import unmet
from spanishgas.stages.base import Build, LandedFile, PlainStage, Product, Report, Request, Target, Workspace
from spanishgas.stages.churn_models import (
    BASELINE,
    fetch_model,
    read_rows,
    registered_name,
    with_all_windows,
)
from spanishgas.stages.features import declared_extras
from spanishgas.stages.refits import deployed, judged_for, write_refit
from spanishgas.stages.segment import model_of
from spanishgas.stages.training_set import STAGE as TRAINING_SET_STAGE
from spanishgas.stages.training_set import TRAINING_SET

if TYPE_CHECKING:
    from spanishgas.models.contest import Contest
    from spanishgas.models.gates import Gate

FILES = "comparison"
REPORT, CURVES, GROUPS, GATES = "report.md", "curves.png", "groups.csv", "gates.json"
SEGMENT = "segment"
# Of a refit the version that was judged in its place is compared; the one in use is named beside it.
USED, JUDGED = "used ", "judged "
SHORT = 8
TABLES = (PROMOTION_SCORES, PROMOTION_FIGURES, PROMOTION_GATES)


class PromoteSettings(BaseModel):
    """What a comparison depends on beside the models and the rows."""

    model_config = ConfigDict(frozen=True)

    gates: GateSettings
    replicates: int
    groups: tuple[str, ...]
    horizon_days: int
    is_temporal: bool
    declared: dict[str, str]
    refit: bool
    is_forced: bool


@dataclass(frozen=True)
class Promote(PlainStage):
    """Publishes the comparison of two models once; every run times the challenger and decides, cached or not."""

    name: str = "promote"
    module: str = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """What is to be done."""
        return {"action": settings.promotion.action, "mode": settings.promotion.mode}

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        """The training set that the frozen rows are taken from."""
        if settings.promotion.action != "promote":
            return ()
        return [Request(TRAINING_SET_STAGE, settings.model_copy(update={"force": False}), if_stale=True)]

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The comparison of the candidate with the champion; nothing where the candidate is the champion.

        Raises:
            PromotionError: There is no candidate.
            PublishError: The training set is not published.
        """
        if settings.promotion.action != "promote":
            return ()
        name, wanted = registered_name(settings), settings.promotion
        challenger = find_candidate(settings, models)
        champion = models.with_alias(name, CHAMPION)
        if champion is not None and _is_champion(challenger, champion, wanted):
            return ()
        actual = {CHALLENGER: challenger} if champion is None else {CHALLENGER: challenger, CHAMPION: champion}
        contenders = {role: judged_for(models, one) for role, one in actual.items()}
        baseline = models.with_alias(name, BASELINE)
        if baseline is not None and baseline.digest not in {one.digest for one in contenders.values()}:
            contenders[BASELINE] = baseline
        training = store.read(TRAINING_SET, made_by="training_set")
        manifests = {"training_set": training}
        inputs = {role: one.digest for role, one in {**contenders, **actual}.items()}
        for role, one in actual.items():
            if contenders[role].digest != one.digest:
                inputs[JUDGED + role] = contenders[role].digest
                contenders[USED + role] = one
        inputs["training_set"] = training.content_hash
        segments = _newest_segments(store)
        if segments is not None:
            manifests["segments"] = segments
            inputs["segments"] = segments.content_hash
        features = declared(settings.features.families, declared_extras(settings))
        view = PromoteSettings(
            gates=settings.promotion.gates,
            replicates=settings.evaluation.replicates,
            groups=settings.evaluation.groups,
            horizon_days=settings.labels.horizon_days,
            is_temporal=settings.labels.kind == "dated",
            declared={one.name: "string" if one.type == "string" else "double" for one in features},
            refit=wanted.refit and JUDGED_TAG not in challenger.tags,
            is_forced=wanted.refit and wanted.mode == "force",
        )
        return [Target(_contest_of(challenger, champion), view, inputs, manifests, contenders)]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Compares and sends the challenger through the gates."""
        from spanishgas.models.contest import Contender, hold
        from spanishgas.models.contest_report import figures_rows, metrics_of
        from spanishgas.models.gates import pass_gates, table_of

        (target,) = targets
        view = target.settings
        assert isinstance(view, PromoteSettings)
        workspace.progress("reading the frozen rows")
        table = read_rows(
            workspace.engine, workspace.store, target.manifests["training_set"], CHURN_TRAINING_DATASET.name
        )
        roles = {role: version for role, version in target.models.items() if not role.startswith(USED)}
        workspace.progress(f"comparing {len(roles)} models")
        with TemporaryDirectory() as folder:
            contenders = [
                Contender(role, _label(target, role), *fetch_model(workspace.models, version, Path(folder)))
                for role, version in roles.items()
            ]
        contest = hold(
            contenders,
            table,
            horizon_days=view.horizon_days,
            is_temporal=view.is_temporal,
            groups=_groups(table, view.groups, workspace.store, target.manifests.get("segments")),
            replicates=view.replicates,
            learned_until=_learned_until(target, table, view),
        )
        taken = contenders[0].model.facts.get("types", {})
        needed = {name: "string" if kind == "string" else "double" for name, kind in taken.items()}
        gates = pass_gates(
            contest, view.gates, produced=_produced(view.declared, needed, table), needed=needed, validate=unmet
        )
        draft = workspace.drafts[target.publication]
        landed: dict[str, list[LandedFile]] = {FILES: _write(draft / FILES, contest, gates)}
        if view.refit and (view.is_forced or all(one.state != "failed" for one in gates)):
            workspace.progress("refitting on all rows")
            judged, training = contenders[0].model, target.manifests["training_set"]
            landed |= write_refit(
                draft, workspace.models, roles[CHALLENGER], judged, table, training, threads=workspace.engine.threads
            )
        product = Product(
            tables={
                PROMOTION_SCORES.name: with_all_windows(contest.scores, PROMOTION_SCORES),
                PROMOTION_FIGURES.name: figures_rows(contest),
                PROMOTION_GATES.name: table_of(gates),
            },
            contracts={table.name: table for table in TABLES},
            landed=landed,
            metrics=metrics_of(contest),
            tags={"rows_digest": contest.rows_digest, "compared_with": contest.labels.get(CHAMPION, "none")},
        )
        return Build({target.publication: product}, Report(markdown=""))

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Decides, or goes back, or tells the history.

        Raises:
            PromotionError: Another was faster, or there is nothing to go back to.
        """
        wanted, name = settings.promotion, registered_name(settings)
        if wanted.action == "history":
            return _tell_history(run, name)
        report = ""
        if wanted.action == "rollback":
            decision = run.champions.rollback(run.id, name, wanted.reason, dry=wanted.mode == "dry_run")
        else:
            verdict, report = _judge(settings, store, manifests, run)
            if manifests and wanted.mode != "dry_run":
                verdict = deployed(store, manifests[0], run, verdict)
            decide = run.champions.foretell if wanted.mode == "dry_run" else run.champions.decide
            decision = decide(run.id, verdict)
        _tell(run, store, manifests, decision, report)
        if decision.action == "conflict":
            raise PromotionError(decision.sentence.rstrip("."), where=f"models:/{name}@{CHAMPION}")
        return f"{name}: {decision.sentence}"


def find_candidate(settings: Settings, models: ModelRegistry) -> ModelVersion:
    """The version that wants to become champion; the champion where nobody challenges it.

    Raises:
        PromotionError: There is none.
    """
    name, wanted = registered_name(settings), settings.promotion.candidate
    found = models.with_number(name, wanted) if wanted.isdigit() else models.with_alias(name, wanted)
    if found is None and wanted == CHALLENGER:
        found = models.with_alias(name, CHAMPION)
    if found is None:
        raise PromotionError(
            f"there is no version {wanted}" if wanted.isdigit() else f"no version has the alias {wanted!r}",
            where=f"models:/{name}",
            todo="Run `train` first: it registers a version and makes it challenger",
        )
    return found


def _is_champion(candidate: ModelVersion, champion: ModelVersion, wanted: PromotionSettings) -> bool:
    """Whether a candidate decides already, in its own files or refitted."""
    return candidate.digest in (same_as(champion) if wanted.refit else (champion.digest,))


def _label(target: Target, role: str) -> str:
    """What readers know a contender by."""
    judged, used = target.models[role], target.models.get(USED + role)
    return f"v{judged.version}" if used is None else f"v{used.version} (judged as v{judged.version})"


def _learned_until(target: Target, table: pd.DataFrame, view: PromoteSettings) -> dict[str, date]:
    """Role -> youngest row that the version for use learns from: champion as it is, challenger as it would become."""
    used = {role: target.models.get(USED + role, target.models.get(role)) for role in (CHALLENGER, CHAMPION)}
    found = {role: one.tags[LEARNED_TAG] for role, one in used.items() if one is not None and LEARNED_TAG in one.tags}
    if view.refit:
        windows = [name for name in table.columns if name.startswith("left_")]
        found[CHALLENGER] = str(table.loc[table[windows].notna().any(axis=1), "as_of"].max())[:10]
    return {role: date.fromisoformat(day) for role, day in found.items()}


def _contest_of(challenger: ModelVersion, champion: ModelVersion | None) -> Publication:
    against = "none" if champion is None else champion.digest[:SHORT]
    return Publication(layer="gold", name="promotion", partition=f"contest={challenger.digest[:SHORT]}-{against}")


def _newest_segments(store: TableStore) -> Manifest | None:
    for publication in reversed(store.partitions("gold", "segments")):
        manifest = store.find(publication)
        if manifest is not None and not store.missing_files(manifest):
            return manifest
    return None


def _groups(
    table: pd.DataFrame, features: Sequence[str], store: TableStore, segments: Manifest | None
) -> dict[str, Sequence[object]]:
    groups: dict[str, Sequence[object]] = {name: list(table[name]) for name in features if name in table.columns}
    if segments is not None:
        model = model_of(store, segments)
        if set(model.features) <= set(table.columns):
            groups[SEGMENT] = list(model.assign(table))
    return groups


def _produced(declared: Mapping[str, str], needed: Mapping[str, str], table: pd.DataFrame) -> dict[str, str]:
    """Types of the features that are made now; one of words without any word is of whatever type is needed."""

    def has_words(name: str) -> bool:
        return name in table.columns and bool(table[name].notna().any())

    return {
        name: needed.get(name, kind) if kind == "string" and not has_words(name) else kind
        for name, kind in declared.items()
    }


def _write(folder: Path, contest: "Contest", gates: Sequence["Gate"]) -> list[LandedFile]:
    from spanishgas.evaluation.drawing import write_figure
    from spanishgas.models.contest_report import render
    from spanishgas.models.gates import to_json

    folder.mkdir(parents=True)
    (folder / REPORT).write_text(render(contest), encoding="utf-8")
    (folder / GATES).write_text(to_json(gates), encoding="utf-8")
    contest.groups.to_csv(folder / GROUPS, index=False)
    if contest.curves is not None:
        write_figure(contest.curves, folder / CURVES)
    return [LandedFile.of(file, folder) for file in sorted(folder.iterdir())]


def _judge(settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> tuple[Verdict, str]:
    """What the comparison and this run's own timing say of the candidate, and the report on it."""
    from spanishgas.models.contest_report import render_gates
    from spanishgas.models.gates import from_json, reason_of, table_of

    name, wanted = registered_name(settings), settings.promotion
    if not manifests:  # the candidate was champion when the run began
        candidate = find_candidate(settings, run.models)
        champion = run.models.with_alias(name, CHAMPION)
        if champion is not None and _is_champion(candidate, champion, wanted):
            candidate = champion
        return Verdict(candidate, candidate.digest, passed=False, reason="It was champion already."), ""
    (manifest,) = manifests
    found = run.models.with_digest(name, manifest.inputs[CHALLENGER])
    if found is None:
        raise PromotionError("the candidate is no longer registered", where=f"models:/{name}", todo="Run `train` again")
    files = _files(store, manifest)
    gates, speed = _timed(from_json(files[GATES].read_text(encoding="utf-8")), wanted.gates, run, found)
    failed = tuple(one.name for one in gates if one.state == "failed")
    reason = reason_of(gates, manifest.tags["compared_with"])
    run.log_metrics({**{f"{CHALLENGER}_{key}": value for key, value in speed.items()}, "gates_failed": len(failed)})
    run.set_tags(
        {
            "gates": "failed" if failed else "passed",
            "gates_reason": reason,
            **({"failed_gates": ", ".join(failed)} if failed else {}),
        }
    )
    run.log_text(table_of(gates).to_csv(index=False), "tables/gates.csv")
    given = f"{wanted.reason.strip().rstrip('.')}. " if wanted.reason.strip() else ""
    verdict = Verdict(
        candidate=found,
        compared_with=manifest.inputs.get(CHAMPION, ""),
        passed=not failed,
        reason=given + reason,
        failed=failed,
        forced=wanted.mode == "force",
    )
    return verdict, f"{render_gates(gates)}\n{files[REPORT].read_text(encoding='utf-8')}"


def _timed(
    gates: list["Gate"], limits: GateSettings, run: RunLog, candidate: ModelVersion
) -> tuple[list["Gate"], dict[str, float]]:
    """The gates with this run's own timing of the candidate, where it could be compared at all."""
    from spanishgas.models.contest import time_scoring
    from spanishgas.models.gates import FAST, with_speed

    if all(one.name != FAST for one in gates):
        return gates, {}
    with TemporaryDirectory() as folder:
        model, size = fetch_model(run.models, candidate, Path(folder))
    speed = {**time_scoring(model), "size_mib": size / 2**20}
    return with_speed(gates, speed, limits, unmet), speed


def _files(store: TableStore, manifest: Manifest) -> dict[str, Path]:
    """What was published beside the tables, by name."""
    landed = manifest.tables[FILES].files
    return {str(one.origin): file for file, one in zip(store.files(manifest, FILES), landed, strict=True)}


def _name_of(decision: Decision) -> str:
    """Name of the run that decided."""
    went, candidate = str(decision.action), f" v{decision.candidate}"
    if went == "rolled back":
        went, candidate = f"rolled back to v{decision.after}", ""
    if decision.state == "dry run":
        went = f"dry run, would be {went}"
    return f"promote{candidate}: {went}"


def _tell(run: RunLog, store: TableStore, manifests: Sequence[Manifest], decision: Decision, report: str) -> None:
    """The decision and the comparison on the run's page, as report and files."""
    run.rename(_name_of(decision))
    run.log_text(pd.Series(decision.tags).to_json(indent=1), "decision.json")
    for manifest in manifests:
        for name, file in _files(store, manifest).items():
            if name not in (REPORT, GATES):
                run.log_file(file, "figures" if name == CURVES else "tables", name)
    text = "\n".join([f"# {decision.model}: {decision.action}", "", decision.sentence, "", report])
    run.log_text(text, "report.md")
    run.describe(text)


def _tell_history(run: RunLog, name: str) -> str:
    run.rename("promote history")
    history = run.champions.history(name)
    if not history:
        return f"{name}: nothing has been decided yet"
    table = pd.DataFrame([{"what": one.sentence, "run_id": one.run_id, **one.tags} for one in history])
    run.log_text(table.to_csv(index=False), "tables/history.csv")
    lines = [f"{one.minute}  {one.by}  {one.sentence}  (run {one.run_id})" for one in history]
    text = f"# Who was champion of {name}\n\n" + "\n".join(f"- {line}" for line in lines) + "\n"
    run.log_text(text, "report.md")
    run.describe(text)
    return f"{name}, {len(history)} decisions:\n" + "\n".join(f"  {line}" for line in lines)


STAGE = Promote()
