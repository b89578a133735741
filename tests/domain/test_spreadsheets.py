"""Texts that a spreadsheet would calculate stand in exports as texts; everything else stands as it was."""

import csv
import io

import pandas as pd
import pytest

from spanishgas.domain.spreadsheets import harmless, harmless_csv

FORMULAS = ['=HYPERLINK("http://x","y")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1,2)", "\t=1", " =1", "-a"]
PLAIN = ["C0001", "-1.5", "+3", "-1e-9", "-inf", "", "-", "a=b", "2026-01-31", "(-inf, 0]", 'ñ, "x"', "a\nb", "–"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_a_text(text: str) -> None:
    assert harmless(text) == f"'{text}"
    assert harmless(f"\r{text}") == f"' {text}"


@pytest.mark.parametrize("text", PLAIN)
def test_numbers_and_other_texts_stay(text: str) -> None:
    assert harmless(text) == text


def test_every_cell_of_a_table_is_harmless_and_none_else_changes() -> None:
    frame = pd.DataFrame({"customer_id": [*FORMULAS, "a\r=1", *PLAIN], "margin": -1.25, "=name": "x"})
    told = frame.to_csv(index=False)
    found = list(csv.reader(io.StringIO(harmless_csv(told), newline="")))
    wanted = [[harmless(cell) for cell in row] for row in csv.reader(io.StringIO(told.replace("\r", " "), newline=""))]
    assert found == wanted
    assert found[0] == ["customer_id", "margin", "'=name"]
    assert {row[1] for row in found[1:]} == {"-1.25"}
    untouched = frame[["margin"]].assign(customer_id="C1").to_csv(index=False)
    assert harmless_csv(untouched) is untouched
