"""Drift, as a part of the monitoring page: how it ended, over time, and every check."""

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts, signals
from spanishgas.dashboard.formatting import NOTHING
from spanishgas.dashboard.layout import figures
from spanishgas.dashboard.sentences import bin_label, check_sentence
from spanishgas.dashboard.signals import Found, over_time
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import CHECK_ROLES, CHECK_STATES, CHECKS, DRIFT_STATES

TELLING_CHECKS = 400
TABLE_HEIGHT, ROW_HEIGHT = 300, 35
# What to look at first.
PLACES = {"alarm": 0, "unknown": 1, "ok": 2}
ROLE_PLACES = {"root": 0, "dependant": 1, "none": 2}


def drift_panel(view: View, found: Found) -> None:
    """State of a run date, the figures behind it, and every check."""
    say, fmt = view.say, view.fmt
    row = found.table.iloc[-1]
    state = str(row["state"])
    st.markdown(
        f":{signals.STATE_COLOURS.get(state, 'gray')}-badge[{view.word(DRIFT_STATES, state)}] "
        + say(
            f"Features of {fmt.day(row['as_of'])} beside those of {fmt.day(row['reference_as_of'])}, that the champion "
            f"v{row['model_version']} learned from.",
            f"Variables del {fmt.day(row['as_of'])} frente a las del {fmt.day(row['reference_as_of'])}, de las que "
            f"aprendió el campeón v{row['model_version']}.",
        )
    )
    figures(
        (
            say("Alarms with a cause of their own", "Alarmas con causa propia"),
            fmt.number(row["root_alarms"]),
            say(f"of {fmt.number(row['alarms'])} alarms", f"de {fmt.number(row['alarms'])} alarmas"),
        ),
        (
            say("Checks", "Comprobaciones"),
            fmt.number(row["checks"]),
            say(f"{fmt.number(row['unknown'])} cannot tell", f"{fmt.number(row['unknown'])} sin respuesta"),
        ),
        (
            say("Mean risk", "Riesgo medio"),
            fmt.pct(row["mean_risk"]),
            say("was ", "era ") + fmt.pct(row["reference_mean_risk"]),
        ),
        (
            say("Largest shift (PSI)", "Mayor desplazamiento (PSI)"),
            fmt.number(row["largest_psi"], 2),
            str(row["largest_psi_feature"] or "") or None,
        ),
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
                legend=charts.legend(),
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
    checks["place"] = checks["state"].map(PLACES) * 10 + checks["role"].map(ROLE_PLACES)
    checks = checks.sort_values(["place", "value"], ascending=[True, False], kind="stable")
    heads = {
        "state_label": say("State", "Estado"),
        "check_label": say("Check", "Comprobación"),
        "subject": say("Subject", "Sobre"),
        "value": say("Figure", "Valor"),
        "limit": say("Limit", "Límite"),
        "told": say("In words", "En palabras"),
    }
    checks["state_label"] = [
        view.word(CHECK_STATES, state) + (f" ({view.word(CHECK_ROLES, role)})" if role != "none" else "")
        for state, role in zip(checks["state"], checks["role"], strict=True)
    ]
    checks["check_label"] = [view.word(CHECKS, one) for one in checks["check"]]
    checks["told"] = [check_sentence(view.fmt, one) for one in checks.to_dict("records")]
    column = st.column_config
    st.dataframe(
        checks[list(heads)].head(TELLING_CHECKS).round({"value": 4, "limit": 4}).rename(columns=heads),
        hide_index=True,
        height=min(TABLE_HEIGHT, ROW_HEIGHT * (len(checks) + 1) + 3),
        placeholder=NOTHING,
        column_config={
            heads["state_label"]: column.TextColumn(width=150),
            heads["check_label"]: column.TextColumn(width=140),
            heads["subject"]: column.TextColumn(width=210),
            heads["value"]: column.NumberColumn(format="localized", width=70),
            heads["limit"]: column.NumberColumn(format="localized", width=70),
            heads["told"]: column.TextColumn(width="large"),
        },
    )
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
        width=360,
    )
    rows = bins[bins["subject"] == chosen].sort_values("place").copy()
    rows["label"] = [bin_label(view.fmt, str(one)) for one in rows["label"]]
    names = {"reference_share": say("Then", "Antes"), "current_share": say("Now", "Ahora")}
    long = rows.melt(["place", "label"], list(names), "when", "share")
    long["when"] = long["when"].map(names)
    chart = (
        alt.Chart(long)
        .mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X(
                "label:N",
                sort=rows["label"].tolist(),
                axis=alt.Axis(title=None, labelAngle=-30, labelLimit=120, labelOverlap=False),
            ),
            xOffset=alt.XOffset("when:N", sort=list(names.values())),
            y=alt.Y("share:Q", axis=charts.share(say("Customers", "Clientes"))),
            color=alt.Color(
                "when:N",
                scale=alt.Scale(domain=list(names.values()), range=[charts.GREY, charts.TEAL]),
                legend=charts.legend(),
            ),
            tooltip=[
                alt.Tooltip("label:N", title=" "),
                alt.Tooltip("when:N", title=" "),
                alt.Tooltip("share:Q", format=".1%", title=say("Share", "Parte")),
            ],
        )
    )
    charts.show(view, chart, height=290, alt_text=say("Distribution then and now", "Distribución antes y ahora"))
