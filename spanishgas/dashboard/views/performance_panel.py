"""Performance, as a part of the monitoring page: by month, by segment, and calibration."""

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts
from spanishgas.dashboard.signals import Found
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import METRICS, POPULATIONS, STATUSES

SHOWN_METRICS = ("pr_auc", "recall_at_10", "roc_auc", "observed_over_expected", "calibration_slope", "ece")


def performance_panel(view: View, found: Found) -> None:
    """Performance by month and segment, measured and estimated, and calibration."""
    say = view.say
    table = found.table
    populations = [one for one in POPULATIONS if one in set(table["population"])]
    metrics = [one for one in SHOWN_METRICS if one in set(table["metric"])] or sorted(set(table["metric"]))
    with st.container(horizontal=True):
        population = st.segmented_control(
            say("Customers", "Clientes"),
            populations,
            default=populations[0],
            required=True,
            format_func=lambda one: view.word(POPULATIONS, one),
            key="population",
        )
        metric = st.selectbox(
            say("Figure", "Medida"), metrics, format_func=lambda one: view.word(METRICS, one), key="metric", width=320
        )
    rows = table[(table["population"] == population) & (table["metric"] == metric)].copy()
    rows["status_label"] = [view.word(STATUSES, one) for one in rows["status"]]
    months, segments = (
        rows[(rows["group"] == "month") & rows["value"].notna()],
        rows[(rows["group"] == "segment") & rows["value"].notna()],
    )
    whole = rows[rows["group"] == "all"]
    if len(whole):
        one = whole.iloc[0]
        told = view.fmt.interval(one["value"], one["lo"], one["hi"], 3)
        counted = [
            view.word(STATUSES, one["status"]).lower(),
            f"{view.fmt.number(one['rows'])} {say('customers', 'clientes')}",
            f"{view.fmt.number(one['leavers'] if pd.notna(one['leavers']) else None)} {say('left', 'bajas')}",
        ]
        st.markdown(f"{say('All mature months', 'Todos los meses maduros')}: **{told}** :gray[{', '.join(counted)}]")
    reliability = _reliability_rows(view, found, population)
    left, right = st.columns([3, 2], gap="medium") if len(segments) or len(reliability) else (st.container(), None)
    with left:
        if months.empty:
            st.markdown(say("No month can be told yet.", "Todavía no se puede decir nada de ningún mes."))
        else:
            _by_month(view, months, metric)
    if right is None:
        return
    with right:
        if len(segments):
            _by_segment(view, segments, metric)
        if len(reliability):
            drawn = charts.reliability(view, reliability, colour=alt.value(charts.TEAL), tooltip=[])
            charts.show(view, drawn, height=220, alt_text=say("Calibration since", "Calibración desde entonces"))


def _reliability_rows(view: View, found: Found, population: str) -> pd.DataFrame:
    if "performance_reliability" not in found.manifest.tables:
        return pd.DataFrame()
    table = view.published.table(found.manifest, "performance_reliability")
    return table[table["population"] == population]


def _by_month(view: View, months: pd.DataFrame, metric: str) -> None:
    say = view.say
    months = months.assign(day=pd.to_datetime(months["member"], errors="coerce")).dropna(subset=["day"])
    status = [view.word(STATUSES, one) for one in STATUSES]
    tooltip = [
        alt.Tooltip("day:T", format="%e %b %Y", title=say("Features of", "Variables del")),
        alt.Tooltip("status_label:N", title=" "),
        alt.Tooltip("value:Q", format=".3f", title=view.word(METRICS, metric)),
        alt.Tooltip("lo:Q", format=".3f", title=say("from", "desde")),
        alt.Tooltip("hi:Q", format=".3f", title=say("to", "hasta")),
        alt.Tooltip("rows:Q", format=",", title=say("Customers", "Clientes")),
        alt.Tooltip("leavers:Q", format=",", title=say("Left", "Bajas")),
    ]
    colour = alt.Color(
        "status_label:N",
        scale=alt.Scale(domain=status, range=[charts.TEAL, charts.AMBER, charts.GREY]),
        legend=charts.legend(symbolOpacity=1),
    )
    base = alt.Chart(months).encode(
        x=alt.X("day:T", title=None, axis=alt.Axis(format="%b %Y", values=sorted(set(months["day"]))))
    )
    ranges = base.mark_rule(strokeWidth=2).encode(
        y=alt.Y("lo:Q", title=view.word(METRICS, metric), scale=alt.Scale(zero=False)), y2="hi:Q", color=colour
    )
    points = base.mark_point(filled=True, size=90).encode(y="value:Q", color=colour, tooltip=tooltip)
    drawn = ranges + points
    bounds = [one for one in ("floor", "ceiling") if months[one].notna().any()]
    for bound in bounds:
        drawn += base.mark_line(strokeDash=[5, 4], color=charts.ROSE).encode(y=f"{bound}:Q")
    charts.show(view, drawn, height=330, alt_text=say("Performance by month", "Rendimiento por mes"))
    told = say("Estimated: the outcomes are not known yet.", "Estimado: aún no se conoce el resultado.")
    if bounds:
        told = say("Dashed: what it must keep to. ", "Línea discontinua: lo exigido. ") + told
    st.caption(told)


def _by_segment(view: View, segments: pd.DataFrame, metric: str) -> None:
    base = alt.Chart(segments).encode(y=alt.Y("label:N", axis=alt.Axis(title=None, labelLimit=170)))
    ranges = base.mark_rule(strokeWidth=2, color=charts.BLUE).encode(
        x=alt.X("lo:Q", title=view.word(METRICS, metric), scale=alt.Scale(zero=False)), x2="hi:Q"
    )
    points = base.mark_point(filled=True, size=90, color=charts.BLUE).encode(
        x="value:Q",
        tooltip=[
            alt.Tooltip("label:N", title=view.say("Segment", "Segmento")),
            alt.Tooltip("value:Q", format=".3f", title=view.word(METRICS, metric)),
            alt.Tooltip("lo:Q", format=".3f", title=view.say("from", "desde")),
            alt.Tooltip("hi:Q", format=".3f", title=view.say("to", "hasta")),
        ],
    )
    charts.show(
        view,
        ranges + points,
        height=40 * len(segments) + 50,
        alt_text=view.say("Performance by segment", "Rendimiento por segmento"),
    )
