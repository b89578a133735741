"""What every page is given: the tables, the language, the date, the way to the registry and to the other pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Generic, TypeVar

import streamlit as st
from streamlit.navigation.page import Page

from spanishgas.dashboard.data import Published
from spanishgas.dashboard.formatting import Format, Language
from spanishgas.dashboard.settings import DashboardSettings
from spanishgas.dashboard.words import Pair, word
from spanishgas.errors import TrackingError
from spanishgas.registry import Decision, Reader, RegisteredVersion

# Seconds after which the registry is asked again; it has no content hash to go by.
REGISTRY_SECONDS = 20
Row = TypeVar("Row")


@dataclass(frozen=True)
class View:
    """What a page shows, and how.

    Attributes:
        settings: The dashboard's settings.
        published: Published tables.
        language: Language of the reader.
        run_date: The date that was chosen; None where nothing is published.
        pages: The pages, by name, to go to.
    """

    settings: DashboardSettings
    published: Published
    language: Language
    run_date: date | None
    pages: Mapping[str, Page] = field(default_factory=dict)

    @property
    def fmt(self) -> Format:
        """How values are written."""
        return Format(self.language)

    def say(self, english: str, spanish: str) -> str:
        """The text in the reader's language."""
        return spanish if self.language == "es" else english

    def word(self, words: Mapping[str, Pair], key: object) -> str:
        """A word of the trade in the reader's language."""
        return word(words, key, self.language)

    @property
    def model(self) -> str:
        """Name of the data set's registered model."""
        from spanishgas.stages.churn_models import model_name

        return model_name(self.settings.data)

    def versions(self) -> Sequence[RegisteredVersion]:
        """Registered versions, the newest first.

        Raises:
            TrackingError: The registry cannot be asked.
        """
        return _answer(_versions(self.settings.tracking_uri, self.model, self.settings))

    def history(self) -> Sequence[Decision]:
        """Decisions on the model, oldest first.

        Raises:
            TrackingError: The registry cannot be asked.
        """
        return _answer(_history(self.settings.tracking_uri, self.model, self.settings))

    def run_files(self, run_id: str, folder: str | None = None) -> Sequence[str]:
        """Paths of a run's artifacts.

        Raises:
            TrackingError: The run cannot be read.
        """
        return _reader(self.settings.tracking_uri, self.settings).files(run_id, folder)

    def run_text(self, run_id: str, file: str) -> str:
        """An artifact of a run as text.

        Raises:
            TrackingError: It cannot be read.
        """
        return _reader(self.settings.tracking_uri, self.settings).text(run_id, file)


@dataclass(frozen=True)
class _Told(Generic[Row]):
    """What the registry answered, or why it did not: a server that is away is not waited for again at every click."""

    rows: list[Row]
    fault: str = ""


def _answer(told: _Told[Row]) -> list[Row]:
    if told.fault:
        raise TrackingError(told.fault)
    return told.rows


@st.cache_resource(show_spinner=False)
def _reader(uri: str, _settings: DashboardSettings) -> Reader:
    return Reader(_settings.tracking)


@st.cache_data(ttl=REGISTRY_SECONDS, show_spinner=False)
def _versions(uri: str, name: str, _settings: DashboardSettings) -> _Told[RegisteredVersion]:
    try:
        return _Told(list(_reader(uri, _settings).versions(name)))
    except TrackingError as error:
        return _Told([], str(error))


@st.cache_data(ttl=REGISTRY_SECONDS, show_spinner=False)
def _history(uri: str, name: str, _settings: DashboardSettings) -> _Told[Decision]:
    try:
        return _Told(list(_reader(uri, _settings).history(name)))
    except TrackingError as error:
        return _Told([], str(error))
