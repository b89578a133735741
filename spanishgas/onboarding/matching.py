"""Which raw column is which column of a contract: by names and values, and how sure that is.

All columns are assigned at once, so that what fits nothing else is left for what is left. A pair is sure when its score
is high and when every assignment without it would be clearly worse; columns that could change places are a question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from spanishgas.contracts import Contract
from spanishgas.onboarding.facts import ColumnFacts
from spanishgas.onboarding.fitting import Fit, fit_of_values
from spanishgas.onboarding.words import fit_of_name, meanings, stands_for

SURE = 0.5
CLEARLY = 0.12
CANDIDATE = 0.3
TELLING = 0.1
BY_VALUES_ALONE = 0.35
MEANT_OTHERWISE = 0.12
ORDERED = 0.9
SUPPLY_POINT = 0.9
# Never matched by name and values: they are told by other columns once the readings are looked at.
LATER = ("hour_index",)


@dataclass(frozen=True)
class Pair:
    """A raw column for a column of a contract.

    Attributes:
        column: Column of the contract.
        raw: Raw column.
        score: 0 to 1.
        lead: How much worse all columns together would fit without this pair.
        rivals: Other raw columns that fit nearly as well.
        reasons: Why.
    """

    column: str
    raw: str
    score: float
    lead: float
    rivals: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def sure(self) -> bool:
        """Whether it needs no question."""
        return self.score >= SURE and self.lead >= CLEARLY


@dataclass(frozen=True)
class Match:
    """How well some files fit a source.

    Attributes:
        pairs: Column of the contract -> its pair.
        weak: Column of the contract without a pair -> raw columns that might be it.
        score: Sum of the scores of the pairs, identifiers left out.
    """

    pairs: Mapping[str, Pair] = field(default_factory=dict)
    weak: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    score: float = 0.0


def match_columns(
    contract: Contract, columns: Mapping[str, ColumnFacts], linked: Mapping[str, float] | None = None
) -> Match:
    """Assigns raw columns to the columns of a contract.

    Args:
        contract: The source's contract.
        columns: Raw columns of a group of files.
        linked: Raw column -> share of its values that are identifiers of customers in other files.
    """
    wanted = [column for column in contract.columns if column.name not in LATER]
    raws = list(columns)
    scores, fits = _scores(contract, [column.name for column in wanted], columns, linked or {})
    rows, places = linear_sum_assignment(scores, maximize=True)
    total = float(scores[rows, places].sum())
    pairs: dict[str, Pair] = {}
    own = {int(place): float(scores[row, place]) for row, place in zip(rows, places, strict=True)}
    for row, place in zip(rows, places, strict=True):
        score = float(scores[row, place])
        if score < CANDIDATE:
            continue
        name, raw = wanted[row].name, raws[place]
        rivals = [int(other) for other in np.argsort(-scores[row]) if _near(scores, row, place, int(other))]
        # A rival that is nothing else for sure could take the place.
        free = any(own.get(other, 0.0) < SURE for other in rivals)
        pairs[name] = Pair(
            name,
            raw,
            score,
            0.0 if free else _lead(scores, row, place, total),
            tuple(raws[other] for other in rivals),
            _reasons(name, raw, fits[row][place], score),
        )
    pairs = _ordered(contract.name, pairs, columns)
    taken = {pair.raw for pair in pairs.values()}
    weak = {
        column.name: tuple(
            raws[place]
            for place in np.argsort(-scores[row])
            if scores[row, place] >= CANDIDATE and raws[place] not in taken
        )
        for row, column in enumerate(wanted)
        if column.name not in pairs
    }
    summed = sum(pair.score for name, pair in pairs.items() if name not in ("customer_id", "recorded_at"))
    return Match(pairs, {name: found for name, found in weak.items() if found}, summed)


def _scores(
    contract: Contract, wanted: Sequence[str], columns: Mapping[str, ColumnFacts], linked: Mapping[str, float]
) -> tuple[npt.NDArray[np.float64], list[list[Fit]]]:
    scores = np.zeros((len(wanted), len(columns)))
    fits: list[list[Fit]] = []
    for row, name in enumerate(wanted):
        phrases = meanings().phrases(contract.name, name)
        fits.append([])
        for place, (raw, facts) in enumerate(columns.items()):
            fit = fit_of_values(facts, contract.column(name))
            fits[-1].append(fit)
            by_name = fit_of_name(raw, name, phrases)
            score = by_name * fit.share
            if fit.tells and fit.share:
                score = max(score + TELLING, BY_VALUES_ALONE) if by_name else BY_VALUES_ALONE
            if name == "customer_id" and by_name:
                score += 0.15 * linked.get(raw, 0.0)
            if name == "customer_id" and "supply_point_id" in wanted and _names_supply_point(raw):
                score = 0.0  # it becomes the customer where nothing else does
            if "gas" not in name and name not in ("customer_id",) and _only_gas(raw, name):
                score *= MEANT_OTHERWISE
            scores[row, place] = min(score, 1.0)
    return scores, fits


def _names_supply_point(raw: str) -> bool:
    return fit_of_name(raw, "supply_point_id", meanings().phrases("supply_points", "supply_point_id")) >= SUPPLY_POINT


def _only_gas(raw: str, name: str) -> bool:
    return name.startswith(("elec", "variable", "consumption", "peaje")) and stands_for(raw, "gas")


def _lead(scores: npt.NDArray[np.float64], row: int, place: int, total: float) -> float:
    """What all pairs together lose where this one is forbidden."""
    without = scores.copy()
    without[row, place] = 0.0
    rows, places = linear_sum_assignment(without, maximize=True)
    return total - float(without[rows, places].sum())


def _near(scores: npt.NDArray[np.float64], row: int, place: int, other: int) -> bool:
    return other != place and scores[row, other] >= max(CANDIDATE, scores[row, place] - CLEARLY)


def _reasons(name: str, raw: str, fit: Fit, score: float) -> tuple[str, ...]:
    told = "the contract's own name" if raw.rpartition(".")[2].casefold() == name else f"fits by {score:.0%}"
    return (told, fit.reason) if fit.reason else (told,)


def _ordered(source: str, pairs: Mapping[str, Pair], columns: Mapping[str, ColumnFacts]) -> dict[str, Pair]:
    """Pairs as the order of their values tells them: what could change places is put right, or is unsure."""
    told = dict(pairs)
    for low, high in meanings().orders.get(source, ()):
        if low not in told or high not in told:
            continue
        one, other = told[low], told[high]
        share = _share_in_order(columns[one.raw], columns[other.raw])
        if share is None:
            continue
        unsure = {name for name in (low, high) if told[name].lead < CLEARLY}
        if share <= 1 - ORDERED and unsure == {low, high}:
            one, other = (
                Pair(low, other.raw, one.score, CLEARLY, (), (*one.reasons, f"seldom more than {high}")),
                Pair(high, one.raw, other.score, CLEARLY, (), (*other.reasons, f"seldom less than {low}")),
            )
        elif share >= ORDERED and unsure and {one.raw, other.raw} & {*one.rivals, *other.rivals}:
            one, other = (
                Pair(pair.column, pair.raw, pair.score, max(pair.lead, CLEARLY), (), (*pair.reasons, "by their order"))
                for pair in (one, other)
            )
        elif share < 0.5:
            one, other = (
                Pair(pair.column, pair.raw, pair.score, 0.0, (rival.raw,), pair.reasons)
                for pair, rival in ((one, other), (other, one))
            )
        told[low], told[high] = one, other
    return told


def _share_in_order(low: ColumnFacts, high: ColumnFacts) -> float | None:
    """Share of the rows with two values that differ in which the first is smaller; None where there are few."""
    if low.dates is not None and high.dates is not None:
        one, other = low.as_days(), high.as_days()
        both = (one.notna() & other.notna() & (one != other)).to_numpy()
        smaller = (one < other).to_numpy()
    else:
        first, second = low.as_numbers(low.mark()), high.as_numbers(high.mark())
        both = ~np.isnan(first) & ~np.isnan(second) & (first != second) & (first != 0) & (second != 0)
        smaller = first < second
    return float(smaller[both].mean()) if both.sum() >= 10 else None
