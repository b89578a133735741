"""Charts in the reader's language, in colours that are told apart on light and on dark."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard.view import View

TEAL, AMBER, ROSE, BLUE, VIOLET, GREY = "#12907E", "#E8912D", "#D6455D", "#3B82C4", "#8A63D2", "#8A94A3"
# From calm to urgent, for risk.
RISK_COLOURS = {"low": TEAL, "medium": AMBER, "high": ROSE}
ACTION_COLOURS = {"small": "#7CC6BA", "medium": "#2FA38F", "large": "#0B6B5D"}
SERIES = (TEAL, AMBER, BLUE, VIOLET, ROSE, GREY)
HEIGHT = 280


def show(view: View, chart: Any, *, height: int = HEIGHT, key: str | None = None, alt_text: str = "") -> None:
    """Draws a chart with numbers and dates of the reader's language.

    Args:
        view: What the page is given.
        chart: The chart.
        height: Pixels.
        key: Name for tests.
        alt_text: What it shows, for those who cannot see it.
    """
    locale = view.fmt.chart_locale
    finished = (
        chart.properties(height=height)
        .configure(locale=alt.Locale(number=locale["number"], time=locale["time"]))
        .configure_view(strokeWidth=0)
    )
    st.altair_chart(finished, key=key, alt=alt_text or None)


def money(view: View, title: str | None = None, **more: Any) -> alt.Axis:
    """An axis of euros."""
    return alt.Axis(format="$,.0f", title=title, **more)


def share(title: str | None = None, digits: int = 0, **more: Any) -> alt.Axis:
    """An axis of shares."""
    return alt.Axis(format=f".{digits}%", title=title, **more)


def bars(
    data: pd.DataFrame, label: str, value: str, *, axis: alt.Axis, colour: str = TEAL, order: list[str] | None = None
) -> Any:
    """Horizontal bars, one a row, in the order of the table."""
    return (
        alt.Chart(data)
        .mark_bar(color=colour, cornerRadiusEnd=3, height={"band": 0.66})
        .encode(
            x=alt.X(f"{value}:Q", axis=axis),
            y=alt.Y(f"{label}:N", sort=order or data[label].tolist(), axis=alt.Axis(title=None, labelLimit=260)),
        )
    )


def scale_of(colours: dict[str, str], names: dict[str, str]) -> alt.Scale:
    """A colour scale over words of the reader's language."""
    return alt.Scale(
        domain=[names[key] for key in colours if key in names], range=[colours[key] for key in colours if key in names]
    )
