"""Monitoring: drift and performance over time, what offers truly did, whether to train again, and the full report."""

from typing import Any

import pandas as pd
import streamlit as st

from spanishgas.dashboard import signals
from spanishgas.dashboard.data import AbsentError, Home
from spanishgas.dashboard.formatting import NOTHING
from spanishgas.dashboard.layout import figures, page_head, section
from spanishgas.dashboard.sentences import month_verdict
from spanishgas.dashboard.signals import (
    DRIFT,
    PERFORMANCE,
    RETRAINING,
    Found,
    evidence_of,
    newest,
    over_time,
    signal_line,
)
from spanishgas.dashboard.view import View
from spanishgas.dashboard.views.drift_panel import drift_panel
from spanishgas.dashboard.views.performance_panel import performance_panel
from spanishgas.dashboard.words import REPORTS

REPORT_FOLDER = "evidently"
REPORT_HEIGHT = 900


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
        _signal(view, _needed(view, signals.SIGNAL, RETRAINING))
    with section(view, say("Drift", "Deriva"), key="drift"):
        drift_panel(view, _needed(view, signals.SUMMARY, DRIFT))
    with section(view, say("Performance", "Rendimiento"), key="performance"):
        performance_panel(view, _needed(view, signals.FIGURES, PERFORMANCE))
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
    figures(
        (
            say("Age of what the champion learned", "Antigüedad de lo aprendido"),
            _days(view, row, "model_age_days"),
            None,
        ),
        (
            say("Since the last training", "Desde el último entrenamiento"),
            _days(view, row, "days_since_training"),
            None,
        ),
        (say("New leavers since", "Nuevas bajas desde entonces"), fmt.number(row.get("new_leavers")), None),
    )
    past = over_time(view.published, signals.SIGNAL, view.run_date)
    if len(past) > 1:
        days = [f"{fmt.day(one['run_date'])}: {signal_line(view, one)[1]}" for _, one in past.iterrows()]
        st.caption(" · ".join(days[-6:]))
    evidence = evidence_of(row)
    if evidence:
        with st.expander(say("Evidence", "Datos en que se basa"), icon=":material/fact_check:"):
            st.json(evidence)


def _days(view: View, row: "pd.Series[Any]", name: str) -> str:
    text = view.fmt.number(row.get(name))
    return text if text == NOTHING else f"{text} {view.say('days', 'días')}"


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
        "told": say("What can be said", "Qué se puede decir"),
    }
    table["told"] = [month_verdict(view.fmt, one) for one in table.to_dict("records")]
    table["month"] = [view.fmt.month(one) for one in table["month"]]
    euro = st.column_config.NumberColumn(format="euro")
    st.dataframe(
        table[list(heads)].round(2).rename(columns=heads),
        hide_index=True,
        placeholder=NOTHING,
        column_config={
            **{heads[name]: euro for name in heads if name.endswith("_eur")},
            heads["told"]: st.column_config.TextColumn(width="large"),
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
                files[f"{view.word(REPORTS, found.manifest.publication.name)} · {view.fmt.day(found.day)}"] = (
                    found.manifest.run_id,
                    path,
                )
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
