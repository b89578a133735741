"""Who customers and supply points are: columns with the same identifiers, names of files with one, their spelling."""

import re
from collections.abc import Sequence

from spanishgas.domain.identifiers import one_spelling
from spanishgas.onboarding.addresses import common_ends
from spanishgas.onboarding.facts import NEARLY_ALL, ColumnFacts
from spanishgas.onboarding.looking import Group
from spanishgas.onboarding.matching import SURE
from spanishgas.onboarding.proposal import Line, Part, Proposal
from spanishgas.onboarding.words import fit_of_name, meanings

CUPS_IN_NAME = re.compile(r"ES\d{16}[A-Za-z]{2}(?:\d[A-Za-z])?")
LONG = 16


def linked_columns(groups: Sequence[Group]) -> dict[int, dict[str, float]]:
    """For each group, by its ``id``: raw column -> share of its values that identify customers in another group."""
    phrases = meanings().everywhere["customer_id"]
    known = {
        id(group): {
            name: {one_spelling(text, "folded") for text in facts.distinct}
            for name, facts in group.columns.items()
            if fit_of_name(name, "customer_id", phrases) >= SURE and facts.texts
        }
        for group in groups
    }
    linked: dict[int, dict[str, float]] = {}
    for mine, columns in known.items():
        others = [ids for other, held in known.items() if other != mine for ids in held.values()]
        linked[mine] = {
            name: max((len(ids & other) / len(ids) for other in others), default=0.0) for name, ids in columns.items()
        }
    return linked


def name_pattern(group: Group) -> Line:
    """The customer as the files' names tell it: a CUPS in each, or what differs between names that are alike else."""
    names = [item.file.rpartition("/")[2] for item in group.items]
    if all(CUPS_IN_NAME.search(name) for name in names):
        return Line("customer_id", {"file_pattern": f"({CUPS_IN_NAME.pattern})"}, ["the files' names hold a CUPS"])
    start, end = common_ends(names)
    if len(names) == 1:
        found = re.search(r"\d+", names[0])
        start, end = (names[0][: found.start()], names[0][found.end() :]) if found else ("", "")
    middles = [name[len(start) : len(name) - len(end)] for name in names]
    if end and all(re.fullmatch(r"\d+", middle) for middle in middles):
        line = Line(
            "customer_id",
            {"file_pattern": f"{re.escape(start)}(\\d+){re.escape(end)}$".replace(r"\_", "_").replace(r"\-", "-")},
            [f"no column names the customer, the files' names have {', '.join(middles[:5])}"],
        )
        if len(names) == 1:
            line.question = f"is {middles[0]} in the name of {names[0]} the customer? No column names one"
        return line
    return Line(
        "customer_id",
        {"column": "?"},
        question=f"who is the customer in {group.name}? Neither a column nor the name says it",
    )


def hold_supply_points(proposal: Proposal, groups: Sequence[Group]) -> None:
    """Readings that name a supply point only get their customers from files that have both, where there are some."""
    for part in proposal.sources["consumption_hourly"].parts:
        line = part.lines.get("customer_id")
        facts = part.group.columns.get(str(line.raw)) if line is not None and line.raw else None
        if line is None or facts is None or facts.cups_share < NEARLY_ALL:
            continue
        holder = _holder(proposal, facts, [group for group in groups if group is not part.group])
        if holder is None:
            continue
        point = Line("supply_point_id", line.mapping, [*line.reasons, f"the customer is told by {holder.group.name}"])
        part.lines = {
            "customer_id": Line("customer_id", {"absent": "told by supply_points"}),
            "supply_point_id": point,
        } | {name: one for name, one in part.lines.items() if name not in ("customer_id", "supply_point_id")}
        if not proposal.sources["supply_points"].parts:
            proposal.sources["supply_points"].parts.append(holder)


def _holder(proposal: Proposal, points: ColumnFacts, groups: Sequence[Group]) -> Part | None:
    """Files with both the supply points and a customer of another name."""
    wanted = {one_spelling(text, "folded") for text in points.distinct}
    known = [part for source in proposal.sources.values() for part in source.parts if part.group in groups]
    for part in sorted(known, key=lambda one: len(one.group.columns)):
        customer = part.lines.get("customer_id")
        for name, facts in part.group.columns.items():
            if customer is None or customer.raw in (None, name) or customer.question or facts.cups_share < NEARLY_ALL:
                continue
            held = {one_spelling(text, "folded") for text in facts.distinct}
            if 2 * len(held & wanted) >= len(wanted):
                lines = {
                    "supply_point_id": Line("supply_point_id", {"column": name}, ["CUPS of the readings"]),
                    "customer_id": Line("customer_id", dict(customer.mapping), list(customer.reasons)),
                }
                return Part(part.group, lines, {})
    return None


def spelling_of(proposal: Proposal) -> None:
    """Leaves identifiers as they are written in all sources where folding would make one of two long codes."""
    parts = [part for source in proposal.sources.values() for part in source.parts]
    if any("identifiers" in part.settings for part in parts):
        for part in parts:
            part.settings.setdefault("identifiers", "as_written")
        return
    merged: list[str] = []
    for part in parts:
        line = part.lines.get("customer_id")
        facts = part.group.columns.get(str(line.raw)) if line is not None and line.raw else None
        if facts is None:
            continue
        cases: dict[str, str] = {}
        for text in facts.distinct:
            other = cases.setdefault(text.upper(), text)
            if other != text:
                merged += [f"{other} and {text}"]
    if not merged:
        return
    if all(len(pair) > 2 * LONG for pair in merged):
        for part in parts:
            part.settings["identifiers"] = "as_written"
        proposal.reasons["identifiers"] = f"codes that only small and capital letters tell apart, such as {merged[0]}"
    else:
        proposal.questions.append(
            f"are {merged[0]} one customer ({len(merged):,} such pairs)? They are read as one; `identifiers: "
            "as_written` at every part keeps them apart"
        )
