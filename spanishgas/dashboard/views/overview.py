"""Overview: what stands, what it costs, what it should bring, and how that moved."""

from datetime import date

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts
from spanishgas.dashboard.customer_table import customer_table
from spanishgas.dashboard.data import RECOMMENDED
from spanishgas.dashboard.history import RunFigures, as_table, last_runs
from spanishgas.dashboard.layout import page_head, section
from spanishgas.dashboard.risk_list import offered, risk_list
from spanishgas.dashboard.signals import monitoring_summary
from spanishgas.dashboard.view import View
from spanishgas.dashboard.views.overview_figures import basis_line, figure_cards
from spanishgas.dashboard.words import BUCKETS

TOP = 6
BINS = 40


def show(view: View) -> None:
    """Draws the page."""
    say = view.say
    assert view.run_date is not None
    page_head(
        view,
        say("Overview", "Resumen"),
        say(
            "Who may leave, what is offered, and what it should bring.",
            "Quién puede irse, qué se ofrece y qué debería aportar.",
        ),
    )
    with section(view, border=False, key="figures"):
        runs = last_runs(view.published, view.run_date)
        basis_line(view, runs[-1])
        figure_cards(view, runs)
    with section(view, say("Offers that bring most", "Las ofertas que más aportan"), key="top"):
        _top(view)
    left, right = st.columns([3, 2], gap="medium")
    with left, section(view, say("How risk is spread", "Cómo se reparte el riesgo"), key="spread"):
        _spread(view)
    with right, section(view, say("State of the model", "Estado del modelo"), key="state"):
        monitoring_summary(view)
    with section(view, say("Over the last run dates", "En las últimas fechas"), key="trend"):
        _trend(view, last_runs(view.published, view.run_date))


def _top(view: View) -> None:
    """The offers that bring most, to go on with."""
    say = view.say
    view.published.manifest(RECOMMENDED, view.run_date)
    table, _ = risk_list(view)
    made = offered(table)
    if made.empty:
        st.markdown(say("No offer pays in this run.", "Ninguna oferta compensa en esta fecha."))
        return
    best = made.sort_values("expected_margin_impact", ascending=False).head(TOP)
    names = {
        "customer_id": say("Customer", "Cliente"),
        "risk": say("Risk", "Riesgo"),
        "action_label": say("Offer", "Oferta"),
        "timing_window_label": say("When", "Cuándo"),
        "expected_margin_impact": say("Brings", "Aporta"),
        "reason": say("Main reason of the risk", "Motivo principal del riesgo"),
    }
    config = st.column_config
    customer_table(
        view,
        best,
        best[list(names)].round({"risk": 3}).rename(columns=names),
        key="best",
        config={
            names["customer_id"]: config.TextColumn(width=80),
            names["risk"]: config.NumberColumn(format="percent", width=75),
            names["action_label"]: config.TextColumn(width=120),
            names["timing_window_label"]: config.TextColumn(width=130),
            names["expected_margin_impact"]: config.NumberColumn(format="euro", width=85),
            names["reason"]: config.TextColumn(width="large"),
        },
    )
    st.page_link(
        view.pages["at_risk"],
        label=say("All customers at risk", "Todos los clientes en riesgo"),
        icon=":material/arrow_forward:",
    )


def _spread(view: View) -> None:
    say = view.say
    table, _ = risk_list(view)
    top = float(table["risk"].quantile(0.995)) or 1.0
    width = top / BINS
    place = (table["risk"].clip(upper=top) / width).astype(int).clip(upper=BINS - 1)
    labels = table["risk_bucket_label"].fillna(say("All", "Todos"))
    counts = table.groupby([place.rename("bin"), labels.rename("bucket")]).size().rename("customers").reset_index()
    counts["from"], counts["to"] = counts["bin"] * width, (counts["bin"] + 1) * width
    counts["high"] = counts.groupby("bin")["customers"].cumsum()
    counts["low"] = counts["high"] - counts["customers"]
    names = {key: view.word(BUCKETS, key) for key in BUCKETS}
    chart = (
        alt.Chart(counts)
        .mark_rect()
        .encode(
            x=alt.X("from:Q", axis=charts.share(say("Risk within 90 days", "Riesgo en 90 días"))),
            x2="to:Q",
            y=alt.Y("low:Q", title=say("Customers", "Clientes")),
            y2="high:Q",
            color=alt.Color(
                "bucket:N",
                scale=charts.scale_of(charts.RISK_COLOURS, names)
                if table["risk_bucket"].notna().any()
                else alt.Undefined,
                legend=charts.legend(),
            ),
            tooltip=[
                alt.Tooltip("from:Q", format=".1%", title=say("From", "Desde")),
                alt.Tooltip("to:Q", format=".1%", title=say("To", "Hasta")),
                alt.Tooltip("customers:Q", format=",", title=say("Customers", "Clientes")),
            ],
        )
    )
    charts.show(view, chart, height=300, alt_text=say("Customers by risk of leaving", "Clientes por riesgo de baja"))


def _trend(view: View, runs: list[RunFigures]) -> None:
    say = view.say
    if len(runs) < 2:
        st.markdown(
            say(
                "One run date is published. From the second on, this shows how the figures move.",
                "Hay una sola fecha publicada. A partir de la segunda, aquí se ve cómo evolucionan las cifras.",
            )
        )
        st.code(
            f"python -m pipelines.run_pipeline pipeline=daily{view.settings.option} run_date={_next(runs)}",
            wrap_lines=True,
        )
        return
    table = as_table(runs)
    names = {
        "spend": say("Expected spend", "Gasto esperado"),
        "impact": say("Expected margin kept", "Margen que se espera conservar"),
    }
    long = table.melt("run_date", list(names), "what", "eur").dropna()
    long["what"] = long["what"].map(names)
    long["run_date"] = pd.to_datetime(long["run_date"])
    chart = (
        alt.Chart(long)
        .mark_line(point=True, strokeWidth=2.5)
        .encode(
            x=alt.X("run_date:T", title=None, axis=alt.Axis(format="%e %b %Y", values=sorted(set(long["run_date"])))),
            y=alt.Y("eur:Q", axis=charts.money()),
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=list(names.values()), range=[charts.AMBER, charts.TEAL]),
                legend=charts.legend(labelLimit=260),
            ),
            tooltip=[
                alt.Tooltip("run_date:T", format="%e %b %Y", title=say("Run date", "Fecha")),
                alt.Tooltip("what:N", title=" "),
                alt.Tooltip("eur:Q", format="$,.0f", title="EUR"),
            ],
        )
    )
    charts.show(view, chart, alt_text=say("Spend and margin by run date", "Gasto y margen por fecha"))


def _next(runs: list[RunFigures]) -> date:
    return (pd.Timestamp(runs[-1].run_date) + pd.Timedelta(days=1)).date() if runs else date(2026, 1, 1)
