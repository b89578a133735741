"""Stage `promote`: who becomes champion, by gates on frozen rows; rollback; history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import BaseModel, ConfigDict

from spanishgas.config import GateSettings, Settings
from spanishgas.contracts.gold import CHURN_TRAINING_DATASET, PROMOTION_FIGURES, PROMOTION_GATES, PROMOTION_SCORES
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.errors import PromotionError
from spanishgas.features import declared
from spanishgas.registry import CHAMPION, Decision, ModelRegistry, ModelVersion, RunLog, Verdict
from spanishgas.registry.validation import unmet
from spanishgas.stages.base import Build, LandedFile, PlainStage, Product, Report, Request, Target, Workspace
from spanishgas.stages.churn_models import (
    BASELINE,
    CHALLENGER,
    fetch_model,
    read_rows,
    registered_name,
    with_all_windows,
)
from spanishgas.stages.features import declared_extras
from spanishgas.stages.segment import model_of
from spanishgas.stages.training_set import STAGE as TRAINING_SET_STAGE
from spanishgas.stages.training_set import TRAINING_SET

if TYPE_CHECKING:
    from spanishgas.models.contest import Contest

FILES = "comparison"
REPORT, CURVES, GROUPS = "report.md", "curves.png", "groups.csv"
SEGMENT = "segment"
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


@dataclass(frozen=True)
class Promote(PlainStage):
    """Publishes the comparison of two models once; the decision is taken in every run, cached comparison or not."""

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
        name = registered_name(settings)
        challenger = find_candidate(settings, models)
        champion = models.with_alias(name, CHAMPION)
        if champion is not None and champion.digest == challenger.digest:
            return ()
        contenders = {CHALLENGER: challenger}
        if champion is not None:
            contenders[CHAMPION] = champion
        baseline = models.with_alias(name, BASELINE)
        if baseline is not None and baseline.digest not in {one.digest for one in contenders.values()}:
            contenders[BASELINE] = baseline
        training = store.read(TRAINING_SET, made_by="training_set")
        manifests = {"training_set": training}
        inputs = {role: one.digest for role, one in contenders.items()}
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
        )
        return [Target(_contest_of(challenger, champion), view, inputs, manifests, contenders)]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Compares and sends the challenger through the gates."""
        from spanishgas.models.contest import Contender, hold
        from spanishgas.models.contest_report import figures_rows, metrics_of, render
        from spanishgas.models.gates import pass_gates, reason_of, table_of

        (target,) = targets
        view = target.settings
        assert isinstance(view, PromoteSettings)
        workspace.progress("reading the frozen rows")
        table = read_rows(
            workspace.engine, workspace.store, target.manifests["training_set"], CHURN_TRAINING_DATASET.name
        )
        workspace.progress(f"comparing {len(target.models)} models")
        with TemporaryDirectory() as folder:
            contenders = [
                Contender(role, f"v{version.version}", *fetch_model(workspace.models, version, Path(folder)))
                for role, version in target.models.items()
            ]
        contest = hold(
            contenders,
            table,
            horizon_days=view.horizon_days,
            is_temporal=view.is_temporal,
            groups=_groups(table, view.groups, workspace.store, target.manifests.get("segments")),
            replicates=view.replicates,
        )
        needed = dict(contenders[0].model.facts.get("types", {}))
        gates = pass_gates(
            contest, view.gates, produced=_produced(view.declared, needed, table), needed=needed, validate=unmet
        )
        failed = [one.name for one in gates if one.state == "failed"]
        files = _write(workspace.drafts[target.publication] / FILES, contest, render(contest, gates))
        product = Product(
            tables={
                PROMOTION_SCORES.name: with_all_windows(contest.scores, PROMOTION_SCORES),
                PROMOTION_FIGURES.name: figures_rows(contest),
                PROMOTION_GATES.name: table_of(gates),
            },
            contracts={table.name: table for table in TABLES},
            landed={FILES: files},
            metrics={**metrics_of(contest), "gates_failed": float(len(failed))},
            tags={
                "gates": "failed" if failed else "passed",
                "failed_gates": ", ".join(failed),
                "gates_reason": reason_of(contest, gates),
                "rows_digest": contest.rows_digest,
            },
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
        if wanted.action == "rollback":
            decision = run.champions.rollback(run.id, name, wanted.reason, dry=wanted.mode == "dry_run")
        else:
            verdict = _verdict(settings, manifests, run.models)
            decide = run.champions.foretell if wanted.mode == "dry_run" else run.champions.decide
            decision = decide(run.id, verdict)
        _tell(run, store, manifests, decision)
        if decision.action == "conflict":
            raise PromotionError(decision.sentence.rstrip("."), where=f"models:/{name}@{CHAMPION}")
        return f"{name}: {decision.sentence}"


def find_candidate(settings: Settings, models: ModelRegistry) -> ModelVersion:
    """The version that wants to become champion.

    Raises:
        PromotionError: There is none.
    """
    name, wanted = registered_name(settings), settings.promotion.candidate
    found = models.with_number(name, wanted) if wanted.isdigit() else models.with_alias(name, wanted)
    if found is None:
        raise PromotionError(
            f"there is no version {wanted}" if wanted.isdigit() else f"no version has the alias {wanted!r}",
            where=f"models:/{name}",
            todo="Run `train` first: it registers a version and makes it challenger",
        )
    return found


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


def _write(folder: Path, contest: "Contest", report: str) -> list[LandedFile]:
    folder.mkdir(parents=True)
    (folder / REPORT).write_text(report, encoding="utf-8")
    contest.groups.to_csv(folder / GROUPS, index=False)
    if contest.curves is not None:
        contest.curves.savefig(folder / CURVES, dpi=120, bbox_inches="tight")
    return [LandedFile.of(file, folder) for file in sorted(folder.iterdir())]


def _verdict(settings: Settings, manifests: Sequence[Manifest], models: ModelRegistry) -> Verdict:
    name, wanted = registered_name(settings), settings.promotion
    if not manifests:  # the candidate was champion when the run began
        candidate = find_candidate(settings, models)
        return Verdict(candidate, candidate.digest, passed=False, reason="It was champion already.")
    (manifest,) = manifests
    digest = manifest.inputs[CHALLENGER]
    found = models.with_digest(name, digest)
    if found is None:
        raise PromotionError("the candidate is no longer registered", where=f"models:/{name}", todo="Run `train` again")
    given = f"{wanted.reason.strip().rstrip('.')}. " if wanted.reason.strip() else ""
    return Verdict(
        candidate=found,
        compared_with=manifest.inputs.get(CHAMPION, ""),
        passed=manifest.tags["gates"] == "passed",
        reason=given + manifest.tags["gates_reason"],
        failed=tuple(filter(None, manifest.tags["failed_gates"].split(", "))),
        forced=wanted.mode == "force",
    )


def _tell(run: RunLog, store: TableStore, manifests: Sequence[Manifest], decision: Decision) -> None:
    """The decision and the comparison on the run's page, as report and files."""
    run.rename(f"promote v{decision.candidate}: {decision.action}")
    run.log_text(pd.Series(decision.tags).to_json(indent=1), "decision.json")
    lines = [f"# {decision.model}: {decision.action}", "", decision.sentence, ""]
    for manifest in manifests:
        for file, landed in zip(store.files(manifest, FILES), manifest.tables[FILES].files, strict=True):
            if landed.origin == REPORT:
                lines.append(file.read_text(encoding="utf-8"))
            else:
                run.log_file(file, "figures" if landed.origin == CURVES else "tables", str(landed.origin))
        lines.append(_scoring(manifest))
    text = "\n".join(lines)
    run.log_text(text, "report.md")
    run.describe(text)


def _scoring(manifest: Manifest) -> str:
    """What scoring took when the models were compared: on the run only, for it differs each time."""
    told = [
        f"- {role}: {metrics['row_ms']:.1f} ms for one customer, {metrics['thousand_rows_ms']:.0f} ms for 1,000, "
        f"files of {metrics['size_mib']:.2f} MiB"
        for role in (CHAMPION, CHALLENGER, BASELINE)
        for metrics in [{name.removeprefix(f"{role}_"): value for name, value in manifest.metrics.items()}]
        if f"{role}_row_ms" in manifest.metrics
    ]
    return "\n".join(["## Scoring", "", *told, ""])


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
