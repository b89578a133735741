"""The family of drift checks is whole: one file, one line, one limit, one name in the contract, one test each."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines._entry import load_settings
from spanishgas.config import DriftSettings
from spanishgas.config.monitoring import CHECK_LIMITS
from spanishgas.contracts.monitoring import CHECKS as NAMED
from spanishgas.features import declared
from spanishgas.monitoring.checks import CHECKS
from tests.monitoring.worlds import monitoring

ROOT = Path(__file__).resolve().parents[2]
SILVER = {"consumption_daily", "prices", "costs", "interactions", "contracts", "churn_events"}


def test_every_check_has_its_file_line_limit_and_test() -> None:
    folder = ROOT / "spanishgas" / "monitoring" / "checks"
    files = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    assert files == set(CHECKS) == set(monitoring().drift.limits) == set(CHECK_LIMITS) == set(NAMED)
    tests = (ROOT / "tests" / "monitoring" / "test_drift.py").read_text()
    assert {name for name in CHECKS if f"{name}:" not in tests and f'"{name}"' not in tests} == set()


def test_what_the_settings_name_exists() -> None:
    from fnmatch import fnmatchcase

    settings = monitoring().drift
    names = [one.name for one in declared(load_settings(()).features.families, {})]
    patterns = [*settings.features, *settings.seasonal, *settings.not_compared]
    patterns += [pattern for followers in settings.dependants.values() for pattern in followers]
    assert [one for one in patterns if not any(fnmatchcase(name, one) for name in names)] == []
    assert {key.partition(":")[2] for key in settings.dependants} <= set(names)
    assert set(settings.freshness_days) | set(settings.source_rows) <= SILVER


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limits": {"distribution": 0.1}}, "missing ones freshness"),
        ({"features": {"tenure_days": {"distributoin": 0.1}}}, "unknown checks distributoin"),
        ({"dependants": {"tenure_days": ("*",)}}, "do not begin with a check"),
    ],
)
def test_settings_without_sense_are_told(changes: dict[str, object], message: str) -> None:
    told = monitoring().drift.model_dump()
    with pytest.raises(ValidationError, match=message):
        DriftSettings.model_validate({**told, **changes})
