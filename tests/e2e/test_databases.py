"""A retailer whose data lies in PostgreSQL: the same tables as from files, and an address that stays a secret."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import Engine, Numeric, create_engine, text

from pipelines._entry import load_settings
from spanishgas.config import DemoSettings, Settings, SourcePart, SourceSettings, TrackingSettings
from spanishgas.engine.store import Manifest
from spanishgas.errors import SourceError
from spanishgas.registry import Tracker
from spanishgas.stages import ingest, silver
from spanishgas.stages.runner import run_stage
from tests.e2e.worlds import QUIET, WORLD
from tests.postgres import new_database, postgres
from tests.support import RawWorld, demo_world

pytestmark = pytest.mark.drill
__all__ = ["postgres"]
WORLD_SETTINGS = {"customers": 40, "end": "2024-06-30", "churn_rate_90d": 0.3}
OLD = ("quality.accept=[stale]", "quality.reason='a short history'")
PASSWORD = "s3cr€t:p@ss/word"
ADBC = ("consumption_hourly", "price_history")


def filled(address: str, world: RawWorld) -> Engine:
    """The retailer's raw files as tables, typed as a database would have them."""
    database = create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
    tables = {**world.tables, "customer_interactions": pd.json_normalize(world.interactions)}
    for name, frame in tables.items():
        dates = {
            column: pd.to_datetime(frame[column]).dt.date for column in frame if "date" in column or column == "month"
        }
        types = {column: Numeric(12, 6) for column in frame if column.endswith("_cost_eur_kwh")}
        frame.assign(**dates).to_sql(name, database, index=False, dtype=types)
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(address) as connection, connection.cursor() as cursor:
        plain = [
            (field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type)
            for field in world.hourly.schema
        ]
        cursor.adbc_ingest("consumption_hourly", world.hourly.cast(pa.schema(plain)))
        connection.commit()
    return database


def in_database(told: Settings) -> Settings:
    """The demo's configuration with every source in the database."""

    def moved(name: str, source: SourceSettings) -> SourceSettings:
        driver = "postgresql" if name in ADBC else "sqlalchemy"
        sql = {"address_env": "RETAILER_DATABASE", "table": name, "driver": driver}
        (part,) = source.parts
        return source.model_copy(update={"parts": (SourcePart.model_validate({"sql": sql, "columns": part.columns}),)})

    sources = {name: moved(name, source) for name, source in told.data.sources.items()}
    data = told.data.model_copy(update={"sources": sources, "root": told.data.root.parent / "from_database"})
    return told.model_copy(update={"data": data})


def both(settings: Settings, tracker: Tracker) -> tuple[Manifest, Manifest, bool]:
    landed = run_stage(ingest.STAGE, settings, tracker, console=QUIET)
    cleaned = run_stage(silver.STAGE, settings, tracker, console=QUIET)
    return landed.manifests[0], cleaned.manifests[0], landed.cached


@contextmanager
def address_of(address: str | None) -> Iterator[None]:
    with patch.dict(os.environ):
        os.environ.pop("RETAILER_DATABASE", None)
        if address is not None:
            os.environ["RETAILER_DATABASE"] = address
        yield


def test_a_retailer_in_postgresql_is_the_same_as_in_files(
    postgres: str, tracking: TrackingSettings, tmp_path: Path
) -> None:
    world = demo_world(DemoSettings.model_validate(WORLD_SETTINGS))
    world.write(tmp_path / "raw")
    told = load_settings((*WORLD, *OLD, f"data_root={tmp_path / 'data'}", f"data.raw={tmp_path / 'raw'}"))
    told = told.model_copy(update={"tracking": tracking})
    tracker = Tracker(tracking)
    _, wanted, _ = both(told, tracker)

    database = filled(new_database(postgres, "retailer"), world)
    with database.begin() as connection:
        connection.execute(text(f"create role reader login password '{PASSWORD}'"))
        connection.execute(text("grant select on all tables in schema public to reader"))
    place = urlsplit(postgres)
    address = f"postgresql://reader:s3cr%E2%82%ACt%3Ap%40ss%2Fword@{place.hostname}:{place.port}/retailer"
    settings = in_database(told)
    with address_of(address):
        _, found, _ = both(settings, tracker)
        hashes = {name: table.content_hash for name, table in found.tables.items() if name != "quarantine"}
        assert hashes == {name: wanted.tables[name].content_hash for name in hashes}
        assert found.tables["quarantine"].rows == wanted.tables["quarantine"].rows
        assert found.tables["consumption_daily"].rows > 1000
        # Nothing waits, what is unchanged is not landed again, whatever the order of its rows, and a change is seen.
        assert not list(settings.data.root.rglob("fetched/*.parquet"))
        with database.begin() as connection:
            connection.execute(text("create table again as select * from churn_label order by random()"))
            connection.execute(text("drop table churn_label"))
            connection.execute(text("alter table again rename to churn_label"))
            connection.execute(text("grant select on churn_label to reader"))
        assert both(settings, tracker)[2]
        with database.begin() as connection:
            connection.execute(text("update churn_label set reason = 'switch' where churn = 1"))
        assert not both(settings, tracker)[2]
        with database.begin() as connection:
            connection.execute(text("revoke select on price_history, churn_label from reader"))
        for name in ("price_history", "churn_label"):
            one = {name: settings.data.sources[name]}
            part = settings.model_copy(
                update={"data": settings.data.model_copy(update={"sources": one | absent(settings, name)})}
            )
            with pytest.raises(
                SourceError, match=rf"sql/{name}: the database cannot be read.*permission denied"
            ) as caught:
                run_stage(ingest.STAGE, part, tracker, console=QUIET)
            assert not told_of(caught.value)
    with address_of(None), pytest.raises(SourceError, match="RETAILER_DATABASE does not hold"):
        run_stage(ingest.STAGE, settings, tracker, console=QUIET)
    database.dispose()
    secrets = (PASSWORD.encode(), b"s3cr%E2", b"postgresql://reader")
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 50
    assert not [file for file in files if any(secret in file.read_bytes() for secret in secrets)]


def absent(settings: Settings, kept: str) -> dict[str, SourceSettings]:
    return {name: SourceSettings(absent="not now") for name in settings.data.sources if name != kept}


def told_of(error: BaseException) -> list[str]:
    """Parts of the address in an error, or in what it hangs on."""
    texts = [str(error), repr(error.__cause__), repr(error.__context__)]
    return [text for text in texts if "s3cr" in text or "reader" in text]
