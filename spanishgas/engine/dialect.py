"""Ibis expressions in Spark's SQL, with the meaning that they have on the embedded engine.

Where both engines know a word and mean different things by it, what DuckDB means holds: nulls and not-a-number, first
and last by an order, regular expressions, division, whole numbers from floats.
"""

import re
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import NULL
from ibis.backends.sql.compilers.pyspark import PySparkCompiler

# \b of RE2 knows ASCII letters only, that of Java all letters: between `ó` and `n` it sees no boundary.
BOUNDARY = "(?:(?<![0-9A-Za-z_])(?=[0-9A-Za-z_])|(?<=[0-9A-Za-z_])(?![0-9A-Za-z_]))"
# Escapes stand in strings only; a backslash of a text is two.
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
UNKNOWN_TO_SPARK = {"a": "\a", "v": "\v", "f": "\f"}
ESCAPED = re.compile(r"\\(x\{[0-9A-Fa-f]+\}|.)", re.DOTALL)


def java_pattern(pattern: str) -> str:
    """A pattern of RE2 in Java's grammar, with the same meaning."""
    return ESCAPED.sub(lambda found: BOUNDARY if found.group(1) == "b" else found.group(0), pattern)


def spark_strings(statement: str) -> str:
    """A statement whose strings are read by Spark as they were meant.

    The compiler writes bell, vertical tab and form feed as escapes that Spark takes for the letters a, v and f: white
    space that is stripped from texts would take these letters with it.
    """
    return ESCAPE.sub(lambda found: UNKNOWN_TO_SPARK.get(found.group(1), found.group(0)), statement)


class Dialect(PySparkCompiler):  # type: ignore[misc]
    """The compiler, with what Ibis says otherwise, or not at all, for Spark."""

    __slots__ = ()

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:
        """A float is a double: a bare 24.0 would be a decimal, and so would what is divided by it."""
        if dtype.is_floating():
            return self.cast(
                sge.convert(repr(float(value)).replace("inf", "Infinity").replace("nan", "NaN")), dt.float64
            )
        if dtype.is_date():
            return self.cast(value.isoformat(), dtype)
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_IsNull(self, op: Any, *, arg: Any) -> Any:
        """Not a number is a value."""
        return arg.is_(NULL)

    def visit_NotNull(self, op: Any, *, arg: Any) -> Any:
        """Not a number is a value."""
        return arg.is_(sg.not_(NULL))

    def visit_First(self, op: Any, *, arg: Any, where: Any, order_by: Any, include_null: bool) -> Any:
        """The known value that is first in an order."""
        return self._by_order(op, arg, where, order_by, descending=True)

    def visit_Last(self, op: Any, *, arg: Any, where: Any, order_by: Any, include_null: bool) -> Any:
        """The known value that is last in an order."""
        return self._by_order(op, arg, where, order_by, descending=False)

    def _by_order(self, op: Any, arg: Any, where: Any, order_by: Any, *, descending: bool) -> Any:
        if op.include_null or not order_by:
            raise NotImplementedError("first and last need an order, and pass over nulls")
        if any(key.descending or key.nulls_first for key in op.order_by):
            raise NotImplementedError("first and last go by ascending orders")
        keys = [one.this if isinstance(one, sge.Ordered) else one for one in order_by]
        # Unknown values come last, as everywhere; Spark would have them first.
        place = self.f.struct(*(part for key in keys for part in (key.is_(NULL), key)))
        known = arg.is_(sg.not_(NULL))
        known = known if where is None else sg.and_(where, known)
        chosen = (self.f.anon.min_by if descending else self.f.anon.max_by)(arg, place)
        return sge.Filter(this=chosen, expression=sge.Where(this=known))

    def visit_RegexSearch(self, op: Any, *, arg: Any, pattern: Any) -> Any:
        """Whether a pattern stands in a text."""
        return self.f.anon.regexp_like(arg, _java(op.pattern))

    def visit_RegexReplace(self, op: Any, *, arg: Any, pattern: Any, replacement: Any) -> Any:
        """Every occurrence replaced."""
        return self.f.anon.regexp_replace(arg, _java(op.pattern), _group_names(op.replacement))

    def visit_RegexExtract(self, op: Any, *, arg: Any, pattern: Any, index: Any) -> Any:
        """A group of the first occurrence, an empty text without one."""
        return self.f.anon.regexp_extract(arg, _java(op.pattern), index)

    def visit_Median(self, op: Any, *, arg: Any, where: Any) -> Any:
        """The value in the middle, or half-way between the two."""
        middle = self.f.percentile(arg, sge.convert(0.5))
        return middle if where is None else sge.Filter(this=middle, expression=sge.Where(this=where))

    def visit_CountStar(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Rows; none are 0, not unknown."""
        found = super().visit_CountStar(op, arg=arg, where=where)
        return found if where is None else self.f.coalesce(found, 0)

    def visit_DateTruncate(self, op: Any, *, arg: Any, unit: Any) -> Any:
        """The first day of a month, quarter or year is a date."""
        return self.cast(super().visit_DateTruncate(op, arg=arg, unit=unit), op.dtype)

    def visit_DateDelta(self, op: Any, *, left: Any, right: Any, part: Any) -> Any:
        """Days between two dates."""
        if str(getattr(part, "this", part)).lower() != "day":
            raise NotImplementedError("differences are in days")
        return self.cast(self.f.anon.datediff(left, right), op.dtype)


def _java(pattern: ops.Value) -> sge.Expression:
    if not isinstance(pattern, ops.Literal):
        raise NotImplementedError("patterns are constants")
    return sge.convert(java_pattern(str(pattern.value)))


def _group_names(replacement: ops.Value) -> sge.Expression:
    r"""A replacement: RE2 calls groups \1, Java $1."""
    text = str(replacement.value).replace("$", r"\$")
    return sge.convert(re.sub(r"\\([0-9])", r"$\1", text))
