"""The data dictionary: contracts as text for people."""

from collections.abc import Iterable

from spanishgas.contracts.base import Column, Contract

LAYERS = {
    "source": "Sources",
    "bronze": "Bronze: what landing tells of the raw files",
    "silver": "Silver tables",
    "gold": "Gold tables",
}
SHOWN_VALUES = 8


def render_dictionary(contracts: Iterable[Contract]) -> str:
    """The whole dictionary in Markdown."""
    listed = list(contracts)
    lines = [
        "# Data dictionary",
        "",
        "Generated from the contracts by `make dictionary`; do not edit. Dates are civil days, Europe/Madrid (Canary",
        "Islands: Atlantic/Canary). A row may be used at an `as_of` when its event time and its known-at time are both",
        "at or before the end of that day.",
        "",
    ]
    for layer, title in LAYERS.items():
        lines += [f"## {title}", ""]
        for contract in listed:
            if contract.layer == layer:
                lines += [*_contract_lines(contract), ""]
    return "\n".join(lines).rstrip() + "\n"


def render_contract(contract: Contract) -> str:
    """One contract in Markdown."""
    return "\n".join(_contract_lines(contract)) + "\n"


def _contract_lines(contract: Contract) -> list[str]:
    facts = [
        f"version {contract.version}",
        f"grain: {contract.grain}",
        f"key: {_names(contract.primary_key)}",
        f"event time: {_names((contract.event_time,)) if contract.event_time else 'none'}",
        f"known at: {contract.known_at.describe()}",
    ]
    if contract.partition:
        facts.append(f"partition: `{contract.partition}`")
    if contract.optional:
        facts.append("optional")
    lines = [f"### {contract.name}", "", contract.description, "", "; ".join(facts) + ".", ""]
    if contract.open:
        lines += ["Beside these columns stand the declared features (FEATURES.md) and extra attributes.", ""]
    lines += ["| column | type | unit | null | values | meaning |", "| --- | --- | --- | --- | --- | --- |"]
    return lines + [_row(column) for column in contract.columns]


def _row(column: Column) -> str:
    notes = [column.description]
    if not column.required:
        notes.append("May be absent.")
    if column.static:
        notes.append("Static.")
    cells = (
        f"`{column.name}`",
        column.type,
        column.unit or "",
        "yes" if column.nullable else "no",
        _values(column),
        " ".join(notes),
    )
    return "| " + " | ".join(cells) + " |"


def _values(column: Column) -> str:
    parts: list[str] = []
    if column.domain is not None:
        shown = ", ".join(column.domain[:SHOWN_VALUES])
        more = len(column.domain) - SHOWN_VALUES
        parts.append(shown + (f", … ({more} more)" if more > 0 else ""))
    if column.minimum is not None:
        parts.append(f">= {column.minimum:g}")
    if column.maximum is not None:
        parts.append(f"<= {column.maximum:g}")
    if parts and column.outside == "count":
        parts.append("others are counted and set to unknown")
    return "; ".join(parts)


def _names(names: Iterable[str | None]) -> str:
    return ", ".join(f"`{name}`" for name in names)
