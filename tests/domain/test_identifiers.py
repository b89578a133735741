"""One spelling of each identifier, by both writings of the rule."""

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanishgas.domain.identifiers import is_unsafe, is_unsafe_value, one_spelling, one_spelling_of

CUPS = "ES0031405000000001JN"
# Letters of three alphabets, every kind of space and mark, what makes paths, controls.
SIGNS = "aA1zñÑßé./\\\t\n\x00\x07\x7f\x85\x1c\x1f \u00a0\u00ad\u200b\u200f\u2028\u202e\u3000\ufeffİﬁ-_"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (CUPS, CUPS),
        (f"{CUPS}0F", CUPS),
        (f" {CUPS.lower()}1p ", CUPS),
        ("ES0031 4050 0000 0001 JN 0F", CUPS),
        (f"\ufeff{CUPS}\u200b", CUPS),
        ("c00\u00a0001\t", "C00001"),
        ("12345678901234567890AB", "12345678901234567890AB"),
        ("\u200b \ufeff", None),
        (None, None),
    ],
)
def test_spaces_case_marks_and_points_of_measurement_make_no_second_customer(
    written: str | None, told: str | None
) -> None:
    assert one_spelling(written, "folded") == told


def test_where_letters_tell_customers_apart_they_are_left_alone() -> None:
    assert one_spelling(" a\u00a0b\ufeff", "as_written") == "a\u00a0b"
    assert one_spelling(f"{CUPS}0F", "as_written") == f"{CUPS}0F"


@pytest.mark.parametrize("text", ["../A", "A/B", "A\\B", "..", ".", "A..B", "A\x00B", "A\nB", "A\x85B", "A\x1fB"])
def test_paths_and_control_characters_are_unsafe(text: str) -> None:
    assert is_unsafe(text)


@pytest.mark.parametrize("text", [CUPS, "A.B", "A-1", "Ñ_2", "a@b.es", None])
def test_usual_identifiers_are_safe(text: str | None) -> None:
    assert not is_unsafe(text)


@settings(max_examples=15)
@given(texts=st.lists(st.text(alphabet=SIGNS, max_size=8), min_size=30, max_size=60))
def test_the_expression_says_the_same(texts: list[str]) -> None:
    connection = ibis.duckdb.connect()
    table = connection.create_table("told", ibis.memtable({"text": [*texts, CUPS.lower() + "0f"]}))
    for spelling in ("folded", "as_written"):
        told = one_spelling_of(table.text, spelling)
        frame = connection.execute(table.select(table.text, told=told, unsafe=is_unsafe_value(told)))
        for text, found, unsafe in frame.itertuples(index=False):
            wanted = one_spelling(text, spelling)
            assert (found if isinstance(found, str) else None) == wanted, repr(text)
            assert bool(unsafe is True or unsafe == True) == is_unsafe(wanted), repr(text)  # noqa: E712
    connection.disconnect()
