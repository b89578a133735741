"""Instants in civil time: the one conversion that table expressions have no word of their own for."""

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir


@ibis.udf.scalar.builtin(name="timezone")  # type: ignore[untyped-decorator]
def _timezone(zone: str, instant: dt.Timestamp(timezone="UTC")) -> dt.timestamp:  # type: ignore[valid-type]
    """The engine's own function."""


def civil_time(instant: ir.TimestampValue, timezone: str) -> ir.TimestampValue:
    """Wall-clock time of an instant.

    Args:
        instant: Timestamps with a time zone.
        timezone: IANA name of the civil time.

    Returns:
        Timestamps without a time zone.
    """
    return _timezone(timezone, instant.cast("timestamp('UTC')"))
