"""Landing: every format by one path, nothing lost, everything told."""

import gzip
import json
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from spanishgas.bronze import build_ingestion_log, build_rejects, land_source, locate_sources
from spanishgas.config import ColumnMapping, DataSettings, EngineSettings, SourcePart, SourceSettings
from spanishgas.contracts.sources import CHURN_LABEL, CUSTOMER_INTERACTIONS, PRICE_HISTORY, RETENTION_OFFERS
from spanishgas.engine.session import open_engine
from spanishgas.errors import ConfigError, SourceError
from spanishgas.readers import HashCache

ROWS = [{"customer_id": "A", "churn": "1", "note": "sí, señor"}, {"customer_id": "B", "churn": "0", "note": ""}]
CSV = 'customer_id,churn,note\nA,1,"sí, señor"\nB,0,\n'


def data(folder: Path, files: str, **part: object) -> DataSettings:
    parts = (SourcePart.model_validate({"files": files, **part}),)
    return DataSettings(
        name="try",
        root=folder / "data",
        raw=folder / "raw",
        run_date=date(2026, 2, 9),
        as_of=date(2026, 1, 31),
        sources={"churn_label": SourceSettings(parts=parts)},
    )


def land(folder: Path, settings: DataSettings, contract=CHURN_LABEL):  # type: ignore[no-untyped-def]
    files = locate_sources(settings, [contract])[contract.name]
    with open_engine(EngineSettings(threads=1), folder / "scratch") as engine:
        return land_source(
            engine, files, folder / "landed", contract=contract, hashes=HashCache(folder / "hashes.json")
        )


def write(folder: Path, name: str) -> None:
    file = folder / "raw" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    text = {"csv": CSV, "json": json.dumps(ROWS), "jsonl": "\n".join(map(json.dumps, ROWS))}
    ending = name.removesuffix(".gz").rpartition(".")[2]
    if ending == "parquet":
        pd.DataFrame(ROWS).to_parquet(file)
    elif name.endswith(".gz"):
        file.write_bytes(gzip.compress(text[ending].encode()))
    else:
        file.write_text(text[ending], encoding="utf-8")


def values(folder: Path) -> list[dict[str, str]]:
    rows = pd.concat([pq.read_table(file).to_pandas() for file in sorted((folder / "landed").glob("*.parquet"))])
    return rows.fillna("").to_dict("records")  # type: ignore[return-value]


FORMATS = ["l.csv", "l.csv.gz", "l.json", "l.json.gz", "l.jsonl", "l.jsonl.gz", "l.parquet"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_lands_the_same_rows(name: str, tmp_path: Path) -> None:
    write(tmp_path, name)
    landed = land(tmp_path, data(tmp_path, name))
    assert values(tmp_path) == ROWS
    assert (landed.rows, landed.rejected) == (2, 0)
    (file,) = landed.files
    assert set(file.content.schema) == {"customer_id", "churn", "note"}
    assert file.bytes == (tmp_path / "raw" / name).stat().st_size


def test_a_folder_and_a_glob_stand_for_their_files(tmp_path: Path) -> None:
    for name in ("many/a.csv", "many/deep/b.csv", "many/_c.csv", "many/.d.csv", "many/readme.txt"):
        if name.endswith("csv"):
            write(tmp_path, name)
        else:
            (tmp_path / "raw" / name).write_text("nothing")
    for pattern in ("many", "many/**/*.csv"):
        files = locate_sources(data(tmp_path, pattern), [CHURN_LABEL])["churn_label"]
        assert [file.origin for file in files] == ["many/a.csv", "many/deep/b.csv"]


def test_typed_parquet_is_copied_byte_by_byte(tmp_path: Path) -> None:
    write(tmp_path, "l.parquet")
    landed = land(tmp_path, data(tmp_path, "l.parquet"))
    assert landed.files[0].path.read_bytes() == (tmp_path / "raw" / "l.parquet").read_bytes()


def test_broken_lines_are_told_and_cost_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "l.csv").write_text("customer_id;churn\nA;1\nB;1;too;many\nC;0\n")
    (tmp_path / "raw" / "l.jsonl").write_text('{"customer_id": "A"}\n{"customer_id": \n{"customer_id": "C"}\n')
    for name in ("l.csv", "l.jsonl"):
        landed = land(tmp_path, data(tmp_path, name))
        assert [row["customer_id"] for row in values(tmp_path)] == ["A", "C"]
        (reject,) = build_rejects([landed]).to_dict("records")
        assert (reject["source"], reject["source_file"], reject["source_line"]) == ("churn_label", name, 2)
        assert reject["reason"]


def test_all_that_is_missing_is_one_error(tmp_path: Path) -> None:
    write(tmp_path, "labels.csv")
    settings = data(tmp_path, "label.csv")
    with pytest.raises(SourceError) as caught:
        locate_sources(settings, [CHURN_LABEL, PRICE_HISTORY, RETENTION_OFFERS])
    message = str(caught.value)
    assert "2 sources are missing" in message
    assert "label.csv" in message
    assert "labels.csv" in message  # what lies near
    assert "price_history is not configured" in message
    assert "retention_offers" not in message


def test_names_that_no_contract_knows_are_told_with_the_nearest(tmp_path: Path) -> None:
    settings = data(tmp_path, "l.csv")
    wrong = settings.model_copy(update={"sources": {"churn_labels": settings.sources["churn_label"]}})
    with pytest.raises(ConfigError, match=r"churn_labels \(nearest: churn_label\)"):
        locate_sources(wrong)
    columns = {"churn_dat": ColumnMapping(column="x")}
    with pytest.raises(ConfigError, match=r"churn_label.churn_dat \(nearest: churn_date"):
        locate_sources(data(tmp_path, "l.csv", columns=columns))


def test_differences_to_the_contract_are_in_the_log(tmp_path: Path) -> None:
    write(tmp_path, "l.csv")
    landed = land(tmp_path, data(tmp_path, "l.csv", columns={"reason": "why"}))
    kinds = {(one.kind, one.column) for one in landed.files[0].differences}
    assert kinds >= {
        ("unknown_column", "note"),
        ("missing_column", "reason"),
        ("missing_optional_column", "churn_date"),
    }
    log = build_ingestion_log(date(2026, 2, 9), [landed])
    (row,) = log.to_dict("records")
    assert (row["rows"], row["rejected"], row["format"], row["contract_version"]) == (2, 0, "csv", CHURN_LABEL.version)
    assert json.loads(row["schema"])["churn"] == "int"
    assert len(row["sha256"]) == 64


def test_nested_json_becomes_one_column_per_path(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    note = {"customer": {"id": "A"}, "interaction": {"date": "2024-01-01", "tags": ["a"]}}
    (tmp_path / "raw" / "n.json").write_text(json.dumps([note]))
    settings = data(tmp_path, "n.json")
    settings = settings.model_copy(update={"sources": {"customer_interactions": settings.sources["churn_label"]}})
    landed = land(tmp_path, settings, CUSTOMER_INTERACTIONS)
    assert values(tmp_path) == [
        {"customer.id": "A", "interaction.date": "2024-01-01", "interaction.tags": '["a"]'},
    ]
    schema = {"customer.id": "string", "interaction.date": "date", "interaction.tags": "string"}
    assert landed.files[0].content.schema == schema


def test_a_truncated_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    write(tmp_path, "l.parquet")
    file = tmp_path / "raw" / "l.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"l\.parquet.*Parquet"):
        land(tmp_path, data(tmp_path, "l.parquet"))


def test_files_are_hashed_once_per_state(tmp_path: Path) -> None:
    write(tmp_path, "l.csv")
    file = tmp_path / "raw" / "l.csv"
    cache = HashCache(tmp_path / "hashes.json")
    first = cache.digest(file)
    cache.save()
    told: list[str] = []
    assert HashCache(tmp_path / "hashes.json").digest(file, told.append) == first
    file.write_text(CSV.replace("B,0", "B,1"))
    assert HashCache(tmp_path / "hashes.json").digest(file) != first
