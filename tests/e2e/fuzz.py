"""Requests that nobody sends on purpose: of a description, or good ones with damage; the same ones from one seed."""

import copy
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, 1e300, -1e300, 2**63, 2**64 - 1, 1e-320, "", " ", "0", "null", "NaN", "\x00"),
    *(
        "'; drop table--",
        "=1+1",
        "../../etc/passwd",
        "é\u202e\ud7ff",
        "x" * 300,
        "2024-11-30",
        "2024-02-30",
        "0001-01-01",
    ),
    *("9999-12-31", "BYTES", "FP64", "churn", [], {}, [[]], [None], {"a": 1}, [1, "a", None, [2]], [[[[1]]]]),
)


@dataclass(frozen=True)
class Known:
    """What good requests are made of.

    Attributes:
        customers: Customers that are known.
        days: Dates of features.
        inputs: Feature -> its V2 datatype.
        outputs: Names of V2 outputs by feature row.
    """

    customers: Sequence[str]
    days: Sequence[str]
    inputs: Mapping[str, str]
    outputs: Sequence[str]


def of_schema(shape: Mapping[str, Any], root: Mapping[str, Any], dice: random.Random, depth: int = 0) -> Any:
    """A value as a JSON schema describes it, often at the edges of what it allows, now and then something else."""
    if dice.random() < 0.02 or depth > 8:
        return copy.deepcopy(dice.choice(HOSTILE))
    if "$ref" in shape:
        return of_schema(root["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]], root, dice, depth + 1)
    if "enum" in shape:
        return dice.choice(shape["enum"])
    if "const" in shape:
        return shape["const"]
    if "anyOf" in shape and "properties" not in shape:
        return of_schema(dice.choice(shape["anyOf"]), root, dice, depth + 1)
    kind = shape.get("type")
    if kind == "object" or "properties" in shape:
        needed = set(shape.get("required", ()))
        for alternative in [dice.choice(shape[key]) for key in ("oneOf", "anyOf") if key in shape]:
            needed |= set(alternative.get("required", ()))
        found = {
            name: of_schema(told, root, dice, depth + 1)
            for name, told in shape.get("properties", {}).items()
            if name in needed or dice.random() < 0.3
        }
        if shape.get("additionalProperties") is not False and dice.random() < 0.1:
            found["x" * dice.randint(1, 5)] = copy.deepcopy(dice.choice(HOSTILE))
        return found
    if kind == "array":
        count = min(dice.choice((shape.get("minItems", 0), 1, 2, 3)), shape.get("maxItems", 3))
        return [of_schema(shape.get("items", {}), root, dice, depth + 1) for _ in range(count)]
    if kind == "string":
        if shape.get("format") == "date":
            return f"{dice.choice((2024, 1, 9999)):04}-{dice.randint(1, 13):02}-{dice.randint(1, 31):02}"
        return "".join(chr(dice.choice((65, 0x20AC, 0x1F600, 9, 0))) for _ in range(dice.choice((0, 1, 256, 257))))
    if kind in ("number", "integer"):
        edges = [shape.get("minimum", -5), shape.get("maximum", shape.get("exclusiveMaximum", 5)), 1]
        value = dice.choice([*edges, dice.uniform(-2, 2)])
        return int(value) if kind == "integer" else value
    return {"boolean": dice.random() < 0.5, "null": None}.get(str(kind), copy.deepcopy(dice.choice(HOSTILE)))


def score_request(known: Known, dice: random.Random) -> dict[str, Any]:
    """A good request to ``/score``."""
    one: dict[str, Any] = {"customer_id": dice.choice([*known.customers, "nobody"])}
    if dice.random() < 0.3:
        one = {"customers": dice.choices(known.customers, k=dice.randint(1, 12))}
    if dice.random() < 0.5:
        one["asof_date"] = dice.choice([*known.days, "2020-01-01"])
    if dice.random() < 0.3:
        one["what_if"] = {"discount": dice.random() * 0.2, "acceptance": dice.random()}
    if dice.random() < 0.5:
        one |= {"language": dice.choice(("en", "es")), "explain": dice.random() < 0.5}
    return one


def infer_request(known: Known, dice: random.Random) -> dict[str, Any]:
    """A good V2 request, by customer or by feature row."""
    count = dice.randint(1, 12)
    if dice.random() < 0.5:
        ids = dice.choices([*known.customers, "nobody"], k=count)
        inputs = [{"name": "customer_id", "datatype": "BYTES", "shape": [count, 1], "data": ids}]
        if dice.random() < 0.5:
            inputs.append({"name": "asof_date", "datatype": "BYTES", "shape": [1], "data": [dice.choice(known.days)]})
        return {"id": "q", "inputs": inputs}
    names = dice.sample(sorted(known.inputs), dice.randint(1, 6))
    inputs = []
    for name in names:
        value: Any = "a word" if known.inputs[name] == "BYTES" else dice.choice((0, 1.5, -3, None))
        inputs.append({"name": name, "datatype": known.inputs[name], "shape": [count], "data": [value] * count})
    wanted = [{"name": dice.choice(known.outputs)}]
    return {"inputs": inputs, "outputs": wanted} if dice.random() < 0.3 else {"inputs": inputs}


def damaged(value: Any, dice: random.Random) -> Any:
    """A copy with one place changed: replaced, left out, doubled, wrapped, or under another name."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return copy.deepcopy(dice.choice(HOSTILE))
    holder, key = dice.choice(places)
    how = dice.randrange(5)
    if how == 0:
        holder[key] = copy.deepcopy(dice.choice(HOSTILE))
    elif how == 1:
        del holder[key]
    elif how == 2:
        holder[key] = [holder[key], copy.deepcopy(holder[key])]
    elif how == 3:
        holder[key] = {"a": holder[key]}
    elif isinstance(holder, dict):
        holder[f"{key}_"] = holder.pop(key)
    else:
        holder.append(copy.deepcopy(holder[key]))
    return value


def body(value: Any, dice: random.Random) -> bytes:
    """A request as bytes; now and then with bytes of it flipped, cut off, doubled, or with brackets without end."""
    told = json.dumps(value, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    if dice.random() > 0.15 or not told:
        return told
    place, how = dice.randrange(len(told)), dice.randrange(5)
    if how == 0:
        return told[:place] + bytes([told[place] ^ (1 << dice.randrange(8))]) + told[place + 1 :]
    if how == 1:
        return told[:place]
    if how == 2:
        return told[:place] + told
    if how == 3:
        return told[:place] + b"[" * dice.choice((1, 1000, 20_000)) + told[place:]
    return dice.randbytes(dice.randrange(60))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        keys: Any = list(value)
    elif isinstance(value, list):
        keys = range(min(len(value), 4))
    else:
        return
    for key in keys:
        yield value, key
        yield from _places(value[key])
