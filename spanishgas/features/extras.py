"""Extras: attributes beyond the contracts, as the data set declares them."""

from collections.abc import Mapping

import ibis.expr.types as ir

from spanishgas.config import ExtraColumn
from spanishgas.domain.point_in_time import visible_at, with_visibility
from spanishgas.features.context import Context
from spanishgas.features.declaration import Family, Feature, FeatureType

PREFIX = "extra_"


def declare(extras: Mapping[str, ExtraColumn]) -> tuple[Feature, ...]:
    """One feature per declared attribute."""
    types: dict[str, FeatureType] = {"float": "float", "bool": "bool", "string": "string"}
    return tuple(
        Feature(
            name=PREFIX + name,
            type=types[column.type],
            family="extras",
            source=("customer_extras",),
            unit=column.unit,
            description=column.description + ("" if column.documented else " When it becomes known is not documented."),
        )
        for name, column in extras.items()
    )


def build(context: Context) -> ir.Table:
    """The newest known value of every attribute."""
    rows = with_visibility(context.tables["customer_extras"], event=None, key=("customer_id", "name"))
    found = visible_at(context.dates, rows).semi_join(context.population, ["customer_id", "as_of"])

    def value(name: str, column: ExtraColumn) -> ir.Value:
        chosen = found.name == name
        if column.type == "string":
            return found.text.max(where=chosen)
        number = found.number.max(where=chosen)
        return number > 0 if column.type == "bool" else number

    return found.group_by("customer_id", "as_of").aggregate(
        **{PREFIX + name: value(name, column) for name, column in context.extras.items()}
    )


FAMILY = Family(name="extras", build=build, declare=declare)
