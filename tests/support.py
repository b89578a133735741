"""Small worlds for tests: raw files as frames, and the way from them to silver, features and training set."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines._entry import load_settings
from spanishgas.bronze import build_rejects, extras_dataset, land_source, locate_sources
from spanishgas.config import (
    DataSettings,
    DemoSettings,
    EngineSettings,
    ExtraTable,
    FeatureSettings,
    LabelSettings,
    Settings,
    SourceSettings,
)
from spanishgas.contracts import SOURCES
from spanishgas.demo import build_world, hourly_blocks
from spanishgas.engine.session import Engine, open_engine
from spanishgas.features import FAMILIES, FeatureResult, build_features
from spanishgas.readers import HashCache
from spanishgas.silver import RawPart, RawSource, SilverResult, build_silver

CONTRACTS = {contract.name: contract for contract in SOURCES}
SOMEWHERE = "/where/the/test/is"
ALL_FAMILIES = FeatureSettings(families=tuple(family.name for family in FAMILIES))


@contextmanager
def without_tracking_variables() -> Iterator[None]:
    """No MLflow variables inside, and none of those set inside afterwards: MLflow itself sets them."""
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID")
    with patch.dict(os.environ):
        for name in names:
            os.environ.pop(name, None)
        yield


@cache
def _composed(overrides: tuple[str, ...]) -> str:
    return load_settings((f"data_root={SOMEWHERE}", "engine.threads=1", *overrides)).model_dump_json()


def settings_at(root: Path, *overrides: str) -> Settings:
    """Settings on a data root; the same overrides are composed once only, which takes as long as a small stage."""
    return Settings.model_validate_json(_composed(overrides).replace(SOMEWHERE, str(root)))


def quiet(_: str) -> None:
    """Progress for nobody."""


@dataclass(frozen=True)
class RawWorld:
    """Raw files of a retailer, in memory.

    Attributes:
        tables: Source -> frame, written as CSV.
        interactions: Nested records, written as JSON.
        hourly: Readings, written as Parquet.
        extras: Frame with attributes beyond the contracts, or None.
    """

    tables: dict[str, pd.DataFrame]
    interactions: list[dict[str, Any]]
    hourly: pa.Table
    extras: pd.DataFrame | None = None

    def write(self, folder: Path, *, hourly_files: int = 1) -> None:
        """Writes the files as the demo retailer's configuration expects them."""
        (folder / "consumption_hourly").mkdir(parents=True)
        for name, frame in self.tables.items():
            frame.to_csv(folder / f"{name}.csv", index=False)
        (folder / "customer_interactions.json").write_text(json.dumps(self.interactions, ensure_ascii=False))
        size = -(-self.hourly.num_rows // hourly_files)
        for number in range(hourly_files):
            part = self.hourly.slice(number * size, size)
            pq.write_table(part, folder / "consumption_hourly" / f"part-{number}.parquet", row_group_size=50_000)
        if self.extras is not None:
            self.extras.to_csv(folder / "extras.csv", index=False)


def demo_world(settings: DemoSettings) -> RawWorld:
    """A demo world as raw files."""
    world = build_world(settings)
    hourly = pa.concat_tables(list(hourly_blocks(world))).unify_dictionaries()
    return RawWorld(dict(world.tables), world.interactions, hourly)


@dataclass(frozen=True)
class Built:
    """Silver tables of a world, and what made them."""

    engine: Engine
    data: DataSettings
    silver: SilverResult

    @property
    def tables(self) -> Mapping[str, ir.Table]:
        return self.silver.tables

    def features(self, days: Sequence[date], settings: FeatureSettings = ALL_FAMILIES) -> FeatureResult:
        """Features at some dates."""
        columns = {name: column for table in self.data.extras for name, column in table.columns.items()}
        return build_features(self.engine, self.tables, list(days), settings, columns, progress=quiet)


@dataclass
class Pipeline:
    """From raw files to silver tables, without publishing.

    Attributes:
        folder: A folder of the test's own.
        overrides: Changes of the demo's configuration of sources.
        extras: Attributes beyond the contracts.
    """

    folder: Path
    overrides: dict[str, SourceSettings] = field(default_factory=dict)
    extras: tuple[ExtraTable, ...] = ()
    threads: int = 1

    @contextmanager
    def run(self, world: RawWorld, *, hourly_files: int = 1) -> Iterator[Built]:
        """Writes, lands and cleans a world."""
        raw = self.folder / "raw"
        world.write(raw, hourly_files=hourly_files)
        data = demo_data(self.folder, self.overrides, self.extras)
        with open_engine(EngineSettings(threads=self.threads), self.folder / "scratch") as engine:
            yield Built(engine, data, silver_of(engine, data, self.folder / "landed"))


def demo_data(
    folder: Path, overrides: Mapping[str, SourceSettings] | None = None, extras: tuple[ExtraTable, ...] = ()
) -> DataSettings:
    """The demo's configuration, as for any retailer's files under ``folder/raw``."""
    told = settings_at(folder).data
    return DataSettings(
        name="world",
        root=folder / "data",
        raw=folder / "raw",
        run_date=told.run_date,
        as_of=told.as_of,
        sources={**told.sources, **(overrides or {})},
        extras=extras,
    )


def load_data(override: str, folder: Path) -> DataSettings:
    """A configured data set, published below a folder."""
    return load_settings((override, f"data_root={folder / 'data'}")).data


def silver_of(engine: Engine, data: DataSettings, target: Path) -> SilverResult:
    """Lands the raw files of a data set and builds its silver tables."""
    hashes = HashCache(target / "hashes.json")
    extra_tables = {extras_dataset(number): extra for number, extra in enumerate(data.extras)}
    landed = {
        name: land_source(
            engine, files, target / name, contract=CONTRACTS.get(name), hashes=hashes, extras=extra_tables.get(name)
        )
        for name, files in locate_sources(data).items()
    }

    def parts(name: str, settings: Sequence[Any]) -> tuple[RawPart, ...]:
        if name not in landed:
            return ()
        return tuple(
            RawPart(
                part,
                engine.scan(
                    [file.path for file in landed[name].files if file.raw.part == number],
                    origins=[file.raw.origin for file in landed[name].files if file.raw.part == number],
                ),
            )
            for number, part in enumerate(settings)
        )

    sources = {}
    for contract in SOURCES:
        source = data.sources.get(contract.name, SourceSettings(absent="not configured"))
        sources[contract.name] = RawSource(contract, source, parts(contract.name, source.parts), data.run_date)
    extras = [(table, parts(name, (table.part,))[0]) for name, table in extra_tables.items()]
    rejects = engine.table(build_rejects(list(landed.values())))
    return build_silver(engine, sources, extras, rejects, data.timezone, quiet)


def rows_of(table: pd.DataFrame, *by: str) -> pd.DataFrame:
    """A frame in a stated order, to compare with another."""
    return table.sort_values(list(by), ignore_index=True)


def snapshot_labels(**changes: Any) -> LabelSettings:
    """Snapshot label settings."""
    shares = {"train": 0.6, "valid": 0.2, "test": 0.2}
    return LabelSettings(kind="snapshot", shares=shares, **changes)


__all__ = [
    "ALL_FAMILIES",
    "Built",
    "Pipeline",
    "RawWorld",
    "demo_data",
    "demo_world",
    "load_data",
    "replace",
    "silver_of",
]
