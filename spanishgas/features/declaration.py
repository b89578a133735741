"""What a feature is: a column with a unit, a source, a window and a known-at delay, declared before it is computed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import ibis.expr.types as ir
from pydantic import BaseModel, ConfigDict

from spanishgas.config import ExtraColumn

if TYPE_CHECKING:
    from spanishgas.features.context import Context

FeatureType = Literal["float", "int", "bool", "string"]
# Whole numbers stand in the table as doubles: models take numbers of one type, which knows missing values.
ENGINE_TYPES: dict[FeatureType, str] = {"float": "float64", "int": "float64", "bool": "boolean", "string": "string"}


class Feature(BaseModel):
    """One column of the feature table.

    Attributes:
        name: Column name; windows and units stand at its end.
        type: Kind of the value; see ``ENGINE_TYPES`` for its type in the table.
        family: The family that computes it.
        source: Silver tables that it needs. ``a|b`` is met by either. If one is absent from the data set, the feature
            is null for everybody.
        needs: Column of its source that not every data set can fill, or None. Where nobody has a value in it, the table
            goes without the feature: an empty column would change models that cannot learn from it.
        unit: Unit, or None for words and flags.
        window_days: Days before ``as_of`` that it looks back on, or None where it is a state.
        known_at_delay_days: Usual days from an event to the moment its row can be used.
        description: What the value means.
        monotone: Sign of its effect on the risk of leaving where that is known beforehand, else 0.
        trending: Its level belongs to the date more than to the customer and drifts: a model trained on a few dates
            would take it for the calendar and extrapolate.
        fill: Value for a customer without rows in the sources, e.g. 0 for a count; None leaves null.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    type: FeatureType
    family: str
    source: tuple[str, ...]
    needs: str | None = None
    unit: str | None = None
    window_days: int | None = None
    known_at_delay_days: int = 0
    description: str
    monotone: Literal[-1, 0, 1] = 0
    trending: bool = False
    fill: int | float | None = None


Declare = Callable[[Mapping[str, ExtraColumn]], tuple[Feature, ...]]
BuildFamily = Callable[["Context"], ir.Table]


@dataclass(frozen=True)
class Family:
    """Features that are computed together.

    Attributes:
        name: Name of the family and of its module.
        build: Makes a table with one row per ``customer_id`` and ``as_of`` (customers without rows in the sources may
            be left out) and one column per declared feature.
        features: The declarations.
        declare: For families whose features the data set declares: makes the declarations from its extra columns.
    """

    name: str
    build: BuildFamily
    features: tuple[Feature, ...] = ()
    declare: Declare | None = None

    def declared(self, extras: Mapping[str, ExtraColumn]) -> tuple[Feature, ...]:
        """All features of the family for a data set with these extra columns."""
        return self.features if self.declare is None else self.features + self.declare(extras)


def manifest(declarations: Sequence[Feature]) -> list[dict[str, Any]]:
    """The declarations as plain values for JSON, in the order of the table's columns."""
    return [declaration.model_dump(mode="json") for declaration in declarations]
