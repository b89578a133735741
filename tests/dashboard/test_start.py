"""What is done before the dashboard's address is told, and what is left to the tests."""

from pathlib import Path

import altair as alt
import pandas as pd
import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner

from spanishgas.dashboard import __main__ as start
from spanishgas.dashboard import charts, data, without_browser
from spanishgas.dashboard.views import VIEWS
from tests.dashboard.conftest import Opened, sound


def test_the_first_reader_finds_tables_read(
    opened: Opened, copied: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPANISHGAS_DATA_ROOT", str(copied))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shop / 'mlflow.db'}")
    st.cache_data.clear()
    start.draw_once()

    def unread(*_: object, **__: object) -> None:
        raise AssertionError("a table is read again")

    monkeypatch.setattr(data, "_read", unread)
    sound(opened("overview", root=copied))


def test_every_page_is_drawn_and_a_slow_one_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    class Slow:
        def __init__(self, name: str) -> None:
            self.name = name

        def run(self) -> None:
            drawn.append(self.name)
            raise RuntimeError("timed out")

    monkeypatch.setattr(without_browser, "page", lambda name, *, timeout: Slow(name))
    start.draw_once()
    assert drawn == [entry.name for entry in VIEWS]


def test_installed_packages_are_looked_through_once_and_not_for_every_page(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened("overview")
    looked: list[object] = []
    monkeypatch.setattr(manifest_scanner, "_is_likely_streamlit_component_package", looked.append)
    sound(opened("model"))
    assert looked == []


def test_a_wrong_chart_is_found_where_charts_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = alt.Chart(pd.DataFrame({"x": [1.0]})).mark_line().encode(x="x:Q")
    chart.height = "tall"
    finished = charts.Finished(chart)
    with pytest.raises(alt.utils.schemapi.SchemaValidationError, match="tall"):
        finished.to_dict()
    monkeypatch.setattr(alt.utils.schemapi, "DEBUG_MODE", False)
    assert finished.to_dict()["height"] == "tall"
