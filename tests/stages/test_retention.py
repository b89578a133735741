"""Retention: what is old goes whole, what is still needed stays, and lineage remembers what there was."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spanishgas.config import Settings
from spanishgas.engine.store import DataFile, Manifest, Publication, PublishedTable, TableStore
from spanishgas.errors import ConfigError
from spanishgas.models.files import CARD
from spanishgas.stages.lineage import Lineage, render
from spanishgas.stages.retention import STAGE
from tests.support import settings_at

RUN_DATE = "2030-06-30"
AGES = (
    "retention.bronze_days=100",
    "retention.gold_days=10",
    "retention.models_days=100",
    "retention.request_log_days=30",
)
POLICY = (
    "policy.budget.period=month", "policy.guardrails.rest_days_after_offer=45", "policy.holdout.days=90",
    "policy.measured_together_days=20", "labels.registration_lag_days=10", "labels.horizon_days=90",
)  # fmt: skip


@dataclass
class Noted:
    """A run that remembers what is written to it."""

    models: Any
    id: str = "the-run"
    metrics: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        self.metrics |= metrics

    def log_text(self, text: str, file: str) -> None:
        self.texts[file] = text

    def describe(self, text: str) -> None:
        self.texts["description"] = text


def publish(
    store: TableStore, name: str, partition: str | None, layer: str = "gold", *,
    inputs: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None, is_model: bool = False,
) -> Manifest:  # fmt: skip
    publication = Publication(layer=layer, name=name, partition=partition)
    with store.lock(publication), store.draft(publication) as draft:
        file = draft.file(name)
        file.write_text(f"{publication}" * 10)
        origin = f"{name}/{CARD}" if is_model else None
        table = PublishedTable(
            files=(DataFile(path=file.relative_to(draft.folder).as_posix(), origin=origin),),
            rows=1,
            content_hash=f"of {publication}",
            contract_version=1,
            columns={} if is_model else {"customer_id": "VARCHAR"},
        )
        return draft.commit(
            fingerprint="f" * 64, inputs=inputs or {}, tables={name: table}, metrics={}, tags=tags or {}, run_id="made"
        )


def fill(made: TableStore) -> None:
    """Publications of all ages, and a request log."""
    for day in ("2030-01-01", "2030-03-21", "2030-03-22", RUN_DATE):
        publish(made, "ingest", f"run_date={day}", "bronze")
    features = {
        day: publish(made, "features", f"asof_date={day}") for day in ("2029-11-30", "2029-12-31", "2030-05-31")
    }
    for day in ("2030-02-28", "2030-03-01", "2030-03-02", "2030-06-01", "2030-06-29"):
        told = {"features": features["2029-12-31"].tables["features"].content_hash}
        publish(made, "recommendations", f"run_date={day}", inputs=told if day == "2030-06-29" else {})
    for day, as_of in (("2030-03-20", "2030-03-21"), ("2030-03-23", "2030-03-22"), ("2030-06-29", "2030-05-31")):
        publish(made, "scoring", f"run_date={day}", tags={"as_of": as_of})
    publish(made, "training_set", None)
    for name in ("champion", "other"):
        publish(made, "model", f"model={name}", is_model=True)
    for day in ("2030-05-30", "2030-05-31"):
        (made.root / "request_log" / f"date={day}").mkdir(parents=True)
        (made.root / "request_log" / f"date={day}" / "1.jsonl").write_text("{}\n")


@pytest.fixture
def store(tmp_path: Path) -> TableStore:
    made = TableStore(tmp_path / "data")
    fill(made)
    return made


def models(store: TableStore) -> Any:
    found = store.find(Publication(layer="gold", name="model", partition="model=champion"))
    assert found is not None
    (digest,) = Lineage(store).models_in(found)
    return SimpleNamespace(with_alias=lambda _, alias: SimpleNamespace(digest=digest) if alias == "champion" else None)


def settings(store: TableStore, *overrides: str) -> Settings:
    return settings_at(store.root, f"run_date={RUN_DATE}", *AGES, *POLICY, *overrides)


def removed(store: TableStore, *overrides: str) -> Noted:
    run = Noted(models(store))
    STAGE.finish(settings(store, *overrides), store, [], run)  # type: ignore[arg-type]
    return run


def visible(store: TableStore) -> list[str]:
    return [str(one) for layer in ("bronze", "gold") for one in store.publications(layer)]


GOES = [
    "bronze/ingest/run_date=2030-01-01",
    "bronze/ingest/run_date=2030-03-21",
    "gold/features/asof_date=2029-11-30",
    "gold/model/model=other",
    "gold/recommendations/run_date=2030-02-28",
    "gold/recommendations/run_date=2030-03-01",
    "gold/scoring/run_date=2030-03-20",
]


def test_what_is_old_goes_and_what_is_in_use_stays(store: TableStore) -> None:
    before = visible(store)
    files = sorted(path for path in store.root.rglob("*") if path.is_file() and "_locks" not in path.parts)
    dry = removed(store)
    assert sorted(path for path in store.root.rglob("*") if path.is_file() and "_locks" not in path.parts) == files
    sizes = [len(name.encode()) * 10 for name in GOES]
    told = {"aged_publications": 7.0, "aged_bytes": float(sum(sizes) + 3), "aged_request_log_days": 1.0}
    assert {name: dry.metrics[name] for name in told} == told

    done = removed(store, "retention.mode=remove")
    assert {name: done.metrics[name] for name in told} == told
    assert visible(store) == [name for name in before if name not in GOES]
    for name in GOES:
        layer, table, partition = name.split("/")
        assert not (store.root / layer / table / partition).exists()
    assert [folder.name for folder in (store.root / "request_log").iterdir()] == ["date=2030-05-31"]
    why = done.texts["report.md"]
    assert "| gold/features/asof_date=2029-12-31 |" in why
    assert "the newest decision, was made of it" in why
    assert "| gold/recommendations/run_date=2030-06-01 |" in why
    assert "paid from the budget of this period" in why
    assert "| gold/recommendations/run_date=2030-03-02 |" in why
    assert "its hold-out is still measured" in why
    assert "| gold/model/model=champion |" in why
    assert removed(store, "retention.mode=remove").metrics["aged_publications"] == 0.0


def test_whoever_is_killed_leaves_nothing_visible_and_the_next_run_frees_the_rest(
    store: TableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    before = visible(store)
    with monkeypatch.context() as patch:
        patch.setattr(TableStore, "_remove_files", killed)
        with pytest.raises(KeyboardInterrupt):
            removed(store, "retention.mode=remove")
    assert visible(store) == [name for name in before if name != GOES[0]]
    left = list((store.root / "bronze" / "ingest" / "run_date=2030-01-01").iterdir())
    assert len(left) == 1
    again = removed(store, "retention.mode=remove")
    assert again.metrics["finished_bytes"] == len(GOES[0]) * 10
    assert not left[0].exists()
    # What is published again under the same name is not touched by the record of what was there.
    publish(store, "ingest", "run_date=2030-01-01", "bronze")
    publish(store, "ingest", "run_date=2029-01-01", "bronze")
    kept = removed(store, "retention.bronze_days=null", "retention.mode=remove")
    assert kept.metrics["finished_bytes"] == 0.0
    assert "bronze/ingest/run_date=2030-01-01" in visible(store)


def test_whoever_is_killed_before_anything_went_has_removed_nothing(
    store: TableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of a removal is written first; the next run, with other ages, must not take it for done."""
    before = visible(store)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            removed(store, "retention.bronze_days=null", "retention.mode=remove")
    assert list(store.root.glob("gold/_removed/*/*.json")) != []
    kept = removed(store, "retention.bronze_days=null", "retention.gold_days=4000", "retention.models_days=null",
                   "retention.mode=remove")  # fmt: skip
    assert kept.metrics["finished_bytes"] == 0.0
    assert visible(store) == before
    for one in (store.find(publication) for publication in store.publications("gold")):
        assert one is not None
        assert store.missing_files(one) == []


def test_lineage_says_what_has_gone_and_when(store: TableStore) -> None:
    old = store.find(Publication(layer="gold", name="features", partition="asof_date=2029-11-30"))
    assert old is not None
    made = publish(store, "segments", "asof_date=2030-06-30", inputs={"features": old.tables["features"].content_hash})
    removed(store, "retention.mode=remove")
    lines = list(render(Lineage(store).back(made), {}))
    (gone,) = [line for line in lines if "asof_date=2029-11-30" in line]
    assert "removed 20" in gone
    assert "by run the-run" in gone
    assert "unknown" not in "\n".join(lines)


def test_without_any_age_nothing_is_done(store: TableStore) -> None:
    none = [f"retention.{name}=null" for name in ("bronze_days", "gold_days", "models_days", "request_log_days")]
    with pytest.raises(ConfigError, match="no age is set"):
        STAGE.plan(settings(store, *none), store, models(store))


def test_a_landed_file_goes_with_the_last_landing_that_names_it(tmp_path: Path) -> None:
    store = TableStore(tmp_path / "data")
    old = publish(store, "ingest", "run_date=2030-01-01", "bronze")
    for day in ("2030-01-02", RUN_DATE):
        publication = Publication(layer="bronze", name="ingest", partition=f"run_date={day}")
        with store.lock(publication), store.draft(publication) as draft:
            draft.commit(fingerprint=day, inputs={}, tables=old.tables, metrics={}, tags={}, run_id=day)
    file = store.root / old.tables["ingest"].files[0].path
    for removed_day in ("2030-01-01", "2030-01-02"):
        found = store.find(Publication(layer="bronze", name="ingest", partition=f"run_date={removed_day}"))
        assert found is not None
        with store.lock(found.publication):
            assert store.remove(found, "a-run") == 0
        assert store.finish_removals() == 0
        assert file.is_file()
    last = store.find(Publication(layer="bronze", name="ingest", partition=f"run_date={RUN_DATE}"))
    assert last is not None
    size = file.stat().st_size
    with store.lock(last.publication):
        assert store.remove(last, "a-run") == size
    assert not file.exists()
