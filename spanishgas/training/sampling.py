"""A sample of a training set: whole histories of some customers, and of everybody else the rows that leave.

Leavers are few and tell most, so all of them are kept (case-cohort sampling: Prentice, Biometrika 73, 1986). Whoever
looks at outcomes weighs each row by how many it stands for; whoever looks at features alone takes the rows of drawn
customers, which are alike to all.
"""

import ibis
import ibis.expr.types as ir
import pandas as pd

from spanishgas.training.labels import WINDOWS

DIGITS = 15
SALT = "labels.sample|"


def sampled(outcomes: ir.Table, share: float) -> ir.Table:
    """Rows of the sample, with ``sampled`` and ``sample_weight``.

    The same customer is drawn in every run, by every engine, whoever else there is; a larger share keeps who was drawn.

    Args:
        outcomes: ``customer_id``, ``left_horizon`` and ``left_<window>``.
        share: Share of the customers that are drawn, above 0 and at most 1.

    Returns:
        Rows of drawn customers, and rows of others who leave within the horizon. ``sample_weight`` is 1 for those who
        leave and 1 / share for all other rows: the inverse of the probability that the row is kept.
    """
    if share >= 1:
        return outcomes.mutate(sampled=ibis.literal(True), sample_weight=ibis.literal(1.0))
    limit = f"{int(share * 16**DIGITS):0{DIGITS}x}"
    drawn = (ibis.literal(SALT) + outcomes.customer_id).hexdigest("sha256")[:DIGITS] < limit
    leaves = ibis.or_(*(outcomes[f"left_{one}"].fill_null(0) == 1 for one in (*WINDOWS, "horizon")))
    marked = outcomes.mutate(sampled=drawn, sample_weight=ibis.ifelse(leaves, 1.0, 1 / share))
    return marked.filter(marked.sampled | (marked.sample_weight == 1.0))


def are_alike(table: pd.DataFrame) -> "pd.Series[bool]":
    """Rows of a training set whose features are those of everybody: all where nothing was sampled."""
    if "sampled" not in table.columns:  # published by a release that did not sample
        return pd.Series(True, table.index)
    return table["sampled"].astype(bool)
