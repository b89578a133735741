"""Hourly readings: seasons, weekends, habits, heating, surplus, and the faults of real meters."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from spanishgas.demo.noise import Noise
from spanishgas.demo.population import CORPORATE, SECOND_HOME, SME, Days, Population
from spanishgas.domain.civil_time import hour_calendar
from spanishgas.domain.tariff import TIMEZONES, ZONE_OF_PROVINCE

FloatArray = npt.NDArray[np.float64]
ESTIMATED_RUNS, GAP_RUNS = 0.00035, 0.00007  # chance per hour that a run begins
ESTIMATED_HOURS, GAP_HOURS = 48, 36
DUPLICATE_SHARE = 0.0002
CORRECTED_DAYS = 0.0005
FAULT_NEGATIVE = 0.0004
GAS_NEGATIVE = 0.0006
HOURS_AT_2024 = 473_352  # hours since 1970
TEXT_FORMAT = "%Y-%m-%d %H:%M:%S"
MIN_CORRECTION_DAYS, CORRECTION_SPREAD = 8, 25
# Household demand by hour of the day, working days and weekends; means are 1.
HOME = np.array([
    .62, .52, .47, .45, .45, .50, .68, .92, 1.0, .95, .93, .98,
    1.08, 1.28, 1.25, 1.05, .95, .98, 1.12, 1.38, 1.62, 1.68, 1.35, .92,
])  # fmt: skip
OFFICE = np.array([
    .35, .33, .32, .32, .33, .40, .65, 1.1, 1.7, 1.95, 2.0, 1.95,
    1.75, 1.5, 1.6, 1.75, 1.7, 1.55, 1.35, 1.0, .7, .55, .45, .4,
])  # fmt: skip
GAS_DAY = np.array([
    .2, .15, .1, .1, .15, .6, 1.8, 2.2, 1.6, 1.0, .8, .7,
    .7, .8, .8, .8, .9, 1.2, 1.7, 2.0, 2.0, 1.6, 1.0, .5,
])  # fmt: skip


@dataclass(frozen=True)
class Clock:
    """The hours of the world in each zone, and the texts of their wall-clock starts.

    Attributes:
        texts: All texts, ascending; arrays of positions in it stand for timestamps.
        code: Zone -> position of the text of every hour.
        day: Zone -> day number (since 1970) of every hour.
        hour: Zone -> wall-clock hour.
        first_utc: Start of the first hour in hours since 1970, by zone.
    """

    texts: pa.StringArray
    code: dict[str, npt.NDArray[np.int32]]
    day: dict[str, npt.NDArray[np.int32]]
    hour: dict[str, npt.NDArray[np.int64]]
    first_utc: dict[str, int]


def draw_clock(first: date, last: date) -> Clock:
    """The civil hours of a period, on the mainland and on the Canary Islands."""
    calendars = {zone: hour_calendar(first, last, TIMEZONES[zone]) for zone in ("mainland", "canary")}
    texts = {zone: frame["civil"].dt.strftime(TEXT_FORMAT) for zone, frame in calendars.items()}
    known = np.unique(np.concatenate([text.to_numpy(dtype=str) for text in texts.values()]))
    return Clock(
        texts=pa.array(known),
        code={zone: np.searchsorted(known, text.to_numpy(dtype=str)).astype(np.int32) for zone, text in texts.items()},
        day={
            zone: frame["day"].to_numpy().astype("datetime64[D]").astype(np.int32) for zone, frame in calendars.items()
        },
        hour={zone: frame["hour"].to_numpy() for zone, frame in calendars.items()},
        first_utc={zone: int(frame["utc"].iloc[0].timestamp() // 3600) for zone, frame in calendars.items()},
    )


def hourly_readings(
    population: Population, noise: Noise, left_on: Days, first: date, last: date, block: int
) -> Iterator[pa.Table]:
    """Readings, block by block of customers, by customer and then time.

    Args:
        population: Customers.
        noise: Draws.
        left_on: Last day of supply; NaT for those who stay.
        first: First civil day.
        last: Last civil day, inclusive; what was recorded later is left out.
        block: Customers in one block; the rows do not depend on it.

    Yields:
        Tables with the columns of the contract; texts are dictionary-encoded.
    """
    clock = draw_clock(first, last)
    zones = np.array(
        ["canary" if ZONE_OF_PROVINCE.get(code) == "canary" else "mainland" for code in population.province]
    )
    for start in range(0, len(population), block):
        members = population.index[start : start + block]
        parts = [
            _block(population, noise, left_on, clock, zone, members[zones[members] == zone], last)
            for zone in ("mainland", "canary")
            if (zones[members] == zone).any()
        ]
        yield pa.concat_tables(parts)


def _block(
    population: Population,
    noise: Noise,
    left_on: Days,
    clock: Clock,
    zone: str,
    members: npt.NDArray[np.int64],
    last: date,
) -> pa.Table:
    day, hour, code = clock.day[zone], clock.hour[zone], clock.code[zone]
    hours = clock.first_utc[zone] + np.arange(len(day))  # absolute, so that another start repeats the same numbers
    who = members[:, None]
    elec = _electricity(population, noise, members, day, hour, hours)
    gas = _gas(population, noise, members, day, hour, hours)
    activation = population.activation[members].astype("datetime64[D]").astype(np.int64)[:, None]
    end = np.where(
        np.isnat(left_on[members]), np.iinfo(np.int32).max, left_on[members].astype("datetime64[D]").astype(np.int64)
    )
    present = (day[None, :] >= activation) & (day[None, :] <= end[:, None])
    present &= ~_runs(noise, "gap", who, hours, GAP_RUNS, GAP_HOURS)
    estimated = _runs(noise, "estimated", who, hours, ESTIMATED_RUNS, ESTIMATED_HOURS)
    copies = present.astype(np.int8)
    copies += present & (noise.uniform("duplicate", who, hours) < DUPLICATE_SHARE)
    corrected = noise.uniform("correction", who, day.astype(np.int64)) < CORRECTED_DAYS
    delay = MIN_CORRECTION_DAYS + (
        CORRECTION_SPREAD * noise.uniform("correction_delay", who, day.astype(np.int64))
    ).astype(np.int32)
    last_number = int(np.datetime64(last).astype("datetime64[D]").astype(np.int64)) + 1
    corrected &= (
        present & (noise.uniform("corrected_hour", who, hours) < 0.4) & (day[None, :] + 1 + delay <= last_number)
    )
    rows = np.repeat(np.arange(copies.size), (copies + corrected).ravel())
    # The last copy of a corrected hour is the correction: another value, recorded later.
    is_last = np.append(rows[1:] != rows[:-1], True) if len(rows) else np.zeros(0, bool)
    is_correction = corrected.ravel()[rows] & is_last
    customer, step = np.divmod(rows, len(hours))
    value = elec.ravel()[rows] * np.where(is_correction, 1.25, 1.0)
    recorded = day[step] + 1 + np.where(is_correction, delay[customer, step], 0).astype(np.int32)
    return pa.table(
        {
            "customer_id": pa.DictionaryArray.from_arrays(
                pa.array(members[customer].astype(np.int32)), pa.array(population.ids)
            ),
            "timestamp": pa.DictionaryArray.from_arrays(pa.array(code[step]), clock.texts),
            "consumption_elec_kwh": value,
            "consumption_gas_m3": gas.ravel()[rows],
            "is_estimated": estimated.ravel()[rows] & ~is_correction,
            "recorded_at": pa.array(recorded.astype(np.int32)).cast(pa.date32()),
        }
    )


def _electricity(
    population: Population,
    noise: Noise,
    members: npt.NDArray[np.int64],
    day: npt.NDArray[np.int32],
    hour: npt.NDArray[np.int64],
    hours: npt.NDArray[np.int64],
) -> FloatArray:
    segment = population.segment[members]
    dates = pd.DatetimeIndex(day.astype("datetime64[D]"))
    weekend = np.asarray(dates.dayofweek >= 5)
    season = np.cos(2 * np.pi * (dates.dayofyear.to_numpy() - 15) / 365.25)
    business = (segment == SME) | (segment == CORPORATE)
    shape = np.where(business[:, None], OFFICE[hour][None, :], HOME[hour][None, :])
    shape = shape * np.where(business[:, None], np.where(weekend, 0.45, 1.2), np.where(weekend, 1.12, 0.95))
    winter = 0.10 + 0.25 * noise.uniform("winter", members)
    summer = 0.05 + 0.30 * noise.uniform("summer", members)
    shape = shape * (1 + winter[:, None] * np.maximum(season, 0) + summer[:, None] * np.maximum(-season, 0))
    # A habit drifts over the years, and days differ from each other.
    growth = 0.12 * noise.normal("growth", members)[:, None] * ((hours - HOURS_AT_2024) / 8766)[None, :]
    daily = 0.22 * noise.normal("day", members[:, None], day.astype(np.int64)[None, :])
    hourly = 0.38 * noise.normal("hour", members[:, None], hours[None, :])
    value = (
        (population.annual_kwh[members] / 8766)[:, None]
        * shape
        * np.exp(np.clip(growth, -0.6, 0.6) + daily + hourly - 0.1)
    )
    second = segment == SECOND_HOME
    if second.any():
        there = weekend | np.isin(dates.month, (7, 8))
        value[second] *= np.where(there, 2.0, 0.12)[None, :]
    away = noise.uniform("away", members[:, None], (day // 7).astype(np.int64)[None, :]) < np.where(
        np.isin(dates.month, (8,)), 0.3, 0.03
    )
    value = np.where(away & ~business[:, None], 0.15 * value, value)
    sunny = np.where((hour >= 10) & (hour <= 16), 1.0, 0.0) * (1.1 - 0.5 * season)
    panels = population.self_consumption[members][:, None] * (population.annual_kwh[members] / 8766)[:, None]
    value = value - panels * sunny[None, :] * np.exp(
        0.5 * noise.normal("sun", members[:, None], day.astype(np.int64)[None, :]) - 0.35
    )
    fault = noise.uniform("negative", members[:, None], hours[None, :]) < FAULT_NEGATIVE
    return np.where(fault, -np.abs(value), value)


def _gas(
    population: Population,
    noise: Noise,
    members: npt.NDArray[np.int64],
    day: npt.NDArray[np.int32],
    hour: npt.NDArray[np.int64],
    hours: npt.NDArray[np.int64],
) -> FloatArray:
    value = np.zeros((len(members), len(hours)))
    has_gas = population.has_gas[members]
    if not has_gas.any():
        return value
    users = members[has_gas]
    season = np.cos(2 * np.pi * (pd.DatetimeIndex(day.astype("datetime64[D]")).dayofyear.to_numpy() - 15) / 365.25)
    heating = np.maximum(season, -0.2) + 0.2
    size = 0.055 * np.exp(0.6 * noise.normal("gas_size", users)) * np.where(population.segment[users] >= SME, 3.0, 1.0)
    used = size[:, None] * heating[None, :] * GAS_DAY[hour][None, :]
    used = used * np.exp(0.4 * noise.normal("gas_day", users[:, None], day.astype(np.int64)[None, :]))
    fault = noise.uniform("gas_negative", users[:, None], hours[None, :]) < GAS_NEGATIVE
    value[has_gas] = np.where(fault, -0.05 * used - 0.006, used)
    return value


def _runs(
    noise: Noise, purpose: str, who: npt.NDArray[np.int64], hours: npt.NDArray[np.int64], chance: float, length: int
) -> npt.NDArray[np.bool_]:
    """Runs of hours: each hour starts one with a small chance; a run reaches back to a fixed grid, not to the block."""
    begins = noise.uniform(purpose, who, hours[None, :]) < chance
    last = np.where(begins, np.arange(len(hours))[None, :], -length - 1)
    last = np.maximum.accumulate(last, axis=1)
    return np.asarray(np.arange(len(hours))[None, :] - last < length)
