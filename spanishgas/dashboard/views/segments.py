"""Segments: who the customers are, what sets the groups apart, and what is done for them."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from spanishgas.dashboard import charts
from spanishgas.dashboard.data import RECOMMENDED, SCORES, SEGMENTED, SIMULATED
from spanishgas.dashboard.formatting import as_day, plain
from spanishgas.dashboard.layout import page_head, section
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import BUCKETS
from spanishgas.engine.store import Manifest
from spanishgas.segmentation.words import words_of

# Standard deviations from which on a feature is worth a word, and how many are told.
TELLING, MOST_TOLD = 0.25, 4
CARDS = 4


def show(view: View) -> None:
    """Draws the page."""
    say = view.say
    page_head(
        view,
        say("Segments", "Segmentos"),
        say(
            "Groups of customers who behave alike. Their identities last from one refresh to the next.",
            "Grupos de clientes que se comportan igual. Su identidad se conserva de una actualización a otra.",
        ),
    )
    with section(view, border=False):
        manifest = _manifest(view)
        summary = view.published.table(manifest, "segment_summary")
        profiles = view.published.table(manifest, "segment_profiles")
        summary["label"] = summary[f"name_{view.language}"]
        summary = summary.sort_values("customers", ascending=False, ignore_index=True)
        _cards(view, summary)
        left, right = st.columns([2, 3], gap="medium")
        with left, section(view, say("Margin and leaving", "Margen y bajas"), key="map"):
            _map(view, summary, profiles["feature"].nunique())
        with right, section(view, say("What sets them apart", "Qué los distingue"), key="profile"):
            _profile(view, summary, profiles)
        with section(
            view,
            say("What is done for them", "Qué se hace por ellos"),
            say("Offers planned, those held out included.", "Ofertas previstas, incluido el grupo de control."),
            key="plan",
        ):
            _plan(view, summary)


def _manifest(view: View) -> Manifest:
    """Segments of the features that the run date was decided on, else the newest."""
    published, day = view.published, view.run_date
    if day is not None:
        told = published.find(RECOMMENDED, day) or published.find(SCORES, day)
        if told is not None and "as_of" in told.tags:
            found = published.find(SEGMENTED, as_day(told.tags["as_of"]))
            if found is not None:
                return found
    days = published.days(SEGMENTED)
    return published.manifest(SEGMENTED, days[-1] if days else None)


def _cards(view: View, summary: pd.DataFrame) -> None:
    say, fmt = view.say, view.fmt
    rows = [summary.iloc[start : start + CARDS] for start in range(0, len(summary), CARDS)]
    for part in rows:
        for column, (_, one) in zip(st.columns(max(len(part), 2)), part.iterrows(), strict=False):
            with column, st.container(border=True, height="stretch"):
                st.markdown(f":gray[{one['segment_id']}]  \n**{plain(one['label'])}**")
                st.space("stretch")
                st.markdown(
                    f"**{fmt.number(one['customers'])}** "
                    f":gray[{say('customers', 'clientes')}, {fmt.pct(one['share'], 0)}]  \n"
                    f"{fmt.eur(one['margin_eur_month'], 2)} :gray[{say('margin a month', 'de margen al mes')}]  \n"
                    f"{fmt.pct(one['churn_rate'])} :gray[{say('leave in the horizon', 'se dan de baja')}]"
                )


def _map(view: View, summary: pd.DataFrame, features: int) -> None:
    say = view.say
    known = summary.dropna(subset=["churn_rate", "margin_eur_month"])
    if known.empty:
        st.markdown(say("Margin or churn is not known.", "No se conoce el margen o la baja."))
        return
    base = alt.Chart(known).encode(
        x=alt.X(
            "churn_rate:Q",
            axis=charts.share(say("Leave within the horizon", "Se dan de baja"), 1, tickCount=5),
            scale=alt.Scale(zero=False, padding=60),
        ),
        y=alt.Y(
            "margin_eur_month:Q",
            axis=charts.money(say("Margin a month", "Margen al mes"), tickCount=8),
            scale=alt.Scale(padding=30),
        ),
    )
    points = base.mark_circle(opacity=0.85, stroke="white", strokeWidth=1).encode(
        size=alt.Size("customers:Q", legend=None, scale=alt.Scale(range=[200, 1800])),
        color=alt.Color("segment_id:N", legend=None, scale=alt.Scale(range=list(charts.SERIES))),
        tooltip=[
            alt.Tooltip("label:N", title=say("Segment", "Segmento")),
            alt.Tooltip("customers:Q", format=",", title=say("Customers", "Clientes")),
            alt.Tooltip("churn_rate:Q", format=".1%", title=say("Leave", "Bajas")),
            alt.Tooltip("margin_eur_month:Q", format="$,.2f", title=say("Margin", "Margen")),
        ],
    )
    names = base.mark_text(fontWeight="bold", color="white").encode(text="segment_id:N")
    charts.show(
        view,
        points + names,
        height=26 * features + 230,
        alt_text=say("Segments by churn and margin", "Segmentos por baja y margen"),
    )


def _profile(view: View, summary: pd.DataFrame, profiles: pd.DataFrame) -> None:
    say = view.say
    names = dict(zip(summary["segment_id"], summary["label"], strict=True))
    chosen = st.selectbox(
        say("Segment", "Segmento"), list(names), format_func=lambda key: f"{key} · {names[key]}", key="profile_of"
    )
    rows = profiles[(profiles["segment_id"] == chosen) & profiles["z"].notna()].copy()
    st.markdown(describe(view, summary[summary["segment_id"] == chosen].iloc[0], rows, summary))
    rows["label"] = [trait(view, feature, z) for feature, z in zip(rows["feature"], rows["z"], strict=True)]
    rows["side"] = rows["z"] > 0
    rows = rows.reindex(rows["z"].abs().sort_values(ascending=False).index)
    chart = (
        alt.Chart(rows)
        .mark_bar(cornerRadiusEnd=3, height={"band": 0.66})
        .encode(
            x=alt.X(
                "z:Q",
                title=say("Standard deviations from everybody", "Desviaciones respecto a todos"),
                axis=alt.Axis(format="+.1f", tickCount=6),
            ),
            y=alt.Y("label:N", sort=rows["label"].tolist(), axis=alt.Axis(title=None, labelLimit=240)),
            color=alt.Color(
                "side:N", legend=None, scale=alt.Scale(domain=[True, False], range=[charts.TEAL, charts.AMBER])
            ),
            tooltip=[
                alt.Tooltip("feature:N", title=say("Feature", "Variable")),
                alt.Tooltip("mean:Q", format=",.3~f", title=say("Mean here", "Media aquí")),
                alt.Tooltip("overall_mean:Q", format=",.3~f", title=say("Mean of all", "Media de todos")),
            ],
        )
    )
    charts.show(view, chart, height=26 * len(rows) + 60, alt_text=say("Profile of the segment", "Perfil del segmento"))


def trait(view: View, feature: str, z: float) -> str:
    """What the segment is like in one feature, in plain words."""
    words = words_of(feature)
    told = (
        (words.high_es if z > 0 else words.low_es)
        if view.language == "es"
        else (words.high_en if z > 0 else words.low_en)
    )
    return told[:1].upper() + told[1:]


def describe(view: View, one: "pd.Series[Any]", rows: pd.DataFrame, summary: pd.DataFrame) -> str:
    """A segment in two sentences: what sets it apart, and how it leaves and earns beside everybody."""
    say, fmt = view.say, view.fmt
    telling = rows[rows["z"].abs() >= TELLING]
    telling = telling.reindex(telling["z"].abs().sort_values(ascending=False).index).head(MOST_TOLD)
    traits = [trait(view, feature, z).lower() for feature, z in zip(telling["feature"], telling["z"], strict=True)]
    first = (
        say("Set apart by: ", "Se distingue por: ") + fmt.listed(traits) + "."
        if traits
        else say("Much like everybody.", "Muy parecido al conjunto.")
    )
    weights = summary["customers"].where(summary["churn_rate"].notna(), 0)
    if pd.isna(one["churn_rate"]) or not weights.sum():
        return first
    overall = float((summary["churn_rate"].fillna(0) * weights).sum() / weights.sum())
    more = one["churn_rate"] > overall
    second = say(
        f" Of those who looked like this, {fmt.pct(one['churn_rate'])} left, {'more' if more else 'less'} than the "
        f"{fmt.pct(overall)} of all segments ({fmt.number(one['churn_rows'])} past observations).",
        f" De quienes eran así se dio de baja el {fmt.pct(one['churn_rate'])}, {'más' if more else 'menos'} que el "
        f"{fmt.pct(overall)} del conjunto ({fmt.number(one['churn_rows'])} observaciones pasadas).",
    )
    return first + second


def _plan(view: View, summary: pd.DataFrame) -> None:
    say = view.say
    manifest = view.published.manifest(SIMULATED, view.run_date)
    groups = view.published.table(manifest, "simulated_groups")
    names = dict(zip(summary["segment_id"], summary["label"], strict=True))
    groups["label"] = groups["segment"].map(names).fillna(groups["segment"]).replace("", say("None", "Ninguno"))
    table = groups.groupby("label", as_index=False)[["customers", "offers", "spend_eur", "net_eur"]].sum()
    table["roi"] = table["net_eur"] / table["spend_eur"].where(table["spend_eur"] > 0)
    table = table.sort_values("net_eur", ascending=False, ignore_index=True)
    heads = {
        "label": say("Segment", "Segmento"),
        "customers": say("Customers", "Clientes"),
        "offers": say("Offers", "Ofertas"),
        "spend_eur": say("Spend", "Gasto"),
        "net_eur": say("Net", "Neto"),
        "roi": say("Net per €", "Neto por €"),
    }
    config = st.column_config
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.dataframe(
            table[list(heads)].rename(columns=heads),
            hide_index=True,
            column_config={
                heads["label"]: config.TextColumn(width=185),
                **{heads[name]: config.NumberColumn(format="localized") for name in ("customers", "offers")},
                **{heads[name]: config.NumberColumn(format="euro") for name in ("spend_eur", "net_eur", "roi")},
            },
        )
    with right:
        buckets = groups.groupby(["label", "risk_bucket"], as_index=False)["offers"].sum()
        bucket_names = {key: view.word(BUCKETS, key) for key in BUCKETS}
        buckets["bucket"] = buckets["risk_bucket"].map(bucket_names)
        chart = (
            alt.Chart(buckets)
            .mark_bar(cornerRadiusEnd=2)
            .encode(
                x=alt.X("offers:Q", title=say("Offers", "Ofertas"), axis=alt.Axis(format=",.0f", tickMinStep=1)),
                y=alt.Y("label:N", sort=table["label"].tolist(), axis=alt.Axis(title=None, labelLimit=150)),
                color=alt.Color(
                    "bucket:N",
                    scale=charts.scale_of(charts.RISK_COLOURS, bucket_names),
                    legend=charts.legend(),
                ),
                tooltip=[
                    alt.Tooltip("label:N", title=say("Segment", "Segmento")),
                    alt.Tooltip("bucket:N", title=say("Risk", "Riesgo")),
                    alt.Tooltip("offers:Q", title=say("Offers", "Ofertas")),
                ],
            )
        )
        charts.show(
            view,
            chart,
            height=44 * len(table) + 90,
            alt_text=say("Offers by segment and risk", "Ofertas por segmento y riesgo"),
        )
