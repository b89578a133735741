"""Arithmetic that families share: sums that do not depend on the order of rows, and safe divisors.

Adding floats in another order changes the last digits, and engines add in parallel. Sums of quantities are therefore
taken over whole millionths of the unit: the same rows give the same bits, in any order, on any engine.
"""

import ibis
import ibis.expr.types as ir

STEPS_PER_UNIT = 1_000_000


def to_steps(value: ir.NumericValue) -> ir.IntegerValue:
    """A quantity in whole millionths of its unit."""
    return (value * float(STEPS_PER_UNIT)).round().cast("int64")


def from_steps(steps: ir.NumericValue) -> ir.FloatingValue:
    """Millionths back to the unit."""
    return steps.cast("float64") / float(STEPS_PER_UNIT)


def exact_sum(value: ir.NumericColumn, where: ir.BooleanValue | None = None) -> ir.FloatingScalar:
    """Sum of a quantity; null over no rows."""
    return from_steps(to_steps(value).sum(where=where))


def exact_mean(value: ir.NumericColumn, where: ir.BooleanValue | None = None) -> ir.FloatingScalar:
    """Mean of a quantity's known values; null over none."""
    return from_steps(to_steps(value).sum(where=where)) / value.count(where=where).nullif(0)


def positive(value: ir.NumericValue) -> ir.NumericValue:
    """A divisor: null where it is not positive."""
    return ibis.ifelse(value > 0, value, ibis.null(value.type()))
