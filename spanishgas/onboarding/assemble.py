"""From files that were looked at to a proposed configuration: which files are which source, and what is left open."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from spanishgas.onboarding.dates import propose_dates
from spanishgas.onboarding.facts import ColumnFacts
from spanishgas.onboarding.identities import (
    hold_supply_points,
    linked_columns,
    name_pattern,
    spelling_of,
)
from spanishgas.onboarding.layouts import Layout, LayoutTable, extras_of, parts_of, recognise
from spanishgas.onboarding.leftovers import ask_about_the_rest, ask_whose_record, drop_what_is_taken, unused_columns
from spanishgas.onboarding.looking import Group, Looked
from spanishgas.onboarding.matching import SURE, Match, Pair, match_columns
from spanishgas.onboarding.proposal import CONTRACTS, NOTHING_LIKE_IT, Line, Part, Proposal, Source, meaning_of
from spanishgas.onboarding.readings import Habit, read_habit
from spanishgas.onboarding.values import definite_day_formats, read_values
from spanishgas.onboarding.words import meanings, stands_for

READINGS = "consumption_hourly"
# Share of the better score from which two kinds of files may both be the source.
RIVAL = 0.6
NAMED_FILE = 0.5
NEARLY = 0.9
FEW_KEYS = 0.01


@dataclass(frozen=True)
class Candidate:
    """Some files that may be a source."""

    group: Group
    match: Match
    score: float


def propose(name: str, looked: Looked, layouts: Sequence[Layout], run_date: date | None = None) -> Proposal:
    """A configuration for a folder.

    Args:
        name: Name of the data set.
        looked: What lies in the folder.
        layouts: Known layouts.
        run_date: Day on which the files were taken, where somebody knows it.
    """
    proposal = Proposal(name, sources={source: Source(source) for source in CONTRACTS}, unread=dict(looked.unread))
    unknown, partly = _by_layout(proposal, looked.groups, layouts)
    _by_matching(proposal, unknown, partly, looked.groups)
    drop_what_is_taken(proposal)
    ask_whose_record(proposal)
    formats = definite_day_formats([facts for group in looked.groups for facts in group.columns.values()])
    for source in proposal.sources.values():
        for part in source.parts:
            read_values(source.name, part, formats)
    hold_supply_points(proposal, looked.groups)
    _read_readings(proposal.sources[READINGS])
    spelling_of(proposal)
    _say_what_is_absent(proposal)
    _ask_about_prices(proposal.sources["price_history"])
    propose_dates(proposal, run_date)
    proposal.unused = unused_columns(proposal, looked.groups, layouts)
    ask_about_the_rest(proposal)
    return proposal


def _by_layout(
    proposal: Proposal, groups: Sequence[Group], layouts: Sequence[Layout]
) -> tuple[list[Group], list[Group]]:
    """Puts in what follows a known layout; the groups that follow none, and those that may hold more than it says."""
    unknown, partly = [], []
    for group in groups:
        found = recognise(group, layouts)
        if found is None:
            unknown.append(group)
            continue
        layout, table = found
        if not layout.complete:
            if not _uses_all(group, layout, table):  # some of its columns have other names
                unknown.append(group)
                continue
            partly.append(group)
        _take(proposal, group, layout, table)
    return unknown, partly


def _uses_all(group: Group, layout: Layout, table: LayoutTable) -> bool:
    """Whether a layout knows every column of the files."""
    used = {line.raw for _, part in parts_of(group, layout, table) for line in part.lines.values()}
    return set(group.columns) <= used


def _take(proposal: Proposal, group: Group, layout: Layout, table: LayoutTable) -> None:
    for source, part in parts_of(group, layout, table):
        customer = part.lines.get("customer_id")
        if customer is not None and "file_pattern" in customer.mapping:
            part.lines["customer_id"] = name_pattern(group)
        _compare(proposal.sources[source], part)
        proposal.sources[source].parts.append(part)
    extras = extras_of(group, table)
    if extras is not None:
        proposal.extras.append({"group": group, **extras})
    for source, why in layout.absent.items():
        proposal.sources[source].absent = why
    proposal.dates |= layout.dates
    proposal.options |= layout.options
    proposal.questions += [question for question in layout.questions if question not in proposal.questions]


def _by_matching(proposal: Proposal, unknown: Sequence[Group], partly: Sequence[Group], every: Sequence[Group]) -> None:
    linked = linked_columns(every)
    for name, source in proposal.sources.items():
        if source.absent is not None or name == "supply_points":
            continue
        found = []
        for group in [*unknown, *([] if source.parts else partly)]:
            match = match_columns(CONTRACTS[name], group.columns, linked.get(id(group)))
            if _is_source(name, match):
                found.append(Candidate(group, match, match.score + NAMED_FILE * _named(name, group)))
        _choose(source, sorted(found, key=lambda one: -one.score))


def _is_source(name: str, match: Match) -> bool:
    """Whether files hold what makes a source: its key, and one of the columns that no other source has."""
    meaning = meanings().sources[name]
    known = {*match.pairs, *(["customer_id"] if name == READINGS else [])}
    if "supply_point_id" in match.pairs:
        known.add("customer_id")
    marked = [match.pairs[mark].score for mark in meaning.marks if mark in match.pairs]
    return set(meaning.key) <= known and max(marked, default=0.0) >= SURE


def _named(name: str, group: Group) -> bool:
    """Whether the files' name says that they are the source."""
    file = group.items[0].origin.rpartition("/")[2].rpartition(".")[0] + f" {group.items[0].part.sheet or ''}"
    return any(stands_for(file, meaning) for meaning in meanings().sources[name].names)


def _choose(source: Source, found: Sequence[Candidate]) -> None:
    """The files that are the source: the best ones, and others that go on where they end; doubts are questions."""
    for one in (one for one in found if one.score >= RIVAL * found[0].score):
        part = _part(source.name, one)
        same = _compare(source, part)
        if same is not None and same.layout is None and one.score > NEARLY * found[0].score:
            same.question = part.question
        source.parts.append(part)


def _compare(source: Source, part: Part) -> Part | None:
    """Asks about a further part that has rows of the same key as one before, which is returned; None where none has.

    Readings that stand twice are counted once, so that these are a remark only.
    """
    others = [one for one in source.parts if one.group is not part.group]
    same = next((one for one in others if _shared_keys(source.name, one, part) > FEW_KEYS), None)
    if same is None:
        return None
    one, other = same.group.name, part.group.name
    if source.name == READINGS:
        source.questions.append(
            f"do {one} and {other} hold the same readings? They have days of the same meters; an interval that stands "
            "in both is counted once"
        )
        return None
    named = source.name.replace("_", " ")
    part.question = f"which files are {named}: {one} or {other}? Both fit, and they have rows of the same key"
    return same


def _shared_keys(source: str, one: Part, other: Part) -> float:
    """Share of the keys of one part that the other has too; none where one has a key that is no column."""
    columns = [name for name in CONTRACTS[source].primary_key if name != "recorded_at"]
    keys = []
    for part in (one, other):
        raws = [part.lines[name].raw for name in columns if name in part.lines]
        if not raws or any(raw not in part.group.columns for raw in raws):
            return 0.0
        keys.append(set(zip(*(_day_of_rows(part.group.columns[str(raw)]) for raw in raws), strict=True)))
    smaller = min(map(len, keys))
    return len(keys[0] & keys[1]) / smaller if smaller else 0.0


def _day_of_rows(facts: ColumnFacts) -> "pd.Series[str]":
    """Values of a key: of dates the day, however it is written; of times all of it."""
    told = facts.dates
    return facts.as_days().astype(str) if told is not None and not told.has_time else facts.values.fillna("")


def _part(source: str, candidate: Candidate) -> Part:
    contract, match = CONTRACTS[source], candidate.match
    lines: dict[str, Line] = {}
    for column in contract.columns:
        pair, weak = match.pairs.get(column.name), match.weak.get(column.name)
        if pair is not None:
            lines[column.name] = _line(candidate.group, source, pair)
        elif weak:
            seen = candidate.group.columns[weak[0]].range()
            lines[column.name] = Line(
                column.name,
                {"column": weak[0]},
                question=f"is `{weak[0]}` {meaning_of(source, column.name)}? Its name hardly says so; {seen}. If there "
                "is no such column, write {absent: why}",
            )
        elif column.required and column.nullable:
            lines[column.name] = Line(column.name, {"absent": NOTHING_LIKE_IT})
        elif column.required and column.name != "customer_id":
            lines[column.name] = Line(
                column.name, {"column": "?"}, question=f"which column is {meaning_of(source, column.name)}?"
            )
    if "customer_id" in contract.column_names and "customer_id" not in lines:
        point = lines.pop("supply_point_id", None)
        lines = {"customer_id": _as_customer(point) if point is not None else name_pattern(candidate.group), **lines}
    return Part(candidate.group, lines)


def _as_customer(point: Line) -> Line:
    return Line(
        "customer_id", point.mapping, [*point.reasons, "each supply point is taken for a customer"], point.question
    )


def _line(group: Group, source: str, pair: Pair) -> Line:
    line = Line(pair.column, {"column": pair.raw}, list(pair.reasons))
    if not pair.sure:
        others = "".join(f", or is it `{name}` ({group.columns[name].range()})" for name in pair.rivals[:2])
        line.question = (
            f"is `{pair.raw}` {meaning_of(source, pair.column)} ({group.columns[pair.raw].range()}){others}?"
        )
    return line


def _read_readings(source: Source) -> None:
    """How each part's readings are written: said once where all are alike."""
    habits: list[Habit] = [read_habit(part) for part in source.parts]
    for part, habit in zip(source.parts, habits, strict=True):
        part.notes += habit.reasons
        source.questions += [f"{question} ({part.group.name})" for question in habit.questions]
        source.unsure |= habit.unsure
    alike = all(habit.settings == habits[0].settings for habit in habits)
    for part, habit in zip(source.parts, habits, strict=True):
        if alike:
            source.settings = dict(habit.settings)
        else:
            part.settings |= habit.settings


def _say_what_is_absent(proposal: Proposal) -> None:
    for name, source in proposal.sources.items():
        if source.parts:
            source.absent = None
        elif source.absent is None and not CONTRACTS[name].optional:
            source.absent = "no file of the folder looks like it"
            source.questions.append(
                f"no file looks like {name.replace('_', ' ')}: is there none? Without it its features are null"
            )


def _ask_about_prices(source: Source) -> None:
    for part in source.parts:
        prices = [line for line in part.lines.values() if line.column.startswith("variable_price") and line.raw]
        if prices and part.layout is None:
            facts = part.group.columns[str(prices[0].raw)]
            source.questions.append(
                f"are prices with or without taxes? Margins compare them with costs, so both need the same: "
                f"{facts.range()} in `{facts.name}` of {part.group.name}"
            )
