"""What onboarding proposes: lines of a configuration, each with its reasons, and a question where it is not sure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spanishgas.contracts import SOURCES, Contract
from spanishgas.onboarding.looking import Group

CONTRACTS: Mapping[str, Contract] = {contract.name: contract for contract in SOURCES}

NOTHING_LIKE_IT = "no column of the files looks like it"


@dataclass
class Line:
    """Where one column of a contract comes from.

    Attributes:
        column: Column of the contract.
        mapping: As `columns` of a part says it.
        reasons: Why, and what the values show.
        question: What has to be decided before the line is true; the line is written as a comment.
        open: Questions about some of its values, which leave the line as it is.
    """

    column: str
    mapping: dict[str, Any]
    reasons: list[str] = field(default_factory=list)
    question: str | None = None
    open: list[str] = field(default_factory=list)

    @property
    def raw(self) -> str | None:
        """The raw column, where there is one."""
        told = self.mapping.get("column")
        return str(told) if told is not None else None


@dataclass
class Part:
    """One group of files as a part of a source.

    Attributes:
        group: The files.
        lines: Column of the contract -> its line.
        settings: Settings of the part beside its files and columns.
        layout: Title of the layout that was recognised, or None.
        complete: Whether the layout says all: units, codes and what a zero means need no look at the values.
        question: Why it is unsure whether these files are this source at all.
        notes: What else the reader of the file should know.
    """

    group: Group
    lines: dict[str, Line]
    settings: dict[str, Any] = field(default_factory=dict)
    layout: str | None = None
    complete: bool = False
    question: str | None = None
    notes: list[str] = field(default_factory=list)


@dataclass
class Source:
    """One source of the configuration.

    Attributes:
        name: Name of its contract.
        parts: Where its rows come from.
        settings: Settings of readings.
        absent: Why there is none.
        questions: What is to be decided beside its columns; settings that they are about are written as comments.
        unsure: Settings that are only proposed -> value.
    """

    name: str
    parts: list[Part] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    absent: str | None = None
    questions: list[str] = field(default_factory=list)
    unsure: dict[str, Any] = field(default_factory=dict)

    def blocking(self) -> list[str]:
        """Questions without whose answer the configuration cannot be run."""
        contract = CONTRACTS[self.name]
        told = [part.question for part in self.parts if part.question and not contract.optional]
        for part in (part for part in self.parts if part.question is None):
            told += [
                line.question for line in part.lines.values() if line.question and contract.column(line.column).required
            ]
        if not self.parts and self.absent is None and not contract.optional:
            told += self.questions
        return told

    def open(self) -> list[str]:
        """Questions that are left for later."""
        lines = [line.question for part in self.parts for line in part.lines.values() if line.question]
        lines += [question for part in self.parts for line in part.lines.values() for question in line.open]
        every = [part.question for part in self.parts if part.question] + lines + self.questions
        blocking = self.blocking()
        return [question for question in every if question not in blocking]


@dataclass
class Proposal:
    """A configuration in the making.

    Attributes:
        name: Name of the data set.
        sources: Source -> what is proposed for it.
        dates: `run_date`, `as_of`, `extracted_on`, `cut`.
        options: Group of settings -> option that the data set chooses.
        extras: Tables of extra attributes, as the configuration says them.
        reasons: Setting of the data set -> why.
        questions: What is to be decided about the data set as a whole.
        unused: Group of files -> raw columns that nothing uses, with what they hold.
        unread: File -> why it is left alone.
    """

    name: str
    sources: dict[str, Source] = field(default_factory=dict)
    dates: dict[str, Any] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    extras: list[dict[str, Any]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    unused: dict[str, dict[str, str]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def blocking(self) -> list[str]:
        """Questions that have to be answered before anything can be run."""
        return [f"{name}: {question}" for name, source in self.sources.items() for question in source.blocking()]

    def open(self) -> list[str]:
        """Questions that can be answered later."""
        return [
            *(f"{name}: {question}" for name, source in self.sources.items() for question in source.open()),
            *self.questions,
        ]


def meaning_of(source: str, column: str) -> str:
    """A column of a contract with what it means, for questions."""
    told = CONTRACTS[source].column(column)
    unit = f", in {told.unit}" if told.unit else ""
    return f"{column} ({told.description.rstrip('.').lower()}{unit})"
