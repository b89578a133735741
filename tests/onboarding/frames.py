"""Groups of files that are in memory only."""

from pathlib import Path
from typing import Any

import pandas as pd

from spanishgas.config import SourcePart
from spanishgas.onboarding.facts import ColumnFacts, facts_of
from spanishgas.onboarding.looking import Group, Item


def facts(values: list[Any], name: str = "column", *, typed: bool = False) -> ColumnFacts:
    """Facts of one column of texts."""
    return ColumnFacts(
        name, pd.Series([None if value is None else str(value) for value in values], dtype="object"), typed
    )


def group(file: str, **columns: list[Any]) -> Group:
    """One CSV file with these columns."""
    frame = pd.DataFrame({name: facts(values).values for name, values in columns.items()})
    item = Item(Path("/raw") / file, file, "csv", SourcePart(files=file), tuple(columns))
    return Group((item,), facts_of(frame, {}), len(frame), True)
