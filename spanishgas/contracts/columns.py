"""Columns that contracts of several rooms share."""

from spanishgas.contracts.base import Column, KnownAt

AT_RUN_DATE = KnownAt(column="run_date")


def run_date(description: str) -> Column:
    """The day that a table's partition is of."""
    return Column(name="run_date", type="date", description=description)


def count(name: str, description: str, *, nullable: bool = False) -> Column:
    """A number of things: whole and not negative."""
    return Column(name=name, type="int", description=description, minimum=0, nullable=nullable)
