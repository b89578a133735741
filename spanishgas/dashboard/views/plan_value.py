"""What a plan is worth and how sure that is: budgets, assumptions, the demo's truth, the hold-out."""

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts
from spanishgas.dashboard.data import MEASURED
from spanishgas.dashboard.formatting import NOTHING, as_day, plain
from spanishgas.dashboard.sentences import effect_verdict
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import ACTIONS, POLICIES
from spanishgas.engine.store import Manifest
from spanishgas.policy.measurement import ALL, TOGETHER

# EUR below which more money brings nothing worth telling.
LEAST_GAIN = 0.005


def budget_curve(view: View, manifest: Manifest) -> None:
    """What each budget would bring."""
    say = view.say
    curve = view.published.table(manifest, "budget_curve").sort_values("budget_eur")
    tooltip = [
        alt.Tooltip("budget_eur:Q", format="$,.0f", title=say("Budget", "Presupuesto")),
        alt.Tooltip("net_eur:Q", format="$,.2f", title=say("Net", "Neto")),
        alt.Tooltip("spend_eur:Q", format="$,.2f", title=say("Spend", "Gasto")),
        alt.Tooltip("offers:Q", format=",", title=say("Offers", "Ofertas")),
    ]
    base = alt.Chart(curve).encode(
        x=alt.X("budget_eur:Q", axis=charts.money(say("Budget", "Presupuesto"), tickCount=6)),
        y=alt.Y("net_eur:Q", axis=charts.money(say("Expected net value", "Valor neto esperado"))),
    )
    line = base.mark_line(point=alt.OverlayMarkDef(size=50), strokeWidth=2.5, color=charts.TEAL).encode(tooltip=tooltip)
    here = (
        base.transform_filter("datum.is_chosen")
        .mark_point(filled=True, size=190, color=charts.AMBER)
        .encode(tooltip=tooltip)
    )
    charts.show(view, line + here, alt_text=say("Net value by budget", "Valor neto según el presupuesto"))
    chosen = curve[curve["is_chosen"]]
    if len(chosen):
        now = chosen.iloc[0]
        more = curve[curve["budget_eur"] > now["budget_eur"]]
        told = say("Orange: the budget of this run.", "Naranja: el presupuesto de esta fecha.")
        gain = float(more["net_eur"].iloc[0] - now["net_eur"]) if len(more) else 0.0
        if len(more) and gain < LEAST_GAIN:
            told += say(
                " More money would bring nothing: no other offer pays.",
                " Más dinero no aportaría nada: ninguna otra oferta compensa.",
            )
        elif len(more):
            step = float(more["budget_eur"].iloc[0] - now["budget_eur"])
            told += say(
                f" {view.fmt.eur(step)} more would bring {view.fmt.eur(gain, 2)} more.",
                f" {view.fmt.eur(step)} más aportarían {view.fmt.eur(gain, 2)} más.",
            )
        st.caption(told)


def sensitivity(view: View, manifest: Manifest) -> None:
    """What the plan would bring under other assumptions."""
    say = view.say
    table = view.published.table(manifest, "simulated_sensitivity")
    widest = float(table["net_eur"].abs().max()) or 1.0
    base = alt.Chart(table).encode(
        x=alt.X(
            "acceptance_factor:O",
            title=say("Acceptance, times", "Aceptación, multiplicada por"),
            axis=alt.Axis(format=".2~f", labelAngle=0),
        ),
        y=alt.Y(
            "risk_factor:O",
            sort="descending",
            title=say("Risk, times", "Riesgo, multiplicado por"),
            axis=alt.Axis(format=".2~f"),
        ),
        tooltip=[
            alt.Tooltip("acceptance_factor:Q", format=".2f", title=say("Acceptance", "Aceptación")),
            alt.Tooltip("risk_factor:Q", format=".2f", title=say("Risk", "Riesgo")),
            alt.Tooltip("net_eur:Q", format="$,.0f", title=say("This plan brings", "Este plan aporta")),
            alt.Tooltip("spend_eur:Q", format="$,.0f", title=say("It costs", "Cuesta")),
            alt.Tooltip(
                "replanned_net_eur:Q", format="$,.0f", title=say("The best plan then", "El mejor plan entonces")
            ),
        ],
    )
    cells = base.mark_rect(cornerRadius=3).encode(
        color=alt.Color(
            "net_eur:Q",
            scale=alt.Scale(domain=[-widest, 0, widest], range=["#B23A4E", "#64707D", "#0B7263"]),
            legend=None,
        )
    )
    text = base.mark_text(color="white", fontWeight="bold").encode(text=alt.Text("net_eur:Q", format="$,.0f"))
    charts.show(view, cells + text, alt_text=say("Net value under other assumptions", "Valor neto con otros supuestos"))
    st.caption(
        say(
            "What this plan would bring if customers accepted or left more or less than assumed.",
            "Lo que aportaría este plan si los clientes aceptaran o se fueran más o menos de lo supuesto.",
        )
    )


def replay(view: View, manifest: Manifest) -> None:
    """Policies by the demo world's true probabilities."""
    say, fmt = view.say, view.fmt
    table = view.published.table(manifest, "replayed_policies")
    table["label"] = [view.word(POLICIES, one) for one in table["policy"]]
    table = table.dropna(subset=["share_of_informed"]).sort_values("share_of_informed", ascending=False)
    base = alt.Chart(table).encode(
        y=alt.Y("label:N", sort=table["label"].tolist(), axis=alt.Axis(title=None, labelLimit=280))
    )
    bars = base.mark_bar(cornerRadiusEnd=3, height={"band": 0.6}).encode(
        x=alt.X(
            "share_of_informed:Q",
            axis=charts.share(say("Share of what the records allow", "Parte de lo que permiten los datos")),
        ),
        color=alt.condition(
            "datum.policy == 'learned' || datum.policy == 'assumed'", alt.value(charts.TEAL), alt.value(charts.GREY)
        ),
        tooltip=[
            alt.Tooltip("label:N", title=say("Policy", "Política")),
            alt.Tooltip("share_of_informed:Q", format=".0%", title=say("Share", "Parte")),
            alt.Tooltip("worth_eur:Q", format="$,.0f", title=say("Truly brings", "Aporta de verdad")),
            alt.Tooltip("promised_eur:Q", format="$,.0f", title=say("Promised", "Prometía")),
            alt.Tooltip("offers:Q", format=",", title=say("Offers", "Ofertas")),
        ],
    )
    ranges = base.mark_rule(strokeWidth=2, color=charts.AMBER).encode(x="informed_lo:Q", x2="informed_hi:Q")
    charts.show(
        view,
        bars + ranges,
        height=30 * len(table) + 50,
        alt_text=say("Policies by the truth", "Políticas según la verdad"),
    )
    ours = table[table["policy"] == manifest.tags.get("response", "learned")]
    if len(ours):
        one = ours.iloc[0]
        worth, promised, lo, hi = (
            fmt.eur(one[name]) for name in ("worth_eur", "promised_eur", "promised_lo_eur", "promised_hi_eur")
        )
        st.caption(
            say(
                f"Ours truly brings {worth}; it promised {promised} (between {lo} and {hi}).",
                f"La nuestra aporta de verdad {worth}; prometía {promised} (entre {lo} y {hi}).",
            )
        )


def measured(view: View) -> None:
    """What the hold-outs of a run, and of it with earlier ones, say of the offers."""
    say, fmt = view.say, view.fmt
    manifest = view.published.manifest(MEASURED, view.run_date)
    table = view.published.table(manifest, "measured_effect")
    for one in table[table["group"] == ALL].to_dict("records"):
        if one["scope"] == TOGETHER and one["runs"] == 1:
            continue
        told = say(
            f"Of **{fmt.number(one['offered'])}** offered, **{fmt.number(one['offered_left'])}** left; of "
            f"**{fmt.number(one['held_out'])}** held out, **{fmt.number(one['held_out_left'])}**.",
            f"De **{fmt.number(one['offered'])}** con oferta se fueron **{fmt.number(one['offered_left'])}**; de "
            f"**{fmt.number(one['held_out'])}** en control, **{fmt.number(one['held_out_left'])}**.",
        )
        if one["scope"] == TOGETHER:
            runs, first = fmt.number(one["runs"]), fmt.day(as_day(one["first_run_date"]))
            told = say(f"The {runs} runs since {first}: ", f"Las {runs} fechas desde el {first}: ") + told
        st.markdown(told)
        st.markdown(f":gray[{plain(effect_verdict(fmt, one))}]")
        if pd.notna(one["margin_eur"]):
            value, lo, hi = (fmt.eur(one[name]) for name in ("margin_eur", "margin_lo_eur", "margin_hi_eur"))
            expected = fmt.eur(one["expected_margin_eur"])
            st.markdown(
                say(
                    f":gray[Margin kept: {value} ({lo} to {hi}); {expected} were expected.]",
                    f":gray[Margen conservado: {value} (entre {lo} y {hi}); se esperaban {expected}.]",
                )
            )
    heads = {
        "label": say("Group", "Grupo"),
        "runs": say("Runs", "Fechas"),
        "offered": say("Offered", "Con oferta"),
        "held_out": say("Held out", "En control"),
        "adjusted_effect": say("Effect", "Efecto"),
        "adjusted_lo": say("from", "desde"),
        "adjusted_hi": say("to", "hasta"),
        "smallest_effect": say("Smallest found", "Mínimo visible"),
        "expected_effect": say("Expected", "Esperado"),
    }
    table["label"] = [say("All", "Todas") if one == ALL else view.word(ACTIONS, one) for one in table["group"]]
    shown = table[(table["scope"] != TOGETHER) | (table["runs"] > 1)]
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        shown[list(heads)].rename(columns=heads),
        hide_index=True,
        placeholder=NOTHING,
        column_config={
            heads[name]: percent
            for name in ("adjusted_effect", "adjusted_lo", "adjusted_hi", "smallest_effect", "expected_effect")
        },
    )
