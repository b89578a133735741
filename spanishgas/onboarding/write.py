"""The proposed configuration as YAML for people: lines with their reasons, questions above lines in comments."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from spanishgas.onboarding.addresses import addresses_of
from spanishgas.onboarding.proposal import Line, Part, Proposal, Source
from spanishgas.onboarding.values import tidy

WIDTH = 118
ORDER = ("labels", "evaluation", "policy", "monitoring", "quality")


def render(proposal: Proposal, raw: Path) -> str:
    """The file.

    Args:
        proposal: What is proposed.
        raw: The raw folder.
    """
    lines = [
        f"# {proposal.name}: proposed by `python -m pipelines.onboard`; yours from here on.",
        "# A line in comments below a question (?) is only likely: answer it, then take its mark away or change it.",
        *_head(proposal, raw),
        "",
        "sources:",
    ]
    for source in proposal.sources.values():
        lines += _source(source, raw)
    lines += [*_extras(proposal, raw), *_unused(proposal)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _head(proposal: Proposal, raw: Path) -> Iterator[str]:
    yield from _comment("? ", proposal.questions)
    if proposal.options:
        yield "defaults:"
        if "labels" in proposal.reasons:
            yield from _comment("", [proposal.reasons["labels"]], 2)
        for group in (name for name in ORDER if name in proposal.options):
            yield f"  - override /{group}@_global_.{group}: {proposal.options[group]}"
        yield "  - _self_"
        yield ""
    yield "kind: files"
    yield f"name: {proposal.name}"
    yield f"root: ${{data_root}}/{proposal.name}"
    yield f"raw: {_flow(str(raw))}"
    for name in ("run_date", "as_of", "extracted_on", "cut"):
        value, reason = proposal.dates.get(name), proposal.reasons.get(name)
        if name in ("run_date", "as_of") and value is None:
            yield f"# {name}: ?"
        else:
            yield f"{name}: {_flow(value)}" + (f"  # {reason}" if reason else "")
    yield "timezone: Europe/Madrid"


def _source(source: Source, raw: Path) -> Iterator[str]:
    if not source.parts and source.absent is None:
        return
    if not source.parts:
        yield from _comment("? ", source.questions, 2)
        yield f"  {source.name}: {_flow({'absent': source.absent})}"
        return
    usable = [part for part in source.parts if part.question is None]
    mark = "" if usable else "# "
    yield f"  {mark}{source.name}:"
    yield from _comment("? ", source.questions, 4)
    for name, value in source.settings.items():
        yield f"    {mark}{name}: {_flow(value)}"
    for name, value in source.unsure.items():
        yield f"    # {name}: {_flow(value)}"
    yield f"    {mark}parts:"
    for part in source.parts:
        yield from _part(part, raw)


def _part(part: Part, raw: Path) -> Iterator[str]:
    mark = "# " if part.question else ""
    if part.question:
        yield from _comment("? ", [part.question], 6)
    yield from _comment("", [*([f"layout: {part.layout}"] if part.layout else []), *part.notes], 6)
    for address in addresses_of(part.group, raw):
        told = {**address, **part.settings}
        for place, (name, value) in enumerate(told.items()):
            yield f"      {mark}{'-' if place == 0 else ' '} {name}: {_flow(value)}"
        lines = [line for line in part.lines.values() if _is_said(line)]
        said = [line for line in lines if line.question is None]
        if lines:
            yield f"      {mark}  columns:" + ("" if said else " {}")
        for line in lines:
            yield from _line(line, mark)


def _is_said(line: Line) -> bool:
    return bool(line.question or line.open) or line.mapping != {"column": line.column}


def _line(line: Line, mark: str) -> Iterator[str]:
    text = f"{line.column}: {_flow(tidy(line.mapping))}"
    if line.question:
        yield from _comment("? ", [line.question], 10)
        yield f"          # {text}"
        return
    yield from _comment("? ", line.open, 10)
    reason = f"  # {'; '.join(line.reasons)}" if line.reasons and "absent" not in line.mapping else ""
    yield f"          {mark}{text}{reason if len(reason) < WIDTH else reason[: WIDTH - 1] + '…'}"


def _extras(proposal: Proposal, raw: Path) -> Iterator[str]:
    if not proposal.extras:
        yield "extras: []"
        return
    yield ""
    yield "# Columns beyond the contracts."
    yield "extras:"
    for extra in proposal.extras:
        for address in addresses_of(extra["group"], raw):
            yield f"  - part: {_flow({**address, **extra['part']})}"
            yield "    columns:"
            for name, told in extra["columns"].items():
                yield f"      {name}: {_flow(told)}"


def _unused(proposal: Proposal) -> Iterator[str]:
    if proposal.unused:
        yield ""
        yield "# Not used; what is of customers can become `extras` (docs/bring_your_own_data.md)."
        for group, columns in proposal.unused.items():
            yield f"# {group}:"
            for name, what in columns.items():
                yield from _comment("  ", [f"{name}: {what}"])
    for file, why in proposal.unread.items():
        yield from _comment("", [f"{file}: {why}"])


def _comment(mark: str, texts: Sequence[str], indent: int = 0) -> Iterator[str]:
    for text in texts:
        one_line = " ".join(str(text).split())
        yield from textwrap.wrap(
            one_line, WIDTH, initial_indent=" " * indent + f"# {mark}", subsequent_indent=" " * indent + "#   "
        )


def _flow(value: Any) -> str:
    """A value on one line, as YAML; interpolation of the configuration is taken for text."""
    if isinstance(value, Mapping | list | tuple):
        plain = dict(value) if isinstance(value, Mapping) else list(value)
        return yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True).strip()
    if isinstance(value, date):
        return value.isoformat()
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()
