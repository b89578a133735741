"""Settings as flat names and as text, both as they are typed on a command line."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel


def flat(values: BaseModel | Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of every setting, in order; lists and empty mappings are values.

    Args:
        values: Settings, or what they are as JSON.
        prefix: What the names begin with.
    """
    told = values.model_dump(mode="json") if isinstance(values, BaseModel) else values
    for key, value in told.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{name}.")
        else:
            yield name, value


def is_below(name: str, wanted: str) -> bool:
    """Whether a setting is the one that is named, or one of that group."""
    return name == wanted or name.startswith(f"{wanted}.")


def spelled(value: Any) -> str:
    """A value as it is typed: `null`, `true`, `4`, `[a,b]`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{spelled(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(spelled(one) for one in value) + "]"
    return str(value)
