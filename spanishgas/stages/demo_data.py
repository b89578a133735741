"""Stage `demo_data`: the demo retailer's raw files, and apart from them the ground truth."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from spanishgas.config import DemoSettings, Settings
from spanishgas.demo import World, build_world, hourly_blocks
from spanishgas.engine.store import Publication, TableStore
from spanishgas.errors import ConfigError, SourceError
from spanishgas.registry import ModelRegistry
from spanishgas.stages.base import Build, LandedFile, PlainStage, Product, Report, Target, Workspace
from spanishgas.stages.truth import TRUTH, WORLD

RAW = Publication(layer="raw", name="demo")
HOURLY_ROWS_PER_FILE = 30_000_000


class DemoData(PlainStage):
    """Generates the demo retailer; other data sets have files of their own."""

    name = "demo_data"
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """No date tells two demo worlds apart: their settings do."""
        return {"world": getattr(settings.data, "world", "")}

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The raw files and the ground truth.

        Raises:
            ConfigError: The data set is not a demo.
            SourceError: The recommendations to act on are not there.
        """
        if not isinstance(settings.data, DemoSettings):
            raise ConfigError(
                "is not generated: it has files of its own",
                where=f"data={settings.data.name}",
                todo="Leave demo_data out of pipeline.stages, or choose data=demo",
            )
        world = DemoSettings.model_validate(settings.data.model_dump(include=set(DemoSettings.model_fields)))
        inputs = {} if world.actions is None else {"actions": _digest_of_tables(world.actions)}
        return tuple(Target(publication, world, inputs) for publication in (RAW, TRUTH))

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Generates the world once and writes what is wanted of it."""
        settings = targets[0].settings
        assert isinstance(settings, DemoSettings)
        workspace.progress("drawing customers, contracts and events")
        actions = None if settings.actions is None else _read_tables(workspace, settings.actions)
        world = build_world(settings, actions)
        products: dict[Publication, Product] = {}
        for target in targets:
            folder = workspace.drafts[target.publication]
            landed = _write_raw(world, folder, workspace) if target.publication == RAW else _write_truth(world, folder)
            products[target.publication] = Product(
                landed=landed,
                named=True,
                metrics={key: float(value) for key, value in world.summary.items() if isinstance(value, int | float)},
                tags={
                    **{key: value for key, value in world.summary.items() if isinstance(value, str)},
                    WORLD: settings.model_dump_json(exclude={"hourly_format", "block_customers", "actions"}),
                },
            )
        return Build(products=products, report=_report(world, products))


def _write_raw(world: World, folder: Path, workspace: Workspace) -> dict[str, list[LandedFile]]:
    landed: dict[str, list[LandedFile]] = {}
    for name, frame in world.tables.items():
        file = folder / f"{name}.csv"
        _write_csv(frame, file)
        landed[name] = [LandedFile.of(file, folder, rows=len(frame))]
    file = folder / "customer_interactions.json"
    file.write_text(json.dumps(world.interactions, ensure_ascii=False, indent=0), encoding="utf-8")
    landed["customer_interactions"] = [LandedFile.of(file, folder, rows=len(world.interactions))]
    landed["consumption_hourly"] = _write_hourly(world, folder, workspace)
    return landed


def _write_hourly(world: World, folder: Path, workspace: Workspace) -> list[LandedFile]:
    """Streams the hourly readings block by block; a new file begins when one has grown large."""
    target = folder / "consumption_hourly"
    target.mkdir()
    landed: list[LandedFile] = []
    writer: Any = None
    file, rows, done = target, 0, 0
    suffix = world.settings.hourly_format
    for block in hourly_blocks(world):
        if writer is None:
            file, rows = target / f"part-{len(landed):04d}.{suffix}", 0
            writer = (
                pq.ParquetWriter(file, block.schema, compression="zstd", use_dictionary=_dictionary_columns(block))
                if suffix == "parquet"
                else pyarrow.csv.CSVWriter(file, _plain(block).schema)
            )
        writer.write_table(block) if suffix == "parquet" else writer.write(_plain(block))
        rows += block.num_rows
        done += block.num_rows
        workspace.progress(f"{done:,} hourly readings")
        if rows >= HOURLY_ROWS_PER_FILE:
            writer.close()
            landed.append(LandedFile.of(file, folder, rows=rows))
            writer = None
    if writer is not None:
        writer.close()
        landed.append(LandedFile.of(file, folder, rows=rows))
    return landed


def _dictionary_columns(block: pa.Table) -> list[str]:
    return [name for name in block.column_names if not pa.types.is_floating(block.schema.field(name).type)]


def _plain(block: pa.Table) -> pa.Table:
    """The block without dictionary encoding, which CSV does not know."""
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in block.columns
    ]
    return pa.table(dict(zip(block.column_names, columns, strict=True)))


def _write_truth(world: World, folder: Path) -> dict[str, list[LandedFile]]:
    landed: dict[str, list[LandedFile]] = {}
    for name, frame in world.ground_truth.items():
        file = folder / f"{name}.parquet"
        frame.to_parquet(file, compression="zstd", index=False)
        landed[name] = [LandedFile.of(file, folder, rows=len(frame))]
    return landed


def _write_csv(frame: pd.DataFrame, file: Path) -> None:
    pyarrow.csv.write_csv(pa.Table.from_pandas(frame, preserve_index=False), file)


def _digest_of_tables(path: Path) -> str:
    files = _parquet_files(path)
    return hashlib.sha256("".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files).encode()).hexdigest()


def _read_tables(workspace: Workspace, path: Path) -> pd.DataFrame:
    return workspace.engine.frame(workspace.engine.scan(_parquet_files(path)))


def _parquet_files(path: Path) -> list[Path]:
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path] if path.is_file() else []
    if not files:
        raise SourceError(
            "there are no recommendations to act on",
            where=str(path),
            todo="Give data.actions a published recommendations folder or a Parquet file",
        )
    return files


def _report(world: World, products: Mapping[Publication, Product]) -> Report:
    rows = {
        name: sum(file.rows for file in files)
        for product in products.values()
        for name, files in product.landed.items()
    }
    lines = ["# Demo retailer", "", "| fact | value |", "| --- | --- |"]
    lines += [
        f"| {key} | {value:,.4g} |" if isinstance(value, float) else f"| {key} | {value} |"
        for key, value in world.summary.items()
    ]
    lines += ["", "| file | rows |", "| --- | --- |"]
    lines += [f"| {name} | {count:,} |" for name, count in rows.items()]
    headline = (
        f"{world.settings.customers:,} customers, {rows.get('consumption_hourly', 0):,} hourly readings, "
        f"seed {world.settings.seed}, world {world.settings.world}"
    )
    return Report(markdown="\n".join(lines) + "\n", headline=headline)


STAGE = DemoData()
