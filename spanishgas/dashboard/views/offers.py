"""Offers: the plan of a run date, its limits, what another budget would bring, and how sure all that is."""

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts
from spanishgas.dashboard.customer_table import customer_table
from spanishgas.dashboard.data import RECOMMENDED, SIMULATED
from spanishgas.dashboard.formatting import as_day, plain
from spanishgas.dashboard.layout import figures, page_head, section
from spanishgas.dashboard.risk_list import offered, risk_list
from spanishgas.dashboard.view import View
from spanishgas.dashboard.views.plan_value import budget_curve, measured, replay, sensitivity
from spanishgas.dashboard.words import SIZES, WINDOWS, limit_name
from spanishgas.engine.store import Manifest

OFFERS_HEIGHT = 420


def show(view: View) -> None:
    """Draws the page."""
    say = view.say
    page_head(
        view,
        say("Offers", "Ofertas"),
        say(
            "Who is offered what, within which limits, and what it is expected to bring.",
            "A quién se ofrece qué, con qué límites, y qué se espera que aporte.",
        ),
    )
    with section(view, border=False):
        manifest = view.published.manifest(RECOMMENDED, view.run_date)
        table, _ = risk_list(view)
        _figures(view, manifest)
        left, right = st.columns([3, 2], gap="medium")
        with left, section(view, say("By segment and window", "Por segmento y periodo"), key="plan"):
            _plan(view, offered(table))
        with (
            right,
            section(
                view,
                say("Limits", "Límites"),
                say(
                    "What the plan takes of what the period had left for it, those held out included.",
                    "Lo que el plan usa de lo que quedaba del periodo, incluido el grupo de control.",
                ),
                key="limits",
            ),
        ):
            _limits(view, manifest)
    left, right = st.columns(2, gap="medium")
    with left, section(view, say("Another budget", "Otro presupuesto"), key="budget"):
        budget_curve(view, view.published.manifest(SIMULATED, view.run_date))
    with right, section(view, say("If the assumptions are off", "Si los supuestos fallan"), key="sensitivity"):
        sensitivity(view, view.published.manifest(SIMULATED, view.run_date))
    simulated = view.published.find(SIMULATED, view.run_date)
    if simulated is not None and "replayed_policies" in simulated.tables:
        with section(
            view,
            say("By the demo world's truth", "Según la verdad del mundo de ejemplo"),
            say(
                "Only a generated world knows its probabilities. Share of what the records allow, with 95% intervals.",
                "Solo un mundo generado conoce sus probabilidades. Parte de lo que permiten los datos, al 95 %.",
            ),
            key="replay",
        ):
            replay(view, simulated)
    with section(view, say("Measured", "Medido"), key="measured"):
        measured(view)
    with section(view, say("All offers", "Todas las ofertas"), key="list"):
        view.published.manifest(RECOMMENDED, view.run_date)
        _list(view)


def _figures(view: View, manifest: Manifest) -> None:
    say, fmt, told = view.say, view.fmt, manifest.metrics
    spend, budget, impact = told.get("spend_eur"), told.get("budget_eur"), told.get("expected_margin_impact_eur")
    figures(
        (
            say("Offers", "Ofertas"),
            fmt.number(told.get("offers")),
            f"+{fmt.number(told.get('held_out'))} {say('held out', 'en control')}",
        ),
        (say("Expected spend", "Gasto esperado"), fmt.eur(spend), say("of ", "de ") + fmt.eur(budget)),
        (
            say("Expected margin kept", "Margen que se espera conservar"),
            fmt.eur(impact),
            say("costs taken off", "descontados los costes"),
        ),
        (
            say("Per euro spent", "Por euro gastado"),
            fmt.eur(impact / spend if spend and impact is not None else None, 2),
            say("net", "neto"),
        ),
    )
    if manifest.tags.get("fallback"):
        st.info(
            say(
                "The response is assumed: " + plain(manifest.tags["fallback"]),
                "La respuesta se supone: las campañas pasadas no bastan para aprenderla.",
            ),
            icon=":material/info:",
        )


def _plan(view: View, made: pd.DataFrame) -> None:
    say = view.say
    if made.empty:
        st.markdown(say("No offer pays in this run.", "Ninguna oferta compensa en esta fecha."))
        return
    grouped = made.groupby(["segment_label", "timing_window"], as_index=False).agg(
        offers=("customer_id", "size"), net=("expected_margin_impact", "sum"), spend=("expected_spend", "sum")
    )
    grouped["window"] = [view.word(WINDOWS, one) for one in grouped["timing_window"]]
    order = [view.word(WINDOWS, key) for key in WINDOWS if key != "none"]
    segments = grouped.groupby("segment_label")["offers"].sum().sort_values(ascending=False).index.tolist()
    base = alt.Chart(grouped).encode(
        x=alt.X(
            "window:N",
            sort=order,
            scale=alt.Scale(domain=order),
            axis=alt.Axis(title=None, labelAngle=0, labelAlign="center", labelOverlap=False, orient="top"),
        ),
        y=alt.Y("segment_label:N", sort=segments, axis=alt.Axis(title=None, labelLimit=190)),
        tooltip=[
            alt.Tooltip("segment_label:N", title=say("Segment", "Segmento")),
            alt.Tooltip("window:N", title=say("When", "Cuándo")),
            alt.Tooltip("offers:Q", title=say("Offers", "Ofertas")),
            alt.Tooltip("net:Q", format="$,.2f", title=say("Brings", "Aporta")),
            alt.Tooltip("spend:Q", format="$,.2f", title=say("Costs", "Cuesta")),
        ],
    )
    cells = base.mark_rect(cornerRadius=4).encode(
        color=alt.Color("offers:Q", scale=alt.Scale(range=["#2E8C7E", "#0B5A4E"]), legend=None)
    )
    counts = base.mark_text(color="white", fontWeight="bold", fontSize=15, dy=-7).encode(
        text=alt.Text("offers:Q", format=",")
    )
    euros = base.mark_text(color="white", fontSize=11, dy=10).encode(text=alt.Text("net:Q", format="$,.2f"))
    charts.show(
        view,
        cells + counts + euros,
        height=62 * len(segments) + 40,
        alt_text=say("Offers by segment and window", "Ofertas por segmento y periodo"),
    )
    st.caption(say("Offers, and what they are expected to bring.", "Ofertas, y lo que se espera que aporten."))
    sizes = made["action"].value_counts()
    st.markdown(
        " · ".join(f"{view.word(SIZES, key)}: **{view.fmt.number(sizes[key])}**" for key in SIZES if key in sizes.index)
    )


def _limits(view: View, manifest: Manifest) -> None:
    say, fmt = view.say, view.fmt
    table = view.published.table(manifest, "recommendation_limits")
    order = {"budget": 0, "window": 1, "channel": 2}
    table["kind"] = table["limit"].str.partition(":")[0]
    first, last = (fmt.day(as_day(table[name].iloc[0])) for name in ("period_start", "period_end"))
    if first != last:
        money = table[table["kind"] == "budget"].iloc[0]
        whole, before, left = (fmt.eur(money[name]) for name in ("period_bound", "committed", "period_left"))
        st.caption(
            say(
                f"{first} to {last}: {whole} in all, {before} committed by earlier runs, {left} left after this one.",
                f"Del {first} al {last}: {whole} en total, {before} comprometidos antes, quedan {left} tras esta.",
            )
        )
    for kind in sorted(table["kind"].unique(), key=lambda one: order.get(one, 9)):
        rows = table[table["kind"] == kind]
        if kind == "window":
            rows = rows.sort_values("limit", key=lambda names: names.str.partition(":")[2].map(list(WINDOWS).index))
        heads = {
            "budget": say("Money", "Dinero"),
            "window": say("Contacts per window", "Contactos por periodo"),
            "channel": say("Contacts per channel", "Contactos por canal"),
        }
        st.markdown(f":small[:gray[{heads.get(kind, kind)}]]")
        for one in rows.itertuples():
            write = fmt.eur if kind == "budget" else fmt.number
            name = limit_name(str(one.limit), view.language)
            if pd.isna(one.bound):
                st.markdown(f":small[{name}: **{write(one.used)}** :gray[{say('no limit', 'sin límite')}]]")
                continue
            told = f"{name}: **{write(one.used)}** {say('of', 'de')} {write(one.bound)}"
            if one.price_eur > 0:
                told += " · " + (
                    say(
                        f"one more euro would bring {fmt.eur(one.price_eur, 2)}",
                        f"un euro más aportaría {fmt.eur(one.price_eur, 2)}",
                    )
                    if kind == "budget"
                    else say(
                        f"one more would bring {fmt.eur(one.price_eur, 2)}",
                        f"uno más aportaría {fmt.eur(one.price_eur, 2)}",
                    )
                )
            st.progress(min(one.used / one.bound, 1.0) if one.bound else 0.0, text=f":small[{told}]")


def _list(view: View) -> None:
    say = view.say
    table, _ = risk_list(view)
    made = offered(table).sort_values("expected_margin_impact", ascending=False, ignore_index=True)
    if made.empty:
        st.markdown(say("No offer pays in this run.", "Ninguna oferta compensa en esta fecha."))
        return
    names = {
        "customer_id": say("Customer", "Cliente"),
        "action_label": say("Offer", "Oferta"),
        "channel_label": say("Channel", "Canal"),
        "timing_window_label": say("When", "Cuándo"),
        "expected_margin_impact": say("Brings", "Aporta"),
        "expected_spend": say("Costs", "Cuesta"),
        "risk": say("Risk", "Riesgo"),
        "reason": say("Main reason of the risk", "Motivo principal del riesgo"),
        "segment_label": say("Segment", "Segmento"),
        "province": say("Province", "Provincia"),
    }
    shown = made[list(names)].round({"risk": 3, "expected_margin_impact": 2, "expected_spend": 2})
    shown = shown.rename(columns=names)
    config = st.column_config
    customer_table(
        view,
        made,
        shown,
        key="offers_list",
        height=OFFERS_HEIGHT,
        config={
            names["customer_id"]: config.TextColumn(pinned=True, width=80),
            names["risk"]: config.NumberColumn(format="percent", width=70),
            names["expected_margin_impact"]: config.NumberColumn(format="euro", width=75),
            names["expected_spend"]: config.NumberColumn(format="euro", width=75),
            names["reason"]: config.TextColumn(width="large"),
        },
    )
    st.download_button(
        say("Download as CSV", "Descargar en CSV"),
        data=lambda: view.fmt.csv(shown),
        file_name=f"{say('offers', 'ofertas')}-{view.settings.data}-{view.run_date}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="download_offers",
    )
