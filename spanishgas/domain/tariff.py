"""Tariff periods of 2.0TD: peak, standard and off-peak, by the start of the hour.

Source: Circular 3/2020 of the CNMC, article 7 and annex II. On the mainland, the Balearic and the Canary Islands peak
is 10-14 and 18-22 in civil time; in Ceuta and Melilla it is an hour later. Weekends and national holidays of fixed date
are off-peak all day. Supplies above 15 kW are 3.0TD, whose six periods these three only approximate.
"""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.domain.civil_time import CANARY, MAINLAND, hour_calendar
from spanishgas.domain.holidays_es import fixed_national_holidays

Zone = Literal["mainland", "canary", "ceuta_melilla"]
PEAK, STANDARD, OFF_PEAK = 1, 2, 3
TIMEZONES: Final[dict[Zone, str]] = {"mainland": MAINLAND, "canary": CANARY, "ceuta_melilla": MAINLAND}
ZONE_OF_PROVINCE: Final[dict[str, Zone]] = {
    "35": "canary",
    "38": "canary",
    "51": "ceuta_melilla",
    "52": "ceuta_melilla",
}
MAX_20TD_KW = 15.0


def _by_hour(zone: Zone) -> npt.NDArray[np.int64]:
    """Period of each wall-clock hour of a working day."""
    later = 1 if zone == "ceuta_melilla" else 0
    periods = np.full(24, OFF_PEAK)
    periods[8:24] = STANDARD
    periods[10 + later : 14 + later] = PEAK
    periods[18 + later : 22 + later] = PEAK
    return periods


def tariff_periods(days: "pd.Series[pd.Timestamp]", hours: "pd.Series[int]", zone: Zone) -> npt.NDArray[np.int64]:
    """Period 1 (peak), 2 (standard) or 3 (off-peak) of hours.

    Args:
        days: Civil days.
        hours: Wall-clock hours of the starts, 0 to 23.
        zone: Tariff zone.
    """
    month_days = days.dt.month * 100 + days.dt.day
    holidays = [month * 100 + day for month, day in fixed_national_holidays()]
    free = (days.dt.dayofweek >= 5) | month_days.isin(holidays)
    return np.where(free, OFF_PEAK, _by_hour(zone)[hours.to_numpy()])


def tariff_calendar(first: pd.Timestamp, last: pd.Timestamp, zone: Zone) -> pd.DataFrame:
    """``hour_calendar`` of a zone with the tariff ``period`` of each hour."""
    frame = hour_calendar(first.date(), last.date(), TIMEZONES[zone])
    frame["period"] = tariff_periods(frame["day"], frame["hour"], zone)
    return frame
