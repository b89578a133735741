"""Stage `retention`: what is older than its layer's age is removed, but for what is still needed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from shutil import rmtree

import pandas as pd

from spanishgas.config import Settings
from spanishgas.contracts.decisions import CUSTOMER_SCORES, RECOMMENDATIONS
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.errors import ConfigError
from spanishgas.policy.period import Period
from spanishgas.registry import CHALLENGER, CHAMPION, ModelRegistry, RunLog
from spanishgas.stages.base import Build, PlainStage, Target, Workspace
from spanishgas.stages.churn_models import BASELINE, registered_name
from spanishgas.stages.lineage import Lineage, Node

THE_AGES = Publication(layer="gold", name="retention")  # nothing is published: its lock keeps two from removing at once
DATED = ("run_date", "asof_date")
REQUESTS = "request_log"
ROLES = (CHAMPION, CHALLENGER, BASELINE)


@dataclass(frozen=True)
class Aged:
    """A publication whose age is up.

    Attributes:
        manifest: The publication.
        day: The day that its age is counted from.
        size: Bytes of its files.
    """

    manifest: Manifest
    day: date
    size: int


@dataclass
class Plan:
    """What goes, what stays although its age is up, and which days of the request log go.

    Attributes:
        going: Publications that go.
        staying: Publication -> why it stays.
        requests: Folders of the request log -> bytes.
    """

    going: list[Aged] = field(default_factory=list)
    staying: dict[str, str] = field(default_factory=dict)
    requests: dict[Path, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that go."""
        return sum(one.size for one in self.going) + sum(self.requests.values())


class Retention(PlainStage):
    """Publishes nothing of its own, and is never cached."""

    name = "retention"
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The day that ages are counted back from, and whether it is in earnest."""
        return {"run_date": settings.run_date.isoformat(), "mode": settings.retention.mode}

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """No targets: what is removed belongs to other stages.

        Raises:
            ConfigError: No age is set.
        """
        wanted = settings.retention
        if all(
            one is None for one in (wanted.bronze_days, wanted.gold_days, wanted.models_days, wanted.request_log_days)
        ):
            raise ConfigError(
                "no age is set", where="retention", todo="Set retention.bronze_days=400, or another of them"
            )
        return ()

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Nothing to make: there are no targets.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Removes publications one by one, each under its lock, then days of the request log."""
        dry = settings.retention.mode == "dry_run"
        with store.lock(THE_AGES):
            finished = 0 if dry else store.finish_removals()
            plan = plan_removal(settings, store, run.models)
            if not dry:
                for one in plan.going:
                    with store.lock(one.manifest.publication):
                        store.remove(one.manifest, run.id)
                for folder in plan.requests:
                    rmtree(folder)
        return _log(run, settings, plan, finished)


def plan_removal(settings: Settings, store: TableStore, models: ModelRegistry) -> Plan:
    """What is older than its layer's age, and of that what is still needed.

    Args:
        settings: Ages, and how far back decisions and measurements look.
        store: The published tables.
        models: Registered models: what the champion, the challenger and the baseline were made of stays.
    """
    plan, needed = Plan(), _needed(settings, store, models)
    for publication in (one for layer in ("bronze", "gold") for one in store.publications(layer)):
        manifest = store.find(publication)
        if manifest is None:
            continue
        day, age = _age(settings, manifest)
        if age is None or day >= settings.run_date - timedelta(days=age):
            continue
        why = needed.get(str(publication))
        if why is not None:
            plan.staying[str(publication)] = why
        else:
            plan.going.append(Aged(manifest, day, store.size_of(manifest)))
    oldest = settings.retention.request_log_days
    for folder in sorted((store.root / REQUESTS).glob("date=*")):
        day = date.fromisoformat(folder.name.partition("=")[2])
        if oldest is not None and day < settings.run_date - timedelta(days=oldest):
            plan.requests[folder] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return plan


def _age(settings: Settings, manifest: Manifest) -> tuple[date, int | None]:
    """The day that a publication is of, and the age from which it goes; None for never."""
    publication, wanted = manifest.publication, settings.retention
    key, _, value = (publication.partition or "").partition("=")
    if key in DATED:
        return date.fromisoformat(value), wanted.bronze_days if publication.layer == "bronze" else wanted.gold_days
    made = date.fromisoformat(manifest.created_at[:10])
    # What has no partition is replaced by its stage's next run: there is one of it, and it is in use.
    return made, wanted.models_days if key else None


def _needed(settings: Settings, store: TableStore, models: ModelRegistry) -> dict[str, str]:
    """Publication -> why it stays, whatever its age."""
    lineage, needed = Lineage(store), dict[str, str]()
    visible = {str(one.publication): one for one in lineage.manifests if store.find(one.publication) is not None}

    def keep(publication: str, why: str) -> None:
        """The publication, and all that it was made of."""
        needed.setdefault(publication, why)
        for one in _below(lineage.back(visible[publication])):
            needed.setdefault(one, f"{publication}, {why}, was made of it")

    newest: dict[tuple[str, str], str] = {}
    for manifest in visible.values():
        if (manifest.publication.partition or "").partition("=")[0] in DATED:
            key = manifest.publication.layer, manifest.publication.name
            newest[key] = max(newest.get(key, ""), str(manifest.publication))
    for name in newest.values():
        needed.setdefault(name, "the newest of its name")
    for (_, of), name in newest.items():
        if of == RECOMMENDATIONS.name:
            keep(name, "the newest decision")
    digests = {
        found.digest: role
        for role in ROLES
        if (found := models.with_alias(registered_name(settings), role)) is not None
    }
    for name, manifest in visible.items():
        for one in lineage.models_in(manifest):
            if one in digests:
                keep(name, f"the {digests[one]}")
        why = _in_progress(settings, manifest)
        if why:
            needed.setdefault(name, why)
    return needed


def _in_progress(settings: Settings, manifest: Manifest) -> str:
    """Why a decision, or a score, is not done with yet; empty where it is."""
    publication, policy, run_date = manifest.publication, settings.policy, settings.run_date
    if publication.name == RECOMMENDATIONS.name:
        day = date.fromisoformat(publication.value)
        lag = settings.labels.registration_lag_days
        if day >= Period.of(run_date, policy.budget.period).first:
            return "its offers are paid from the budget of this period"
        if day > run_date - timedelta(days=policy.guardrails.rest_days_after_offer):
            return "customers rest after its offers"
        if day >= run_date - timedelta(days=policy.holdout.days + lag + policy.measured_together_days):
            return "its hold-out is still measured"
    if publication.name == CUSTOMER_SCORES.name:
        ready = settings.labels.horizon_days + settings.labels.registration_lag_days
        if date.fromisoformat(manifest.tags.get("as_of", publication.value)) >= run_date - timedelta(days=ready):
            return "its outcomes are not known yet"
    return ""


def _below(node: Node) -> Iterator[str]:
    """Names of all publications that something was made of."""
    for one in node.next:
        if one.kind == "publication":
            yield one.name
        yield from _below(one)


def _log(run: RunLog, settings: Settings, plan: Plan, finished: int) -> str:
    """Counts and bytes on the run; returns the headline."""
    dry = settings.retention.mode == "dry_run"
    run.log_metrics(
        {
            "aged_publications": float(len(plan.going)),
            "aged_bytes": float(plan.size),
            "aged_request_log_days": float(len(plan.requests)),
            "kept_for_use": float(len(plan.staying)),
            "finished_bytes": float(finished),
        }
    )
    table = pd.DataFrame(
        [
            {"publication": str(one.manifest.publication), "day": one.day, "bytes": one.size, "fate": "goes", "why": ""}
            for one in plan.going
        ]
        + [
            {
                "publication": f"{REQUESTS}/{folder.name}",
                "day": folder.name[5:],
                "bytes": size,
                "fate": "goes",
                "why": "",
            }
            for folder, size in plan.requests.items()
        ]
        + [
            {"publication": name, "day": "", "bytes": 0, "fate": "stays", "why": why}
            for name, why in plan.staying.items()
        ],
        columns=["publication", "day", "bytes", "fate", "why"],
    )
    run.log_text(table.to_csv(index=False), "tables/retention.csv")
    size = f"{plan.size / 2**20:,.1f} MiB"
    count = f"{len(plan.going):,} publications and {len(plan.requests):,} days of the request log, {size}"
    headline = (
        f"{count}, would go; {len(plan.staying):,} stay because they are in use; retention.mode=remove removes them"
        if dry
        else f"{count}, removed; {len(plan.staying):,} stay because they are in use"
    )
    text = "\n".join(
        [
            f"# {'What would go by its age' if dry else 'Removed by its age'} from {settings.data.name}",
            "",
            f"{headline}.",
            "",
            "| what | of | MiB | | why |",
            "| --- | --- | ---: | --- | --- |",
            *(
                f"| {name} | {day} | {size / 2**20:,.2f} | {fate} | {why} |"
                for name, day, size, fate, why in table.itertuples(index=False, name=None)
            ),
            "",
        ]
    )
    run.log_text(text, "report.md")
    run.describe(text)
    return headline


STAGE = Retention()
