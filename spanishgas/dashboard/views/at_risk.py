"""At risk: everybody, the riskiest first, with filters, in the order asked for, and as a file."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from spanishgas.dashboard.customer_table import customer_table
from spanishgas.dashboard.data import RECOMMENDED, AbsentError
from spanishgas.dashboard.layout import nothing_yet, page_head, section
from spanishgas.dashboard.risk_list import offered, risk_list
from spanishgas.dashboard.view import View

TABLE_HEIGHT = 620
# Rows that a browser draws at once without being asked for more.
LISTED = 1_000


@dataclass(frozen=True)
class Filters:
    """Which customers to show; an empty choice means all.

    Attributes:
        segments: Names of segments.
        provinces: Names of provinces.
        actions: Names of actions.
        windows: Names of windows.
        risk: Least and greatest risk, as shares.
        margin_from: Least expected margin per month in EUR; None for no limit.
        margin_to: Greatest.
        search: Part of a customer's id.
    """

    segments: Sequence[str] = ()
    provinces: Sequence[str] = ()
    actions: Sequence[str] = ()
    windows: Sequence[str] = ()
    risk: tuple[float, float] = (0.0, 1.0)
    margin_from: float | None = None
    margin_to: float | None = None
    search: str = ""


def chosen(table: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """The rows that pass all filters, in the order that they came in. A margin that is not known passes no limit."""
    keep = table["risk"].between(*filters.risk)
    for column, wanted in (
        ("segment_label", filters.segments),
        ("province", filters.provinces),
        ("action_label", filters.actions),
        ("timing_window_label", filters.windows),
    ):
        if wanted:
            keep &= table[column].isin(list(wanted))
    if filters.margin_from is not None:
        keep &= table["expected_margin_month"] >= filters.margin_from
    if filters.margin_to is not None:
        keep &= table["expected_margin_month"] <= filters.margin_to
    if filters.search:
        keep &= table["customer_id"].str.contains(filters.search, case=False, regex=False)
    return table[keep]


def columns_of(view: View) -> dict[str, str]:
    """Columns of the list, and what they are called."""
    say = view.say
    return {
        "customer_id": say("Customer", "Cliente"),
        "risk": say("Risk", "Riesgo"),
        "hazard_0_30": say("30 days", "30 días"),
        "risk_bucket_label": say("Level", "Nivel"),
        "expected_margin_month": say("Margin/month", "Margen/mes"),
        "action_label": say("Offer", "Oferta"),
        "timing_window_label": say("When", "Cuándo"),
        "expected_margin_impact": say("Brings", "Aporta"),
        "segment_label": say("Segment", "Segmento"),
        "province": say("Province", "Provincia"),
        "channel_label": say("Channel", "Canal"),
        "reason": say("Main reason", "Motivo principal"),
    }


def as_shown(view: View, table: pd.DataFrame) -> pd.DataFrame:
    """The list with the columns and headings that are shown; also what is exported."""
    names = columns_of(view)
    shown = table[list(names)].copy()
    for name in ("risk", "hazard_0_30"):
        shown[name] = shown[name].round(3)
    for name in ("expected_margin_month", "expected_margin_impact"):
        shown[name] = shown[name].astype("float64").round(2)
    # Without an offer there is nothing that it brings.
    shown.loc[table["action"].fillna("none") == "none", "expected_margin_impact"] = float("nan")
    return shown.rename(columns=names)


def show(view: View) -> None:
    """Draws the page."""
    say = view.say
    page_head(
        view,
        say("Customers at risk", "Clientes en riesgo"),
        say(
            "Everybody who is active, the riskiest first. Click on a customer, or tick the row, to see more.",
            "Todos los clientes activos, de mayor a menor riesgo. Pulse un cliente, o marque su fila, para ver más.",
        ),
    )
    with section(view, border=False):
        table, sources = risk_list(view)
        if sources.recommended is None:
            nothing_yet(view, AbsentError(RECOMMENDED, view.run_date, view.published.option))
        filters = _ask(view, table)
        found = _ordered(view, chosen(table, filters))
        _summary(view, found, len(table))
        _table(view, found)


def _ask(view: View, table: pd.DataFrame) -> Filters:
    say = view.say

    def several(label: str, column: str, key: str) -> list[str]:
        options = sorted(value for value in table[column].dropna().unique() if value)
        picked: list[str] = st.multiselect(
            label,
            options,
            key=f"{key}_{view.language}",
            persist_state="session",
            placeholder=say("All", "Cualquiera"),
            disabled=not options,
        )
        return picked

    with st.container(border=True, key="filters"):
        first = st.columns(4)
        with first[0]:
            segments = several(say("Segment", "Segmento"), "segment_label", "segment")
        with first[1]:
            provinces = several(say("Province", "Provincia"), "province", "province")
        with first[2]:
            actions = several(say("Offer", "Oferta"), "action_label", "action")
        with first[3]:
            windows = several(say("When", "Cuándo"), "timing_window_label", "window")
        second = st.columns([3, 2, 2, 3])
        with second[0]:
            low, high = st.slider(
                say("Risk within 90 days, %", "Riesgo en 90 días, %"),
                0,
                100,
                (0, 100),
                key="risk",
                persist_state="session",
            )
        with second[1]:
            margin_from = st.number_input(
                say("Margin from, €/month", "Margen desde, €/mes"),
                value=None,
                step=5,
                key="margin_from",
                persist_state="session",
            )
        with second[2]:
            margin_to = st.number_input(
                say("Margin to, €/month", "Margen hasta, €/mes"),
                value=None,
                step=5,
                key="margin_to",
                persist_state="session",
            )
        with second[3]:
            search = st.text_input(
                say("Customer id contains", "El código contiene"),
                key="search",
                persist_state="session",
                icon=":material/search:",
            )
    return Filters(
        segments, provinces, actions, windows, (low / 100, high / 100), margin_from, margin_to, search.strip()
    )


def _ordered(view: View, table: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order asked for, of equal ones the riskier first."""
    names = {name: label for name, label in columns_of(view).items() if table[name].notna().any()} or {"risk": "risk"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = st.selectbox(
            view.say("Order by", "Ordenar por"),
            list(names),
            index=list(names).index("risk") if "risk" in names else 0,
            format_func=lambda name: names[name],
            key="order",
            persist_state="session",
            width=260,
        )
        ways = {"down": view.say("Descending", "Descendente"), "up": view.say("Ascending", "Ascendente")}
        way = st.segmented_control(
            view.say("Direction", "Sentido"),
            list(ways),
            default="down",
            required=True,
            format_func=lambda name: ways[name],
            key="way",
            persist_state="session",
        )
        st.space("stretch")
        place = st.empty()
    found = table.sort_values(by, ascending=way == "up", kind="stable", ignore_index=True)
    place.download_button(
        view.say("Download as CSV", "Descargar en CSV"),
        data=lambda: view.fmt.csv(as_shown(view, found)),
        file_name=f"{view.say('at-risk', 'en-riesgo')}-{view.settings.data}-{view.run_date}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="download",
    )
    return found


def _summary(view: View, found: pd.DataFrame, total: int) -> None:
    say, fmt = view.say, view.fmt
    loss = float((found["risk"] * found["expected_margin_month"].astype("float64")).sum())
    parts = [
        f"**{fmt.number(len(found))}** {say('of', 'de')} {fmt.number(total)} {say('customers', 'clientes')}",
        f"**{fmt.number(found['risk'].sum(), 1)}** {say('expected to leave', 'bajas esperadas')}",
        f"**{fmt.eur(loss)}** {say('of margin a month at stake', 'de margen al mes en juego')}",
        f"**{fmt.number(len(offered(found)))}** {say('offers', 'ofertas')}",
    ]
    st.markdown(" · ".join(parts))


def _table(view: View, found: pd.DataFrame) -> None:
    say, fmt = view.say, view.fmt
    if found.empty:
        st.info(
            say("No customer passes these filters.", "Ningún cliente cumple estos filtros."),
            icon=":material/filter_alt_off:",
        )
        return
    names, listed = columns_of(view), found
    if len(found) > LISTED:
        told = say(
            f"The first {fmt.number(LISTED)} are listed; the file holds all {fmt.number(len(found))}.",
            f"Se muestran los primeros {fmt.number(LISTED)}; el fichero los contiene todos ({fmt.number(len(found))}).",
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            if not st.toggle(say("List all", "Mostrar todos"), key="list_all", persist_state="session"):
                st.caption(told)
                listed = found.head(LISTED)
    config = st.column_config
    customer_table(
        view,
        listed,
        as_shown(view, listed),
        key="list",
        height=TABLE_HEIGHT,
        config={
            names["customer_id"]: config.TextColumn(pinned=True, width=90),
            names["risk"]: config.ProgressColumn(
                format="percent", min_value=0.0, max_value=max(0.5, float(found["risk"].max())), width=150
            ),
            names["hazard_0_30"]: config.NumberColumn(format="percent", width=80),
            names["risk_bucket_label"]: config.TextColumn(width=70),
            names["segment_label"]: config.TextColumn(width=190),
            names["province"]: config.TextColumn(width=120),
            names["expected_margin_month"]: config.NumberColumn(format="euro", width=100),
            names["action_label"]: config.TextColumn(width=110),
            names["timing_window_label"]: config.TextColumn(width=120),
            names["channel_label"]: config.TextColumn(width=90),
            names["expected_margin_impact"]: config.NumberColumn(format="euro", width=90),
            names["reason"]: config.TextColumn(width="large"),
        },
    )
