"""Texts of tables that people open in a spreadsheet, which takes some of them for formulas."""

import csv
import io
import re

# What a spreadsheet may calculate, or send somewhere, as soon as a file is opened.
FORMULA = re.compile(r"[\s\x00]*[=+\-@\t\r]")
SUSPECT = re.compile(r"(^|[,\"])[\s\x00]*([=+@\t\r]|-(?![0-9.]))", re.MULTILINE)


def harmless(text: str) -> str:
    """A cell with an apostrophe before it where a spreadsheet would take it for a formula; numbers stay.

    A carriage return within, which some take for the end of a row, becomes a space.
    """
    text = text.replace("\r", " ")
    if not FORMULA.match(text) or text.strip() in ("-", "+"):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def harmless_csv(text: str) -> str:
    """A table as comma-separated text, with every cell harmless; as it is where it has none that is not."""
    text = text.replace("\r", " ")
    if not SUSPECT.search(text):
        return text
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    written = io.StringIO()
    rows = csv.reader(io.StringIO(text, newline=""))
    csv.writer(written, lineterminator="\n").writerows([harmless(cell) for cell in row] for row in rows)
    return written.getvalue()
