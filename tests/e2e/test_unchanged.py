"""Days without anything new: what is landed again, since when rows are known, what is asked all the same."""

import json
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from spanishgas.engine.finding import Finder
from spanishgas.engine.session import open_engine
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.engine.suppression import Suppression
from spanishgas.errors import DeliveryError, PublishError
from spanishgas.registry import Tracker
from spanishgas.stages import ingest, silver
from spanishgas.stages.erasing import Erasing, erase_everywhere
from spanishgas.stages.runner import Outcome, run_stage
from tests.e2e.days import MONDAY, QUIET, TUESDAY, WEDNESDAY, Deliveries

ATTRIBUTES, PRICES = "customer_attributes", "price_history"


@pytest.fixture
def retailer(delivered: Deliveries) -> Deliveries:
    return delivered


def landing(retailer: Deliveries, run_date: str) -> Manifest:
    found = retailer.store.find(ingest.landing_of(retailer.settings(run_date)))
    assert found is not None
    return found


def landed_files(manifest: Manifest) -> dict[str, list[str]]:
    return {name: [one.path for one in table.files] for name, table in manifest.tables.items() if name not in OWN}


OWN = ("ingestion_log", "rejects")
# One of thirty customers is more than gates let pass.
FEWER = ("quality.accept=[changed]", "quality.reason=erased")


def bytes_of(store: TableStore, layer: str) -> int:
    return sum(file.stat().st_size for file in (store.root / layer).rglob("*.parquet"))


def table(retailer: Deliveries, name: str) -> pd.DataFrame:
    frames = [pd.read_parquet(file) for file in retailer.store.files(retailer.silver(), name)]
    return pd.concat(frames, ignore_index=True)


def days_known(retailer: Deliveries, name: str) -> set[date]:
    return set(pd.to_datetime(table(retailer, name)["known_at"]).dt.date)


def raw_file(retailer: Deliveries, source: str) -> Path:
    (file,) = (retailer.folder / "data" / "raw" / "current").glob(f"{source}.*")
    return file


def change(file: Path) -> None:
    """Writes a file with other bytes and the same rows."""
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))


def test_a_day_without_anything_new_lands_nothing_and_finds_silver_published(retailer: Deliveries) -> None:
    monday, before = landing(retailer, MONDAY), retailer.silver()
    size = bytes_of(retailer.store, "bronze")
    landed, cleaned = retailer.deliver(TUESDAY)
    tuesday = landing(retailer, TUESDAY)
    assert not landed.cached
    assert cleaned.cached
    assert retailer.silver() == before
    assert landed_files(tuesday) == landed_files(monday)
    assert {name: one.rows for name, one in tuesday.tables.items()} == {
        name: one.rows for name, one in monday.tables.items()
    }
    # The log and the empty list of rejects are the day's own.
    assert bytes_of(retailer.store, "bronze") - size < 60_000
    log = pd.read_parquet(retailer.store.root / "bronze" / "_meta" / "ingestion_log.parquet")
    assert log.groupby("run_date")["source_file"].nunique().to_dict() == {MONDAY: 5, TUESDAY: 5}
    assert set(log["first_seen"]) == {MONDAY}
    assert log.groupby("source_file")["sha256"].nunique().max() == 1
    assert days_known(retailer, "customers") == {date(2024, 4, 1)}


@pytest.mark.drill
def test_only_what_changed_is_landed_and_known_from_its_day_on(retailer: Deliveries) -> None:
    monday = landing(retailer, MONDAY)
    change(raw_file(retailer, PRICES))
    retailer.deliver(TUESDAY)
    tuesday = landing(retailer, TUESDAY)
    differing = {name for name, files in landed_files(tuesday).items() if files != landed_files(monday)[name]}
    assert differing == {PRICES}
    # Undated rows of a file that did not change are known since it was seen first.
    assert days_known(retailer, "customers") == {date(2024, 4, 1)}
    change(raw_file(retailer, ATTRIBUTES))
    retailer.deliver(WEDNESDAY)
    assert days_known(retailer, "customers") == {date(2024, 4, 3)}
    log = pd.read_parquet(retailer.store.root / "bronze" / "_meta" / "ingestion_log.parquet")
    wednesday = log[log["run_date"] == WEDNESDAY].set_index("dataset")["first_seen"]
    assert wednesday.to_dict() == {
        "churn_label": MONDAY,
        ATTRIBUTES: WEDNESDAY,
        "customer_contracts": MONDAY,
        PRICES: TUESDAY,
        "customer_interactions": MONDAY,
    }


@pytest.mark.drill
def test_an_earlier_run_date_still_knows_what_it_knew_then(retailer: Deliveries) -> None:
    then = retailer.silver()
    change(raw_file(retailer, ATTRIBUTES))
    retailer.deliver(TUESDAY)
    assert days_known(retailer, "customers") == {date(2024, 4, 2)}
    settings = retailer.settings(MONDAY)
    run_stage(silver.STAGE, settings, Tracker(retailer.tracking), console=QUIET)
    assert retailer.silver().content_hash == then.content_hash
    # A landing of a day before says that the file was there on that day.
    landed, _ = retailer.deliver("2024-03-31", "quality.accept=[ahead]", "quality.reason=backfill")
    (file,) = landing(retailer, "2024-03-31").tables[ATTRIBUTES].files
    assert (landed.cached, file.seen) == (False, "2024-03-31")


@pytest.mark.drill
def test_landing_by_force_lands_again_and_changes_nothing_in_silver(retailer: Deliveries) -> None:
    retailer.deliver(TUESDAY)
    shared, before = landing(retailer, TUESDAY), retailer.silver()
    settings = retailer.settings(TUESDAY)
    forced = settings.model_copy(update={"force": True})
    run_stage(ingest.STAGE, forced, Tracker(retailer.tracking), console=QUIET)
    again = landing(retailer, TUESDAY)
    assert all(landed_files(again)[name] != files for name, files in landed_files(shared).items())
    assert again.content_hash == shared.content_hash
    outcome = run_stage(silver.STAGE, settings, Tracker(retailer.tracking), console=QUIET)
    assert outcome.cached
    assert retailer.silver() == before
    # Built anew it is the same: what was known when does not follow from the day on which it is built.
    outcome = run_stage(silver.STAGE, forced, Tracker(retailer.tracking), console=QUIET)
    assert not outcome.cached
    assert retailer.silver().content_hash == before.content_hash


@pytest.mark.drill
def test_files_that_another_day_names_stay_when_their_own_day_changes(retailer: Deliveries) -> None:
    retailer.deliver(TUESDAY)
    store = TableStore(retailer.store.root, grace_seconds=0.0)
    monday, tuesday = landing(retailer, MONDAY), landing(retailer, TUESDAY)
    change(raw_file(retailer, PRICES))
    retailer.deliver(MONDAY)
    with store.lock(monday.publication):
        store.tidy(landing(retailer, MONDAY))
    assert store.damaged_files(tuesday) == []
    # Nobody names Monday's prices once Tuesday has the new ones.
    retailer.deliver(TUESDAY)
    with store.lock(tuesday.publication):
        assert store.tidy(landing(retailer, TUESDAY)) >= 1
    (gone,) = monday.tables[PRICES].files
    assert not (store.root / gone.path).exists()
    assert store.damaged_files(landing(retailer, MONDAY)) == store.damaged_files(landing(retailer, TUESDAY)) == []


def test_a_damaged_file_is_landed_again_by_the_next_day(retailer: Deliveries) -> None:
    (file,) = landing(retailer, MONDAY).tables[PRICES].files
    (retailer.store.root / file.path).unlink()
    retailer.deliver(TUESDAY)
    tuesday = landing(retailer, TUESDAY)
    assert landed_files(tuesday)[PRICES] != [file.path]
    assert retailer.store.damaged_files(tuesday) == []


@pytest.mark.drill
def test_two_equal_raw_files_are_two_landed_ones(retailer: Deliveries) -> None:
    raw = raw_file(retailer, PRICES)
    twin = raw.with_name("price_history_again.csv")
    twin.write_bytes(raw.read_bytes())

    def both(run_date: str) -> Outcome:
        settings = retailer.settings(run_date, "quality.accept=[changed]", "quality.reason=twins")
        source = settings.data.sources[PRICES]
        part = source.parts[0].model_copy(update={"files": "price_history*.csv"})
        sources = settings.data.sources | {PRICES: source.model_copy(update={"parts": (part,)})}
        data = settings.data.model_copy(update={"sources": sources})
        changed, tracker = settings.model_copy(update={"data": data}), Tracker(retailer.tracking)
        run_stage(ingest.STAGE, changed, tracker, console=QUIET)
        return run_stage(silver.STAGE, changed, tracker, console=QUIET)

    both(TUESDAY)
    assert both(WEDNESDAY).cached
    files = landing(retailer, WEDNESDAY).tables[PRICES].files
    assert len({one.path for one in files}) == len({one.origin for one in files}) == 2
    assert landed_files(landing(retailer, TUESDAY)) == landed_files(landing(retailer, WEDNESDAY))


@pytest.mark.drill
def test_who_is_erased_goes_from_all_days_and_does_not_come_back(retailer: Deliveries) -> None:
    retailer.deliver(TUESDAY)
    customer = str(pd.read_csv(raw_file(retailer, ATTRIBUTES), dtype=str)["customer_id"].iloc[3])
    before = {name: landing(retailer, MONDAY).tables[name].rows for name in landed_files(landing(retailer, MONDAY))}
    settings = retailer.settings(TUESDAY)
    erased = Suppression.of(retailer.store.root).including([customer])
    erased.save()
    delivered = {
        file.name: file.read_bytes() for file in raw_file(retailer, ATTRIBUTES).parent.iterdir() if file.is_file()
    }
    scratch = retailer.folder / "scratch"
    with open_engine(settings.engine, scratch) as engine:
        wanted = Erasing(
            engine, retailer.store, settings.data, erased, "run", dry=False, finder=Finder(erased), scratch=scratch
        )
        found = erase_everywhere(wanted)
    # Raw files of the demo retailer are erased from, too; a real source goes on delivering what it did.
    for name, content in delivered.items():
        raw_file(retailer, ATTRIBUTES).with_name(name).write_bytes(content)
    monday, tuesday = landing(retailer, MONDAY), landing(retailer, TUESDAY)
    # Both days have lost the same rows, and share one file of what is left.
    assert found.partitions[f"bronze/{ATTRIBUTES}"] == 2
    assert found.rows[f"bronze/{ATTRIBUTES}"] == 2
    assert landed_files(monday) == landed_files(tuesday)
    assert monday.tables[ATTRIBUTES].rows == before[ATTRIBUTES] - 1
    on_disk = [pd.read_parquet(path) for path in (retailer.store.root / "bronze").rglob("*.parquet")]
    assert len(on_disk) > 5
    assert not any((frame.astype(str) == customer).any(axis=None) for frame in on_disk)
    retailer.deliver(WEDNESDAY, *FEWER)
    wednesday = landing(retailer, WEDNESDAY)
    assert landed_files(wednesday) == landed_files(tuesday)
    assert {n: t.content_hash for n, t in wednesday.tables.items() if n not in OWN} == {
        n: t.content_hash for n, t in tuesday.tables.items() if n not in OWN
    }
    assert customer not in set(table(retailer, "customers")["customer_id"])
    # Whoever is put on the list later is left out of files that are named again, too.
    other = str(pd.read_csv(raw_file(retailer, ATTRIBUTES), dtype=str)["customer_id"].iloc[5])
    Suppression.of(retailer.store.root).including([other]).save()
    retailer.deliver("2024-04-04", *FEWER)
    thursday = landing(retailer, "2024-04-04")
    assert thursday.tables[ATTRIBUTES].rows == before[ATTRIBUTES] - 2
    assert landing(retailer, WEDNESDAY).tables[ATTRIBUTES].rows == before[ATTRIBUTES] - 1
    assert retailer.store.damaged_files(landing(retailer, WEDNESDAY)) == []
    assert days_known(retailer, "customers") == {date(2024, 4, 1)}


def test_the_same_files_day_after_day_are_refused_once_they_are_old(retailer: Deliveries) -> None:
    _, cleaned = retailer.deliver("2024-04-20")
    assert cleaned.cached
    with pytest.raises(DeliveryError, match=r"stale\.price_history.*days before 2024-12-01"):
        retailer.deliver("2024-12-01")
    failed = retailer.last_run()
    assert failed.info.status == "FAILED"
    _, cleaned = retailer.deliver("2024-12-01", "quality.accept=[stale]", "quality.reason=holidays")
    assert cleaned.cached


def test_a_file_that_went_meanwhile_is_an_error(retailer: Deliveries) -> None:
    monday, store = landing(retailer, MONDAY), retailer.store
    publication = monday.publication.model_copy(update={"partition": f"run_date={TUESDAY}"})
    (file,) = monday.tables[PRICES].files
    (store.root / file.path).unlink()
    tables = {PRICES: monday.tables[PRICES]}
    raises = pytest.raises(PublishError, match="went meanwhile")
    with store.lock(publication), store.draft(publication) as draft, raises:
        draft.commit(fingerprint="f" * 64, inputs={}, tables=tables, metrics={}, tags={}, run_id="run")
    assert store.find(publication) is None


def test_landings_of_releases_before_are_landed_again(retailer: Deliveries) -> None:
    manifest = landing(retailer, MONDAY)
    old = json.loads(manifest.model_dump_json())
    for one in old["tables"].values():
        for file in one["files"]:
            for name in ("content_hash", "made_from", "seen"):
                del file[name]
    retailer.store._show(Manifest.model_validate(old))
    retailer.deliver(TUESDAY)
    assert not set(landed_files(landing(retailer, TUESDAY))[PRICES]) & set(landed_files(manifest)[PRICES])
    assert days_known(retailer, "customers") == {date(2024, 4, 1)}
