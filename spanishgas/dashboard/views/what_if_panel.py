"""What else could be offered to a customer, and what an offer would be worth by other numbers."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts
from spanishgas.dashboard.view import View
from spanishgas.dashboard.what_if import DISCOUNT_GRID, Basis, by_discount, options_of
from spanishgas.dashboard.words import ACTIONS, CHANNELS, GUARDRAILS, SIZES, WINDOWS, sentences_of
from spanishgas.policy.economics import ACTIONS as OFFERS
from spanishgas.policy.economics import WINDOWS as TIMES

MOST_FACTOR = 2.0
DISCOUNT_STEP, FACTOR_STEP = 0.5, 0.05


def alternatives(view: View, basis: Basis, row: "pd.Series[Any]") -> None:
    """Every offer in every window, as a table: worth, and what forbids it."""
    say, fmt = view.say, view.fmt
    planned = row["planned_channel"] if row["planned_channel"] != "none" else None
    table = options_of(basis, channel=planned)
    heads = [say("Offer", "Oferta"), *(view.word(WINDOWS, window) for window in TIMES)]
    lines = ["| " + " | ".join(heads) + " |", "| :--- | :--- | :--- | :--- |"]
    for action in OFFERS:
        cells = []
        for window in TIMES:
            one = table[(table["action"] == action) & (table["window"] == window)].iloc[0]
            worth = fmt.eur(one["value"], 2, sign=True)
            is_planned = (action, window) == (row["planned_action"], row["planned_window"])
            if is_planned:
                mark = say("planned", "prevista") if row["is_held_out"] else say("chosen", "elegida")
                cells.append(f"**{worth}** :green-badge[:material/check: {mark}]")
            elif one["vetoes"]:
                reasons = fmt.listed([view.word(GUARDRAILS, rule).lower() for rule in one["vetoes"]])
                cells.append(f":gray[{worth}] :small[:gray[{reasons}]]")
            else:
                cells.append(f"{worth} :small[:gray[{say('allowed', 'permitida')}]]")
        share = fmt.pct(table.loc[table["action"] == action, "discount"].iloc[0], 0)
        lines.append(f"| {view.word(ACTIONS, action)} :gray[−{share}] | " + " | ".join(cells) + " |")
    st.markdown("\n".join(lines))
    through = view.word(CHANNELS, table["channel"].iloc[0]).lower()
    st.caption(
        say(
            f"Contact by {through}; all costs taken off. Where an offer is allowed and pays, and none is made, offers "
            "to other customers earn more.",
            f"Contacto por {through}; descontados los costes. Si una oferta está permitida, compensa y no se hace, las "
            "de otros clientes aportan más.",
        )
    )


def what_if_panel(view: View, basis: Basis, row: "pd.Series[Any]") -> None:
    """Sliders for discount and acceptance, and what the offer would then be worth."""
    say, fmt = view.say, view.fmt
    st.caption(
        say(
            "Another discount or another chance of accepting, by the policy's own arithmetic. Risk and margin stay as "
            "they are; the response to a discount lies between those to the policy's offers.",
            "Otro descuento u otra probabilidad de aceptar, con las cuentas de la propia política. El riesgo y el "
            "margen no cambian; la respuesta a un descuento queda entre las de las ofertas de la política.",
        )
    )
    customer = str(row["customer_id"])
    begins = row["planned_action"] if row["planned_action"] != "none" else "medium"
    shares = dict(zip(OFFERS, basis.policy.discounts, strict=True))
    left, right = st.columns(2, gap="large")
    with left:
        action = st.segmented_control(
            say("Offer", "Oferta"),
            OFFERS,
            default=begins,
            required=True,
            format_func=lambda name: view.word(SIZES, name),
            key=f"what_action_{customer}",
        )
        window = st.segmented_control(
            say("When", "Cuándo"),
            TIMES,
            default=row["planned_window"] if row["planned_window"] in TIMES else TIMES[0],
            required=True,
            format_func=lambda name: view.word(WINDOWS, name),
            key=f"what_window_{customer}",
        )
        discount = st.select_slider(
            say("Discount of the bill", "Descuento de la factura"),
            _steps(100 * float(DISCOUNT_GRID[-1]), DISCOUNT_STEP, 100 * float(shares[action])),
            100 * float(shares[action]),
            format_func=lambda value: fmt.pct(value / 100),
            key=f"what_discount_{customer}_{action}",
        )
        factor = st.select_slider(
            say("Chance of accepting, times", "Probabilidad de aceptar, multiplicada por"),
            _steps(MOST_FACTOR, FACTOR_STEP, 1.0),
            1.0,
            format_func=lambda value: f"× {fmt.number(value, 2)}",
            key=f"what_factor_{customer}",
        )
    channel = row["planned_channel"] if row["planned_channel"] != "none" else None
    now = _one(options_of(basis, discount=discount / 100, acceptance_factor=factor, channel=channel), action, window)
    before = _one(options_of(basis, channel=channel), action, window)
    with right:
        columns = st.columns(3)
        columns[0].metric(
            say("Would bring", "Aportaría"),
            fmt.eur(now["value"], 2),
            delta=fmt.eur(now["value"] - before["value"], 2, sign=True)
            if abs(now["value"] - before["value"]) >= 0.005
            else None,
        )
        columns[1].metric(say("Would cost", "Costaría"), fmt.eur(now["spend"], 2))
        columns[2].metric(say("Accepts", "Acepta"), fmt.pct(now["acceptance"], 0))
        _curve(view, by_discount(basis, action, window, factor, channel), discount / 100)
        if now["vetoes"]:
            told = " ".join(sentences_of("|".join(now["vetoes"]), view.language))
            st.warning(f"{say('Not allowed:', 'No permitida:')} {told}", icon=":material/shield:")
        else:
            st.success(say("No guardrail forbids it.", "Ninguna regla la impide."), icon=":material/verified_user:")


def _steps(most: float, step: float, begins: float) -> list[float]:
    """What a slider can be set to, what it begins with among it; a list, because plain sliders know one language."""
    count = round(most / step)
    return sorted({begins, *(round(place * step, 6) for place in range(count + 1))})


def _one(table: pd.DataFrame, action: str, window: str) -> "pd.Series[Any]":
    return table[(table["action"] == action) & (table["window"] == window)].iloc[0]


def _curve(view: View, data: pd.DataFrame, discount: float) -> None:
    say = view.say
    line = (
        alt.Chart(data)
        .mark_line(color=charts.TEAL, strokeWidth=2.5)
        .encode(
            x=alt.X("discount:Q", axis=charts.share(say("Discount", "Descuento"))),
            y=alt.Y("value:Q", axis=alt.Axis(format="$,.2f", title=say("Would bring", "Aportaría"))),
            tooltip=[
                alt.Tooltip("discount:Q", format=".1%", title=say("Discount", "Descuento")),
                alt.Tooltip("value:Q", format="$,.2f", title=say("Would bring", "Aportaría")),
            ],
        )
    )
    zero = alt.Chart(pd.DataFrame({"y": [0.0]})).mark_rule(color=charts.GREY, strokeDash=[3, 3]).encode(y="y:Q")
    here = alt.Chart(pd.DataFrame({"x": [discount]})).mark_rule(color=charts.AMBER, strokeWidth=2).encode(x="x:Q")
    charts.show(view, zero + line + here, height=190, alt_text=say("Worth by discount", "Valor según el descuento"))
