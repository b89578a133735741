"""Customers taken out of what a tracking store keeps: SQLite, PostgreSQL, and through a server as far as it lets."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import MetaData, String, create_engine, select

from spanishgas.config import TrackingSettings
from spanishgas.engine.finding import Finder
from spanishgas.engine.suppression import Suppression
from spanishgas.models.files import digest_of
from spanishgas.registry import RunLog, Tracker
from tests.postgres import postgres
from tests.registry.test_models import LOADER
from tests.registry.test_team_server import server
from tests.registry.worlds import package
from tests.support import without_tracking_variables

__all__ = ["postgres", "server"]
WHO = "C00017"


@pytest.fixture
def finder(tmp_path: Path) -> Finder:
    return Finder(Suppression(tmp_path).including([WHO]), [WHO])


def leave_a_trace(run: RunLog) -> None:
    run.log_parameters({"asked": WHO, "n": "17"})
    run.describe(f"| {WHO} | 9 % |\n| X | 8 % |\n")
    run.log_text(f"customer_id,n\n{WHO},1\nX,2\n", "tables/offers.csv")
    run._client.log_dict(run.id, {"inputs": [[WHO]]}, "nested/deep/example.json")


def values_naming(address: str) -> Iterator[str]:
    known = MetaData()
    engine = create_engine(address)
    with engine.connect() as connection:
        known.reflect(connection)
        for table in known.sorted_tables:
            for column in table.columns:
                if isinstance(column.type, String):
                    found = connection.execute(select(column).where(column.contains(WHO))).scalars().all()
                    yield from (f"{table.name}.{column.name}: {one}" for one in found)
    engine.dispose()


def test_files_that_a_model_was_registered_with_stay_and_are_named(run: RunLog, finder: Finder, tmp_path: Path) -> None:
    leave_a_trace(run)
    database = Path(run.records.address.removeprefix("sqlite:///"))
    with closing(
        sqlite3.connect(database, isolation_level=None)
    ) as store:  # pages that nothing uses keep what was there
        store.execute("pragma secure_delete = off")  # as libraries of other systems have it
        store.execute("create table gone (who text)")
        store.execute("insert into gone values (?)", [f"gone {WHO}"])
        store.execute("drop table gone")
    assert f"gone {WHO}".encode() in database.read_bytes()
    _, packed = package(tmp_path / "files")
    (tmp_path / "files" / "categories.json").write_text(json.dumps([WHO, "X"]))
    version, _ = run.models.ensure(
        run.id, run.experiment_id, "churn", replace(packed, digest=digest_of(tmp_path / "files"))
    )
    dry = run.records.clean(finder, dry=True, scratch=tmp_path)
    assert list(values_naming(run.records.address)) != []
    kept = run.records.clean(finder, dry=False, scratch=tmp_path)
    assert (kept.rows, kept.artifacts, kept.sealed) == (dry.rows, dry.artifacts, dry.sealed)
    assert kept.rows == {"params.value": 1, "tags.value": 1}
    assert sorted(Path(one).name for one in kept.artifacts) == ["example.json", "offers.csv"]
    (sealed,) = kept.sealed
    assert sealed.endswith("/categories.json")
    assert list(values_naming(run.records.address)) == []
    assert f"gone {WHO}".encode() not in database.read_bytes()
    fetched = run.models.fetch(version, tmp_path / "fetched", loader=LOADER, digest=digest_of)
    assert (fetched / "categories.json").is_file()
    naming = [file for file in run.records.local_files() if finder.in_file(file)]
    assert [file.name for file in naming] == ["categories.json"]
    again = run.records.clean(finder, dry=False, scratch=tmp_path)
    assert (again.rows, again.artifacts) == ({}, [])


@pytest.mark.drill
def test_through_a_server_what_it_lets_and_the_rest_in_its_database(
    server: tuple[str, str], finder: Finder, tmp_path: Path
) -> None:
    address, database = server
    with without_tracking_variables():
        tracker = Tracker(TrackingSettings(uri=address, artifacts=tmp_path / "none", experiment="spanishgas"))
        with tracker.run("recommend", tags={}) as run:
            leave_a_trace(run)
        through = run.records.clean(finder, dry=False, scratch=tmp_path)
        assert through.rows == {"tags.value": 1}
        assert sorted(Path(one).name for one in through.artifacts) == ["example.json", "offers.csv"]
        assert f"run {run.id}: parameters asked" in through.unreachable
        assert "the database behind the tracking server" in through.unreachable[-1]
        served = [file for file in (tmp_path / "served").rglob("*") if file.is_file()]
        assert len(served) >= 2
        assert not any(finder.in_file(file) for file in served)
        assert list(values_naming(database)) == [f"params.value: {WHO}"]
    with without_tracking_variables():  # MLflow has set the server's address
        direct = Tracker(TrackingSettings(uri=database, artifacts=tmp_path / "none", experiment="spanishgas"))
        with direct.run("erase", tags={}) as erasing:
            assert erasing.records.clean(finder, dry=False, scratch=tmp_path).rows == {"params.value": 1}
        assert list(values_naming(database)) == []
        assert direct.client.get_run(run.id).data.params == {"asked": "[erased]", "n": "17"}
