"""Overview: what stands, what it costs, what it should bring, and how that moved."""

from datetime import date

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts
from spanishgas.dashboard.customer_table import customer_table
from spanishgas.dashboard.data import RECOMMENDED, SILVER
from spanishgas.dashboard.formatting import as_day
from spanishgas.dashboard.history import RunFigures, as_table, last_runs
from spanishgas.dashboard.layout import change, figure, page_head, section
from spanishgas.dashboard.risk_list import risk_list
from spanishgas.dashboard.signals import monitoring_summary
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import BUCKETS, RESPONSES

TOP = 8
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
        _basis(view, runs[-1])
        _figures(view, runs)
    left, right = st.columns([3, 2], gap="medium")
    with left, section(view, say("Offers that bring most", "Las ofertas que más aportan"), key="top"):
        _top(view)
    with right, section(view, say("How risk is spread", "Cómo se reparte el riesgo"), key="spread"):
        _spread(view)
    left, right = st.columns([3, 2], gap="medium")
    with left, section(view, say("Over the last run dates", "En las últimas fechas"), key="trend"):
        _trend(view, last_runs(view.published, view.run_date))
    with right, section(view, say("State of the model", "Estado del modelo"), key="state"):
        monitoring_summary(view)


def _basis(view: View, run: RunFigures) -> None:
    """What the figures rest on: champion, dates, freshness."""
    say, fmt = view.say, view.fmt
    parts = [f":material/trophy: {say('Champion', 'Campeón')} **v{run.model_version}**" + _champion(view, run)]
    if run.as_of:
        age = (run.run_date - as_day(run.as_of)).days
        parts.append(
            f":material/calendar_month: {say('Features of', 'Variables del')} **{fmt.day(run.as_of)}** "
            f"({say(f'{age} days before', f'{age} días antes')})"
        )
    silver = view.published.find(SILVER)
    if silver is not None and silver.tags.get("latest_event"):
        parts.append(
            f":material/database: {say('Data up to', 'Datos hasta')} **{fmt.day(silver.tags['latest_event'])}**"
        )
    parts.append(f":material/schedule: {say('Published', 'Publicado')} **{fmt.moment(run.created_at)}**")
    if run.response:
        parts.append(
            f":material/handshake: {say('Response to offers', 'Respuesta a las ofertas')} "
            f"**{view.word(RESPONSES, run.response)}**"
        )
    st.markdown("&emsp;".join(f":small[{part}]" for part in parts))


def _champion(view: View, run: RunFigures) -> str:
    """Whether who scored is still champion; nothing where the registry cannot be asked."""
    try:
        now = next((one for one in view.versions() if "champion" in one.aliases), None)
    except Exception:  # the figures stand without it; the page on the model tells what is wrong
        return ""
    if now is None or now.version.version == run.model_version:
        return ""
    return " " + view.say(
        f":orange[(now it is v{now.version.version}: score again)]",
        f":orange[(ahora es v{now.version.version}: vuelva a puntuar)]",
    )


def _figures(view: View, runs: list[RunFigures]) -> None:
    say, fmt = view.say, view.fmt
    now, before = runs[-1], runs[-2] if len(runs) > 1 else None

    def past(name: str) -> list[float] | None:
        told = [value for run in runs if (value := getattr(run, name)) is not None]
        return told if len(told) > 1 else None

    def card(label: str, name: str, value: str, write, *, colour: str, note: str, help_: str) -> None:  # type: ignore[no-untyped-def]
        figure(
            label,
            value,
            delta=change(view, getattr(now, name), getattr(before, name) if before else None, write),
            delta_color=colour,
            delta_description=note,
            chart_data=past(name),
            chart_type="area",
            help=help_,
        )

    def whole(value: float) -> str:
        return fmt.number(value, sign=True)

    def euros(value: float) -> str:
        return fmt.eur(value, sign=True)

    since = "" if before is None else say("since ", "desde ") + fmt.day(before.run_date)
    columns = st.columns(3)
    with columns[0]:
        card(
            say("Customers at risk", "Clientes en riesgo"),
            "high",
            fmt.number(now.high),
            whole,
            colour="inverse",
            note=since,
            help_=say(
                f"Of {fmt.number(now.customers)} active customers, those in the bucket of highest risk.",
                f"De {fmt.number(now.customers)} clientes activos, los del grupo de mayor riesgo.",
            ),
        )
    with columns[1]:
        card(
            say("Expected to leave in 90 days", "Bajas esperadas en 90 días"),
            "expected_leavers",
            fmt.number(now.expected_leavers),
            whole,
            colour="inverse",
            note=since,
            help_=say(
                "Sum of all probabilities of leaving if nothing is done.",
                "Suma de todas las probabilidades de baja si no se hace nada.",
            ),
        )
    with columns[2]:
        card(
            say("Expected loss per month", "Pérdida mensual esperada"),
            "margin_at_risk",
            fmt.eur(now.margin_at_risk),
            euros,
            colour="inverse",
            note=since,
            help_=say(
                "Monthly margin that is expected to be gone after 90 days: risk times expected margin, summed.",
                "Margen mensual que se espera perder en 90 días: riesgo por margen esperado, sumado.",
            ),
        )
    columns = st.columns(3)
    with columns[0]:
        card(
            say("Offers", "Ofertas"),
            "offers",
            fmt.number(now.offers),
            whole,
            colour="off",
            note=since,
            help_=say(
                f"Made in this run. {fmt.number(now.held_out)} more are held out, to measure what offers bring.",
                f"Hechas en esta fecha. Otras {fmt.number(now.held_out)} quedan en el grupo de control.",
            ),
        )
    with columns[1]:
        used = None if not now.budget or now.spend is None else now.spend / now.budget
        card(
            say("Expected spend", "Gasto esperado"),
            "spend",
            fmt.eur(now.spend),
            euros,
            colour="off",
            note=since,
            help_=say(
                f"Discounts and contacts; {fmt.pct(used, 0)} of the budget of {fmt.eur(now.budget)}.",
                f"Descuentos y contactos; {fmt.pct(used, 0)} del presupuesto de {fmt.eur(now.budget)}.",
            ),
        )
    with columns[2]:
        card(
            say("Expected margin kept", "Margen que se espera conservar"),
            "impact",
            fmt.eur(now.impact),
            euros,
            colour="normal",
            note=since,
            help_=say(
                "Over the policy's horizon, all costs taken off.",
                "En el horizonte de la política, descontados los costes.",
            ),
        )


def _top(view: View) -> None:
    """The offers that bring most, to go on with."""
    say, fmt = view.say, view.fmt
    view.published.manifest(RECOMMENDED, view.run_date)
    table, _ = risk_list(view)
    offered = table[table["action"].fillna("none") != "none"]
    if offered.empty:
        st.markdown(say("No offer pays in this run.", "Ninguna oferta compensa en esta fecha."))
        return
    best = offered.sort_values("expected_margin_impact", ascending=False).head(TOP)
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
            names["customer_id"]: config.TextColumn(width=70),
            names["risk"]: config.NumberColumn(format="percent", width=60),
            names["action_label"]: config.TextColumn(width=105),
            names["timing_window_label"]: config.TextColumn(width=110),
            names["expected_margin_impact"]: config.NumberColumn(format="euro", width=65),
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
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip("from:Q", format=".1%", title=say("From", "Desde")),
                alt.Tooltip("to:Q", format=".1%", title=say("To", "Hasta")),
                alt.Tooltip("customers:Q", format=",", title=say("Customers", "Clientes")),
            ],
        )
    )
    charts.show(view, chart, alt_text=say("Customers by risk of leaving", "Clientes por riesgo de baja"))


def _trend(view: View, runs: list[RunFigures]) -> None:
    say = view.say
    if len(runs) < 2:
        st.markdown(
            say(
                "One run date is published. From the second on, this shows how the figures move.",
                "Hay una sola fecha publicada. A partir de la segunda, aquí se ve cómo evolucionan las cifras.",
            )
        )
        st.code(f"python -m pipelines.run_pipeline pipeline=daily{view.settings.option} run_date={_next(runs)}")
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
            y=alt.Y("eur:Q", axis=charts.money(view)),
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=list(names.values()), range=[charts.AMBER, charts.TEAL]),
                legend=alt.Legend(title=None, orient="top", labelLimit=260),
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
