"""Charts in the reader's language, in colours that are told apart on light and on dark."""

from typing import Any, cast

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard.view import View

TEAL, AMBER, ROSE, BLUE, VIOLET, GREY = "#12907E", "#E8912D", "#D6455D", "#3B82C4", "#8A63D2", "#8A94A3"
# From calm to urgent, for risk.
RISK_COLOURS = {"low": TEAL, "medium": AMBER, "high": ROSE}
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
    st.altair_chart(cast(alt.Chart, Finished(finished)), key=key, alt=alt_text or None)


class Finished:
    """A chart that is checked when Streamlit asks for its dictionary only where Altair's debug mode is on.

    Streamlit always has it checked; the dashboard's server turns that off, see ``__main__.load``.
    """

    def __init__(self, chart: Any) -> None:
        self.chart = chart

    def to_dict(self) -> dict[str, Any]:
        """The chart as Vega-Lite.

        Raises:
            altair.SchemaValidationError: It is checked, and no chart is like that.
        """
        return dict(self.chart.to_dict(validate=alt.utils.schemapi.DEBUG_MODE))


def money(title: str | None = None, **more: Any) -> alt.Axis:
    """An axis of euros."""
    return alt.Axis(format="$,.0f", title=title, **more)


def share(title: str | None = None, digits: int = 0, **more: Any) -> alt.Axis:
    """An axis of shares."""
    return alt.Axis(format=f".{digits}%", title=title, **more)


def legend(title: str | None = None, **more: Any) -> alt.Legend:
    """A legend above the chart."""
    return alt.Legend(title=title, orient="top", **more)


def diagonal(top: float) -> Any:
    """The line on which both axes agree."""
    return (
        alt.Chart(pd.DataFrame({"x": [0, top], "y": [0, top]}))
        .mark_line(color=GREY, strokeDash=[4, 4])
        .encode(x="x:Q", y="y:Q")
    )


def reliability(view: View, table: pd.DataFrame, *, colour: Any, tooltip: list[alt.Tooltip]) -> Any:
    """Foretold and observed shares of leavers, with intervals and the diagonal.

    Args:
        view: What the page is given.
        table: Columns ``predicted``, ``observed``, ``lo``, ``hi``, a row per bin.
        colour: Colour of the points.
        tooltip: What is told of a point beside the two shares.
    """
    foretold, observed = view.say("Foretold", "Previsto"), view.say("Observed", "Observado")
    top = float(table[["predicted", "observed"]].to_numpy().max()) * 1.2 or 1.0
    inside = alt.Scale(domain=[0, top], clamp=True)
    base = alt.Chart(table).encode(
        x=alt.X("predicted:Q", axis=share(foretold, tickCount=6), scale=alt.Scale(domain=[0, top])), color=colour
    )
    points = base.mark_line(point=True).encode(
        y=alt.Y("observed:Q", axis=share(observed), scale=inside),
        tooltip=[
            *tooltip,
            alt.Tooltip("predicted:Q", format=".1%", title=foretold),
            alt.Tooltip("observed:Q", format=".1%", title=observed),
            alt.Tooltip("rows:Q", format=",", title=view.say("Rows", "Filas")),
        ],
    )
    ranges = base.mark_rule(opacity=0.5).encode(y=alt.Y("lo:Q", title=observed), y2="hi:Q")
    return diagonal(top) + ranges + points


def scale_of(colours: dict[str, str], names: dict[str, str]) -> alt.Scale:
    """A colour scale over words of the reader's language."""
    return alt.Scale(
        domain=[names[key] for key in colours if key in names], range=[colours[key] for key in colours if key in names]
    )
