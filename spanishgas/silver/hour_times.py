"""The times of a chunk's rows as keys: one text or timestamp, a day with a time beside it, or a day with an index."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spanishgas.config import ColumnMapping
from spanishgas.domain.civil_time import DAY_SECONDS
from spanishgas.engine.chunks import Chunk
from spanishgas.silver import hour_columns
from spanishgas.silver.hour_keys import (
    COUNTS,
    FIXED,
    NO_KEY,
    OFF_KEY,
    SLOT_MINUTES,
    Clock,
    Ints,
    days_of_instants,
    days_of_texts,
    keys_of_days,
    keys_of_days_and_minutes,
    keys_of_seconds,
    keys_of_texts,
    minutes_of_texts,
)

Mask = npt.NDArray[np.bool_]
Fault = tuple[str, Mask, str | None]
LARGEST_INDEX = 100


@dataclass(frozen=True)
class Times:
    """Times of rows.

    Attributes:
        keys: Distinct keys; see ``hour_keys``.
        hour: Position in ``keys`` of every row.
        faults: Reason, rows without a readable time, and the column that shows it.
        shown: Column that shows what is wrong with a time that can be read.
        ahead: Quarter hours that the clock is ahead of the keys.
    """

    keys: Ints
    hour: npt.NDArray[np.int32]
    faults: list[Fault]
    shown: str = "timestamp"
    ahead: int = 0


def read_times(chunk: Chunk, columns: Mapping[str, ColumnMapping], clock: Clock, memo: hour_columns.Memo) -> Times:
    """Times of a chunk's rows."""
    times = _read(chunk, columns, clock, memo)
    return replace(times, ahead=FIXED[clock] // (60 * SLOT_MINUTES)) if FIXED.get(clock) else times


def _read(chunk: Chunk, columns: Mapping[str, ColumnMapping], clock: Clock, memo: hour_columns.Memo) -> Times:
    time = hour_columns.coded(chunk, columns["time"], memo) if clock != "hour_index" else None
    if time is not None:
        return _of_day_and_time(chunk, columns, clock, memo, time)
    times = _of_one_column(chunk, columns["timestamp"], clock, memo)
    return times if clock != "hour_index" else _of_index(chunk, columns["hour_index"], memo, times)


def _of_one_column(chunk: Chunk, mapping: ColumnMapping, clock: Clock, memo: hour_columns.Memo) -> Times:
    raw = hour_columns.raw_column(chunk, mapping)
    if raw is not None and (pa.types.is_timestamp(raw.type) or pa.types.is_date(raw.type)):
        seconds = raw.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        missing = seconds.is_null().to_numpy(zero_copy_only=False) if seconds.null_count else None
        micros = seconds.fill_null(0).to_numpy(zero_copy_only=False)
        whole, rest = np.divmod(micros, 1_000_000)
        row_keys = keys_of_days(_civil_days(raw, whole)) if clock == "hour_index" else keys_of_seconds(whole, clock)
        if rest.any():
            row_keys = np.where((rest != 0) & (row_keys >= 0), OFF_KEY, row_keys)
        keys, hour = _dense(row_keys)
    else:
        found = hour_columns.coded(chunk, mapping, memo)
        assert found is not None
        missing = found.codes < 0 if (found.codes < 0).any() else None
        hour = np.maximum(found.codes, 0)
        texts = found.texts
        if found.dictionary is None:
            keys = keys_of_texts(texts, clock, mapping.date_format)
        else:
            keys = memo.get(("keys",), found.dictionary, lambda: keys_of_texts(texts, clock, mapping.date_format))
    faults: list[Fault] = [] if missing is None else [("missing_timestamp", missing, None)]
    return Times(keys, hour.astype(np.int32, copy=False), faults)


def _of_index(chunk: Chunk, mapping: ColumnMapping, memo: hour_columns.Memo, days: Times) -> Times:
    index = hour_columns.numbers(chunk, mapping, memo)
    assert index is not None
    values = index[0]
    with np.errstate(invalid="ignore"):
        odd = ~((values >= 1) & (values <= LARGEST_INDEX) & (values == np.rint(values)))
    base = days.keys[days.hour]
    keys, hour = _dense(np.where(odd | (base < 0), NO_KEY, base + np.where(odd, 0, values).astype(np.int64)))
    faults = [*days.faults, ("invalid_hour_index", odd, "hour_index")] if odd.any() else days.faults
    return Times(keys, hour, faults)


def _of_day_and_time(
    chunk: Chunk, columns: Mapping[str, ColumnMapping], clock: Clock, memo: hour_columns.Memo, time: hour_columns.Coded
) -> Times:
    days, missing = _days(chunk, columns["timestamp"], memo)
    texts = time.texts
    read = memo.get(("minutes",), time.dictionary, lambda: minutes_of_texts(texts)) if time.dictionary else None
    read = minutes_of_texts(texts) if read is None else read
    without = time.codes < 0
    minutes = np.where(without, -1, read[np.maximum(time.codes, 0)] if len(read) else -1)
    keys, hour = _dense(keys_of_days_and_minutes(days, minutes, clock))
    told = (
        ("missing_timestamp", missing, None),
        ("missing_time", without, None),
        ("invalid_time", (minutes == -1) & ~without, "time"),
        ("off_clock", minutes == COUNTS, "time"),
    )
    faults: list[Fault] = [fault for fault in told if fault[1].any()]
    # A day that cannot be read shows itself, everything else shows in the time.
    return Times(keys, hour, faults, "timestamp" if (days < 0).any() else "time")


def _days(chunk: Chunk, mapping: ColumnMapping, memo: hour_columns.Memo) -> tuple[Ints, Mask]:
    """Days since 1970 of all rows, ``NO_KEY`` where unreadable, and the rows without one."""
    raw = hour_columns.raw_column(chunk, mapping)
    if raw is not None and (pa.types.is_timestamp(raw.type) or pa.types.is_date(raw.type)):
        seconds = raw.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
        missing = seconds.is_null().to_numpy(zero_copy_only=False)
        return _civil_days(raw, seconds.fill_null(-1).to_numpy(zero_copy_only=False)), missing
    found = hour_columns.coded(chunk, mapping, memo)
    assert found is not None
    texts = found.texts
    if found.dictionary is None:
        read = days_of_texts(texts, mapping.date_format)
    else:
        read = memo.get(("days",), found.dictionary, lambda: days_of_texts(texts, mapping.date_format))
    missing = found.codes < 0
    return np.where(missing, NO_KEY, read[np.maximum(found.codes, 0)] if len(read) else NO_KEY), missing


def _civil_days(raw: pa.Array, seconds: Ints) -> Ints:
    """Days of typed values, ``NO_KEY`` where one is no midnight."""
    if pa.types.is_timestamp(raw.type) and raw.type.tz is not None:
        distinct, place = np.unique(seconds, return_inverse=True)
        return np.asarray(days_of_instants(distinct)[place])
    days, rest = np.divmod(seconds, DAY_SECONDS)
    return np.where((rest == 0) & (days > 0), days, NO_KEY)


def _dense(row_keys: Ints) -> tuple[Ints, npt.NDArray[np.int32]]:
    """Distinct keys and every row's position in them; a plain offset while the keys lie close together."""
    known = row_keys[row_keys >= 0]
    if len(known) and int(known.max()) - int(known.min()) < 4_000_000:
        low, high = int(known.min()), int(known.max())
        keys = np.append(np.arange(low, high + 1), [OFF_KEY, NO_KEY])
        lost = np.where(row_keys == NO_KEY, len(keys) - 1, len(keys) - 2)
        return keys, np.where(row_keys < 0, lost, row_keys - low).astype(np.int32)
    keys, hour = np.unique(row_keys, return_inverse=True)
    return keys, hour.astype(np.int32)
