"""Model: who is champion and why, champion against challenger, curves, and the history of promotions."""

from collections.abc import Mapping
from typing import Any, Literal

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts
from spanishgas.dashboard.data import BACKTESTED, COMPARED, AbsentError
from spanishgas.dashboard.formatting import SPACE, as_day, plain
from spanishgas.dashboard.layout import page_head, section
from spanishgas.dashboard.sentences import decision_reason, gate_sentence
from spanishgas.dashboard.view import View
from spanishgas.dashboard.views.model_curves import model_curves
from spanishgas.dashboard.words import DECIDED, GATE_STATES, GATES, METRICS, ROLES
from spanishgas.engine.store import Manifest
from spanishgas.errors import TrackingError
from spanishgas.registry import JUDGED_VERSION_TAG, LEARNED_TAG, Decision

FIRST_METRICS = (
    "pr_auc",
    "roc_auc",
    "recall_at_10",
    "lift_at_10",
    "ece",
    "calibration_slope",
    "observed_over_expected",
)
PERCENT = ("recall_at_10", "precision_at_10")
# A dash at which no line breaks.
TO = "\u2060–\u2060"
DIGITS = {"lift_at_10": 1, "calibration_slope": 2, "observed_over_expected": 2}
ALIAS_COLOURS = {"champion": "green", "challenger": "orange"}
STATE_ICONS = {
    "passed": ":green[:material/check_circle:]",
    "failed": ":red[:material/cancel:]",
    "not asked": ":gray[:material/remove:]",
}
BACKTEST_METRICS = ("pr_auc", "roc_auc", "recall_at_10", "observed_over_expected")


def show(view: View) -> None:
    """Draws the page."""
    say = view.say
    page_head(
        view,
        say("Model", "Modelo"),
        say(
            "Who decides on risk, how good it is, and how it came to be.",
            "Qué modelo decide el riesgo, cómo de bueno es y cómo llegó ahí.",
        ),
    )
    with section(view, say("In the registry", "En el registro"), key="registry"):
        _registry(view)
    with section(view, border=False):
        contest = _contest(view)
        left, right = st.columns([5, 3], gap="medium")
        with left, section(view, say("On the same rows", "Sobre las mismas filas"), key="figures"):
            _figures(view, contest)
        with right, section(view, say("Gates", "Pruebas"), key="gates"):
            _gates(view, contest)
        with section(view, say("Curves", "Curvas"), key="curves"):
            model_curves(view, contest)
    with section(view, say("History of promotions", "Historial de promociones"), key="history"):
        _history(view)
    with section(
        view,
        say("Backtest", "Prueba retrospectiva"),
        say(
            "Models trained at each date, on the customers of that day.",
            "Modelos entrenados en cada fecha, con los clientes de ese día.",
        ),
        key="backtest",
    ):
        _backtest(view)


def _registry(view: View) -> None:
    say, fmt = view.say, view.fmt
    try:
        versions = view.versions()
    except TrackingError as error:
        st.warning(
            say("The model registry cannot be asked: ", "No se puede consultar el registro de modelos: ") + str(error),
            icon=":material/cloud_off:",
        )
        return
    if not versions:
        st.markdown(say("No model is registered.", "No hay modelos registrados."))
        st.code(f"python -m pipelines.train{view.settings.option}", language="bash")
        return
    heads = (
        say("Version", "Versión"),
        say("Kind", "Tipo"),
        say("Role", "Papel"),
        say("Youngest row learned from", "Fila más reciente aprendida"),
        say("Registered", "Registrado"),
        say("Last decision", "Última decisión"),
    )
    lines = ["| " + " | ".join(heads) + " |", "|" + " :--- |" * len(heads)]
    for one in versions[:8]:
        tags = one.version.tags
        roles = " ".join(
            f":{ALIAS_COLOURS.get(alias, 'gray')}-badge[{view.word(ROLES, alias)}]"
            for alias in sorted(one.aliases, key=_place)
        )
        decided = view.word(DECIDED, tags["decision"]) if tags.get("decision") else "–"
        lines.append(
            f"| **v{one.version.version}** | {plain(tags.get('kind', '–'))} | {roles} "
            f"| {_learned(view, tags)} | {fmt.moment(one.created_at)} | {decided} |"
        )
    st.markdown("\n".join(lines))
    if not any("champion" in one.aliases for one in versions):
        st.warning(say("There is no champion yet.", "Todavía no hay campeón."), icon=":material/trophy:")
        st.code(f"python -m pipelines.promote{view.settings.option}", language="bash")


def _learned(view: View, tags: Mapping[str, str]) -> str:
    """The youngest row that a version learned from, and its age on the chosen date; of a refit also what was judged."""
    day = tags.get(LEARNED_TAG)
    if not day:
        return "–"
    told = view.fmt.day(day)
    if view.run_date is not None:
        age = view.fmt.number((view.run_date - as_day(day)).days)
        told += f" ({view.say(f'{age} days', f'{age} días')})"
    judged = tags.get(JUDGED_VERSION_TAG)
    return told if not judged else told + f", {view.say(f'judged as v{judged}', f'evaluado como v{judged}')}"


def _place(alias: str) -> int:
    return list(ROLES).index(alias) if alias in ROLES else len(ROLES)


def _contest(view: View) -> Manifest:
    """The comparison to show: the last one, or another by choice."""
    contests = view.published.every(COMPARED)
    if not contests:
        raise AbsentError(COMPARED, None, view.settings.option)
    by_name = {one.publication.value: one for one in reversed(contests)}
    if len(by_name) == 1:
        return contests[-1]
    labels = {name: _contest_label(view, one) for name, one in by_name.items()}
    chosen = st.selectbox(
        view.say("Comparison", "Comparación"), list(by_name), format_func=lambda name: labels[name], key="contest"
    )
    return by_name[chosen]


def _contest_label(view: View, manifest: Manifest) -> str:
    figures = view.published.table(manifest, "promotion_figures", ["contender", "model_version"]).drop_duplicates()
    told = [f"{view.word(ROLES, one.contender)} {one.model_version}" for one in figures.itertuples()]
    return f"{', '.join(told)} · {view.fmt.moment(manifest.created_at)}"


def _figures(view: View, manifest: Manifest) -> None:
    say = view.say
    table = view.published.table(manifest, "promotion_figures")
    roles = [role for role in ROLES if role in set(table["contender"])]
    versions = dict(zip(table["contender"], table["model_version"], strict=True))
    told = {
        (one.metric, one.contender): _told(view, str(one.metric), one.value, one.lo, one.hi)
        for one in table.itertuples()
    }
    heads = [say("Figure", "Medida"), *(f"{view.word(ROLES, role)} {versions[role]}" for role in roles)]
    lines = ["| " + " | ".join(heads) + " |", "| :--- |" + " ---: |" * len(roles)]
    for metric in FIRST_METRICS:
        cells = [told.get((metric, role), "–") for role in roles]
        lines.append(f"| {view.word(METRICS, metric)} | " + " | ".join(cells) + " |")
    st.markdown("\n".join(lines))
    st.caption(
        say(
            "On frozen test rows that no contender has learned from; 95% intervals by a bootstrap over customers.",
            "Sobre filas de prueba de las que ninguno ha aprendido; intervalos del 95 % por remuestreo de clientes.",
        )
    )


def _told(view: View, metric: str, value: Any, lo: Any, hi: Any) -> str:
    """A figure with its interval, in the digits that suit it."""
    fmt, text = view.fmt, _value(view, metric, value)
    if metric in PERCENT:
        ends = fmt.number(100 * lo), fmt.number(100 * hi)
    else:
        digits = DIGITS.get(metric, 3)
        ends = fmt.number(lo, digits), fmt.number(hi, digits)
    return text if pd.isna(lo) else f"{text}{SPACE}:small[:gray[{ends[0]}{TO}{ends[1]}]]"


def _value(view: View, metric: str, value: Any) -> str:
    return view.fmt.pct(value, 0) if metric in PERCENT else view.fmt.number(value, DIGITS.get(metric, 3))


def _gates(view: View, manifest: Manifest) -> None:
    say = view.say
    table = view.published.table(manifest, "promotion_gates")
    order = {"failed": 0, "passed": 1, "not asked": 2}
    table = table.sort_values("state", key=lambda states: states.map(order), kind="stable")
    figures = {
        (str(one.metric), str(one.contender)): _value(view, str(one.metric), one.value)
        for one in view.published.table(manifest, "promotion_figures").itertuples()
    }
    judged = table[table["state"] != "not asked"]
    for one in judged.itertuples():
        state = view.word(GATE_STATES, one.state).lower()
        st.markdown(
            f"{STATE_ICONS.get(str(one.state), '')} **{view.word(GATES, one.gate)}** :gray[{state}]  \n"
            f":small[:gray[{plain(gate_sentence(view.fmt, str(one.gate), figures))}]]"
        )
    silent = [view.word(GATES, one) for one in table.loc[table["state"] == "not asked", "gate"]]
    if silent:
        st.markdown(f":small[:gray[{view.word(GATE_STATES, 'not asked')}: {view.fmt.listed(silent)}]]")
    with st.expander(say("Figures and limits as published", "Cifras y límites publicados (en inglés)")):
        lines = [f"- **{view.word(GATES, one.gate)}**: {plain(one.sentence)}" for one in judged.itertuples()]
        st.markdown("\n".join(lines))


def _history(view: View) -> None:
    say, fmt = view.say, view.fmt
    try:
        decisions = list(reversed(view.history()))
    except TrackingError as error:
        st.warning(str(error), icon=":material/cloud_off:")
        return
    if not decisions:
        st.markdown(say("Nothing has been decided yet.", "Todavía no se ha decidido nada."))
        return
    for one in decisions:
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.badge(view.word(DECIDED, one.action), color=_badge(one))
            st.markdown(f"**{_move(view, one)}**", width="content")
            st.markdown(f":gray[{fmt.moment(one.when)} · {plain(one.by)}]", width="content")
        st.markdown(f":small[:gray[{plain(decision_reason(fmt, one))}]]", help=_as_published(view, one))


def _as_published(view: View, one: Decision) -> str | None:
    """The whole reason as it was written down, where the page tells it in another language."""
    return None if decision_reason(view.fmt, one) == one.reason else plain(one.reason)


def _badge(one: Decision) -> Literal["gray", "green", "orange", "red"]:
    if one.state != "done":
        return "gray"
    if one.action == "promoted":
        return "green"
    if one.action in ("forced", "rolled back"):
        return "orange"
    return "red" if one.action in ("refused", "conflict") else "gray"


def _move(view: View, one: Decision) -> str:
    """From which version to which."""
    if one.action in ("refused", "conflict"):
        stays = f"v{one.before}" if one.before else view.say("nobody", "nadie")
        return view.say(f"v{one.candidate}; {stays} stays", f"v{one.candidate}; sigue {stays}")
    if one.before == one.after:
        return view.say(f"v{one.after} stays", f"sigue v{one.after}")
    if not one.before:
        return view.say(f"v{one.after}, the first", f"v{one.after}, el primero")
    return f"v{one.before} → v{one.after}"


def _backtest(view: View) -> None:
    say = view.say
    found = view.published.every(BACKTESTED)
    if not found:
        raise AbsentError(BACKTESTED, None, view.settings.option)
    table = view.published.table(found[-1], "backtest_metrics")
    present = [name for name in BACKTEST_METRICS if name in set(table["metric"])]
    chosen = st.segmented_control(
        say("Figure", "Medida"),
        present,
        default=present[0],
        required=True,
        format_func=lambda name: view.word(METRICS, name),
        key="backtest_metric",
    )
    rows = table[table["metric"] == chosen].copy()
    rows["origin"] = pd.to_datetime(rows["origin"])
    base = alt.Chart(rows).encode(
        x=alt.X("origin:T", title=None, axis=alt.Axis(format="%b %Y", values=sorted(set(rows["origin"]))))
    )
    band = base.mark_area(opacity=0.18, color=charts.TEAL).encode(
        y=alt.Y("lo:Q", title=None, scale=alt.Scale(zero=False)), y2="hi:Q"
    )
    line = base.mark_line(point=True, color=charts.TEAL, strokeWidth=2.5).encode(
        y="value:Q",
        tooltip=[
            alt.Tooltip("origin:T", format="%e %b %Y", title=say("Trained at", "Entrenado el")),
            alt.Tooltip("value:Q", format=".3f", title=view.word(METRICS, chosen)),
            alt.Tooltip("lo:Q", format=".3f", title=say("from", "desde")),
            alt.Tooltip("hi:Q", format=".3f", title=say("to", "hasta")),
        ],
    )
    charts.show(view, band + line, alt_text=say("Backtest by date", "Prueba retrospectiva por fecha"))
