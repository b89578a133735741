"""Customer: one customer's risk, the reasons, the recommendation and what else was considered, and what if."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts, what_if
from spanishgas.dashboard.data import RECOMMENDED, SCORES, SILVER
from spanishgas.dashboard.formatting import NOTHING, plain
from spanishgas.dashboard.layout import customer_input, figures, page_head, section
from spanishgas.dashboard.risk_list import HAZARDS, risk_list
from spanishgas.dashboard.view import View
from spanishgas.dashboard.views import customer_history
from spanishgas.dashboard.views.what_if_panel import alternatives, what_if_panel
from spanishgas.dashboard.words import ACTIONS, BUCKETS, CHANNELS, WINDOWS, sentences_of
from spanishgas.domain.survival import OUTLOOK
from spanishgas.engine.store import Manifest
from spanishgas.policy.reasons import DECISIONS

NOT_OF_RISK = frozenset(one.code for one in DECISIONS)


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
        asked = customer_input(view)
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
        f"**{plain(asked) or NOTHING}** is not among the {view.fmt.number(len(ids))} active customers of this date.",
        f"**{plain(asked) or NOTHING}** no está entre los {view.fmt.number(len(ids))} clientes activos de esta fecha.",
    )
    if close:
        told += say(" Did you mean ", " ¿Quizá ") + ", ".join(plain(one) for one in close) + "?"
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
    made = None if whole is None or whole["action"] == "none" else whole
    figures(
        (
            say("Risk within 90 days", "Riesgo en 90 días"),
            fmt.pct(row["risk"]),
            f"{fmt.number(row['rank'])} {say('of', 'de')} {fmt.number(total)}",
        ),
        (
            say("Margin per month", "Margen al mes"),
            fmt.eur(row["expected_margin_month"], 2),
            None if whole is None else say("bill ", "factura ") + fmt.eur(whole["bill_month"], 2),
        ),
        (
            say("Expected to stay", "Se espera que siga"),
            NOTHING if whole is None else fmt.number(whole["expected_months"], 1) + say(" months", " meses"),
            None if whole is None else _worth(view, whole),
        ),
        (
            say("Recommended", "Recomendación"),
            str(row["action_label"]) if pd.notna(row["action_label"]) else NOTHING,
            _how(view, row),
        ),
        (
            say("Expected to bring", "Se espera que aporte"),
            fmt.eur(None if made is None else made["expected_margin_impact"], 2),
            None if made is None else say("costs ", "cuesta ") + fmt.eur(made["expected_spend"], 2),
        ),
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
        if whole is not None:
            alternatives(view, what_if.basis_of(view.published, manifest, whole), whole)
            _vetoes(view, manifest, customer)
    if whole is not None:
        with section(view, say("What if", "Y si…"), key="what_if"):
            manifest = view.published.manifest(RECOMMENDED, view.run_date)
            what_if_panel(view, what_if.basis_of(view.published, manifest, whole), whole)
    silver = view.published.find(SILVER)
    left, right = st.columns([2, 3], gap="medium")
    with left, section(view, say("Contract", "Contrato"), key="contract"):
        customer_history.contract(view, _silver(view, silver), customer, row)
    with right, section(view, say("Prices paid", "Precios que paga"), key="prices"):
        customer_history.prices(view, _silver(view, silver), customer)
    with section(view, say("Consumption", "Consumo"), key="consumption"):
        customer_history.consumption(view, _silver(view, silver), customer)
    with section(view, say("Conversations", "Conversaciones"), key="conversations"):
        customer_history.conversations(view, _silver(view, silver), customer)


def _silver(view: View, silver: Manifest | None) -> Manifest:
    return silver if silver is not None else view.published.manifest(SILVER)


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


def _worth(view: View, whole: "pd.Series[Any]") -> str:
    """What the customer is worth without an offer, with its bounds of 90 %."""
    value, low, high = (view.fmt.eur(whole[name]) for name in OUTLOOK[3:])
    return f"{view.say('worth', 'vale')} {value} ({low} {view.say('to', 'a')} {high})"


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
