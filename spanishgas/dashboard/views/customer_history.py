"""A customer's contract, prices, consumption and conversations, as parts of the customer's page."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts, customers
from spanishgas.dashboard.layout import facts
from spanishgas.dashboard.provinces import province_name
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import CONTACTS, SALES_CHANNELS
from spanishgas.engine.store import Manifest

SHOWN_CONVERSATIONS = 6


def contract(view: View, silver: Manifest, customer: str, row: "pd.Series[Any]") -> None:
    """Who the customer is, and the terms so far."""
    say, fmt = view.say, view.fmt
    assert view.run_date is not None
    who = customers.attributes(view.published, silver, customer, view.run_date)
    terms = customers.terms(view.published, silver, customer, view.run_date)
    yes, no, unknown = say("Yes", "Sí"), "No", "–"

    def flag(value: object) -> str:
        return unknown if pd.isna(value) else yes if value else no  # type: ignore[call-overload]

    pairs = [(say("Segment", "Segmento"), str(row["segment_label"]) or unknown)]
    if who is not None:
        kind = say("Home", "Vivienda habitual")
        if who["is_industrial"] is True or str(who["is_industrial"]) == "True":
            kind = say("Business", "Empresa")
        elif str(who["is_second_residence"]) == "True":
            kind = say("Second home", "Segunda residencia")
        pairs += [
            (say("Supply", "Suministro"), f"{kind}, {fmt.unit(who['contracted_power_kw'], 'kW', 2)}"),
            (say("Province", "Provincia"), province_name(who["province_code"]) or unknown),
            (say("Won through", "Captado por"), view.word(SALES_CHANNELS, who["sales_channel"])),
            (say("Commercial messages", "Mensajes comerciales"), flag(who["marketing_consent"])),
            (say("Commercial calls", "Llamadas comerciales"), flag(who["phone_consent"])),
            (say("Vulnerable or social tariff", "Vulnerable o bono social"), flag(who["is_vulnerable"])),
        ]
    if len(terms):
        now = terms.iloc[-1]
        renewal = pd.Timestamp(now["next_renewal_date"])
        left = (renewal - pd.Timestamp(view.run_date)).days if pd.notna(renewal) else None
        when = fmt.day(renewal)
        if left is not None:
            ahead, past = say(f"in {left} days", f"en {left} días"), say(f"{-left} days ago", f"hace {-left} días")
            when += f" ({ahead if left >= 0 else past})"
        pairs += [
            (say("Customer since", "Cliente desde"), fmt.day(now["customer_first_activation_date"])),
            (say("Current term since", "Contrato actual desde"), fmt.day(now["contract_start_date"])),
            (say("Renewal", "Renovación"), when),
            (say("Terms so far", "Contratos hasta ahora"), fmt.number(len(terms))),
        ]
    facts(pairs)


def prices(view: View, silver: Manifest, customer: str) -> None:
    """Prices paid, with the starts of new terms."""
    say = view.say
    assert view.run_date is not None
    rows = customers.prices(view.published, silver, customer, view.run_date)
    names = {
        "variable_price_tier1_eur_kwh": say("Peak", "Punta"),
        "variable_price_tier2_eur_kwh": say("Standard", "Llano"),
        "variable_price_tier3_eur_kwh": say("Off-peak", "Valle"),
    }
    long = rows.melt("pricing_date", list(names), "period", "price").dropna()
    if long.empty:
        st.markdown(say("No prices are known.", "No se conocen precios."))
        return
    long["period"] = long["period"].map(names)
    long["pricing_date"] = pd.to_datetime(long["pricing_date"])
    starts = customers.terms(view.published, silver, customer, view.run_date)[["contract_start_date"]]
    starts["contract_start_date"] = pd.to_datetime(starts["contract_start_date"])
    starts = starts[starts["contract_start_date"] >= long["pricing_date"].min()]
    lines = (
        alt.Chart(long)
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X("pricing_date:T", title=None, axis=alt.Axis(format="%b %Y", tickCount=8)),
            y=alt.Y("price:Q", title="€/kWh", scale=alt.Scale(zero=False), axis=alt.Axis(format=".3f")),
            color=alt.Color(
                "period:N",
                scale=alt.Scale(domain=list(names.values()), range=[charts.ROSE, charts.AMBER, charts.TEAL]),
                legend=charts.legend(),
            ),
            tooltip=[
                alt.Tooltip("pricing_date:T", format="%e %b %Y", title=say("From", "Desde")),
                alt.Tooltip("period:N", title=say("Period", "Periodo")),
                alt.Tooltip("price:Q", format=".4f", title="€/kWh"),
            ],
        )
    )
    rules = (
        alt.Chart(starts)
        .mark_rule(strokeDash=[4, 4], color=charts.GREY)
        .encode(
            x="contract_start_date:T",
            tooltip=[alt.Tooltip("contract_start_date:T", format="%e %b %Y", title=say("New term", "Nuevo contrato"))],
        )
    )
    drawn = rules + lines if len(starts) else lines
    charts.show(view, drawn, height=360, alt_text=say("Prices over time", "Precios a lo largo del tiempo"))
    if len(starts):
        st.caption(say("Dashed: a new contract term.", "Línea discontinua: nuevo contrato."))


def consumption(view: View, silver: Manifest, customer: str) -> None:
    """Consumption per month."""
    say = view.say
    assert view.run_date is not None
    table = customers.months(customers.days(view.published, silver, customer, view.run_date))
    if table.empty:
        st.markdown(say("No consumption is known.", "No se conoce el consumo."))
        return
    names = {
        "elec_p1_kwh": say("Electricity, peak", "Electricidad, punta"),
        "elec_p2_kwh": say("Electricity, standard", "Electricidad, llano"),
        "elec_p3_kwh": say("Electricity, off-peak", "Electricidad, valle"),
        "gas_kwh": "Gas",
    }
    table = table.set_index("month").asfreq("MS").fillna(0.0).reset_index()  # a month without a day keeps its place
    long = table.melt(["month", "coverage"], list(names), "what", "kwh")
    long = long[(long["kwh"] > 0) | (long["what"] != "gas_kwh")]
    order = {name: place for place, name in enumerate(names)}
    long["place"] = long["what"].map(order)
    long["what"] = long["what"].map(names)
    colours = dict(zip(names.values(), (charts.ROSE, charts.AMBER, charts.TEAL, charts.BLUE), strict=True))
    present = [name for name in colours if name in set(long["what"])]
    chart = (
        alt.Chart(long)
        .mark_bar()
        .encode(
            x=alt.X(
                "yearmonth(month):O",
                title=None,
                axis=alt.Axis(format="%b %Y", labelAngle=0, labelAlign="center", labelOverlap=True),
            ),
            y=alt.Y("kwh:Q", title="kWh", axis=alt.Axis(format=",.0f")),
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=present, range=[colours[name] for name in present]),
                legend=charts.legend(),
            ),
            order="place:Q",
            tooltip=[
                alt.Tooltip("month:T", format="%B %Y", title=say("Month", "Mes")),
                alt.Tooltip("what:N", title=" "),
                alt.Tooltip("kwh:Q", format=",.0f", title="kWh"),
                alt.Tooltip("coverage:Q", format=".0%", title=say("Hours metered", "Horas medidas")),
            ],
        )
    )
    charts.show(view, chart, alt_text=say("Consumption per month", "Consumo mensual"))
    if (table["coverage"] < 0.95).any():
        st.caption(
            say(
                "Some months are not wholly metered; hours that are missing are not counted as zero.",
                "Algunos meses no están medidos del todo; las horas que faltan no se cuentan como cero.",
            )
        )


def conversations(view: View, silver: Manifest, customer: str) -> None:
    """The last conversations."""
    say, fmt = view.say, view.fmt
    assert view.run_date is not None
    rows = customers.conversations(view.published, silver, customer, view.run_date)
    if rows.empty:
        st.markdown(say("The customer has not been in touch.", "El cliente no se ha puesto en contacto."))
        return
    for one in rows.head(SHOWN_CONVERSATIONS).itertuples():
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.badge(view.word(CONTACTS, one.channel), color="gray")
            st.markdown(f":gray[{fmt.day(one.date)}]", width="content")
            st.text(str(one.interaction_summary))
    if len(rows) > SHOWN_CONVERSATIONS:
        more = len(rows) - SHOWN_CONVERSATIONS
        st.caption(say(f"and {more} before", f"y {more} anteriores"))
