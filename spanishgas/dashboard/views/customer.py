"""Customer: one customer's risk, the reasons, the recommendation and what else was considered, and what if."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts, customers, what_if
from spanishgas.dashboard.data import RECOMMENDED, SCORES, SILVER
from spanishgas.dashboard.layout import facts, figure, page_head, section
from spanishgas.dashboard.provinces import province_name
from spanishgas.dashboard.risk_list import HAZARDS, risk_list
from spanishgas.dashboard.view import View
from spanishgas.dashboard.views.what_if_panel import alternatives, what_if_panel
from spanishgas.dashboard.words import ACTIONS, BUCKETS, CHANNELS, CONTACTS, SALES_CHANNELS, WINDOWS, sentences_of
from spanishgas.engine.store import Manifest
from spanishgas.policy.reasons import DECISIONS

NOT_OF_RISK = frozenset(one.code for one in DECISIONS)
SHOWN_CONVERSATIONS = 6


def show(view: View) -> None:
    """Draws the page."""
    say = view.say
    page_head(
        view,
        say("Customer", "Cliente"),
        say("One customer: the risk, why, and what to do about it.", "Un cliente: su riesgo, por qué y qué hacer."),
    )
    with section(view, border=False):
        table, _ = risk_list(view)
        customer = _ask(view, table)
        if customer is None:
            return
        place = table.index[table["customer_id"] == customer][0]
        _customer(view, customer, table.loc[place], len(table))


def _ask(view: View, table: pd.DataFrame) -> str | None:
    """Which customer; the riskiest unless one is asked for."""
    say = view.say
    ids = table["customer_id"]
    if "customer" not in st.session_state:
        st.session_state["customer"] = str(st.query_params.get("customer", "")) or str(ids.iloc[0])

    def step(by: int) -> None:
        found = ids.index[ids == st.session_state["customer"]]
        if len(found):
            st.session_state["customer"] = str(ids.iloc[(found[0] + by) % len(ids)])

    with st.container(horizontal=True, vertical_alignment="bottom"):
        asked = st.text_input(
            say("Customer id", "Código de cliente"),
            key="customer",
            icon=":material/search:",
            width=260,
            persist_state="session",
        ).strip()
        st.button(
            say("Riskier", "Más riesgo"), icon=":material/arrow_upward:", on_click=step, args=(-1,), key="riskier"
        )
        st.button(
            say("Less risky", "Menos riesgo"),
            icon=":material/arrow_downward:",
            on_click=step,
            args=(1,),
            key="less_risky",
        )
    if asked in set(ids):
        st.query_params["customer"] = asked
        return asked
    close = ids[ids.str.contains(asked, case=False, regex=False)].head(5).tolist() if asked else []
    exact = [one for one in close if one.lower() == asked.lower()]
    if exact:
        return str(exact[0])
    told = say(
        f"**{asked or '–'}** is not among the {view.fmt.number(len(ids))} active customers of this date.",
        f"**{asked or '–'}** no está entre los {view.fmt.number(len(ids))} clientes activos de esta fecha.",
    )
    if close:
        told += say(" Did you mean ", " ¿Quizá ") + ", ".join(close) + "?"
    st.warning(told, icon=":material/person_search:")
    return None


def _customer(view: View, customer: str, row: "pd.Series[Any]", total: int) -> None:
    say, fmt = view.say, view.fmt
    assert view.run_date is not None
    recommended = view.published.find(RECOMMENDED, view.run_date)
    whole = None
    if recommended is not None:
        rows = view.published.table(recommended, "recommendations", customer=customer)
        whole = None if rows.empty else rows.iloc[0]
    columns = st.columns(4)
    with columns[0]:
        figure(
            say("Risk within 90 days", "Riesgo en 90 días"),
            fmt.pct(row["risk"]),
            delta=say(
                f"{fmt.number(row['rank'])} of {fmt.number(total)}", f"{fmt.number(row['rank'])} de {fmt.number(total)}"
            ),
            delta_color="off",
            delta_arrow="off",
        )
    with columns[1]:
        figure(
            say("Margin per month", "Margen al mes"),
            fmt.eur(row["expected_margin_month"], 2),
            delta=None if whole is None else say("bill ", "factura ") + fmt.eur(whole["bill_month"], 2),
            delta_color="off",
            delta_arrow="off",
        )
    with columns[2]:
        figure(
            say("Recommended", "Recomendación"),
            fmt.listed([]) or (row["action_label"] if pd.notna(row["action_label"]) else "–"),
            delta=_how(view, row),
            delta_color="off",
            delta_arrow="off",
        )
    with columns[3]:
        figure(
            say("Expected to bring", "Se espera que aporte"),
            fmt.eur(row["expected_margin_impact"], 2),
            delta=None
            if whole is None or row["action"] == "none"
            else say("costs ", "cuesta ") + fmt.eur(whole["expected_spend"], 2),
            delta_color="off",
            delta_arrow="off",
        )
    left, right = st.columns([2, 3], gap="medium")
    with left, section(view, say("Risk by window", "Riesgo por periodo"), key="risk_by_window"):
        _windows(view, row)
    with right, section(view, say("Why", "Por qué"), key="why"):
        _why(view, row, whole)
    with section(
        view,
        say("What else was considered", "Qué más se consideró"),
        say(
            "What each offer would bring over the policy's horizon, by the month of its contact, and what forbids it.",
            "Lo que aportaría cada oferta en el horizonte de la política, según cuándo se haga, y qué la impide.",
        ),
        key="considered",
    ):
        manifest = view.published.manifest(RECOMMENDED, view.run_date)
        basis = _basis(view, manifest, whole)
        alternatives(view, basis, whole)
        _vetoes(view, manifest, customer)
    if whole is not None:
        with section(view, say("What if", "Y si…"), key="what_if"):
            what_if_panel(view, _basis(view, view.published.manifest(RECOMMENDED, view.run_date), whole), whole)
    silver = view.published.find(SILVER)
    left, right = st.columns([2, 3], gap="medium")
    with left, section(view, say("Contract", "Contrato"), key="contract"):
        _contract(view, _silver(view, silver), customer, row)
    with right, section(view, say("Prices paid", "Precios que paga"), key="prices"):
        _prices(view, _silver(view, silver), customer)
    with section(view, say("Consumption", "Consumo"), key="consumption"):
        _consumption(view, _silver(view, silver), customer)
    with section(view, say("Conversations", "Conversaciones"), key="conversations"):
        _conversations(view, _silver(view, silver), customer)


def _silver(view: View, silver: Manifest | None) -> Manifest:
    return silver if silver is not None else view.published.manifest(SILVER)


def _basis(view: View, manifest: Manifest, whole: "pd.Series[Any] | None") -> what_if.Basis:
    assert whole is not None and view.run_date is not None
    policy = what_if.policy_of(view.run_settings(manifest.run_id))
    return what_if.basis_of(view.published, manifest, whole, policy, view.run_date)


def _how(view: View, row: "pd.Series[Any]") -> str | None:
    if pd.isna(row["action"]):
        return None
    if row["action"] == "none":
        return view.say("held out to measure", "grupo de control") if row["is_held_out"] else None
    return f"{view.word(CHANNELS, row['channel'])} · {view.word(WINDOWS, row['timing_window'])}"


def _windows(view: View, row: "pd.Series[Any]") -> None:
    say = view.say
    names = [view.word(WINDOWS, key) for key in ("immediate", "30_60", "60_90")]
    data = pd.DataFrame({"window": names, "hazard": [row[name] for name in HAZARDS]}).dropna()
    if data.empty:
        st.markdown(
            say("The model tells the horizon only, not the month.", "El modelo solo dice el horizonte, no el mes.")
        )
        return
    base = alt.Chart(data).encode(
        y=alt.Y("window:N", sort=names, axis=alt.Axis(title=None, labelLimit=200)),
        x=alt.X(
            "hazard:Q",
            axis=charts.share(digits=0),
            scale=alt.Scale(domain=[0, max(0.1, float(data["hazard"].max()) * 1.25)]),
        ),
    )
    drawn = base.mark_bar(
        color=charts.RISK_COLOURS.get(str(row["risk_bucket"]), charts.TEAL), cornerRadiusEnd=3, height={"band": 0.62}
    )
    text = base.mark_text(align="left", dx=6, color=charts.GREY, fontWeight="bold").encode(
        text=alt.Text("hazard:Q", format=".1%")
    )
    charts.show(view, drawn + text, height=170, alt_text=say("Risk in each of three windows", "Riesgo en cada periodo"))
    st.caption(
        say(
            "Probability of leaving in each window, for those still there, if nothing is done.",
            "Probabilidad de baja en cada periodo, si sigue siendo cliente y no se hace nada.",
        )
    )


def _why(view: View, row: "pd.Series[Any]", whole: "pd.Series[Any] | None") -> None:
    say = view.say
    if whole is None:
        view.published.manifest(RECOMMENDED, view.run_date)
        view.published.manifest(SCORES, view.run_date)
        return
    codes = [code for code in str(whole["reason_codes"]).split("|") if code]
    vetoes = set(filter(None, str(whole["veto_codes"]).split("|")))
    of_risk = [code for code in codes if code not in NOT_OF_RISK and code not in vetoes]
    of_decision = [code for code in codes if code in NOT_OF_RISK or code in vetoes]
    level = view.word(BUCKETS, whole["risk_bucket"]).lower()
    st.markdown(f"**{say('What raises the risk', 'Qué aumenta el riesgo')}** :gray[({say('level', 'nivel')} {level})]")
    told = sentences_of("|".join(of_risk), view.language) or [say("Nothing in particular.", "Nada en particular.")]
    st.markdown("\n".join(f"{number}. {sentence}" for number, sentence in enumerate(told, 1)))
    if of_decision:
        head = (
            say("Why this offer", "Por qué esta oferta")
            if whole["action"] != "none"
            else say("Why no offer", "Por qué sin oferta")
        )
        st.markdown(f"**{head}**")
        st.markdown("\n".join(f"- {sentence}" for sentence in sentences_of("|".join(of_decision), view.language)))
    if whole["is_held_out"]:
        st.markdown(
            ":gray["
            + say("Was planned: ", "Estaba prevista: ")
            + f"{view.word(ACTIONS, whole['planned_action'])}, {view.word(CHANNELS, whole['planned_channel'])}]"
        )


def _vetoes(view: View, manifest: Manifest, customer: str) -> None:
    """Which guardrails took away how many of the customer's options, as published."""
    rows = view.published.table(manifest, "recommendation_vetoes", customer=customer)
    if rows.empty:
        st.caption(view.say("No guardrail took anything away.", "Ninguna regla ha quitado opciones."))
        return
    rows = rows.sort_values(["is_total", "options"], ascending=False)
    lines = []
    for veto in rows.itertuples():
        sentence = sentences_of(str(veto.guardrail), view.language)[0]
        how = (
            view.say("all options", "todas las opciones")
            if veto.is_total
            else view.say(f"{veto.options} options", f"{veto.options} opciones")
        )
        lines.append(f"- {sentence} :gray[{how}]")
    with st.expander(
        view.say("Guardrails that said no", "Reglas que lo impiden"), icon=":material/shield:", expanded=False
    ):
        st.markdown("\n".join(lines))


def _contract(view: View, silver: Manifest, customer: str, row: "pd.Series[Any]") -> None:
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
            when += f" ({say(f'in {left} days', f'en {left} días') if left >= 0 else say(f'{-left} days ago', f'hace {-left} días')})"
        pairs += [
            (say("Customer since", "Cliente desde"), fmt.day(now["customer_first_activation_date"])),
            (say("Current term since", "Contrato actual desde"), fmt.day(now["contract_start_date"])),
            (say("Renewal", "Renovación"), when),
            (say("Terms so far", "Contratos hasta ahora"), fmt.number(len(terms))),
        ]
    facts(pairs)


def _prices(view: View, silver: Manifest, customer: str) -> None:
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
                legend=alt.Legend(title=None, orient="top"),
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
    charts.show(view, rules + lines, alt_text=say("Prices over time", "Precios a lo largo del tiempo"))
    st.caption(say("Dashed: a new contract term.", "Línea discontinua: nuevo contrato."))


def _consumption(view: View, silver: Manifest, customer: str) -> None:
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
            x=alt.X("yearmonth(month):T", title=None, axis=alt.Axis(format="%b %Y", tickCount=12)),
            y=alt.Y("kwh:Q", title="kWh", axis=alt.Axis(format=",.0f")),
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=present, range=[colours[name] for name in present]),
                legend=alt.Legend(title=None, orient="top"),
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


def _conversations(view: View, silver: Manifest, customer: str) -> None:
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
