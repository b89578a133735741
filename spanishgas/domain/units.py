"""Units of the trade: what turns one measure into another."""

GAS_KWH_PER_M3 = 11.0
"""Energy in a cubic metre of gas."""

MONTHS_PER_YEAR = 12
HOURS_PER_DAY = 24
YEAR_DAYS = 365  # length of a window of a year
