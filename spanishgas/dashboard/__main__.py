"""Starts the dashboard: ``python -m spanishgas.dashboard``, or ``make dashboard``."""

import importlib
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from spanishgas.dashboard.door import Door
from spanishgas.dashboard.settings import DashboardSettings, settings_from
from spanishgas.errors import SpanishGasError, TrackingError

APP = Path(__file__).with_name("app.py")
# What pages need; loaded before the address is told, so that the first page does not wait for it.
LOADED_FIRST = ("streamlit", "streamlit.emojis", "pandas", "altair", "mlflow", "spanishgas.dashboard.views")
# How long a tracking server that does not answer is waited for; pages go on without it.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


def options_of(settings: DashboardSettings) -> dict[str, Any]:
    """Streamlit's options: this machine only, nothing reported to anybody, our colours on light and dark."""
    light = {
        "primaryColor": "#0E7C6B",
        "backgroundColor": "#FFFFFF",
        "secondaryBackgroundColor": "#F3F6F6",
        "textColor": "#1B2733",
        "borderColor": "#DFE5E8",
        "linkColor": "#0E7C6B",
    }
    dark = {
        "primaryColor": "#35B8A2",
        "backgroundColor": "#0F1720",
        "secondaryBackgroundColor": "#18222D",
        "textColor": "#E6ECF1",
        "borderColor": "#2A3642",
        "linkColor": "#5CCDB9",
    }
    themes = {
        **{f"theme.light.{name}": value for name, value in light.items()},
        **{f"theme.dark.{name}": value for name, value in dark.items()},
        "theme.light.sidebar.backgroundColor": "#F3F6F6",
        "theme.dark.sidebar.backgroundColor": "#131C26",
    }
    return {
        "server.address": settings.address,
        "server.port": settings.port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "browser.gatherUsageStats": False,
        "browser.serverAddress": settings.address,
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "global.developmentMode": False,
        "theme.baseRadius": "0.6rem",
        "theme.headingFontSizes": ["1.9rem", "1.2rem", "1.15rem", "1rem", "1rem", "1rem"],
        "theme.headingFontWeights": [700, 650, 600, 600, 600, 600],
        "theme.metricValueFontSize": "1.9rem",
        "theme.metricValueFontWeight": 600,
        "theme.chartCategoricalColors": ["#12907E", "#E8912D", "#3B82C4", "#8A63D2", "#D6455D", "#8A94A3"],
        **themes,
    }


def _ask_registry(settings: DashboardSettings) -> bool:
    """Asks the registry once, which is slow the first time; false where it does not answer, as the pages will tell."""
    from spanishgas.registry import Reader
    from spanishgas.stages.churn_models import model_name

    reader = Reader(settings.tracking)
    try:
        if reader.exists:
            reader.versions(model_name(settings.data))
    except TrackingError:
        return False
    return True


def load() -> None:
    """Loads what pages need, and has charts drawn without a check against the schema of all charts.

    The tests draw every chart with those checks on; they would cost a reader a quarter of the server's time for a page.
    """
    for name in LOADED_FIRST:
        importlib.import_module(name)
    from altair.utils.schemapi import disable_debug_mode

    disable_debug_mode()


def draw_once() -> None:
    """Draws every page once for nobody, so that the first reader finds tables read and modules loaded.

    What is wrong with a page it will tell its readers.
    """
    from spanishgas.dashboard.views import VIEWS
    from spanishgas.dashboard.without_browser import page

    for entry in VIEWS:
        with suppress(RuntimeError):  # took too long
            page(entry.name, timeout=60).run()


def main() -> int:
    """Loads what pages need, then serves until it is stopped."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        settings = settings_from()
    except SpanishGasError as error:
        console.print(str(error), markup=False)
        return error.exit_code
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    console.print(f"loading the dashboard of {settings.root} ...")
    logging.disable(logging.WARNING)  # Streamlit remarks on everything that is done before its server runs.
    load()
    if _ask_registry(settings):
        draw_once()
    import streamlit as st
    from starlette.middleware import Middleware
    from streamlit.web import bootstrap

    bootstrap.load_config_options(options_of(settings))
    logging.disable(logging.NOTSET)
    st.App(APP, middleware=[Middleware(Door, token=settings.token)]).run(config=options_of(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
