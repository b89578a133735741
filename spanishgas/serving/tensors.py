"""Open Inference Protocol: tensors in, tensors out."""

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    MetadataTensor,
    Parameters,
    RequestInput,
    ResponseOutput,
)

from spanishgas.policy.candidates import HAZARDS
from spanishgas.scoring.online import Answer
from spanishgas.scoring.rows import given_rows
from spanishgas.serving.bundle import Bundle
from spanishgas.serving.errors import InputError, TooManyError
from spanishgas.serving.schema import DAY

CUSTOMER, DATE = "customer_id", "asof_date"
TEXT = "BYTES"
WHOLE = {f"{sign}INT{bits}": bits for sign in ("", "U") for bits in (8, 16, 32, 64)}
FRACTIONS = ("FP16", "FP32", "FP64")
# Trees hold single precision; what is beyond it would be infinite there.
LARGEST = float(np.finfo(np.float32).max)
WORDS = ("risk_tier", "segment", "action", "channel", "timing_window", "reason_codes", "veto_codes")
PLATFORM = "spanishgas"


def infer(bundle: Bundle, request: InferenceRequest, today: date, most: int) -> tuple[InferenceResponse, list[Answer]]:
    """Answers a V2 request: by ``customer_id`` (and ``asof_date``) tensors, or by a tensor per feature.

    Args:
        bundle: What answers.
        request: The tensors.
        today: Day of the question.
        most: Most rows of one request.

    Raises:
        InputError: Tensors are missing, unknown, of a wrong type, or of different lengths.
        TooManyError: More rows than ``most``.
        UnknownCustomerError: A customer is not known.
        NoFeaturesError: Or has no features of that date.
    """
    columns = {one.name: _flat(one) for one in request.inputs}
    if len(columns) != len(request.inputs):
        raise InputError("each input tensor stands once", where="inputs")
    lengths = {name: len(values) for name, values in columns.items() if not (name == DATE and len(values) == 1)}
    if len(set(lengths.values())) > 1:
        raise InputError(
            f"tensors of different lengths: {min(lengths.values())} to {max(lengths.values())}", where="inputs"
        )
    count = next(iter(lengths.values()), 0)
    if count == 0:
        raise InputError("no rows", where="inputs")
    if count > most:
        raise TooManyError(count, most)
    kinds = {one.name: one.datatype for one in request.inputs}
    if CUSTOMER in columns:
        response, found = _by_customer(bundle, columns, kinds, today)
    else:
        response, found = _by_row(bundle, columns, kinds, count), []
    if request.outputs:
        response.outputs = _wanted(response.outputs, [one.name for one in request.outputs])
    return response, found


def _by_customer(
    bundle: Bundle, columns: dict[str, list[Any]], kinds: dict[str, str], today: date
) -> tuple[InferenceResponse, list[Answer]]:
    unknown = sorted(set(columns) - {CUSTOMER, DATE})
    if unknown:
        raise InputError("by customer, only customer_id and asof_date are taken", where="inputs", count=len(unknown))
    customers = _texts(columns[CUSTOMER], kinds[CUSTOMER], CUSTOMER)
    days: list[date | None] = [None] * len(customers)
    if DATE in columns:
        told = [_day(value) for value in _texts(columns[DATE], kinds[DATE], DATE)]
        days = list(told * len(customers) if len(told) == 1 else told)
    wanted = [bundle.recommender.locate(customer or "", day) for customer, day in zip(customers, days, strict=True)]
    found = bundle.recommender.answers(wanted, today)
    outputs = [
        _numbers("churn_score", [one.risk for one in found]),
        *(_numbers(name, [one.hazards[place] for one in found]) for place, name in enumerate(HAZARDS)),
        _numbers("expected_margin_impact", [one.recommendation.expected_margin_impact for one in found]),
        *(_words(name, [_word(one, name) for one in found]) for name in WORDS),
    ]
    return _response(bundle, outputs, found), found


def _by_row(bundle: Bundle, columns: dict[str, list[Any]], kinds: dict[str, str], count: int) -> InferenceResponse:
    unknown = sorted(set(columns) - set(bundle.inputs))
    if unknown:
        raise InputError(
            "tensors that are no features of the model; GET /v2/models/churn lists them",
            where="inputs",
            count=len(unknown),
        )
    numbers, words = {}, {}
    for name, values in columns.items():
        if bundle.inputs[name] == "text":
            words[name] = _texts(values, kinds[name], name)
        else:
            numbers[name] = _values(values, kinds[name], name)
    model = bundle.recommender.model
    rows = given_rows(model.model.encoding_, numbers, words, count)
    risk, windows = bundle.recommender.hazards_of(rows)
    if not (np.isfinite(risk).all() and np.isfinite(windows).all()):
        raise InputError("values of features are so large that no risk comes of them", where="inputs")
    outputs = [_numbers("churn_score", risk.tolist())]
    outputs += [_numbers(f"hazard_{name}", windows[:, place].tolist()) for place, name in enumerate(model.windows)]
    return _response(bundle, outputs, [])


def _wanted(outputs: list[ResponseOutput], names: list[str]) -> list[ResponseOutput]:
    by_name = {one.name: one for one in outputs}
    if not set(names) <= set(by_name):
        raise InputError(f"the outputs are {', '.join(by_name)}", where="outputs")
    return [by_name[name] for name in dict.fromkeys(names)]


def metadata(bundle: Bundle) -> MetadataModelResponse:
    """What the model takes and gives, from its signature: the features that it was registered with."""
    kinds = {"number": "FP64", "text": TEXT}
    inputs = [MetadataTensor(name=name, datatype=kinds[kind], shape=[-1, 1]) for name, kind in bundle.inputs.items()]
    outputs = [MetadataTensor(name="churn_score", datatype="FP64", shape=[-1, 1])]
    outputs += [
        MetadataTensor(name=f"hazard_{name}", datatype="FP64", shape=[-1, 1])
        for name in bundle.recommender.model.windows
    ]
    return MetadataModelResponse(
        name="churn", versions=[bundle.recommender.version], platform=PLATFORM, inputs=inputs, outputs=outputs
    )


def _response(bundle: Bundle, outputs: list[ResponseOutput], found: Sequence[Answer]) -> InferenceResponse:
    told: dict[str, Any] = {"model_digest": bundle.recommender.digest, "registered_model": bundle.model_name}
    if found:
        told["is_current"] = not any(one.moved for one in found)
        told["policy_version"] = ",".join(sorted({one.policy_version for one in found} - {""}))
    return InferenceResponse(
        model_name="churn",
        model_version=bundle.recommender.version,
        parameters=Parameters(**told),
        outputs=outputs,
    )


def _flat(tensor: RequestInput) -> list[Any]:
    """Values row by row, from data that are flat or nested as the shape says."""
    if len([size for size in tensor.shape if size != 1]) > 1:
        raise InputError("a tensor has one value per row: shape [n] or [n, 1]", where="inputs")
    flat = list(tensor.data)
    for _ in tensor.shape[1:]:
        if not any(isinstance(value, list) for value in flat):
            break
        flat = [value for part in flat for value in (part if isinstance(part, list) else [part])]
    if any(isinstance(value, list) for value in flat):
        raise InputError("a tensor's data are nested deeper than its shape says", where="inputs")
    if math.prod(tensor.shape) != len(flat):
        raise InputError("a tensor's data do not fill its shape", where="inputs")
    return flat


def _texts(values: list[Any], kind: str, name: str) -> list[str | None]:
    if kind != TEXT:
        raise InputError(f"the tensor {name} has the type {kind[:16]}, not {TEXT}", where="inputs")
    found: list[str | None] = []
    for value in values:
        if isinstance(value, bytes):
            try:
                value = value.decode()
            except UnicodeDecodeError as error:
                raise InputError(f"the tensor {name} is no UTF-8", where="inputs") from error
        if value is not None and not isinstance(value, str):
            raise InputError(f"the tensor {name} has a value that is no text", where="inputs")
        found.append(value)
    return found


def _values(values: list[Any], kind: str, name: str) -> np.ndarray:
    """Numbers, NaN where missing; each is one of its type, and none is infinite."""
    if kind == TEXT:
        raise InputError(f"the tensor {name} has the type {kind}, which is no number", where="inputs")
    found = np.array([np.nan if value is None else _number(value, kind, name) for value in values], np.float64)
    if (np.abs(found) > LARGEST).any():
        raise InputError(f"the tensor {name} has a value beyond {LARGEST:.2g}", where="inputs")
    return found


def _number(value: Any, kind: str, name: str) -> float:
    is_flag = isinstance(value, bool)
    fits = isinstance(value, int | float) and (kind == "BOOL" or not is_flag)
    if fits and kind == "BOOL":
        fits = value in (0, 1)
    elif fits and kind in WHOLE:
        low, high = (
            (0, 2 ** WHOLE[kind]) if kind.startswith("U") else (-(2 ** (WHOLE[kind] - 1)), 2 ** (WHOLE[kind] - 1))
        )
        fits = math.isfinite(value) and low <= value < high and float(value).is_integer()
    if not fits:
        raise InputError(f"the tensor {name} has a value that is no {kind}", where="inputs")
    return float(value)


def _day(value: str | None) -> date:
    try:
        if not DAY.fullmatch(value or ""):
            raise ValueError(value)
        return date.fromisoformat(value or "")
    except ValueError as error:
        raise InputError(f"{DATE} takes dates as YYYY-MM-DD", where="inputs") from error


def _numbers(name: str, values: Sequence[float]) -> ResponseOutput:
    return ResponseOutput(name=name, shape=[len(values), 1], datatype="FP64", data=list(values))


def _words(name: str, values: Sequence[str]) -> ResponseOutput:
    return ResponseOutput(
        name=name, shape=[len(values), 1], datatype=TEXT, parameters=Parameters(content_type="str"), data=list(values)
    )


def _word(one: Answer, name: str) -> str:
    made = one.recommendation
    told: dict[str, str] = {
        "risk_tier": one.risk_bucket or "",
        "segment": one.segment,
        "action": made.action,
        "channel": made.channel,
        "timing_window": made.timing_window,
        "reason_codes": "|".join(made.reason_codes),
        "veto_codes": "|".join(made.veto_codes),
    }
    return told[name]
