"""What drift checks are given and what they find."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase

from spanishgas.config import DriftSettings
from spanishgas.monitoring.baseline import RISK, Profile, season_gap


@dataclass(frozen=True)
class Source:
    """What is known of one silver table on the run date.

    Attributes:
        newest: Day of its newest event that is known; None without rows.
        oldest: Day of its oldest event: windows that reach further back see less than they say.
        months: Complete month before the features' date, newest first -> rows known.
    """

    newest: date | None
    months: Mapping[date, int] = field(default_factory=dict)
    oldest: date | None = None


@dataclass(frozen=True)
class Watched:
    """What the declarations say of a feature.

    Attributes:
        family: Its family.
        tables: Silver tables that it is made from.
        is_used: Whether the champion uses it.
        window_days: Days that it looks back on; None where it is a state.
    """

    family: str
    tables: tuple[str, ...] = ()
    is_used: bool = True
    window_days: int | None = None


@dataclass(frozen=True)
class Facts:
    """A run date beside the baseline.

    Attributes:
        run_date: The run date.
        as_of: Date of the features.
        references: Feature, or ``risk`` -> date of the baseline that it is compared with.
        too_young: Features of which the champion saw no whole window at any date.
        reference: Feature, or ``risk`` -> the baseline's profile.
        current: The same of today's rows, on the same bins.
        features: Feature -> what is declared of it.
        sources: Silver table -> what is known of it; absent tables are left out.
        settings: Limits.
    """

    run_date: date
    as_of: date
    references: Mapping[str, date]
    too_young: frozenset[str]
    reference: Mapping[str, Profile]
    current: Mapping[str, Profile]
    features: Mapping[str, Watched]
    sources: Mapping[str, Source]
    settings: DriftSettings

    @property
    def reference_as_of(self) -> date:
        """Date of the baseline that predictions are compared with, and all that is not told apart."""
        return self.references[RISK]

    @property
    def season_gap(self) -> int:
        """Months of the year between that date and today's."""
        return season_gap(self.reference_as_of, self.as_of)

    def against(self, feature: str) -> str:
        """The date of the baseline, where it is another than that of the predictions."""
        day = self.references[feature]
        return "" if day == self.reference_as_of else f" on {day}"

    def limit(self, check: str, feature: str | None = None) -> float:
        """The limit of a check, of a feature where it has one of its own."""
        found = self.settings.limits[check]
        for pattern, limits in self.settings.features.items():
            if feature is not None and check in limits and fnmatchcase(feature, pattern):
                found = limits[check]
        return found

    def too_few(self, feature: str) -> str:
        """Why a feature cannot be compared for want of rows or history; empty where it can."""
        if feature in self.too_young:
            window = self.features[feature].window_days
            return f"looks back on {window} days, and the champion learned at no date from so long a history"
        least, sides = self.settings.min_rows, (self.reference[feature].rows, self.current[feature].rows)
        if min(sides) >= least:
            return ""
        return f"too few rows to tell: {sides[0]:,} in the baseline, {sides[1]:,} now, {least:,} needed"

    def not_comparable(self, feature: str) -> str:
        """Why the distribution of a feature is not comparable at these dates; empty where it is."""
        for pattern, reason in self.settings.not_compared.items():
            if fnmatchcase(feature, pattern):
                return reason
        seasonal = any(fnmatchcase(feature, pattern) for pattern in self.settings.seasonal)
        day = self.references[feature]
        gap = season_gap(day, self.as_of)
        if seasonal and gap > self.settings.max_season_gap_months:
            return (
                f"goes with the season, and the nearest date that the champion learned from, {day}, "
                f"is {gap} months of the year away"
            )
        return ""


@dataclass(frozen=True)
class Finding:
    """What one check found of one subject.

    Attributes:
        check: The check.
        subject: Feature, table, ``risk`` or ``customers``.
        family: Family of the feature, ``source``, ``table`` or ``prediction``.
        sentence: Figures in words; where ``value`` is None, why it is unknown.
        limit: The figure beyond which it matters.
        value: The figure; None where unknown.
        p_value: Chance of it if nothing has changed; None for rules without chance.
        reference: The quantity in the baseline.
        current: The quantity now.
        is_used: Whether the champion uses the feature.
    """

    check: str
    subject: str
    family: str
    sentence: str
    limit: float
    value: float | None = None
    p_value: float | None = None
    reference: float | None = None
    current: float | None = None
    is_used: bool = True

    @property
    def key(self) -> str:
        """Identity of an alarm."""
        return f"{self.check}:{self.subject}"


Check = Callable[[Facts], Sequence[Finding]]


def compared(facts: Facts) -> list[str]:
    """Features that the baseline and today's rows both have, in order."""
    return [name for name in facts.reference if name in facts.current and name != RISK]


def finite(value: float) -> float | None:
    """A number, or None where it is not one."""
    return value if value == value and abs(value) != float("inf") else None
