"""Gates on files: is every source there, whole, and about as long as last time?"""

from dataclasses import dataclass

from spanishgas.config import QualitySettings
from spanishgas.quality.base import Found, Gate, percent


@dataclass(frozen=True)
class LandingFacts:
    """One source of a delivery, as its files were landed.

    Attributes:
        source: Name of the source contract.
        files: Raw files.
        rows: Rows landed.
        cut_off: Files that end in the middle of a row, or where a spreadsheet ends.
        last_rows: Rows of the last delivery before; None where there was none with this source.
        last_date: Run date of that delivery.
    """

    source: str
    files: int
    rows: int
    cut_off: tuple[str, ...] = ()
    last_rows: int | None = None
    last_date: str = ""


def _cut_off(facts: LandingFacts, limit: float, settings: QualitySettings) -> Found | None:
    if not facts.files:
        return None
    count = len(facts.cut_off)
    named = f" ({', '.join(facts.cut_off[:3])}{', …' if count > 3 else ''})" if count else ""
    return Found(count <= limit, count, f"at most {limit:g}", f"{count:,} of {facts.files:,} files are cut off{named}")


def _no_rows(facts: LandingFacts, limit: float, settings: QualitySettings) -> Found | None:
    if not facts.files:
        return None
    return Found(
        facts.rows >= limit, facts.rows, f"at least {limit:g}", f"{facts.rows:,} rows in {facts.files:,} files"
    )


def _fewer_rows(facts: LandingFacts, limit: float, settings: QualitySettings) -> Found | None:
    if not facts.last_rows:
        return None
    share = facts.rows / facts.last_rows
    told = f"{facts.rows:,} rows are {percent(share)} of the {facts.last_rows:,} of {facts.last_date}"
    return Found(share >= limit, share, f"at least {percent(limit)}", told)


GATES: tuple[Gate[LandingFacts], ...] = (
    Gate("cut_off", "No file ends in the middle of a row, or where a spreadsheet ends.", _cut_off),
    Gate("no_rows", "A source whose files are there has rows.", _no_rows),
    Gate("fewer_rows", "A source has not many fewer rows than in the last delivery.", _fewer_rows),
)
