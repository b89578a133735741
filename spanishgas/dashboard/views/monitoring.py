"""Monitoring: drift and performance over time, what offers truly did, whether to train again, and the full report."""

import json
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts, signals
from spanishgas.dashboard.data import AbsentError, Home
from spanishgas.dashboard.layout import figure, page_head, section
from spanishgas.dashboard.signals import DRIFT, PERFORMANCE, Found, newest, over_time, signal_line
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import METRICS, Pair

REPORT_FOLDER = "evidently"
REPORT_HEIGHT = 900
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
POPULATIONS: dict[str, Pair] = {
    "untreated": ("Without offers", "Sin ofertas"),
    "never_targeted": ("Never targeted", "Nunca en campaña"),
    "held_out": ("Held out", "Grupo de control"),
    "treated": ("With offers", "Con ofertas"),
}
STATUSES: dict[str, Pair] = {
    "measured": ("Measured", "Medido"),
    "estimated": ("Estimated", "Estimado"),
    "unknown": ("Unknown", "Desconocido"),
}
SHOWN_METRICS = ("pr_auc", "recall_at_10", "roc_auc", "observed_over_expected", "calibration_slope", "ece")


def show(view: View) -> None:
    """Draws the page."""
    say = view.say
    page_head(
        view,
        say("Monitoring", "Seguimiento"),
        say(
            "Whether the data and the model are still what they were, and whether to train again.",
            "Si los datos y el modelo siguen siendo lo que eran, y si hay que volver a entrenar.",
        ),
    )
    if all(
        newest(view.published, name, view.run_date) is None
        for name in (signals.SUMMARY, signals.SIGNAL, signals.FIGURES)
    ):
        with section(view, key="signal"):
            signals.not_monitored(view)
        return
    with section(view, say("Train again?", "¿Volver a entrenar?"), key="signal"):
        _signal(view, _needed(view, signals.SIGNAL, PERFORMANCE))
    with section(view, say("Drift", "Deriva"), key="drift"):
        _drift(view, _needed(view, signals.SUMMARY, DRIFT))
    with section(view, say("Performance", "Rendimiento"), key="performance"):
        _performance(view, _needed(view, signals.FIGURES, PERFORMANCE))
    with section(
        view,
        say("Offers, month by month", "Ofertas, mes a mes"),
        say(
            "Expected margin beside what the hold-out says.", "Margen esperado junto a lo que dice el grupo de control."
        ),
        key="business",
    ):
        _business(view, _needed(view, "business_months", PERFORMANCE))
    with section(view, say("Full reports", "Informes completos"), key="reports"):
        _reports(view)


def _needed(view: View, table: str, home: Home) -> Found:
    found = newest(view.published, table, view.run_date)
    if found is None:
        raise AbsentError(home, view.run_date, view.settings.option)
    if view.run_date is not None and found.day != view.run_date:
        st.caption(view.say("As of ", "A fecha de ") + view.fmt.day(found.day))
    return found


def _signal(view: View, found: Found) -> None:
    say, fmt = view.say, view.fmt
    row = found.table.iloc[-1]
    colour, head, told = signal_line(view, row)
    st.markdown(f"### :{colour}[{head}]" + (f"  \n{told[:1].upper()}{told[1:]}." if told else ""))
    columns = st.columns(3)
    for column, (label, name) in zip(
        columns,
        (
            (say("Age of what the champion learned", "Antigüedad de lo aprendido"), "model_age_days"),
            (say("Since the last training", "Desde el último entrenamiento"), "days_since_training"),
            (say("New leavers since", "Nuevas bajas desde entonces"), "new_leavers"),
        ),
        strict=True,
    ):
        value = row.get(name)
        text = fmt.number(value if pd.notna(value) else None)
        with column:
            figure(label, text if name == "new_leavers" or text == "–" else f"{text} {say('days', 'días')}")
    past = over_time(view.published, signals.SIGNAL, view.run_date)
    if len(past) > 1:
        days = [
            f"{fmt.day(one.run_date)}: {signal_line(view, pd.Series(one._asdict()))[1]}" for one in past.itertuples()
        ]
        st.caption(" · ".join(days[-6:]))
    evidence = _parsed(str(row.get("evidence", "")))
    if evidence:
        with st.expander(say("Evidence", "Pruebas"), icon=":material/fact_check:"):
            st.json(evidence)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _drift(view: View, found: Found) -> None:
    say, fmt = view.say, view.fmt
    row = found.table.iloc[-1]
    state = str(row["state"])
    st.markdown(
        f":{signals.STATE_COLOURS.get(state, 'gray')}-badge[{view.word(signals.STATES, state)}] "
        + say(
            f"Features of {fmt.day(row['as_of'])} beside those of {fmt.day(row['reference_as_of'])}, that the champion "
            f"v{row['model_version']} learned from.",
            f"Variables del {fmt.day(row['as_of'])} frente a las del {fmt.day(row['reference_as_of'])}, de las que aprendió el "
            f"campeón v{row['model_version']}.",
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
            height=360,
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


def _performance(view: View, found: Found) -> None:
    say = view.say
    table = found.table
    populations = [one for one in POPULATIONS if one in set(table["population"])]
    metrics = [one for one in SHOWN_METRICS if one in set(table["metric"])] or sorted(set(table["metric"]))
    with st.container(horizontal=True):
        population = st.segmented_control(
            say("Customers", "Clientes"),
            populations,
            default=populations[0],
            required=True,
            format_func=lambda one: view.word(POPULATIONS, one),
            key="population",
        )
        metric = st.selectbox(
            say("Figure", "Medida"), metrics, format_func=lambda one: view.word(METRICS, one), key="metric", width=320
        )
    rows = table[(table["population"] == population) & (table["metric"] == metric)].copy()
    rows["status_label"] = [view.word(STATUSES, one) for one in rows["status"]]
    months, segments = (
        rows[(rows["group"] == "month") & rows["value"].notna()],
        rows[(rows["group"] == "segment") & rows["value"].notna()],
    )
    whole = rows[rows["group"] == "all"]
    if len(whole):
        one = whole.iloc[0]
        st.markdown(
            f"{say('All mature months', 'Todos los meses maduros')}: **{view.fmt.interval(one['value'], one['lo'], one['hi'], 3)}** "
            f":gray[{view.word(STATUSES, one['status']).lower()}, {view.fmt.number(one['rows'])} {say('customers', 'clientes')}, "
            f"{view.fmt.number(one['leavers'] if pd.notna(one['leavers']) else None)} {say('left', 'bajas')}]"
        )
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if months.empty:
            st.markdown(say("No month can be told yet.", "Todavía no se puede decir ningún mes."))
        else:
            _by_month(view, months, metric)
    with right:
        if len(segments):
            _by_segment(view, segments, metric)
        if "performance_reliability" in found.manifest.tables:
            _reliability(view, found, population)


def _by_month(view: View, months: pd.DataFrame, metric: str) -> None:
    say = view.say
    months = months.assign(day=pd.to_datetime(months["member"], errors="coerce")).dropna(subset=["day"])
    status = [view.word(STATUSES, one) for one in STATUSES]
    tooltip = [
        alt.Tooltip("day:T", format="%e %b %Y", title=say("Features of", "Variables del")),
        alt.Tooltip("status_label:N", title=" "),
        alt.Tooltip("value:Q", format=".3f", title=view.word(METRICS, metric)),
        alt.Tooltip("lo:Q", format=".3f", title=say("from", "desde")),
        alt.Tooltip("hi:Q", format=".3f", title=say("to", "hasta")),
        alt.Tooltip("rows:Q", format=",", title=say("Customers", "Clientes")),
        alt.Tooltip("leavers:Q", format=",", title=say("Left", "Bajas")),
    ]
    colour = alt.Color(
        "status_label:N",
        scale=alt.Scale(domain=status, range=[charts.TEAL, charts.AMBER, charts.GREY]),
        legend=alt.Legend(title=None, orient="top"),
    )
    base = alt.Chart(months).encode(
        x=alt.X("day:T", title=None, axis=alt.Axis(format="%b %Y", values=sorted(set(months["day"]))))
    )
    ranges = base.mark_rule(strokeWidth=2).encode(
        y=alt.Y("lo:Q", title=view.word(METRICS, metric), scale=alt.Scale(zero=False)), y2="hi:Q", color=colour
    )
    points = base.mark_point(filled=True, size=90).encode(y="value:Q", color=colour, tooltip=tooltip)
    drawn = ranges + points
    for bound in ("floor", "ceiling"):
        if bound in months and months[bound].notna().any():
            drawn += base.mark_line(strokeDash=[5, 4], color=charts.ROSE).encode(y=f"{bound}:Q")
    charts.show(view, drawn, height=330, alt_text=say("Performance by month", "Rendimiento por mes"))
    st.caption(
        say(
            "Dashed: what it must keep to. Estimated: the outcomes are not known yet.",
            "Línea discontinua: lo exigido. Estimado: aún no se conoce el resultado.",
        )
    )


def _by_segment(view: View, segments: pd.DataFrame, metric: str) -> None:
    base = alt.Chart(segments).encode(y=alt.Y("label:N", axis=alt.Axis(title=None, labelLimit=170)))
    ranges = base.mark_rule(strokeWidth=2, color=charts.BLUE).encode(
        x=alt.X("lo:Q", title=view.word(METRICS, metric), scale=alt.Scale(zero=False)), x2="hi:Q"
    )
    points = base.mark_point(filled=True, size=90, color=charts.BLUE).encode(
        x="value:Q", tooltip=["label:N", alt.Tooltip("value:Q", format=".3f")]
    )
    charts.show(
        view,
        ranges + points,
        height=40 * len(segments) + 50,
        alt_text=view.say("Performance by segment", "Rendimiento por segmento"),
    )


def _reliability(view: View, found: Found, population: str) -> None:
    say = view.say
    table = view.published.table(found.manifest, "performance_reliability")
    rows = table[table["population"] == population]
    if rows.empty:
        return
    top = float(rows[["predicted", "observed"]].to_numpy().max()) * 1.15
    base = alt.Chart(rows).encode(
        x=alt.X("predicted:Q", axis=charts.share(say("Foretold", "Previsto")), scale=alt.Scale(domain=[0, top]))
    )
    points = base.mark_line(point=True, color=charts.TEAL).encode(
        y=alt.Y(
            "observed:Q", axis=charts.share(say("Observed", "Observado")), scale=alt.Scale(domain=[0, top], clamp=True)
        )
    )
    ranges = base.mark_rule(color=charts.TEAL, opacity=0.5).encode(
        y=alt.Y("lo:Q", title=say("Observed", "Observado")), y2="hi:Q"
    )
    diagonal = (
        alt.Chart(pd.DataFrame({"x": [0, top], "y": [0, top]}))
        .mark_line(color=charts.GREY, strokeDash=[4, 4])
        .encode(x="x:Q", y="y:Q")
    )
    charts.show(
        view, diagonal + ranges + points, height=220, alt_text=say("Calibration since", "Calibración desde entonces")
    )


def _business(view: View, found: Found) -> None:
    say = view.say
    table = found.table.sort_values("month")
    if table.empty:
        st.markdown(say("Nothing has been offered yet.", "Todavía no se ha ofrecido nada."))
        return
    heads = {
        "month": say("Month", "Mes"),
        "offers": say("Offers", "Ofertas"),
        "held_out": say("Held out", "Control"),
        "spend_eur": say("Spend", "Gasto"),
        "expected_margin_eur": say("Expected", "Esperado"),
        "measured_margin_eur": say("Measured", "Medido"),
        "measured_lo_eur": say("from", "desde"),
        "measured_hi_eur": say("to", "hasta"),
        "verdict": say("What can be said", "Qué se puede decir"),
    }
    table["month"] = [view.fmt.month(one) for one in table["month"]]
    euro = st.column_config.NumberColumn(format="euro")
    st.dataframe(
        table[list(heads)].round(2).rename(columns=heads),
        hide_index=True,
        column_config={
            **{heads[name]: euro for name in heads if name.endswith("_eur")},
            heads["verdict"]: st.column_config.TextColumn(width="large"),
        },
    )


def _reports(view: View) -> None:
    """The reports as they were made, from the runs that made them."""
    say = view.say
    sources = [
        found
        for table in (signals.SUMMARY, signals.FIGURES)
        if (found := newest(view.published, table, view.run_date)) is not None
    ]
    if not sources:
        raise AbsentError(DRIFT, view.run_date, view.settings.option)
    files = {}
    for found in sources:
        for path in view.run_files(found.manifest.run_id, REPORT_FOLDER):
            if path.endswith(".html"):
                files[f"{found.manifest.publication.name} · {view.fmt.day(found.day)}"] = (found.manifest.run_id, path)
    if not files:
        st.markdown(say("The runs have left no report.", "Las ejecuciones no han dejado informe."))
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(say("Report", "Informe"), list(files), key="report", width=320)
        is_open = st.toggle(say("Show it here", "Mostrarlo aquí"), key="report_open")
        run_id, path = files[chosen]
        st.download_button(
            say("Download", "Descargar"),
            data=lambda: view.run_text(run_id, path).encode(),
            file_name=path.rpartition("/")[2],
            mime="text/html",
            icon=":material/download:",
            on_click="ignore",
            key="report_download",
        )
    if is_open:
        st.iframe(view.run_text(run_id, path), height=REPORT_HEIGHT)
