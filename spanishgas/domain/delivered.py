"""What became of the rows of a delivery: silver counts them, the gates judge them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DeliveredRows:
    """Rows of one source of a delivery.

    Attributes:
        rows: Rows read, those that could not be parsed among them.
        quarantined: Rows in quarantine.
        quarantined_kwh: Their energy where it can be read; None for sources that tell of none.
        unusable: Check of the quality report -> share of rows that were kept although a value of theirs says nothing.
    """

    rows: int
    quarantined: int
    quarantined_kwh: float | None = None
    unusable: Mapping[str, float] = field(default_factory=dict)
