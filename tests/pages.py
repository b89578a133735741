"""What the pages of the stages tell of runs and publications, compared with real ones."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from spanishgas.config import Settings
from spanishgas.config.flat import flat, is_below
from spanishgas.engine.store import TableStore
from spanishgas.registry import ModelRegistry
from spanishgas.stages.base import Stage
from spanishgas.stages.figures import COMPARED, MOST
from spanishgas.stages.pages import PAGES

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| (\w+) \| (`.*?`) \|", re.MULTILINE)


def told(page: str) -> dict[str, re.Pattern[str]]:
    """Kind of thing on a run -> pattern of all names that a page tells; ``<...>`` stands for any word."""
    found: dict[str, list[str]] = {"metric": [], "tag": [], "artifact": []}
    for kind, names in ROW.findall((ROOT / "docs" / page).read_text()):
        if kind in found:
            for name in re.findall(r"`([^`]+)`", names):
                found[kind].append(".+".join(re.escape(part) for part in re.split(r"<[^>]+>", name)))
    return {kind: re.compile("|".join(names) or "(?!)") for kind, names in found.items()}


def unexplained(client: MlflowClient) -> Iterator[str]:
    """Names on finished runs that no page tells of."""
    common, pages = told("stages.md"), {name: told(f"stages/{name}.md") for name in PAGES}
    experiments = [one.experiment_id for one in client.search_experiments()]
    for run in client.search_runs(experiments, max_results=1000):
        stage = run.data.tags.get("stage", "")
        if stage not in pages or run.info.status != "FINISHED" or {"trial", "sweep"} & set(run.data.tags):
            continue
        folder = Path(run.info.artifact_uri.removeprefix("file://"))
        names = {
            "metric": set(run.data.metrics),
            "tag": {name for name in run.data.tags if not name.startswith("mlflow.")},
            "artifact": {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()},
        }
        for kind, given in names.items():
            for name in sorted(given):
                # Figures of one of several partitions have its date at the end.
                whole = re.sub(r"\.\d{4}-\d{2}-\d{2}$", "", name)
                if not any(rule[kind].fullmatch(one) for rule in (common, pages[stage]) for one in (name, whole)):
                    yield f"{stage}: {kind} {name}"


def undeclared(root: Path) -> Iterator[str]:
    """Published tables and files that no page tells of, and places that are not as told."""
    store = TableStore(root)
    places = {place: page for page in PAGES.values() for place in page.place.partition(", ")[0].split(" + ")}
    for layer in ("raw", "ground_truth", "bronze", "silver", "gold"):
        for publication in store.publications(layer):
            place = f"{publication.layer}/{publication.name}"
            manifest = store.find(publication)
            assert manifest is not None
            if place not in places:
                yield f"{publication}: no page"
                continue
            page = places[place]
            names = {*(contract.name for contract in page.tables), *page.files}
            if not names & {place, "<source>"}:
                yield from (f"{publication}: {name}" for name in manifest.tables if name not in names)
            if (publication.partition is None) == ("one partition per" in page.place):
                yield f"{publication}: {page.place}"


def crowded(client: MlflowClient) -> Iterator[str]:
    """Runs with more metrics than a page shows."""
    experiments = [one.experiment_id for one in client.search_experiments()]
    for run in client.search_runs(experiments, max_results=1000):
        if len(run.data.metrics) > MOST and run.data.tags.get("stage") not in COMPARED:
            yield f"{run.info.run_name}: {len(run.data.metrics)}"


# They say where and how: no other result comes of them, or no result at all.
NEVER_CHANGED = ("force", "engine", "tracking", "data")


def hidden_settings(stage: Stage, settings: Settings, store: TableStore, models: ModelRegistry) -> str:
    """What a stage's result depends on that is no parameter of its runs: all other settings are changed at once.

    Returns:
        What came out differently; empty where nothing did.
    """
    shown = (*PAGES[stage.name].settings, *PAGES[stage.name].depends, *NEVER_CHANGED)
    other = settings
    for name, _ in flat(settings):
        if not any(is_below(name, one) for one in shown):
            other = _with(other, name.split("."), _changed)
    (before, after) = ([_view(one) for one in stage.plan(some, store, models)] for some in (settings, other))
    assert before, stage.name
    return "" if before == after else f"{stage.name}: {before} became {after}"


def _view(target: Any) -> dict[str, Any]:
    return {"place": str(target.publication), **json.loads(target.settings.model_dump_json())}


def _changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return value[1:] if isinstance(value, tuple) else value


def _with(model: Any, path: list[str], change: Callable[[Any], Any]) -> Any:
    """A copy of settings with one value changed, allowed or not."""
    first, *rest = path
    while isinstance(model, dict) and first not in model:  # a key with dots in it
        first, *rest = f"{first}.{rest[0]}", *rest[1:]
    inner = model[first] if isinstance(model, dict) else getattr(model, first)
    update = {first: _with(inner, rest, change) if rest else change(inner)}
    return {**model, **update} if isinstance(model, dict) else model.model_copy(update=update)
