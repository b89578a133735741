"""The feature table as a whole: who is in it, and what it refuses."""

from datetime import date
from pathlib import Path

import pytest

from spanishgas.config import EngineSettings
from spanishgas.engine.session import open_engine
from spanishgas.errors import SourceError
from spanishgas.features import build_features, render_report
from tests.features.test_against_reference import as_tables, make_tables
from tests.support import ALL_FAMILIES, quiet

AS_OF = date(2024, 9, 30)


def test_a_date_without_customers_is_refused(tmp_path: Path) -> None:
    with open_engine(EngineSettings(threads=1), tmp_path) as engine:
        tables = as_tables(engine, make_tables(1, 0.02, 0.0))
        with pytest.raises(SourceError, match=r"nobody is known to be an active customer.*2019-01-31"):
            build_features(engine, tables, [AS_OF, date(2019, 1, 31)], ALL_FAMILIES, {}, progress=quiet)


def test_absent_tables_null_their_features_and_the_report_says_so(tmp_path: Path) -> None:
    raw = make_tables(1, 0.02, 0.0)
    for name in ("interactions", "retention_offers", "consumption_daily"):
        raw[name] = []
    with open_engine(EngineSettings(threads=1), tmp_path) as engine:
        result = build_features(engine, as_tables(engine, raw), [AS_OF], ALL_FAMILIES, {}, progress=quiet)
        frame = engine.frame(result.features)
        schema = result.features.schema()
        report = render_report(engine, result.features, result.margin, result)
    assert len(frame) > 5
    # Numbers are doubles, whole ones and absent ones too: what a registered model takes.
    kinds = {one.name: one.type for one in result.declarations}
    assert {str(schema[name]) for name, kind in kinds.items() if kind in ("int", "float")} == {"float64"}
    assert {str(schema[name]) for name, kind in kinds.items() if kind == "bool"} == {"boolean"}
    assert {"int", "float", "bool", "string"} == set(kinds.values())
    for name in ("interactions_365d", "offers_365d", "elec_kwh_365d", "margin_eur_1m", "margin_negative_months_12m"):
        assert frame[name].isna().all(), name
    assert frame["tenure_days"].notna().all()
    assert "features are null for everybody" in report
    assert "offers cannot be valued in euros" in report
    assert set(result.lost) >= {"interactions", "retention_offers", "consumption_daily"}


def test_a_customer_known_to_have_left_is_not_in_the_table_and_one_not_registered_yet_is(tmp_path: Path) -> None:
    raw = make_tables(1, 0.02, 0.0)
    left, late = "C00", "C01"
    first = min(row["contract_start_date"] for row in raw["contracts"] if row["customer_id"] in (left, late))
    assert first < AS_OF
    raw["churn_events"] = [
        {**row, "churn": True, "churn_date": date(2024, 9, 10), "known_at": known}
        for row, known in zip(raw["churn_events"][:2], (date(2024, 9, 15), date(2024, 10, 2)), strict=True)
    ]
    with open_engine(EngineSettings(threads=1), tmp_path) as engine:
        result = build_features(engine, as_tables(engine, raw), [AS_OF], ALL_FAMILIES, {}, progress=quiet)
        present = set(engine.frame(result.features)["customer_id"])
    assert left not in present
    assert late in present
