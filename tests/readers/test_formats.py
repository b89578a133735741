"""Every format, every source: the same rows."""

import os
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pyarrow.parquet as pq
import pytest

from spanishgas.bronze import fetch_rows, locate_sources
from spanishgas.config import DataSettings, EngineSettings, SourcePart, SourceSettings
from spanishgas.contracts import SOURCES
from spanishgas.engine.session import Engine, open_engine
from spanishgas.readers import ENDINGS, READERS, detect_format, land_file
from spanishgas.silver import SilverResult
from tests.readers.written import FORMATS, NOTES, ROWS, as_csv, as_parquet, as_spanish, as_sqlite, as_zip, text
from tests.support import silver_of


def land(engine: Engine, file: Path, part: SourcePart, member: str | None = None) -> tuple[list[dict[str, Any]], Any]:
    # The engine may keep what it read of a file: no two land under one name.
    target = file.with_name(f"{file.name}.{(member or '').replace('/', '.')}.landed")
    format_ = detect_format(member or file.name)
    assert format_ is not None
    content = land_file(engine, file, target, format=format_, part=part, member=member)
    return pq.read_table(target).to_pylist(), content


def expected(source: str, format_: str) -> list[dict[str, str | None]]:
    """What every format of text lands as; a workbook does not tell a day from its midnight."""
    rows = [{name: text(value) or None for name, value in row.items()} for row in ROWS[source]]
    if format_ == "workbook":
        rows = [{name: value and value.removesuffix(" 00:00:00") for name, value in row.items()} for row in rows]
    return rows


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_text_lands_the_same_rows_of_every_source(name: str, tmp_path: Path) -> None:
    ending, write, told = FORMATS[name]
    with open_engine(EngineSettings(threads=1), tmp_path / "scratch") as engine:
        for source, rows in ROWS.items():
            file = tmp_path / f"{source}{ending}"
            write(rows, file)
            landed, content = land(engine, file, SourcePart.model_validate({"files": file.name, **told}))
            assert landed == expected(source, name), source
            assert (content.rows, content.rejects, content.faults) == (len(rows), (), ())
            file.unlink()


def test_every_format_has_a_reader_and_endings() -> None:
    assert set(READERS) == {*ENDINGS.values(), "sql"}
    assert detect_format("A.CSV.GZ") == "csv"
    assert detect_format("notes.txt") is None


def settings(folder: Path, ending: str, told: dict[str, Any], columns: Any = None) -> DataSettings:
    def part(source: str) -> SourcePart:
        mapped = NOTES if source == "customer_interactions" else {}
        given = {"columns": {**mapped, **(columns(source, mapped) if columns else {})}}
        return SourcePart.model_validate({"files": f"{source}{ending}", **given, **told})

    return DataSettings(
        name="try",
        root=folder / "data",
        raw=folder,
        run_date=date(2026, 2, 9),
        as_of=date(2026, 1, 31),
        sources={source: SourceSettings(parts=(part(source),)) for source in ROWS},
    )


def tables(engine: Engine, silver: SilverResult) -> dict[str, pd.DataFrame]:
    frames = {name: engine.frame(table) for name, table in silver.tables.items() if name != "quarantine"}
    assert engine.integer(silver.tables["quarantine"].count()) == 0
    return {name: frame.sort_values(list(frame.columns), ignore_index=True) for name, frame in frames.items()}


def spanish_dates(source: str, mapped: dict[str, str]) -> dict[str, Any]:
    dates = {
        column.name: {"column": mapped.get(column.name, column.name), "date_format": "%d/%m/%Y"}
        for contract in SOURCES
        if contract.name == source
        for column in contract.columns
        if column.type == "date" and mapped.get(column.name, column.name) in ROWS[source][0]
    }
    hourly = {"timestamp": {"column": "timestamp", "date_format": "%d/%m/%Y %H:%M"}}
    return hourly if source == "consumption_hourly" else dates


@pytest.mark.drill
def test_texts_types_and_spanish_spreadsheets_are_the_same_in_silver(tmp_path: Path) -> None:
    found = {}
    told: dict[str, Any] = {"encoding": "latin-1", "decimal": "comma"}
    for ending, write, how, columns in (
        (".csv", as_csv, {}, None),
        (".parquet", as_parquet, {}, None),
        (".csv", as_spanish, told, spanish_dates),
    ):
        folder = tmp_path / write.__name__
        folder.mkdir()
        for source, rows in ROWS.items():
            write(rows, folder / f"{source}{ending}")
        with open_engine(EngineSettings(threads=1), folder / "scratch") as engine:
            silver = silver_of(engine, settings(folder, ending, how, columns), folder / "landed")
            found[write.__name__] = tables(engine, silver)
    wanted = found["as_csv"]
    assert {name: len(frame) for name, frame in wanted.items() if name != "quality"} == {
        "customers": 1,
        "contracts": 1,
        "prices": 1,
        "costs": 1,
        "interactions": 1,
        "consumption_daily": 1,
        "consumption_periods": 1,
        "churn_events": 2,
        "retention_offers": 1,
        "customer_extras": 0,
        "supply_points": 0,
    }
    quality = wanted["quality"].set_index(["source", "check"])["affected"]
    assert quality["customer_contracts", "sentinel_next_renewal_date"] == 1
    assert wanted["contracts"]["next_renewal_date"].isna().all()
    assert wanted["consumption_daily"]["gas_m3"].tolist() == [36.0]
    for other in ("as_parquet", "as_spanish"):
        for name, frame in wanted.items():
            pd.testing.assert_frame_equal(found[other][name], frame, check_dtype=False, obj=f"{name} of {other}")


def test_an_archive_is_one_file_per_member(tmp_path: Path) -> None:
    as_zip(ROWS["churn_label"], tmp_path / "churn_label.zip")
    data = settings(tmp_path, ".zip", {}).model_copy()
    data = data.model_copy(update={"sources": {"churn_label": data.sources["churn_label"]}})
    (contract,) = (one for one in SOURCES if one.name == "churn_label")
    files = locate_sources(data, [contract])["churn_label"]
    assert [file.origin for file in files] == ["churn_label.zip/2024/a.csv", "churn_label.zip/2024/b.csv.gz"]
    with open_engine(EngineSettings(threads=1), tmp_path / "scratch") as engine:
        rows = [row for file in files for row in land(engine, file.path, file.settings, file.member)[0]]
    assert rows == expected("churn_label", "zip")


def test_a_table_and_a_query_of_a_database(tmp_path: Path) -> None:
    as_sqlite(ROWS["churn_label"], tmp_path / "crm.db")
    source = SourceSettings.model_validate(
        {
            "parts": [
                {"sql": {"address_env": "CRM", "table": "rows", "fetch_rows": 1}},
                {
                    "sql": {
                        "address_env": "CRM",
                        "query": "select * from rows where customer_id like '0%' and ':x' <> ''",
                    }
                },
            ]
        }
    )
    data = settings(tmp_path, ".csv", {}).model_copy(update={"sources": {"churn_label": source}})
    (contract,) = (one for one in SOURCES if one.name == "churn_label")
    files = locate_sources(data, [contract])["churn_label"]
    assert [file.origin for file in files] == ["sql/rows", "sql/query"]
    landed = []
    with (
        open_engine(EngineSettings(threads=1), tmp_path / "scratch") as engine,
        patch.dict(os.environ, {"CRM": f"sqlite:///{tmp_path / 'crm.db'}"}),
    ):
        for raw in files:
            fetched = fetch_rows(engine, raw, tmp_path / "fetched")
            target = tmp_path / f"{raw.part}.parquet"
            land_file(engine, fetched.path, target, format="sql", part=raw.settings)
            landed.append(pq.read_table(target).to_pylist())
            # The same content is the same digest, whatever the order of the rows.
            assert fetch_rows(engine, raw, tmp_path / "fetched").digest == fetched.digest
    wanted = [
        {**row, "churn": {"true": "1", "false": "0"}[str(row["churn"])]} for row in expected("churn_label", "sql")
    ]
    assert landed == [wanted, wanted[:1]]
