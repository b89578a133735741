"""What is done before the dashboard's address is told, and what is left to the tests."""

from types import SimpleNamespace

import altair as alt
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from spanishgas.dashboard import charts
from spanishgas.dashboard.__main__ import draw_once
from spanishgas.dashboard.views import VIEWS


def test_every_page_is_drawn_once_and_a_slow_one_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def from_string(script: str, *, default_timeout: float) -> SimpleNamespace:
        def run() -> None:
            drawn.append(script)
            if len(drawn) == 2:
                raise RuntimeError("timed out")

        return SimpleNamespace(run=run)

    monkeypatch.setattr(AppTest, "from_string", from_string)
    draw_once()
    assert [entry.name for entry in VIEWS] == [script.rpartition("(")[2].strip("')") for script in drawn]


def test_a_wrong_chart_is_found_where_charts_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = alt.Chart(pd.DataFrame({"x": [1.0]})).mark_line().encode(x="x:Q")
    chart.height = "tall"
    finished = charts.Finished(chart)
    with pytest.raises(alt.utils.schemapi.SchemaValidationError, match="tall"):
        finished.to_dict()
    monkeypatch.setattr(alt.utils.schemapi, "DEBUG_MODE", False)
    assert finished.to_dict()["height"] == "tall"
