"""What is left over: raw columns that nothing uses, and what they might have been."""

from collections.abc import Mapping, Sequence

from spanishgas.onboarding.fitting import fit_of_values
from spanishgas.onboarding.layouts import Layout, recognise, unused_of
from spanishgas.onboarding.looking import Group
from spanishgas.onboarding.proposal import CONTRACTS, NOTHING_LIKE_IT, Line, Part, Proposal, meaning_of

FITTING = 0.9
MOSTLY = 0.05
NAMED = 4
# Columns that may be absent, and whose absence decides what a data set is good for.
DECISIVE = {"churn_label": ("churn_date",)}


def unused_columns(proposal: Proposal, groups: Sequence[Group], layouts: Sequence[Layout]) -> dict[str, dict[str, str]]:
    """Raw columns that nothing uses: group of files -> column -> why, or what it holds."""
    unused = {}
    for group in groups:
        used = {name for part in _parts_of(proposal, group) for name in _used(part)}
        for extra in (one for one in proposal.extras if one["group"] is group):
            used |= {told["column"] for told in extra["columns"].values()}
        found = recognise(group, layouts)
        why: Mapping[str, str] = unused_of(group, found[1]) if found else {}
        left = {name: why.get(name, facts.range()) for name, facts in group.columns.items() if name not in used}
        if left:
            unused[group.name] = left
    return unused


def ask_about_the_rest(proposal: Proposal) -> None:
    """A question where a column is absent although the files have columns left whose values would fit."""
    for source in proposal.sources.values():
        contract = CONTRACTS[source.name]
        for part in (part for part in source.parts if part.layout is None):
            left = proposal.unused.get(part.group.name, {})
            lacking = [name for name, line in part.lines.items() if "absent" in line.mapping]
            lacking += [name for name in DECISIVE.get(source.name, ()) if name not in part.lines]
            for name in lacking:
                fitting = [
                    raw
                    for raw in left
                    if fit_of_values(part.group.columns[raw], contract.column(name)).share >= FITTING
                ]
                if fitting and part.group.columns[fitting[0]].texts:
                    named = ", ".join(f"`{raw}` ({left[raw]})" for raw in fitting[:NAMED])
                    source.questions.append(
                        f"is one of {named} {meaning_of(source.name, name)}? The values fit but no name says so; it is "
                        "read as absent"
                    )


def drop_what_is_taken(proposal: Proposal) -> None:
    """No question about a raw column that surely is a column of another source: it is nothing else."""
    for source in proposal.sources.values():
        for part in (part for part in source.parts if part.layout is None):
            others = [
                line
                for other in proposal.sources.values()
                for one in other.parts
                if one.group is part.group and other is not source
                for line in one.lines.values()
            ]
            taken = {line.raw for line in others if line.raw and line.question is None and line.column != "customer_id"}
            for name, line in list(part.lines.items()):
                column = CONTRACTS[source.name].column(name)
                if line.question is None or line.raw not in taken or not column.nullable:
                    continue
                if column.required:
                    part.lines[name] = Line(name, {"absent": NOTHING_LIKE_IT})
                else:
                    del part.lines[name]


def ask_whose_record(proposal: Proposal) -> None:
    """A question where one file is several sources, and says of some of its rows only when they were recorded."""
    for source in proposal.sources.values():
        for part in (part for part in source.parts if part.layout is None):
            line = part.lines.get("recorded_at")
            if line is None or line.raw is None or len(_parts_of(proposal, part.group)) < 2:
                continue
            missing = part.group.columns[line.raw].missing
            if missing > MOSTLY and source.name != "churn_label":
                line.question = (
                    f"does `{line.raw}` say when the row of {source.name.replace('_', ' ')} was recorded? The file is "
                    f"several sources, and {missing:.0%} of the rows have none"
                )


def _parts_of(proposal: Proposal, group: Group) -> list[Part]:
    return [part for source in proposal.sources.values() for part in source.parts if part.group is group]


def _used(part: Part) -> set[str]:
    lines = part.lines.values()
    return {str(name) for line in lines for name in (line.raw, *line.mapping.get("plus", ()))}
