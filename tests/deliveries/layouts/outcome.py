"""One case from its raw files to silver, as `ingest` and `silver` go, gates included; nothing is published."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import ibis.expr.types as ir
import pandas as pd

from pipelines._entry import load_settings
from spanishgas.bronze import build_rejects, fetch_rows, land_source, locate_sources
from spanishgas.bronze.land import Landed
from spanishgas.config import DataSettings, SourceSettings
from spanishgas.contracts import find_contract
from spanishgas.engine.session import Engine
from spanishgas.quality import LANDING_GATES, TABLE_GATES, Gate, LandingFacts, TableFacts, judge, refusal
from spanishgas.quality.figures import levels
from spanishgas.readers import HashCache
from spanishgas.silver import BUILDERS, HOURLY, TABLE_OF
from spanishgas.silver.consumption_daily import build_consumption_daily
from spanishgas.silver.mapping import map_source, require_columns
from spanishgas.silver.raw import RawPart, RawSource
from spanishgas.silver.values import IBIS_TYPES
from tests.deliveries.layouts.base import Case
from tests.support import CONTRACTS, quiet

QUALITY = load_settings(("quality=default",)).quality
DELIVERED_ON = date(2024, 12, 2)
LEVELS_OF = ("customer_attributes", "price_history", "costs_by_province_month")


@dataclass(frozen=True)
class Read:
    """What was read of a case.

    Attributes:
        rows: The silver table.
        counted: Rows in quarantine by reason, and other findings.
    """

    rows: pd.DataFrame
    counted: Counter[str]


def outcome(case: Case, engine: Engine, folder: Path) -> Read:
    """Lands a case's files and makes its silver table.

    Raises:
        SpanishGasError: The delivery is refused.
    """
    raw = folder / "raw"
    raw.mkdir()
    for name, content in case.files.items():
        (raw / name).write_bytes(content)
    settings = SourceSettings.model_validate({"parts": case.parts})
    data = DataSettings(
        name="case",
        root=folder / "data",
        raw=raw,
        run_date=DELIVERED_ON,
        as_of=DELIVERED_ON,
        sources={case.source: settings},
    )
    contract = CONTRACTS[case.source]
    files = locate_sources(data, (contract,)).get(case.source, ())
    files = tuple(fetch_rows(engine, one, folder / "fetched") if one.settings.sql else one for one in files)
    hashes = HashCache(folder / "hashes.json")
    landed = land_source(engine, files, folder / "landed", contract=contract, hashes=hashes)
    cut = tuple(file.raw.origin for file in landed.files if file.content.cut_off)
    facts = LandingFacts(case.source, len(files), landed.rows, cut, case.last_rows, "2024-11-25")
    _ask(LANDING_GATES, facts)
    source = RawSource(contract, settings, _parts(engine, settings, landed), DELIVERED_ON)
    require_columns([source])
    rejects = build_rejects([landed])
    read = _daily(engine, source, with_levels=bool(case.stops)) if case.source == HOURLY else _rows(engine, source)
    rejected = Counter(rejects["reason"])
    unusable = {name: count / landed.rows for name, count in read.counted.items() if name.startswith("unknown_")}
    quarantined = read.counted.pop("quarantined")
    share = TableFacts(case.source, DELIVERED_ON, rows=landed.rows, quarantined=quarantined, unusable=unusable)
    _ask(TABLE_GATES, share)
    return Read(read.rows, read.counted + rejected)


def _parts(engine: Engine, settings: SourceSettings, landed: Landed) -> tuple[RawPart, ...]:
    found = []
    for number, part in enumerate(settings.parts):
        files = [file for file in landed.files if file.raw.part == number]
        table = engine.scan([file.path for file in files], origins=[file.raw.origin for file in files])
        found.append(RawPart(part, table))
    return tuple(found)


def _ask(gates: Sequence[Gate], facts: LandingFacts | TableFacts) -> None:  # type: ignore[type-arg]
    verdicts = judge(gates, [facts], QUALITY)
    if any(one.refuses for one in verdicts):
        raise refusal(verdicts, "the delivery")


def _daily(engine: Engine, source: RawSource, *, with_levels: bool) -> Read:
    result = build_consumption_daily(engine, source, None, quiet)
    rejected = engine.frame(result.rejected)
    counted = Counter({name: count for name, count in result.counts.items() if name != "rows" and count})
    counted.update(rejected["reason"])
    counted["quarantined"] = len(rejected.drop_duplicates(["source_file", "source_line"]))
    if with_levels:  # what is read is held against the truth, not against what is plausible
        _ask(TABLE_GATES, TableFacts(HOURLY, DELIVERED_ON, levels=_levels(engine, engine.materialize(result.daily))))
    daily = engine.frame(result.daily).sort_values("known_at")
    return Read(daily.drop_duplicates(["customer_id", "day"], keep="last"), counted)


def _rows(engine: Engine, source: RawSource) -> Read:
    mapped = map_source(engine, source, "Europe/Madrid")
    _, build = BUILDERS[source.contract.name]
    resolved = build(engine, mapped)
    rejected = engine.frame(mapped.rejected)
    counted = Counter({name: count for name, count in mapped.counts.items() if count})
    counted.update({"duplicate": resolved.duplicates, "conflicting_duplicate": resolved.conflicting})
    counted.update(rejected["reason"])
    counted["quarantined"] = len(rejected.drop_duplicates(["source_file", "source_line"]))
    return Read(engine.frame(resolved.rows), counted)


def _levels(engine: Engine, daily: ir.Table) -> dict[str, float]:
    contracts = {name: find_contract("silver", TABLE_OF[name]) for name in LEVELS_OF}
    empty = {
        name: engine.empty({column.name: IBIS_TYPES[column.type] for column in contract.columns})
        for name, contract in contracts.items()
    }
    return levels(engine, {**empty, HOURLY: daily})[HOURLY]
