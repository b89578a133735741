"""Names and texts of raw files that would be a picture, a link or a colour on a page: shown as they are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from spanishgas.dashboard.views import VIEWS
from tests.dashboard import worlds
from tests.dashboard.conftest import Opened, sound, told

HOSTILE = "![x](http://evil.example/p) :red[a] <img src=x> $y$ "
MARKUP = ("![x](", ":red[a]", "<img src=x>")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A retailer whose customers, provinces, channels, conversations and segments have such names."""
    plain_people, plain_tables = worlds.people, worlds.silver_tables

    def people(*given: Any) -> Any:
        found = plain_people(*given)
        return replace(found, ids=np.array([f"{HOSTILE}{one}" for one in found.ids], dtype=object))

    def tables(*given: Any) -> dict[str, pd.DataFrame]:
        found = plain_tables(*given)
        for frame in found.values():
            for name in frame.columns:
                is_text = any(isinstance(value, str) for value in frame[name])
                if is_text and not name.endswith(("_id", "commodity", "unit")):
                    frame[name] = HOSTILE
        return found

    monkeypatch.setattr(worlds, "people", people)
    monkeypatch.setattr(worlds, "silver_tables", tables)
    monkeypatch.setattr(worlds, "SEGMENTS", dict.fromkeys(worlds.SEGMENTS, (HOSTILE, HOSTILE)))
    worlds.publish_retailer(tmp_path / "data", days=10)
    st.cache_data.clear()
    return tmp_path / "data"


def test_a_text_is_never_markup(opened: Opened, hostile: Path) -> None:
    found = {}
    for entry in VIEWS:
        test = opened(entry.name, root=hostile, customer=f"{HOSTILE}C0")
        sound(test)
        found[entry.name] = [line for line in told(test).splitlines() if any(markup in line for markup in MARKUP)]
    assert not {name: lines for name, lines in found.items() if lines}
