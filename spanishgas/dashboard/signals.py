"""Drift, performance and the retraining signal, as far as they are published: found by the name of their table."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import streamlit as st

from spanishgas.dashboard.data import Home, Published
from spanishgas.dashboard.sentences import drift_told
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import DRIFT_STATES, RETRAIN_REASONS
from spanishgas.engine.store import Manifest

DRIFT = Home("gold", "drift", "run_date", "drift")
PERFORMANCE = Home("gold", "performance", "run_date", "performance")
RETRAINING = Home("gold", "retrain_signal", "run_date", "retrain_signal")
SUMMARY, SIGNAL, FIGURES = "drift_summary", "retrain_signal", "model_performance"
LAST = 24

STATE_COLOURS = {"ok": "green", "alarm": "red", "unknown": "gray"}


@dataclass(frozen=True)
class Found:
    """A monitoring table of the newest date up to the one that is looked at.

    Attributes:
        day: Its run date.
        manifest: Its publication.
        table: Its rows.
    """

    day: date
    manifest: Manifest
    table: pd.DataFrame


def newest(published: Published, table: str, until: date | None) -> Found | None:
    """The newest publication of a table up to a day; None where there is none.

    Raises:
        PublishError: It is damaged.
    """
    for day in reversed(monitored_days(published)):
        if until is not None and day > until:
            continue
        manifest = published.holding(table, day)
        if manifest is not None:
            return Found(day, manifest, published.table(manifest, table))
    return None


def over_time(published: Published, table: str, until: date | None) -> pd.DataFrame:
    """The rows of a table over the last run dates, oldest first; empty where there are none.

    Raises:
        PublishError: One is damaged.
    """
    days = [day for day in monitored_days(published) if until is None or day <= until][-LAST:]
    manifests = [found for day in days if (found := published.holding(table, day)) is not None]
    parts = [published.table(one, table) for one in manifests]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def monitored_days(published: Published) -> list[date]:
    """Run dates for which anything is published, oldest first."""
    found = set()
    for publication in published.store.of_run_dates("gold"):
        try:
            found.add(date.fromisoformat(publication.value))
        except ValueError:
            continue
    return sorted(found)


def signal_line(view: View, row: "pd.Series[Any]") -> tuple[str, str, str]:
    """The retraining signal as colour, headline and reasons in words."""
    say = view.say
    reasons = [view.word(RETRAIN_REASONS, one) for one in str(row["reasons"]).split("|") if one]
    told = view.fmt.listed(reasons)
    held = str(row.get("held_back_by", "") or "")
    if bool(row["retrain"]):
        return "red", say("Train again", "Volver a entrenar"), told
    if held:
        return (
            "orange",
            say("Train again soon", "Volver a entrenar pronto"),
            f"{told}; {view.word(RETRAIN_REASONS, held)}",
        )
    if bool(row["investigate"]):
        return "orange", say("Look into it", "Conviene investigar"), drift_told(view.fmt, evidence_of(row))
    return "green", say("No need to train again", "No hace falta reentrenar"), ""


def evidence_of(row: "pd.Series[Any]") -> Mapping[str, Any]:
    """The figures behind a retraining signal; empty where they cannot be read."""
    try:
        told = json.loads(str(row.get("evidence", "") or "{}"))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def not_monitored(view: View) -> None:
    """What to run where nothing is monitored yet."""
    st.markdown(
        view.say(
            ":material/inbox: **The model is not monitored yet.** For drift, performance and retraining, run",
            ":material/inbox: **El modelo aún no se vigila.** Para ver deriva, rendimiento y reentrenamiento, ejecute",
        )
    )
    option = view.settings.option + (f" run_date={view.run_date}" if view.run_date is not None else "")
    commands = [f"python -m pipelines.{home.made_by}{option}" for home in (DRIFT, PERFORMANCE, RETRAINING)]
    st.code("\n".join(commands), language="bash", wrap_lines=True)


def monitoring_summary(view: View) -> None:
    """What the overview tells of the model's state: drift, performance, and whether to train again."""
    say, fmt = view.say, view.fmt
    summary = newest(view.published, SUMMARY, view.run_date)
    signal = newest(view.published, SIGNAL, view.run_date)
    figures = newest(view.published, FIGURES, view.run_date)
    if summary is None and signal is None and figures is None:
        not_monitored(view)
        return
    if signal is not None and len(signal.table):
        colour, head, told = signal_line(view, signal.table.iloc[-1])
        st.markdown(f":{colour}-badge[{head}] {told}")
        age = signal.table.iloc[-1].get("model_age_days")
        if pd.notna(age):
            label = say("Age of what it learned", "Antigüedad de lo aprendido")
            st.markdown(f":gray[{label}] {fmt.number(age)} {say('days', 'días')}")
    if summary is not None and len(summary.table):
        row = summary.table.iloc[-1]
        state = str(row["state"])
        st.markdown(
            f":{STATE_COLOURS.get(state, 'gray')}-badge[{view.word(DRIFT_STATES, state)}] "
            + say(
                f"Causes of alarm: {fmt.number(row['root_alarms'])}, in {fmt.number(row['checks'])} checks",
                f"Causas de alarma: {fmt.number(row['root_alarms'])}, en {fmt.number(row['checks'])} comprobaciones",
            )
        )
        st.markdown(
            f":gray[{say('Mean risk', 'Riesgo medio')}] {fmt.pct(row['mean_risk'])} "
            f":gray[{say('was', 'era')} {fmt.pct(row['reference_mean_risk'])}]"
        )
    if figures is not None:
        rows = figures.table
        whole = rows[(rows["group"] == "all") & (rows["metric"] == "pr_auc") & (rows["population"] == "untreated")]
        if len(whole):
            one = whole.iloc[0]
            st.markdown(f":gray[PR-AUC] {fmt.interval(one['value'], one['lo'], one['hi'], 2)}")
    st.page_link(view.pages["monitoring"], label=say("Monitoring", "Seguimiento"), icon=":material/arrow_forward:")
