"""A short table of customers whose rows lead to the customer's page."""

from typing import Any

import pandas as pd
import streamlit as st

from spanishgas.dashboard.formatting import NOTHING
from spanishgas.dashboard.view import View

ROW_HEIGHT = 36


def customer_table(
    view: View, rows: pd.DataFrame, shown: pd.DataFrame, *, key: str, config: dict[str, Any], height: int | None = None
) -> None:
    """Draws a table; ticking a row, or a click on its customer, goes to the customer's page.

    Args:
        view: What the page is given.
        rows: ``customer_id`` of each row.
        shown: The same rows, as they are to be seen; the customer's id in the first column.
        key: Name of the table.
        config: Settings of columns.
        height: Pixels at most; None shows all rows.
    """
    whole = ROW_HEIGHT * (len(shown) + 1) + 2
    picked = st.dataframe(
        shown,
        hide_index=True,
        height=whole if height is None else min(height, whole),
        row_height=ROW_HEIGHT,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        key=key,
        column_config=config,
        placeholder=NOTHING,
    )
    # The box before a row, or the customer's id in it; other cells may be looked at in peace.
    ticked = list(picked["selection"]["rows"])
    ticked += [row for row, column in picked["selection"]["cells"] if column == shown.columns[0]]
    if ticked:
        go_to(view, str(rows["customer_id"].iloc[ticked[0]]))


def go_to(view: View, customer: str) -> None:
    """Opens a customer's page."""
    st.session_state["customer"] = customer
    st.switch_page(view.pages["customer"])
