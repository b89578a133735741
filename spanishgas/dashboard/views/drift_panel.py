"""Drift, as a part of the monitoring page: how it ended, over time, and every check."""

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts, signals
from spanishgas.dashboard.formatting import NOTHING
from spanishgas.dashboard.layout import figure
from spanishgas.dashboard.signals import Found, over_time
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import Pair

TELLING_CHECKS = 400
CHECKS: dict[str, Pair] = {
    "freshness": ("Freshness", "Actualidad"),
    "source_rows": ("Rows of a source", "Filas de una fuente"),
    "rows": ("Rows", "Filas"),
    "missingness": ("Missing values", "Valores ausentes"),
    "new_categories": ("New categories", "Categorías nuevas"),
    "vanished_categories": ("Vanished categories", "Categorías desaparecidas"),
    "distribution": ("Distribution", "Distribución"),
    "prediction": ("Predictions", "Predicciones"),
}
CHECK_STATES: dict[str, Pair] = {
    "ok": ("In order", "Correcto"),
    "alarm": ("Alarm", "Alarma"),
    "unknown": ("Unknown", "Desconocido"),
}
CHECK_ROLES: dict[str, Pair] = {"root": ("cause", "causa"), "dependant": ("follows", "consecuencia"), "none": ("", "")}


def drift_panel(view: View, found: Found) -> None:
    """State of a run date, the figures behind it, and every check."""
    say, fmt = view.say, view.fmt
    row = found.table.iloc[-1]
    state = str(row["state"])
    st.markdown(
        f":{signals.STATE_COLOURS.get(state, 'gray')}-badge[{view.word(signals.STATES, state)}] "
        + say(
            f"Features of {fmt.day(row['as_of'])} beside those of {fmt.day(row['reference_as_of'])}, that the champion "
            f"v{row['model_version']} learned from.",
            f"Variables del {fmt.day(row['as_of'])} frente a las del {fmt.day(row['reference_as_of'])}, de las que "
            f"aprendió el campeón v{row['model_version']}.",
        )
    )
    columns = st.columns(4)
    with columns[0]:
        figure(
            say("Alarms with a cause of their own", "Alarmas con causa propia"),
            fmt.number(row["root_alarms"]),
            delta=say(f"of {fmt.number(row['alarms'])} alarms", f"de {fmt.number(row['alarms'])} alarmas"),
            delta_color="off",
            delta_arrow="off",
        )
    with columns[1]:
        figure(
            say("Checks", "Comprobaciones"),
            fmt.number(row["checks"]),
            delta=say(f"{fmt.number(row['unknown'])} cannot tell", f"{fmt.number(row['unknown'])} sin respuesta"),
            delta_color="off",
            delta_arrow="off",
        )
    with columns[2]:
        figure(
            say("Mean risk", "Riesgo medio"),
            fmt.pct(row["mean_risk"]),
            delta=say("was ", "era ") + fmt.pct(row["reference_mean_risk"]),
            delta_color="off",
            delta_arrow="off",
        )
    with columns[3]:
        figure(
            say("Largest shift (PSI)", "Mayor desplazamiento (PSI)"),
            fmt.number(row["largest_psi"], 2),
            delta=str(row["largest_psi_feature"]).replace("_", " ") or None,
            delta_color="off",
            delta_arrow="off",
        )
    past = over_time(view.published, signals.SUMMARY, view.run_date)
    if len(past) > 1:
        _drift_over_time(view, past)
    if "drift_checks" in found.manifest.tables:
        _checks(view, found)


def _drift_over_time(view: View, past: pd.DataFrame) -> None:
    say = view.say
    past = past.assign(run_date=pd.to_datetime(past["run_date"]))
    names = {
        "prediction_psi": say("Predicted risk", "Riesgo previsto"),
        "largest_psi": say("Most drifted feature", "Variable más desviada"),
    }
    long = past.melt(["run_date", "state"], list(names), "what", "psi").dropna(subset=["psi"])
    long["what"] = long["what"].map(names)
    chart = (
        alt.Chart(long)
        .mark_line(point=alt.OverlayMarkDef(size=60), strokeWidth=2.5)
        .encode(
            x=alt.X("run_date:T", title=None, axis=alt.Axis(format="%e %b %Y", values=sorted(set(long["run_date"])))),
            y=alt.Y("psi:Q", title="PSI", axis=alt.Axis(format=".2f")),
            color=alt.Color(
                "what:N",
                scale=alt.Scale(range=[charts.TEAL, charts.AMBER], domain=list(names.values())),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip("run_date:T", format="%e %b %Y", title=say("Run date", "Fecha")),
                alt.Tooltip("what:N", title=" "),
                alt.Tooltip("psi:Q", format=".3f", title="PSI"),
            ],
        )
    )
    charts.show(view, chart, height=220, alt_text=say("Drift over time", "Deriva a lo largo del tiempo"))


def _checks(view: View, found: Found) -> None:
    say = view.say
    checks = view.published.table(found.manifest, "drift_checks")
    left, right = st.columns([3, 2], gap="medium")
    order = {"alarm": 0, "unknown": 1, "ok": 2}
    roles = {"root": 0, "dependant": 1, "none": 2}
    checks["place"] = checks["state"].map(order) * 10 + checks["role"].map(roles)
    checks = checks.sort_values(["place", "value"], ascending=[True, False], kind="stable")
    heads = {
        "state_label": say("State", "Estado"),
        "check_label": say("Check", "Comprobación"),
        "subject": say("Subject", "Sobre"),
        "value": say("Figure", "Valor"),
        "limit": say("Limit", "Límite"),
        "sentence": say("In words", "En palabras"),
    }
    checks["state_label"] = [
        view.word(CHECK_STATES, state) + (f" ({view.word(CHECK_ROLES, role)})" if role != "none" else "")
        for state, role in zip(checks["state"], checks["role"], strict=True)
    ]
    checks["check_label"] = [view.word(CHECKS, one) for one in checks["check"]]
    with left:
        number = st.column_config.NumberColumn(format="localized", width="small")
        st.dataframe(
            checks[list(heads)].head(TELLING_CHECKS).round({"value": 4, "limit": 4}).rename(columns=heads),
            hide_index=True,
            height=min(360, 35 * (len(checks) + 1) + 3),
            placeholder=NOTHING,
            column_config={
                heads["value"]: number,
                heads["limit"]: number,
                heads["sentence"]: st.column_config.TextColumn(width="large"),
            },
        )
    with right:
        if "drift_bins" in found.manifest.tables:
            _bins(view, found, [str(one) for one in checks["subject"]])


def _bins(view: View, found: Found, subjects: list[str]) -> None:
    say = view.say
    bins = view.published.table(found.manifest, "drift_bins")
    known = set(bins["subject"])
    options = list(dict.fromkeys(one for one in [*subjects, *sorted(known)] if one in known))
    if not options:
        return
    chosen = st.selectbox(
        say("Distribution of", "Distribución de"),
        options,
        key="drift_subject",
        format_func=lambda one: one.replace("_", " "),
    )
    rows = bins[bins["subject"] == chosen].sort_values("place")
    names = {"reference_share": say("Then", "Antes"), "current_share": say("Now", "Ahora")}
    long = rows.melt(["place", "label"], list(names), "when", "share")
    long["when"] = long["when"].map(names)
    chart = (
        alt.Chart(long)
        .mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X("label:N", sort=rows["label"].tolist(), axis=alt.Axis(title=None, labelAngle=-40, labelLimit=110)),
            xOffset=alt.XOffset("when:N", sort=list(names.values())),
            y=alt.Y("share:Q", axis=charts.share(say("Customers", "Clientes"))),
            color=alt.Color(
                "when:N",
                scale=alt.Scale(domain=list(names.values()), range=[charts.GREY, charts.TEAL]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip("label:N", title=" "),
                alt.Tooltip("when:N", title=" "),
                alt.Tooltip("share:Q", format=".1%", title=say("Share", "Parte")),
            ],
        )
    )
    charts.show(view, chart, height=290, alt_text=say("Distribution then and now", "Distribución antes y ahora"))
