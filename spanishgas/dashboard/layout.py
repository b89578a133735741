"""The pieces that pages are made of: heads, sections that fail on their own, what to say where there is nothing."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import streamlit as st

from spanishgas.dashboard.data import AbsentError
from spanishgas.dashboard.formatting import plain
from spanishgas.dashboard.view import View
from spanishgas.errors import SpanishGasError

log = logging.getLogger(__name__)

# What each publication is called where it is missing: in English, in Spanish.
ABSENT = {
    "scoring": ("No scores are published", "No hay puntuaciones publicadas"),
    "recommendations": ("No recommendations are published", "No hay recomendaciones publicadas"),
    "simulation": ("The plan has not been simulated", "El plan no se ha simulado"),
    "measured": ("The effect of offers has not been measured", "No se ha medido el efecto de las ofertas"),
    "segments": ("No segments are published", "No hay segmentos publicados"),
    "features": ("No features are published", "No hay variables publicadas"),
    "promotion": ("No models have been compared", "No se han comparado modelos"),
    "backtest": ("There is no backtest", "No hay prueba retrospectiva"),
    "training_set": ("There is no training set", "No hay conjunto de entrenamiento"),
    "silver": ("There are no clean tables", "No hay tablas depuradas"),
    "drift": ("Drift has not been looked at", "No se ha examinado la deriva"),
    "retrain_signal": ("Retraining has not been judged", "No se ha valorado si reentrenar"),
    "performance": ("Performance has not been looked at", "No se ha examinado el rendimiento"),
}


def page_head(view: View, title: str, lead: str) -> None:
    """Title of a page and one line on what it is for."""
    st.title(title, anchor=False)
    st.markdown(f":gray[{lead}]")


def customer_input(view: View) -> str:
    """The field for a customer's id, which pages share; what stands in it without blanks around it."""
    return st.text_input(
        view.say("Customer id", "Código de cliente"),
        key="customer",
        icon=":material/search:",
        width=260,
        persist_state="session",
    ).strip()


@contextmanager
def section(
    view: View, title: str = "", note: str = "", *, border: bool = True, key: str | None = None
) -> Iterator[None]:
    """A part of a page that fails on its own: what is missing or wrong is told in its place, the rest stands.

    Args:
        view: What the page is given.
        title: Its heading.
        note: A line below the heading.
        border: Draw it as a card.
        key: Name for styles and tests.
    """
    with st.container(border=border, key=key, height="stretch" if border else "content"):
        if title:
            st.subheader(title, anchor=False)
        if note:
            st.caption(note)
        try:
            yield
        except AbsentError as error:
            nothing_yet(view, error)
        except SpanishGasError as error:
            st.error(plain(error), icon=":material/error:")
        except Exception as error:  # a page that shows what it can beats one that shows a stack trace
            log.exception("a section could not be shown")
            unexpected(view, error)


def nothing_yet(view: View, error: AbsentError) -> None:
    """What is missing, and the command that makes it."""
    english, spanish = ABSENT.get(error.home.name, (f"{error.home.name} is not published", f"Falta {error.home.name}"))
    told = view.say(english, spanish)
    if error.day is not None:
        told += view.say(" for ", " para el ") + view.fmt.day(error.day)
    with st.container(horizontal_alignment="left", gap="small"):
        st.markdown(f":material/inbox: **{told}.** {view.say('This makes it:', 'Se obtiene con:')}")
        st.code(error.command, language="bash", wrap_lines=True)


def unexpected(view: View, error: Exception) -> None:
    """An error that nobody foresaw: what it is, and that the tables are safe."""
    told = view.say(
        "This part cannot be shown. The published tables are not touched; the terminal that runs the dashboard has the "
        "details.",
        "Esta parte no se puede mostrar. Las tablas publicadas no se tocan; los detalles están en el terminal.",
    )
    st.error(f"{told} {plain(f'{type(error).__name__}: {error}')}", icon=":material/error:")


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values below each other, names pale."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    st.html(f'<dl class="facts">{rows}</dl>')


def figure(label: str, value: str, note: str | None = None, **more: Any) -> None:
    """A figure on a card, with a note below it."""
    if note is not None:
        more |= {"delta": note, "delta_color": "off", "delta_arrow": "off"}
    st.metric(label, value, border=True, height="stretch", **more)


def figures(*cards: tuple[str, str, str | None]) -> None:
    """Figures on cards side by side: label, value and note of each."""
    for column, (label, value, note) in zip(st.columns(len(cards)), cards, strict=True):
        with column:
            figure(label, value, note)


def change(view: View, now: float | None, before: float | None, write: Any) -> str | None:
    """How a figure moved since the run before, as text; None where there is nothing to compare with."""
    if now is None or before is None:
        return None
    told: str = write(now - before)
    return told
