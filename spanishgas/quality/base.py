"""What a gate is: a question about one source of a delivery, with the figure it found beside its limit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from spanishgas.config import QualitySettings


@dataclass(frozen=True)
class Found:
    """What a gate found at a source.

    Attributes:
        passed: Whether the source keeps to the limit.
        value: The figure, in the limit's unit.
        limit: The limit in words.
        told: The figure in words, with what it is made of.
    """

    passed: bool
    value: float
    limit: str
    told: str


class OfSource(Protocol):
    """Facts about one source of a delivery."""

    @property
    def source(self) -> str:
        """Name of the source contract."""


# Differences of shares carry rounding: 0.98 - 0.97 is more than 0.01.
ROUNDING = 1e-9
Facts = TypeVar("Facts", bound=OfSource)


@dataclass(frozen=True)
class Gate(Generic[Facts]):
    """A gate.

    Attributes:
        name: Stable name, also in ``quality.limits`` and ``quality.accept``.
        asks: What it asks, as a sentence.
        ask: What it finds, given the facts about a source, its limit and the settings; None where it cannot be asked.
    """

    name: str
    asks: str
    ask: Callable[[Facts, float, QualitySettings], Found | None]


@dataclass(frozen=True)
class Verdict:
    """One gate's answer about one source.

    Attributes:
        gate: Name of the gate.
        source: Name of the source.
        found: What it found.
        accepted: Whether its failure is accepted.
    """

    gate: str
    source: str
    found: Found
    accepted: bool

    @property
    def name(self) -> str:
        """Name under which it is accepted alone."""
        return f"{self.gate}.{self.source}"

    @property
    def refuses(self) -> bool:
        """Whether the delivery must not be published for it."""
        return not self.found.passed and not self.accepted


def judge(gates: Sequence[Gate[Facts]], facts: Iterable[Facts], settings: QualitySettings) -> tuple[Verdict, ...]:
    """Asks every gate about every source, none of them knowing of the others."""
    verdicts = []
    for one in facts:
        for gate in gates:
            limit = settings.limit(gate.name, one.source)
            found = None if limit is None else gate.ask(one, limit, settings)
            if found is not None:
                verdicts.append(Verdict(gate.name, one.source, found, settings.accepts(gate.name, one.source)))
    return tuple(verdicts)


def percent(share: float) -> str:
    """A share for people, with enough digits to tell it from a limit."""
    return f"{share:.2%}" if abs(share) < 0.1 else f"{share:.1%}"


def at_least(value: float, limit: float, told: str) -> Found:
    """A share that must not be below a limit."""
    return Found(value >= limit, value, f"at least {percent(limit)}", told)


def at_most(value: float, limit: float, told: str) -> Found:
    """A share that must not be above a limit."""
    return Found(value <= limit, value, f"at most {percent(limit)}", told)
