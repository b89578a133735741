"""Real layouts and faults of deliveries: the true energy of every day, or an end that names the mend."""

import re
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import pytest

from spanishgas.config import EngineSettings
from spanishgas.engine.session import Engine, open_engine
from spanishgas.errors import SpanishGasError
from tests.deliveries.layouts import CASES, Case
from tests.deliveries.layouts.__main__ import DOCUMENT, block, render
from tests.deliveries.layouts.outcome import outcome
from tests.reference.readings import energy_by_day

ENERGIES = ["elec_p1_kwh", "elec_p2_kwh", "elec_p3_kwh"]
# Findings that say how readings were written, not that anything is wrong with them.
USUAL = ("respelled_customer_id", "respelled_identifier", "unknown_sales_channel", "gap_hours")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with open_engine(EngineSettings(threads=1), tmp_path_factory.mktemp("engine")) as opened:
        yield opened


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_layout_reads_with_its_energy_or_ends_with_its_mend(case: Case, engine: Engine, tmp_path: Path) -> None:
    with patch.dict("os.environ", READINGS=f"sqlite:///{tmp_path / 'raw' / 'readings.db'}"):
        if case.stops:
            with pytest.raises(SpanishGasError) as caught:
                outcome(case, engine, tmp_path)
            assert re.search(case.stops, str(caught.value), re.DOTALL), str(caught.value)
            return
        read = outcome(case, engine, tmp_path)
    if case.readings:
        wanted = energy_by_day(list(case.readings))
        found = {(row.customer_id, pd.Timestamp(row.day).date()): row for row in read.rows.itertuples()}
        assert set(found) == set(wanted)
        for key, told in wanted.items():
            for period, name in enumerate(ENERGIES, start=1):
                assert getattr(found[key], name) == pytest.approx(float(told[f"p{period}"]), rel=1e-9, abs=1e-12), key
        total = float(sum(one.kwh for one in case.readings))
        assert read.rows[ENERGIES].sum().sum() == pytest.approx(total, rel=1e-9)
    assert len(case.rows or read.rows) == len(read.rows)
    for row, (_, told_row) in zip(case.rows, read.rows.sort_values("customer_id").iterrows(), strict=False):
        for name, value in row.items():
            given = told_row[name]
            if value is None:
                assert pd.isna(given), name
            else:
                shown = str(given)[:10] if isinstance(given, pd.Timestamp) or name.endswith(("date", "end")) else given
                assert shown == (pytest.approx(value) if isinstance(value, float) else value), name
    counted = {name: count for name, count in read.counted.items() if count and name not in USUAL}
    counted |= {name: read.counted[name] for name in case.counted if name in USUAL}
    for name, count in case.counted.items():
        assert counted.pop(name, 0) == count, (name, read.counted)
    assert not {name: count for name, count in counted.items() if not name.startswith("missing_")}, counted


def test_the_document_says_of_every_case_what_becomes_of_it() -> None:
    found = block(DOCUMENT.read_text())
    assert found is not None
    assert found.group(1) == render(), "python -m tests.deliveries.layouts --write"
    assert len({case.name for case in CASES}) == len(CASES) >= 50
