"""The baseline of a model: what its features and predictions looked like at each date that it learned from.

It goes with the model version, so that a champion is always compared with what it was trained on, whatever training set
is published by now. It holds counts per bin, no customers.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from spanishgas.errors import ModelFileError
from spanishgas.monitoring.bins import (
    Bins,
    Ints,
    as_numbers,
    count_categories,
    from_plain,
    is_category,
    learn_bins,
    to_plain,
)

FILE: Final = "baseline.json"
FORMAT: Final = 1
RISK: Final = "risk"
DIGITS: Final = 12


@dataclass(frozen=True)
class Profile:
    """One feature at one date.

    Attributes:
        bins: How values are counted.
        counts: Rows per bin, missing values last.
        mean: Mean of the numbers; NaN for categories or without any.
        fresh: Rows of each category that the bins do not know.
    """

    bins: Bins
    counts: Ints
    mean: float
    fresh: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """All rows."""
        return int(self.counts.sum())

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return int(self.counts[-1])

    @classmethod
    def of(cls, values: pd.Series, bins: Bins) -> "Profile":
        """The profile of some rows on given bins."""
        if bins.is_numeric:
            numbers = as_numbers(values)
            mean = float(np.nanmean(numbers)) if np.isfinite(numbers).any() else float("nan")
            return cls(bins, bins.count(values), mean)
        told = count_categories(values)
        fresh = {name: rows for name, rows in told.items() if name not in bins.known}
        return cls(bins, bins.count(values), float("nan"), fresh)


@dataclass(frozen=True)
class Baseline:
    """What a model learned from.

    Attributes:
        dates: Date of the features -> feature, or ``risk`` -> profile.
        figures: What it reached before its promotion: metric -> value on ``judged_on``.
        judged_on: Split that the figures are of.
        horizon_days: Days after each date whose outcomes it learned.
        data_until: Last day that the files were complete for when it was trained; None where that is not told.
    """

    dates: Mapping[date, Mapping[str, Profile]]
    figures: Mapping[str, float] = field(default_factory=dict)
    judged_on: str = ""
    horizon_days: int = 0
    data_until: date | None = None

    @property
    def last_date(self) -> date:
        """The last date that it learned from."""
        return max(self.dates)

    @property
    def outcomes_until(self) -> date:
        """The last day whose outcomes it can have seen: scores of features before it are no foresight."""
        return self.last_date + timedelta(days=self.horizon_days)

    def matching(self, as_of: date, among: Iterable[date] | None = None) -> date:
        """The learned date of the nearest month of the year; of equally near ones the later.

        Args:
            as_of: Date of today's features.
            among: Learned dates to choose from; None for all.
        """
        days = list(self.dates if among is None else among)
        return min(days, key=lambda day: (season_gap(day, as_of), -day.toordinal()))

    def to_json(self) -> str:
        """The baseline as text; equal baselines give equal texts."""
        known: dict[str, list[str]] = {}
        for profiles in self.dates.values():
            for name, profile in profiles.items():
                if not profile.bins.is_numeric:
                    known[name] = sorted({*known.get(name, []), *profile.bins.known})
        told = {
            "format": FORMAT,
            "judged_on": self.judged_on,
            "figures": dict(self.figures),
            "horizon_days": self.horizon_days,
            "data_until": None if self.data_until is None else self.data_until.isoformat(),
            "known": known,
            "dates": {
                day.isoformat(): {
                    name: {
                        **to_plain(profile.bins),
                        "counts": profile.counts.tolist(),
                        "mean": profile.mean if np.isfinite(profile.mean) else None,
                    }
                    for name, profile in sorted(profiles.items())
                }
                for day, profiles in sorted(self.dates.items())
            },
        }
        return json.dumps(told, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> "Baseline":
        """Reads what ``to_json`` wrote.

        Raises:
            ModelFileError: It is damaged, or of a format that is not known.
        """
        try:
            told: dict[str, Any] = json.loads(text)
            if told["format"] != FORMAT:
                raise ModelFileError(
                    f"the baseline has format {told['format']!r}, this release reads {FORMAT}",
                    where=where,
                    todo="Train again, or use the release it is from",
                )
            known = {name: frozenset(names) for name, names in told["known"].items()}
            dates = {
                date.fromisoformat(day): {
                    name: _profile(one, known.get(name, frozenset())) for name, one in all_.items()
                }
                for day, all_ in told["dates"].items()
            }
            until = told["data_until"]
            return cls(
                dates,
                told["figures"],
                told["judged_on"],
                int(told["horizon_days"]),
                None if until is None else date.fromisoformat(until),
            )
        except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(f"the baseline is damaged: {error!r}", where=where, todo="Train again") from error


def _profile(told: Mapping[str, Any], known: frozenset[str]) -> Profile:
    mean = told["mean"]
    return Profile(
        from_plain(told, known), np.asarray(told["counts"], np.int64), float("nan") if mean is None else float(mean)
    )


def build_baseline(
    table: pd.DataFrame,
    features: Sequence[str],
    predict: Callable[[pd.DataFrame], pd.Series],
    *,
    figures: Mapping[str, float] | None = None,
    judged_on: str = "",
    horizon_days: int = 0,
    data_until: date | None = None,
) -> Baseline:
    """The baseline of a model.

    Args:
        table: The rows that it learned from: ``as_of`` and the features.
        features: The features.
        predict: Rows -> the model's risk, in the same order.
        figures: What it reached before its promotion.
        judged_on: Split that they are of.
        horizon_days: Days after each date whose outcomes it learned.
        data_until: Last day that the files were complete for.
    """
    known = {name: frozenset(count_categories(table[name])) for name in features if is_category(table[name])}
    dates: dict[date, dict[str, Profile]] = {}
    days = pd.to_datetime(table["as_of"]).dt.date
    for day in sorted(days.unique()):
        rows = table[(days == day).to_numpy()]
        values = {name: rows[name] for name in features} | {RISK: predict(rows).round(DIGITS)}
        dates[day] = {
            name: Profile.of(column, learn_bins(column, known.get(name, frozenset())))
            for name, column in values.items()
        }
    return Baseline(dates, dict(figures or {}), judged_on, horizon_days, data_until)


def season_gap(first: date, second: date) -> int:
    """Months of the year between two dates, 0 to 6."""
    apart = abs(first.month - second.month)
    return min(apart, 12 - apart)
