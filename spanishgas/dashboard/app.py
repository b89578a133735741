"""The app: sidebar, pages, and what every page is given. Run by ``python -m spanishgas.dashboard``."""

from datetime import date
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

from spanishgas.config.places import Place
from spanishgas.dashboard.data import Published
from spanishgas.dashboard.formatting import Format, Language
from spanishgas.dashboard.layout import page_head, unexpected
from spanishgas.dashboard.settings import LANGUAGES, settings_from
from spanishgas.dashboard.view import View
from spanishgas.dashboard.views import VIEWS, Entry
from spanishgas.errors import SpanishGasError

FLAME = (
    '<path d="M20 3c2 7 11 11 11 21a11 11 0 0 1-22 0c0-5 3-8 5-11 1 3 2 4 4 5 1-5 0-10 2-15z" fill="#12907E"/>'
    '<path d="M20 20c1 4 5 5 5 9a5 5 0 0 1-10 0c0-3 3-4 5-9z" fill="#E8912D"/>'
)
# A drawing of our own: named icons and emojis of a tab are fetched from elsewhere.
ICON = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" width="40" height="40">{FLAME}</svg>'
LOGO = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 210 40" width="210" height="40">{FLAME}'
    '<text x="42" y="27" font-family="Source Sans, sans-serif" font-size="22" font-weight="700" fill="#12907E">'
    "SpanishGas</text></svg>"
)
# Tables write numbers and dates by the browser's languages and know no other way to be told; this tells them, and to
# group four digits as texts and charts do.
LOCALE = (
    "<script>Object.defineProperty(navigator,'languages',{{configurable:true,get:()=>['{tag}']}});"
    "document.documentElement.lang='{language}';"
    "if(!window.groupsAlways){{window.groupsAlways=true;Intl.NumberFormat=new Proxy(Intl.NumberFormat,"
    "{{construct:(made,[tags,wanted])=>new made(tags,{{useGrouping:'always',...wanted}})}});}}</script>"
)
# What was chosen in the sidebar: its widgets forget it when a page leads to another.
KEPT_LANGUAGE, KEPT_DATE = "kept_language", "kept_date"
LOCALES: dict[Language, str] = {"en": "en-GB", "es": "es-ES"}
STYLE = """<style>
.block-container {padding: 3.2rem 2.5rem 4rem; max-width: 1360px;}
[data-testid="stMetricValue"] {font-variant-numeric: tabular-nums; letter-spacing: -0.01em;}
[data-testid="stSidebarUserContent"] {padding-top: 0.5rem;}
[data-testid="stMain"] [data-testid="stButtonGroup"] button {min-height: 2.5rem;}
dl.facts {display: grid; grid-template-columns: minmax(0, max-content) 1fr; gap: 0.45rem 1.2rem; margin: 0;
  padding: 0;}
dl.facts dt {opacity: 0.65; margin: 0; padding: 0; font-weight: 400;}
dl.facts dd {margin: 0; padding: 0; font-weight: 500; font-variant-numeric: tabular-nums;}
</style>"""


def run(first: str = "overview") -> None:
    """Draws the page that was asked for.

    Args:
        first: The page to begin with.
    """
    st.set_page_config(page_title="SpanishGas", page_icon=ICON, layout="wide")
    st.html(STYLE)
    st.logo(LOGO, size="large")
    try:
        settings = settings_from()
    except SpanishGasError as error:
        st.error(str(error), icon=":material/error:")
        return
    language = _language(settings.language)
    st.html(LOCALE.format(tag=LOCALES[language], language=language), unsafe_allow_javascript=True)
    published = Published(settings.root, settings.option)
    pages: dict[str, Page] = {}
    held: dict[str, View] = {}
    for entry in VIEWS:
        pages[entry.name] = st.Page(
            _drawn(entry, held),
            title=entry.titles[LANGUAGES.index(language)],
            icon=entry.icon,
            url_path=entry.name.replace("_", "-"),
            default=entry.name == first,
        )
    chosen = st.navigation(list(pages.values()))
    run_date = _run_date(published, language)
    held["view"] = View(settings, published, language, run_date, pages)
    _foot(held["view"])
    chosen.run()


def _drawn(entry: Entry, held: dict[str, View]):  # type: ignore[no-untyped-def]
    """A page that tells what is wrong instead of breaking."""

    def draw() -> None:
        view = held["view"]
        if view.run_date is None and entry.needs_dates:
            _welcome(view)
            return
        try:
            entry.show(view)
        except SpanishGasError as error:
            st.error(str(error), icon=":material/error:")
        except Exception as error:
            unexpected(view, error)
            raise

    draw.__name__ = entry.name
    return draw


def _language(preset: str) -> Language:
    """The switch; it begins with the address, the setting or the browser's language."""
    told = str(st.query_params.get("lang", "")) or preset or str(getattr(st.context, "locale", None) or "")
    begins: Language = "es" if told.lower().startswith("es") else "en"
    names = {"en": "English", "es": "Español"}
    if "lang" not in st.session_state:  # a new session, or one that has just gone to another page by itself
        st.session_state["lang"] = st.session_state.get(KEPT_LANGUAGE, begins)
    with st.sidebar:
        found = st.segmented_control(
            "Language / Idioma",
            LANGUAGES,
            required=True,
            format_func=lambda code: names[code],
            key="lang",
            label_visibility="collapsed",
        )
    language: Language = "es" if found == "es" else "en"
    st.session_state[KEPT_LANGUAGE] = language
    # In the address, so that a link opens in the same language.
    st.query_params["lang"] = language
    return language


def _run_date(published: Published, language: Language) -> date | None:
    """The date to look at; the newest unless another is chosen."""
    days = published.run_dates()
    if not days:
        return None
    fmt = Format(language)
    newest = days[-1].isoformat()
    values = [day.isoformat() for day in reversed(days)]
    if "date" not in st.session_state:
        st.session_state["date"] = st.session_state.get(KEPT_DATE) or st.query_params.get("date")
    if st.session_state.get("date") not in values:
        st.session_state["date"] = newest
    with st.sidebar:
        found = st.selectbox(
            "Fecha de decisión" if language == "es" else "Run date",
            values,
            format_func=lambda value: (
                fmt.day(value) + ((" · última" if language == "es" else " · latest") if value == newest else "")
            ),
            key="date",
        )
    st.session_state[KEPT_DATE] = "" if found == newest else found
    # The newest is not written down: a link without a date shows whatever is newest by then.
    if found == newest:
        st.query_params.pop("date", None)
    else:
        st.query_params["date"] = found
    return date.fromisoformat(found)


def _foot(view: View) -> None:
    with st.sidebar:
        st.caption(
            view.say("Data set", "Conjunto de datos")
            + f" **{view.settings.data}** · "
            + view.say("nothing leaves this machine", "nada sale de este equipo")
        )


def _welcome(view: View) -> None:
    """Where nothing is published at all."""
    page_head(
        view,
        view.say("Nothing to show yet", "Todavía no hay nada que mostrar"),
        view.say(
            "The dashboard shows what the pipeline has published. Here it has published nothing.",
            "El panel muestra lo que el proceso ha publicado. Aquí todavía no ha publicado nada.",
        ),
    )
    with st.container(border=True):
        st.markdown(
            view.say(
                "**Make a demo retailer**, from raw files to recommendations, in some minutes:",
                "**Cree una comercializadora de ejemplo**, de los ficheros a las recomendaciones, en unos minutos:",
            )
        )
        st.code("make demo" if not view.settings.option else f"python -m pipelines.run_pipeline{view.settings.option}")
        st.markdown(
            view.say(
                "Then reload this page. Your own files: `docs/bring_your_own_data.md`.",
                "Después, recargue esta página. Sus propios ficheros: `docs/bring_your_own_data.md`.",
            )
        )
        st.caption(view.say("Looked in", "Se ha buscado en") + f" `{_where(view.settings.root)}`")


def _where(place: Place) -> str:
    return str(place.resolve() if isinstance(place, Path) else place)


if __name__ == "__main__":
    run()
