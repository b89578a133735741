"""Curves of compared models, as a part of the model's page."""

import altair as alt
import streamlit as st

from spanishgas.dashboard import charts, curves
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import ROLES
from spanishgas.engine.store import Manifest

FILES = "comparison"
CURVES = "curves.png"
ROLE_COLOURS = {"champion": charts.TEAL, "challenger": charts.AMBER, "baseline": charts.GREY}


def model_curves(view: View, manifest: Manifest) -> None:
    """Calibration and leavers reached; the published picture where the rows are no longer there."""
    say = view.say
    rows = curves.scored_rows(view.published, manifest)
    if rows is None or rows.empty:
        file = view.published.landed(manifest, FILES).get(CURVES)
        if file is None:
            st.markdown(
                say(
                    "The rows that were compared on are no longer published.",
                    "Las filas de la comparación ya no están publicadas.",
                )
            )
        else:
            st.image(file.read_bytes())
        return
    names = {role: view.word(ROLES, role) for role in ROLES}
    colour = alt.Color(
        "role:N",
        scale=charts.scale_of(
            ROLE_COLOURS, {role: name for role, name in names.items() if role in set(rows["contender"])}
        ),
        legend=charts.legend(symbolOpacity=1),
    )
    left, right = st.columns(2, gap="medium")
    with left:
        told = say("what was foretold and what happened", "lo previsto y lo ocurrido")
        st.markdown(f"**{say('Calibration', 'Calibración')}** :gray[{told}]")
        table = curves.reliability(rows)
        table["role"] = table["contender"].map(names)
        tooltip = [alt.Tooltip("role:N", title=" ")]
        drawn = charts.reliability(view, table, colour=colour, tooltip=tooltip)
        charts.show(view, drawn, height=320, alt_text=say("Reliability", "Fiabilidad"))
    with right:
        told = say("by calling the riskiest first", "llamando primero a los de más riesgo")
        st.markdown(f"**{say('Leavers reached', 'Bajas alcanzadas')}** :gray[{told}]")
        table = curves.gains(rows)
        table["role"] = table["contender"].map(names)
        lines = (
            alt.Chart(table)
            .mark_line(strokeWidth=2.5)
            .encode(
                x=alt.X("customers:Q", axis=charts.share(say("Customers called", "Clientes contactados"))),
                y=alt.Y("leavers:Q", axis=charts.share(say("Leavers among them", "Bajas entre ellos"))),
                color=colour,
                tooltip=[
                    alt.Tooltip("role:N", title=" "),
                    alt.Tooltip("customers:Q", format=".0%", title=say("Customers", "Clientes")),
                    alt.Tooltip("leavers:Q", format=".0%", title=say("Leavers", "Bajas")),
                ],
            )
        )
        charts.show(
            view, charts.diagonal(1.0) + lines, height=320, alt_text=say("Cumulative gains", "Ganancia acumulada")
        )
