"""A short table of customers whose rows lead to the customer's page."""

from typing import Any

import pandas as pd
import streamlit as st

from spanishgas.dashboard.view import View

ROW_HEIGHT = 36


def customer_table(
    view: View, rows: pd.DataFrame, shown: pd.DataFrame, *, key: str, config: dict[str, Any], height: int | None = None
) -> None:
    """Draws a table; choosing a row goes to the customer.

    Args:
        view: What the page is given.
        rows: ``customer_id`` of each row.
        shown: The same rows, as they are to be seen.
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
        selection_mode="single-row",
        key=key,
        column_config=config,
    )
    chosen = picked["selection"]["rows"]
    if chosen:
        go_to(view, str(rows["customer_id"].iloc[chosen[0]]))


def go_to(view: View, customer: str) -> None:
    """Opens a customer's page."""
    st.session_state["customer"] = customer
    st.switch_page(view.pages["customer"])
