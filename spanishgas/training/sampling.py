"""A sample of a training set: whole histories of some customers, and of more or all of them the rows that leave.

Leavers are few and tell most, so more of them are kept (case-cohort sampling: Prentice, Biometrika 73, 1986). Whoever
looks at outcomes weighs each row by how many it stands for; whoever looks at features alone takes the rows of drawn
customers, which are alike to all.
"""

import ibis
import ibis.expr.types as ir
import pandas as pd

from spanishgas.config import SampleSettings
from spanishgas.training.labels import WINDOWS

DIGITS = 15
SAMPLE = "labels.sample"


def sampled(outcomes: ir.Table, sample: SampleSettings) -> ir.Table:
    """Rows of the sample, with ``sampled`` and ``sample_weight``.

    The same customer is drawn in every run, by every engine, whoever else there is; a larger share keeps who was drawn.

    Args:
        outcomes: ``customer_id``, ``left_horizon`` and ``left_<window>``.
        sample: Shares of the customers.

    Returns:
        Rows of customers drawn for ``stayers``, and rows that leave within the horizon of those drawn for ``leavers``.
        ``sample_weight`` is the inverse of the probability that the row is kept.
    """
    if sample.stayers >= 1:
        return outcomes.mutate(sampled=ibis.literal(True), sample_weight=ibis.literal(1.0))
    drawn = is_drawn(outcomes.customer_id, sample.stayers, SAMPLE)
    leaves = ibis.or_(*(outcomes[f"left_{one}"].fill_null(0) == 1 for one in (*WINDOWS, "horizon")))
    kept = drawn | (leaves & is_drawn(outcomes.customer_id, sample.leavers, SAMPLE))
    return outcomes.filter(kept).mutate(
        sampled=drawn,
        sample_weight=ibis.ifelse(leaves, 1 / sample.leavers, 1 / sample.stayers),
    )


def is_drawn(customer: ir.StringValue, share: float, purpose: str) -> ir.BooleanValue:
    """Whether a customer is among a share of all: the same ones on every engine and every day.

    Args:
        customer: Their ids.
        share: The share; who is drawn for a smaller one is drawn for a larger one, too.
        purpose: Draws for different purposes have nothing to do with each other.
    """
    if share >= 1:
        return ibis.literal(True)
    draw = (ibis.literal(f"{purpose}|") + customer).hexdigest("sha256").substr(0, DIGITS)
    return draw < f"{int(share * 16**DIGITS):0{DIGITS}x}"


def are_alike(table: pd.DataFrame) -> "pd.Series[bool]":
    """Rows of a training set whose features are those of everybody: all where nothing was sampled."""
    if "sampled" not in table.columns:  # published by a release that did not sample
        return pd.Series(True, table.index)
    return table["sampled"].astype(bool)
