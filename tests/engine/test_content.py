"""The digest of rows: the rows alone decide it, not their order, the order of columns, files, or widths of types."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanishgas.engine.content import RowsHash, digest_of_files, hash_file, hash_rows

TABLE = pa.table(
    {
        "id": ["a", "b", None, "ñ"],
        "n": pa.array([1, None, 3, -4], pa.int64()),
        "x": [0.5, None, float("nan"), -0.0],
        "flag": [True, False, None, True],
        "day": pa.array([0, 1, None, 20_000], pa.date32()),
        "at": pa.array([0, None, 5, 10**15], pa.timestamp("us")),
    }
)


def digest(table: pa.Table) -> str:
    found = sum((hash_rows(batch) for batch in table.to_batches(max_chunksize=3)), RowsHash())
    return found.digest(table.schema)


def test_order_of_rows_columns_and_parts_does_not_matter() -> None:
    turned = TABLE.take([3, 1, 0, 2]).select(list(reversed(TABLE.column_names)))
    assert digest(turned) == digest(TABLE)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("n", pa.int32()),
        ("n", pa.int8()),
        ("id", pa.large_string()),
        ("id", pa.dictionary(pa.int32(), pa.string())),
        ("day", pa.date64()),
        ("at", pa.timestamp("ns")),
    ],
)
def test_width_and_coding_do_not_matter(column: str, kind: pa.DataType) -> None:
    place = TABLE.column_names.index(column)
    assert digest(TABLE.set_column(place, column, TABLE[column].cast(kind))) == digest(TABLE)


def test_minus_zero_is_zero_and_not_a_number_is_one_value() -> None:
    other = np.array([0x7FF8000000000001], np.uint64).view(np.float64)
    assert digest(pa.table({"x": [0.0, float("nan")]})) == digest(pa.table({"x": pa.array([-0.0, other[0]])}))
    assert digest(pa.table({"x": [float("nan")]})) != digest(pa.table({"x": pa.array([None], pa.float64())}))


@pytest.mark.parametrize("column", TABLE.column_names)
def test_every_value_and_every_name_counts(column: str) -> None:
    place = TABLE.column_names.index(column)
    for row in range(TABLE.num_rows):
        values = TABLE[column].to_pylist()
        others = [one for one in values if one != values[row] and one == one]
        values[row] = others[0]
        changed = TABLE.set_column(place, column, pa.array(values, TABLE[column].type))
        assert digest(changed) != digest(TABLE), (column, row)
    assert digest(TABLE.rename_columns([f"{one}_" if one == column else one for one in TABLE.column_names])) != digest(
        TABLE
    )


def test_values_that_change_places_count() -> None:
    one = pa.table({"a": ["x", "y"], "b": ["y", "x"]})
    assert digest(one) != digest(pa.table({"a": ["x", "x"], "b": ["y", "y"]}))
    assert digest(one) != digest(one.rename_columns(["b", "c"]))
    assert digest(pa.table({"a": ["x"] * 2})) != digest(pa.table({"a": ["x"] * 4}))


def test_a_kind_counts_where_there_are_no_rows() -> None:
    assert digest(pa.table({"a": pa.array([], pa.int64())})) != digest(pa.table({"a": pa.array([], pa.string())}))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.text(max_size=5) | st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=30),
    cut=st.integers(0, 30),
)
def test_files_can_be_cut_anywhere(tmp_path: Path, rows: list[tuple[str | None, int]], cut: int) -> None:
    table = pa.table(
        {"t": pa.array([one[0] for one in rows], pa.string()), "n": pa.array([one[1] for one in rows], pa.int64())}
    )
    files = [tmp_path / "one.parquet", tmp_path / "two.parquet", tmp_path / "whole.parquet"]
    for file, part in zip(files, (table.slice(0, cut), table.slice(cut), table), strict=True):
        pq.write_table(part, file)
    hashes = [hash_file(file) for file in files]
    assert digest_of_files(files[:2], hashes[:2]) == digest_of_files(files[2:], hashes[2:])
    assert digest_of_files(files[2:], hashes[2:])[1] == len(rows)


def test_every_part_of_a_hash_counts() -> None:
    schema = pa.schema([("a", pa.int64())])
    hashes = (RowsHash(1, 2, 3), RowsHash(2, 2, 3), RowsHash(1, 1, 3), RowsHash(1, 2, 2), RowsHash(1, 3, 2))
    assert len({one.digest(schema) for one in hashes}) == len(hashes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([True, False]), pa.array([1, 0])),
        (pa.array([0, 1], pa.timestamp("us")), pa.array([0, 1], pa.timestamp("us", "UTC"))),
        (pa.array(["1", "0"]), pa.array([1, 0])),
        (pa.array([0, 1], pa.date32()), pa.array([0, 1], pa.int32())),
        (pa.array([1, 0]), pa.array([1.0, 0.0])),
        (pa.array([[1], [2]]), pa.array([[1], [3]])),
        (pa.array([2**64 - 1], pa.uint64()), pa.array([2**64 - 2], pa.uint64())),
    ],
)
def test_kinds_are_told_apart(one: pa.Array, other: pa.Array) -> None:
    assert digest(pa.table({"a": one})) != digest(pa.table({"a": other}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([Decimal("1.50"), None]), pa.array([1.5, None])),
        (pa.array([None, None], pa.null()), pa.array([None, None], pa.string())),
        (pa.array([0, 1], pa.timestamp("us", "Europe/Madrid")), pa.array([0, 1], pa.timestamp("us", "UTC"))),
        (pa.array([0.5, -2.0], pa.float32()), pa.array([0.5, -2.0])),
        (pa.array([7, None], pa.uint64()), pa.array([7, None])),
    ],
)
def test_widths_are_not(one: pa.Array, other: pa.Array) -> None:
    assert digest(pa.table({"a": one})) == digest(pa.table({"a": other}))


def test_names_that_begin_alike_are_told_apart() -> None:
    one = pa.table({"kwh": [1, 2], "kwp": [2, 1]})
    assert digest(one) != digest(one.rename_columns(["kwp", "kwh"]).take([0]))
    hashed = [hash_rows(one.rename_columns(names).to_batches()[0]) for names in (["ka", "kb"], ["ka", "kc"])]
    assert hashed[0] != hashed[1]


def test_all_of_a_large_file_counts_and_files_may_differ_in_width(tmp_path: Path) -> None:
    numbers = np.arange(150_000)
    narrow = {"n": pa.array(numbers[:1000], pa.int32())}
    wide = {"n": pa.array(numbers[1000:]), "only_here": pa.array(["x"] * 149_000)}
    digests = []
    for place, first in enumerate((0, -1)):
        files = [tmp_path / f"{place}-{name}.parquet" for name in ("narrow", "wide")]
        pq.write_table(pa.table(narrow), files[0])
        pq.write_table(pa.table({**wide, "n": pa.array(np.append(first, numbers[1001:]))}), files[1])
        digests.append(digest_of_files(files, [hash_file(file) for file in files]))
    assert digests[0][1] == digests[1][1] == 150_000
    assert digests[0][0] != digests[1][0]


def test_digests_stay_what_they_are_from_release_to_release() -> None:
    """One that changes makes every table of every retailer again: a matter for the release notes."""
    more = TABLE.append_column("tags", pa.array([["a"], [], None, ["b", "ñ"]]))
    assert digest(more)[:16] == "ffcda1b79312e863"
