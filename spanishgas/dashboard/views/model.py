"""Model: who is champion and why, champion against challenger, curves, and the history of promotions."""

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts, curves
from spanishgas.dashboard.data import BACKTESTED, COMPARED, AbsentError
from spanishgas.dashboard.layout import page_head, section
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import DECIDED, GATE_STATES, GATES, METRICS, ROLES
from spanishgas.engine.store import Manifest
from spanishgas.errors import TrackingError
from spanishgas.registry import Decision

FILES = "comparison"
CURVES = "curves.png"
ROLE_COLOURS = {"champion": charts.TEAL, "challenger": charts.AMBER, "baseline": charts.GREY}
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
        left, right = st.columns([3, 2], gap="medium")
        with left, section(view, say("On the same rows", "Sobre las mismas filas"), key="figures"):
            _figures(view, contest)
        with right, section(view, say("Gates", "Pruebas"), key="gates"):
            _gates(view, contest)
        with section(view, say("Curves", "Curvas"), key="curves"):
            _curves(view, contest)
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
        say("Registered", "Registrado"),
        say("Last decision", "Última decisión"),
    )
    lines = ["| " + " | ".join(heads) + " |", "| :--- | :--- | :--- | :--- | :--- |"]
    for one in versions[:8]:
        tags = one.version.tags
        roles = " ".join(
            f":{'green' if alias == 'champion' else 'orange' if alias == 'challenger' else 'gray'}-badge[{view.word(ROLES, alias)}]"
            for alias in one.aliases
        )
        decided = view.word(DECIDED, tags["decision"]) if tags.get("decision") else "–"
        lines.append(
            f"| **v{one.version.version}** | {tags.get('kind', '–')} | {roles} | {fmt.moment(one.created_at)} | {decided} |"
        )
    st.markdown("\n".join(lines))
    if not any("champion" in one.aliases for one in versions):
        st.warning(say("There is no champion yet.", "Todavía no hay campeón."), icon=":material/trophy:")
        st.code(f"python -m pipelines.promote{view.settings.option}", language="bash")


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
    say, fmt = view.say, view.fmt
    table = view.published.table(manifest, "promotion_figures")
    roles = [role for role in ROLES if role in set(table["contender"])]
    versions = table.drop_duplicates("contender").set_index("contender")["model_version"]
    heads = [say("Figure", "Medida"), *(f"{view.word(ROLES, role)} {versions[role]}" for role in roles)]
    lines = ["| " + " | ".join(heads) + " |", "| :--- |" + " ---: |" * len(roles)]
    by = table.set_index(["metric", "contender"])
    for metric in FIRST_METRICS:
        cells = []
        for role in roles:
            if (metric, role) not in by.index:
                cells.append("–")
                continue
            one = by.loc[(metric, role)]
            scale, digits = (100, 0) if metric in PERCENT else (1, 3 if metric != "lift_at_10" else 1)
            told = fmt.number(one["value"] * scale, digits) + (
                " %" if metric in PERCENT and view.language == "es" else "%" if metric in PERCENT else ""
            )
            ends = f"{fmt.number(one['lo'] * scale, digits)}–{fmt.number(one['hi'] * scale, digits)}"
            span = "" if pd.isna(one["lo"]) else f" :small[:gray[{ends}]]"
            cells.append(told + span)
        lines.append(f"| {view.word(METRICS, metric)} | " + " | ".join(cells) + " |")
    st.markdown("\n".join(lines))
    st.caption(
        say(
            "On frozen test rows that no contender has learned from; 95% intervals by a bootstrap over customers.",
            "Sobre filas de prueba de las que ninguno ha aprendido; intervalos del 95 % por remuestreo de clientes.",
        )
    )


def _gates(view: View, manifest: Manifest) -> None:
    table = view.published.table(manifest, "promotion_gates")
    order = {"failed": 0, "passed": 1, "not asked": 2}
    table = table.sort_values("state", key=lambda states: states.map(order), kind="stable")
    for one in table[table["state"] != "not asked"].itertuples():
        state = view.word(GATE_STATES, one.state).lower()
        st.markdown(
            f"{STATE_ICONS.get(str(one.state), '')} **{view.word(GATES, one.gate)}** :gray[{state}]  \n"
            f":small[:gray[{one.sentence}]]"
        )
    silent = [view.word(GATES, one) for one in table.loc[table["state"] == "not asked", "gate"]]
    if silent:
        st.markdown(f":small[:gray[{view.word(GATE_STATES, 'not asked')}: {view.fmt.listed(silent)}]]")


def _curves(view: View, manifest: Manifest) -> None:
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
        legend=alt.Legend(title=None, orient="top", symbolOpacity=1),
    )
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(
            f"**{say('Calibration', 'Calibración')}** :gray[{say('what was foretold and what happened', 'lo previsto y lo ocurrido')}]"
        )
        table = curves.reliability(rows)
        table["role"] = table["contender"].map(names)
        top = float(table[["predicted", "observed"]].to_numpy().max()) * 1.2
        table["hi"] = table["hi"].clip(upper=top)
        base = alt.Chart(table).encode(
            x=alt.X("predicted:Q", axis=charts.share(say("Foretold", "Previsto")), scale=alt.Scale(domain=[0, top])),
            color=colour,
        )
        points = base.mark_line(point=True).encode(
            y=alt.Y(
                "observed:Q",
                axis=charts.share(say("Observed", "Observado")),
                scale=alt.Scale(domain=[0, top], clamp=True),
            ),
            tooltip=[
                alt.Tooltip("role:N", title=" "),
                alt.Tooltip("predicted:Q", format=".1%", title=say("Foretold", "Previsto")),
                alt.Tooltip("observed:Q", format=".1%", title=say("Observed", "Observado")),
                alt.Tooltip("rows:Q", format=",", title=say("Rows", "Filas")),
            ],
        )
        ranges = base.mark_rule(opacity=0.5).encode(y=alt.Y("lo:Q", title=say("Observed", "Observado")), y2="hi:Q")
        diagonal = (
            alt.Chart(pd.DataFrame({"x": [0, top], "y": [0, top]}))
            .mark_line(color=charts.GREY, strokeDash=[4, 4])
            .encode(x="x:Q", y="y:Q")
        )
        charts.show(view, diagonal + ranges + points, height=320, alt_text=say("Reliability", "Fiabilidad"))
    with right:
        st.markdown(
            f"**{say('Leavers reached', 'Bajas alcanzadas')}** :gray[{say('by calling the riskiest first', 'llamando primero a los de más riesgo')}]"
        )
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
        chance = (
            alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]}))
            .mark_line(color=charts.GREY, strokeDash=[4, 4])
            .encode(x="x:Q", y="y:Q")
        )
        charts.show(view, chance + lines, height=320, alt_text=say("Cumulative gains", "Ganancia acumulada"))


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
            st.markdown(f":gray[{fmt.moment(one.when)} · {one.by}]", width="content")
        st.markdown(f":small[:gray[{one.reason}]]")


def _badge(one: Decision) -> str:
    if one.state != "done":
        return "gray"
    return {"promoted": "green", "forced": "orange", "rolled back": "orange", "refused": "red", "conflict": "red"}.get(
        one.action, "gray"
    )


def _move(view: View, one: Decision) -> str:
    """From which version to which."""
    if one.action in ("refused", "conflict"):
        stays = f"v{one.before}" if one.before else view.say("nobody", "nadie")
        return view.say(f"v{one.candidate}; {stays} stays", f"v{one.candidate}; sigue {stays}")
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
    base = alt.Chart(rows).encode(x=alt.X("origin:T", title=None, axis=alt.Axis(format="%b %Y")))
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
