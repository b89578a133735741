"""Settings as text for people: name, value, unit, what is allowed and what it means, from the typed settings alone."""

import json
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from spanishgas.config.base import SettingsModel

LONGEST_VALUE = 60
# The unit stands in the name; the first pattern that fits counts.
UNITS: tuple[tuple[str, str], ...] = (
    (r"eur_kwh$", "EUR/kWh"),
    (r"eur_month$", "EUR a month"),
    (r"eur_per_customer$", "EUR a customer"),
    (r"(^|_)eur$", "EUR"),
    (r"(^|_)days(_|$)", "days"),
    (r"(^|_)months$", "months"),
    (r"_mib$", "MiB"),
    (r"_ms$", "ms"),
    (r"_year$", "a year"),
    (r"(^|_)share(s)?$", "share"),
    (r"(^|_)rows$", "rows"),
)
ATTRIBUTE = re.compile(r"^ {8}(\w+): (.*)$")
CONTINUED = re.compile(r"^ {12}(\S.*)$")


@dataclass(frozen=True)
class Setting:
    """One setting as it stands when nothing is said.

    Attributes:
        name: Dotted name, as on the command line.
        value: What it is when nothing is said.
        unit: Its unit, or an empty text.
        allowed: Values or range that it must keep to, or an empty text.
        meaning: What it does.
    """

    name: str
    value: str
    unit: str
    allowed: str
    meaning: str


def describe(settings: SettingsModel, wanted: str = "") -> list[Setting]:
    """Settings below a dotted name, in the order of their declaration.

    Args:
        settings: Composed settings.
        wanted: Dotted name of a group or of one setting; empty for all.

    Raises:
        KeyError: There is no such setting.
    """
    found = [
        one for one in _walk(settings, "") if not wanted or one.name == wanted or one.name.startswith(f"{wanted}.")
    ]
    if not found:
        raise KeyError(wanted)
    return found


def render_settings(settings: list[Setting]) -> list[str]:
    """Lines of a Markdown table."""
    lines = ["| setting | default | unit | allowed | meaning |", "| --- | --- | --- | --- | --- |"]
    return lines + [
        f"| `{one.name}` | {one.value} | {one.unit} | {one.allowed} | {one.meaning.replace('|', '&#124;')} |"
        for one in settings
    ]


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Attribute -> what its class's docstring says of it; a class tells over those that it is made from."""
    told: dict[str, str] = {}
    for base in reversed(model.__mro__):
        name = ""
        for line in (base.__dict__.get("__doc__") or "").splitlines():
            begun, continued = ATTRIBUTE.match(line), CONTINUED.match(line)
            if begun:
                name, told[begun[1]] = begun[1], begun[2]
            elif continued and name:
                told[name] += f" {continued[1]}"
            else:
                name = ""
    return {name: text.replace("``", "`") for name, text in told.items()}


def _walk(model: BaseModel, prefix: str) -> Iterator[Setting]:
    told = meanings(type(model))
    for name, field in type(model).model_fields.items():
        value, full = getattr(model, name), f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield from _walk(value, f"{full}.")
        elif isinstance(value, Mapping) and value and all(isinstance(one, BaseModel) for one in value.values()):
            if name == "sources":  # every data set has its own; conf/data and its guide tell
                yield Setting(full, "see conf/data", "", "", told.get(name, ""))
                continue
            for key, one in value.items():
                yield from _walk(one, f"{full}.{key}.")
        else:
            yield Setting(full, _value(value), _unit(name), _allowed(field), told.get(name, ""))


def _unit(name: str) -> str:
    return next((unit for pattern, unit in UNITS if re.search(pattern, name)), "")


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if value == "" or value == () or value == {}:
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, date | Path | str):
        return f"`{value}`"
    text = json.dumps(value, default=str)
    return f"`{text}`" if len(text) <= LONGEST_VALUE else "see conf"


def _allowed(field: FieldInfo) -> str:
    options = _options(field.annotation)
    if options:
        return ", ".join(f"`{one}`" for one in options)
    words = {annotated_types.Ge: ">=", annotated_types.Gt: ">", annotated_types.Le: "<=", annotated_types.Lt: "<"}
    parts = []
    for limit in field.metadata:
        for kind, word in words.items():
            if isinstance(limit, kind):
                (bound,) = (getattr(limit, name) for name in ("ge", "gt", "le", "lt") if hasattr(limit, name))
                parts.append(f"{word} {bound:g}")
    return ", ".join(parts)


def _options(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is Literal:
        options = [str(one) for one in typing.get_args(annotation)]
        return options if len(options) > 1 else []
    return []
