"""Known layouts: files that are recognised by their columns, with a mapping that is known to be right."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from spanishgas.config import SettingsModel
from spanishgas.errors import ConfigError
from spanishgas.onboarding.looking import Group
from spanishgas.onboarding.proposal import CONTRACTS, Line, Part
from spanishgas.onboarding.words import bare_name, plain


class Feed(SettingsModel):
    """What a table gives to one source.

    Attributes:
        source: Name of the source.
        columns: Column of the contract -> where it comes from, as a configuration says it; contract columns that are
            not listed are taken by their own name, where the files have it.
    """

    source: str
    columns: dict[str, Any] = Field(default_factory=dict)


class LayoutExtras(SettingsModel):
    """Attributes beyond the contracts that a table holds, as a configuration says them."""

    columns: dict[str, str]
    attributes: dict[str, dict[str, Any]]


class LayoutTable(SettingsModel):
    """One kind of file.

    Attributes:
        recognised_by: Columns that are all there; case, accents and signs do not matter.
        lacks: Columns that are not there.
        part: Settings of its parts beside files and columns.
        feeds: Sources that it feeds.
        extras: Attributes beyond the contracts.
        unused: Columns that are left alone -> why.
    """

    recognised_by: tuple[str, ...]
    lacks: tuple[str, ...] = ()
    part: dict[str, Any] = Field(default_factory=dict)
    feeds: tuple[Feed, ...]
    extras: LayoutExtras | None = None
    unused: dict[str, str] = Field(default_factory=dict)


class Layout(SettingsModel):
    """A layout: the kinds of files that a sender delivers.

    Attributes:
        title: What it is called in comments.
        tables: Its kinds of files.
        complete: Whether it says all that the files hold: what a zero means, and that they feed no further source.
        absent: Sources that the sender does not have -> why.
        dates: `run_date`, `as_of`, `extracted_on`, `cut`, where they are known.
        options: Group of settings -> option that goes with it.
        questions: What a retailer with this layout still has to decide.
    """

    title: str
    tables: tuple[LayoutTable, ...]
    complete: bool = True
    absent: dict[str, str] = Field(default_factory=dict)
    dates: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, str] = Field(default_factory=dict)
    questions: tuple[str, ...] = ()


def load_layouts(folders: Sequence[Path]) -> list[Layout]:
    """The layouts of some folders.

    Raises:
        ConfigError: A file is no layout.
    """
    found = []
    for file in (file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.yaml"))):
        try:
            found.append(Layout.model_validate(yaml.safe_load(file.read_text("utf-8"))))
        except (yaml.YAMLError, ValidationError) as error:
            raise ConfigError("is no layout", where=str(file), examples=[error]) from error
        unknown = {feed.source for table in found[-1].tables for feed in table.feeds} - set(CONTRACTS)
        if unknown:
            raise ConfigError("feeds sources that no contract knows", where=str(file), examples=sorted(unknown))
    return found


def recognise(group: Group, layouts: Sequence[Layout]) -> tuple[Layout, LayoutTable] | None:
    """The layout that a group of files follows, of several the one that names most of its columns; None for none."""
    names = {bare_name(name) for name in group.columns}
    fitting = [
        (layout, table)
        for layout in layouts
        for table in layout.tables
        if {bare_name(name) for name in table.recognised_by} <= names
        and not {bare_name(name) for name in table.lacks} & names
    ]
    spelled = {plain(name) for name in group.columns}

    def fit(one: tuple[Layout, LayoutTable]) -> tuple[int, int]:
        """Columns that are named, and those of them that are spelled the same."""
        named = one[1].recognised_by
        return len(named), len({plain(name) for name in named} & spelled)

    return max(fitting, key=fit, default=None)


def parts_of(group: Group, layout: Layout, table: LayoutTable) -> Iterator[tuple[str, Part]]:
    """The parts that a recognised group gives -> source and part, one per feed."""
    names = {bare_name(name): name for name in group.columns}
    for feed in table.feeds:
        contract = CONTRACTS[feed.source]
        lines = {}
        for column in contract.columns:
            told = feed.columns.get(column.name, column.name)
            mapping = {"column": told} if isinstance(told, str) else dict(told)
            lacking = _resolve(mapping, names)
            if not lacking:
                lines[column.name] = Line(column.name, mapping)
            elif column.required:
                lines[column.name] = _without(column.name, column.nullable, lacking)
        yield feed.source, Part(group, lines, dict(table.part), layout.title, layout.complete)


def extras_of(group: Group, table: LayoutTable) -> dict[str, Any] | None:
    """The extra attributes of a recognised group, without the files' names; None where there are none."""
    if table.extras is None:
        return None
    names = {bare_name(name): name for name in group.columns}
    attributes = {
        name: {**told, "column": names[bare_name(told["column"])]}
        for name, told in table.extras.attributes.items()
        if bare_name(told["column"]) in names
    }
    columns = {name: names[bare_name(raw)] for name, raw in table.extras.columns.items()}
    return {"part": {**table.part, "columns": columns}, "columns": attributes}


def unused_of(group: Group, table: LayoutTable) -> Mapping[str, str]:
    """Raw columns that the layout leaves alone -> why."""
    why = {bare_name(name): text for name, text in table.unused.items()}
    return {name: why[bare_name(name)] for name in group.columns if bare_name(name) in why}


def _without(column: str, nullable: bool, lacking: Sequence[str]) -> Line:
    named = ", ".join(lacking)
    if nullable:
        return Line(column, {"absent": f"the files have no column {named}"}, [f"no {named}"])
    return Line(column, {"column": named}, question=f"which column is `{column}`? There is no {named}")


def _resolve(mapping: dict[str, Any], names: Mapping[str, str]) -> list[str]:
    """Puts the names as the files spell them; the columns that the files do not have."""
    wanted = [mapping["column"], *mapping.get("plus", ())] if mapping.get("column") else []
    lacking = [name for name in wanted if bare_name(name) not in names]
    if wanted and not lacking:
        mapping["column"] = names[bare_name(mapping["column"])]
        if "plus" in mapping:
            mapping["plus"] = [names[bare_name(name)] for name in mapping["plus"]]
    return lacking
