"""Reports in Evidently: the only place that imports it, and only when a report is made.

Evidently gets the figures that the checks computed, as metrics and tests of its own kind, and draws them: its own PSI
leaves missing values out. It sees counts and no customers. Its telemetry is switched off before it is imported; making
a report opens no connection.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar, Final

import pandas as pd

from spanishgas.errors import ConfigError

NO_TELEMETRY: Final = "DO_NOT_TRACK"
MAX_PICTURES: Final = 16
GREY, BLUE, RED = "#9aa5b1", "#2f6f9f", "#c8553d"
# What happened is blue in every picture, what it is held against grey, bounds red.
COLOURS: Final = {"baseline": GREY, "estimated": GREY, "predicted": GREY, "floor": RED}


@dataclass(frozen=True)
class Figure:
    """One figure of a report, and what came of it.

    Attributes:
        name: What it is, unique within the report.
        value: The figure; None where it is unknown.
        state: ``ok``, ``alarm`` or ``unknown``.
        sentence: The same in words.
        is_consequence: An alarm that follows from another.
    """

    name: str
    value: float | None
    state: str
    sentence: str
    is_consequence: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture: series over the same places, as bars or as lines with intervals.

    Attributes:
        title: Its title.
        places: Place on the x axis.
        series: Name -> value per place.
        bounds: Name -> lower and upper bounds of a series that has them.
        lines: Draw lines instead of bars.
        axis: Title of the y axis.
    """

    title: str
    places: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    bounds: Mapping[str, tuple[Sequence[float | None], Sequence[float | None]]] = field(default_factory=dict)
    lines: bool = False
    axis: str = "share of customers"


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        title: Its title.
        text: What it says first, in Markdown.
        counters: Label -> value, in large letters.
        tables: Title -> table, before the pictures; few and narrow columns, or the page is wider than the screen.
        pictures: Pictures; at most 16 are drawn.
        further: Title -> table, after them.
        figures: All figures: metrics and tests.
    """

    title: str
    text: str
    counters: Mapping[str, str]
    tables: Mapping[str, pd.DataFrame]
    pictures: Sequence[Picture]
    figures: Sequence[Figure]
    further: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Rendered:
    """A report as files.

    Attributes:
        html: A page that needs nothing beside it.
        json: Metrics and tests.
    """

    html: str
    json: str


def render(page: Page) -> Rendered:
    """Makes a report.

    Args:
        page: What to show.

    Returns:
        The page and the figures; the same figures give the same metrics and tests.

    Raises:
        ConfigError: Evidently is not installed.
    """
    os.environ[NO_TELEMETRY] = "1"
    try:
        from evidently import Report
    except ImportError as error:
        raise ConfigError(
            f"reports need Evidently, which cannot be imported: {error}",
            where="monitoring.evidently",
            todo="Install the extra `monitoring`, or set monitoring.evidently=none",
        ) from error

    page = _without_markup(page)

    metric, header, verdict = _classes()
    shown = [header(name=page.title, tests=[])]
    shown += [
        metric(
            name=figure.name,
            figure=figure.value,
            tests=[verdict(state=figure.state, sentence=figure.sentence, follows=figure.is_consequence)],
        )
        for figure in page.figures
    ]
    with _widgets_of(header, page):
        report = Report(shown)
        snapshot = report.run(pd.DataFrame({"figures": [len(page.figures)]}), None, name=page.title)
        told = _plain(snapshot.dict())
        return Rendered(snapshot.get_html_str(as_iframe=False), json.dumps(told, indent=1, default=str) + "\n")


class _widgets_of:  # noqa: N801
    """Gives the header metric what it draws; metrics themselves hold plain values only."""

    def __init__(self, header: Any, page: Page) -> None:
        self._header, self._page = header, page

    def __enter__(self) -> None:
        self._header.drawn = _widgets(self._page)

    def __exit__(self, *_: object) -> None:
        self._header.drawn = []


@cache
def _classes() -> tuple[Any, Any, Any]:
    """The metric of a figure, the metric that draws the page, and the test of a state."""
    from evidently.core.metric_types import (
        MetricTest,
        MetricTestResult,
        SingleValueCalculation,
        SingleValueMetric,
    )
    from evidently.legacy.tests.base_test import TestStatus

    class MonitoredFigure(SingleValueMetric):  # type: ignore[misc]
        name: str
        figure: float | None = None

    class MonitoredFigureCalculation(SingleValueCalculation[MonitoredFigure]):  # type: ignore[misc]
        def calculate(self, context: Any, current_data: Any, reference_data: Any) -> Any:
            value = self.metric.figure
            result = self.result(float("nan") if value is None else value)
            result.widget = []
            return result

        def display_name(self) -> str:
            return str(self.metric.name)

    class MonitoredPage(SingleValueMetric):  # type: ignore[misc]
        drawn: ClassVar[list[Any]] = []
        name: str

    class MonitoredPageCalculation(SingleValueCalculation[MonitoredPage]):  # type: ignore[misc]
        def calculate(self, context: Any, current_data: Any, reference_data: Any) -> Any:
            result = self.result(float(len(current_data.as_dataframe())))
            result.widget = list(MonitoredPage.drawn)
            return result

        def display_name(self) -> str:
            return str(self.metric.name)

    statuses = {"ok": TestStatus.SUCCESS, "alarm": TestStatus.FAIL, "unknown": TestStatus.ERROR}

    class Verdict(MetricTest):  # type: ignore[misc]
        state: str
        sentence: str
        follows: bool = False

        def to_test(self) -> Any:
            def told(context: Any, metric: Any, value: Any) -> Any:
                status = TestStatus.WARNING if self.follows and self.state == "alarm" else statuses[self.state]
                return MetricTestResult(
                    id="verdict",
                    name=value.display_name,
                    description=self.sentence,
                    status=status,
                    metric_config=metric.to_metric_config(),
                    test_config={"state": self.state, "follows": self.follows},
                )

            return told

    return MonitoredFigure, MonitoredPage, Verdict


def _without_markup(page: Page) -> Page:
    """The same page where no category of a retailer's file can be markup: texts land within a script."""

    def safe(text: str) -> str:
        return text.replace("<", "‹").replace(">", "›")

    def cells(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        return {
            title: table.map(lambda cell: safe(cell) if isinstance(cell, str) else cell)
            for title, table in tables.items()
        }

    return replace(
        page,
        title=safe(page.title),
        text=safe(page.text),
        tables=cells(page.tables),
        further=cells(page.further),
        pictures=[
            replace(one, title=safe(one.title), places=[safe(place) for place in one.places]) for one in page.pictures
        ],
        figures=[replace(one, name=safe(one.name), sentence=safe(one.sentence)) for one in page.figures],
    )


def _widgets(page: Page) -> list[Any]:
    from evidently.legacy.renderers.html_widgets import (
        CounterData,
        WidgetSize,
        counter,
        plotly_figure,
        table_data,
        text_widget,
    )

    drawn = [text_widget(title=page.title, text=page.text)]
    drawn.append(counter(counters=[CounterData(label, value) for label, value in page.counters.items()]))

    def listed(tables: Mapping[str, pd.DataFrame]) -> list[Any]:
        return [
            table_data(title=title, column_names=list(table.columns), data=table.to_numpy().tolist())
            for title, table in tables.items()
            if len(table)
        ]

    drawn += listed(page.tables)
    # Two abreast: a row of tabs does not break and would make the page wider than the screen.
    drawn += [
        plotly_figure(title=picture.title, figure=_draw(picture), size=WidgetSize.HALF)
        for picture in page.pictures[:MAX_PICTURES]
    ]
    drawn += listed(page.further)
    return drawn


def _draw(picture: Picture) -> Any:
    from plotly import graph_objects

    figure = graph_objects.Figure()
    places = list(picture.places)
    for name, values in picture.series.items():
        colour, spread = COLOURS.get(name, BLUE), None
        if name in picture.bounds:
            lows, highs = picture.bounds[name]
            spread = {
                "type": "data",
                "array": [_gap(high, value) for high, value in zip(highs, values, strict=True)],
                "arrayminus": [_gap(value, low) for low, value in zip(lows, values, strict=True)],
            }
        kind = graph_objects.Scatter if picture.lines else graph_objects.Bar
        extra = {"mode": "lines+markers"} if picture.lines else {}
        paint = {"line": {"color": colour}} if picture.lines else {"marker_color": colour}
        figure.add_trace(kind(name=name, x=places, y=list(values), error_y=spread, **extra, **paint))
    figure.update_layout(
        yaxis_title=picture.axis,
        xaxis_type="category",
        barmode="group",
        height=440,
        margin={"t": 20, "b": 90},
        legend={"orientation": "h", "y": 1.15},
    )
    return figure


def _gap(high: float | None, low: float | None) -> float | None:
    return None if high is None or low is None else high - low


def _plain(value: Any) -> Any:
    """The same with null for what is not a number, which JSON does not know."""
    if isinstance(value, dict):
        # What a test was bound to repeats its metric.
        return {key: _plain(inner) for key, inner in value.items() if key != "bound_test"}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and value != value else value
