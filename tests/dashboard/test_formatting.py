"""Values as Spanish and English readers write them."""

import pandas as pd
import pytest

from spanishgas.dashboard.formatting import Format, plain

EN, ES = Format("en"), Format("es")
S = "\u00a0"


@pytest.mark.parametrize(
    ("value", "digits", "english", "spanish"),
    [
        (0, 0, "0", "0"),
        (999.5, 1, "999.5", "999,5"),
        (1234, 0, "1,234", "1.234"),  # as invoices do, from four digits on
        (12345, 0, "12,345", "12.345"),
        (1234567.891, 2, "1,234,567.89", "1.234.567,89"),
        (-1234.5, 2, "-1,234.50", "-1.234,50"),
        (-0.001, 2, "0.00", "0,00"),  # no negative zero
        (None, 2, "–", "–"),
        (float("nan"), 2, "–", "–"),
        (float("inf"), 2, "–", "–"),
        (pd.NA, 0, "–", "–"),
    ],
)
def test_numbers(value: object, digits: int, english: str, spanish: str) -> None:
    assert (EN.number(value, digits), ES.number(value, digits)) == (english, spanish)


@pytest.mark.parametrize(
    ("value", "english", "spanish"),
    [
        (12.5, "€12.50", f"12,50{S}€"),
        (-12345.678, "-€12,345.68", f"-12.345,68{S}€"),
        (float("nan"), "–", "–"),
    ],
)
def test_euros(value: float, english: str, spanish: str) -> None:
    assert (EN.eur(value, 2), ES.eur(value, 2)) == (english, spanish)


def test_signs_are_written_where_asked_for() -> None:
    assert EN.eur(3, sign=True) == "+€3"
    assert ES.eur(-3, sign=True) == f"-3{S}€"
    assert EN.number(0, sign=True) == "0"


def test_shares_are_percentages() -> None:
    assert (EN.pct(0.1234), ES.pct(0.1234)) == ("12.3%", f"12,3{S}%")
    assert (EN.pct(1, 0), ES.pct(None)) == ("100%", "–")


def test_days_months_and_moments() -> None:
    assert (EN.day("2026-09-01"), ES.day("2026-09-01")) == (f"1{S}Sep{S}2026", f"1{S}sept{S}2026")
    assert ES.month(pd.Timestamp(2026, 1, 31)) == f"ene{S}2026"
    assert EN.day(pd.NaT) == "–"
    # An hour ahead of UTC in winter, two in summer.
    assert ES.moment("2026-01-31T23:30:00+00:00") == f"1{S}feb{S}2026, 00:30"
    assert EN.moment("2026-07-01T10:00:00+00:00") == f"1{S}Jul{S}2026, 12:00"


def test_words_in_a_row() -> None:
    assert EN.listed(["a"]) == "a"
    assert EN.listed(["a", "b", "c"]) == "a, b and c"
    assert ES.listed(["luz", "gas"]) == "luz y gas"
    assert ES.listed(["luz", "internet"]) == "luz e internet"


def test_intervals() -> None:
    assert EN.interval(0.5, 0.4, 0.6, 2) == "0.50 (0.40 to 0.60)"
    assert ES.interval(0.5, 0.4, 0.6, 1) == "0,5 (0,4 a 0,6)"
    assert ES.interval(0.5, float("nan"), None, 1) == "0,5"


def test_a_file_is_read_as_numbers_by_a_spreadsheet_of_the_language() -> None:
    table = pd.DataFrame({"Cliente": ["C1"], "Año": [1.5]})
    assert ES.csv(table) == "\ufeffCliente;Año\nC1;1,5\n".encode()
    assert EN.csv(table) == "\ufeffCliente,Año\nC1,1.5\n".encode()
    formula = pd.DataFrame({"Cliente": ["=1+1", "C1"], "Margen": [-1.5, 2.0]})
    assert ES.csv(formula) == "\ufeffCliente;Margen\n'=1+1;-1,5\nC1;2,0\n".encode()


def test_charts_are_told_the_same_rules() -> None:
    number = ES.chart_locale["number"]
    assert (number["decimal"], number["thousands"], number["currency"]) == (",", ".", ["", f"{S}€"])
    assert ES.chart_locale["time"]["shortMonths"][0] == "ene"
    assert EN.chart_locale["number"]["currency"] == ["€", ""]


def test_texts_of_others_are_shown_as_they_are() -> None:
    assert plain("![x](http://a.b/c.png) **bold** `code` :red[x]\n# head") == (
        r"\!\[x\]\(http\://a.b/c.png\) \*\*bold\*\* \`code\` \:red\[x\] \# head"
    )
