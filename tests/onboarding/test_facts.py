"""What the values of a column are."""

from datetime import date

import pytest

from spanishgas.onboarding.encodings import encoding_of
from tests.onboarding.frames import facts


@pytest.mark.parametrize(
    ("texts", "layout", "others"),
    [
        (["2024-01-31", "2024-02-01 00:00:00"], None, ()),
        (["31/01/2024", "01/02/2024"], "%d/%m/%Y", ()),
        (["2024/03/28"], "%Y/%m/%d", ()),
        (["01/31/2024", "02/28/2024"], "%m/%d/%Y", ()),
        (["03/04/2024", "05/06/2024"], "%d/%m/%Y", ("%m/%d/%Y",)),
        # Always a first of a month: nobody writes the day in the middle.
        (["01/04/2024", "01/05/2024"], "%d/%m/%Y", ()),
        (["04/01/2024", "05/01/2024"], "%m/%d/%Y", ()),
        (["31/01/2024 00:00", "01/02/2024 13:00"], "%d/%m/%Y %H:%M", ()),
        (["20240131", "20240201"], "%Y%m%d", ()),
        (["01/2024", "12/2024"], "%m/%Y", ()),
    ],
)
def test_dates_tell_their_format_and_their_doubts(
    texts: list[str], layout: str | None, others: tuple[str, ...]
) -> None:
    told = facts(texts).dates
    assert told is not None
    assert (told.format, told.others) == (layout, others)


def test_days_that_mean_nothing_are_no_last_day() -> None:
    told = facts(["2024-01-05", "9999-12-31", "1900-01-01", "2024-02-05"]).dates
    assert told is not None
    assert (told.first, told.last) == (date(2024, 1, 5), date(2024, 2, 5))


@pytest.mark.parametrize("texts", [["12", "13"], ["C00001", "C00002"], ["2024-13-45", "x"], ["1234567", "7654321"]])
def test_what_is_no_date(texts: list[str]) -> None:
    assert facts(texts).dates is None


@pytest.mark.parametrize(
    ("texts", "decimal", "ambiguous", "high"),
    [
        (["0,431", "1.234,5"], "comma", 0, 1234.5),
        (["0.431", "12.5"], "point", 0, 12.5),
        (["1.234", "2.345"], None, 2, 2.345),
        # One value with a comma tells what the points of the others are.
        (["1.234", "2.345", "0,5"], "comma", 0, 2345.0),
        (["1", "2"], None, 0, 2.0),
    ],
)
def test_numbers_tell_their_decimal_mark(texts: list[str], decimal: str | None, ambiguous: int, high: float) -> None:
    told = facts(texts).numbers
    assert told is not None
    assert (told.decimal, told.ambiguous, told.high) == (decimal, ambiguous, high)


def test_hashes_with_huge_exponents_are_texts() -> None:
    assert facts(["12e3000000000aa", "1e2147483648", "38af19179925da21"]).numbers is None


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        ("código;año\n", "utf-8", None),
        ("código;año\n", "utf-16", None),
        ("código;año;Método €\n", "cp1252", "cp1252"),
        ("código;año;Ñ\n", "cp850", "cp850"),
        ("plain;ascii\n", "ascii", None),
    ],
)
def test_encodings_are_found(
    tmp_path_factory: pytest.TempPathFactory, text: str, encoding: str, told: str | None
) -> None:
    file = tmp_path_factory.mktemp("encoding") / "file.csv"
    file.write_bytes(text.encode(encoding))
    assert encoding_of(file) == told
