"""National holidays of fixed date: the days that tariff 2.0TD prices like a weekend."""

from collections import Counter
from functools import cache

SURVEYED_YEARS = range(2015, 2031)
# A holiday of fixed date can be missing in a year in which the regions moved it; a movable feast never gets this far.
FIXED_FROM_YEARS = 8


@cache
def fixed_national_holidays() -> frozenset[tuple[int, int]]:
    """Month and day of Spain's national holidays of fixed date; movable feasts are left out.

    Taken from the ``holidays`` library: the dates that are national holidays in most of the years surveyed.
    """
    import holidays

    listed = holidays.country_holidays("ES", years=SURVEYED_YEARS, observed=False)
    counts = Counter((day.month, day.day) for day in listed)
    return frozenset(found for found, years in counts.items() if years >= FIXED_FROM_YEARS)
