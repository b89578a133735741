"""What goes wrong, as HTTP says it: status, stable code, message. Nothing of the request is repeated."""

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from mlserver.errors import MLServerError, ModelNotReady
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from spanishgas.errors import SpanishGasError
from spanishgas.scoring.online import NoFeaturesError, UnknownCustomerError

SHOWN = 10
# Key of the request's scope under which the kind of an error is left, for the metrics.
KIND = "spanishgas.error"
REQUEST_ID = "spanishgas.request_id"
GENERIC = "something went wrong on our side; the request id finds it in the log"


class TooManyError(SpanishGasError):
    """More customers or rows than one request may have."""

    def __init__(self, given: int, most: int) -> None:
        super().__init__(f"{given:,} rows in one request; {most:,} are allowed", todo="Send several requests")


class NotReadyError(SpanishGasError):
    """There is no champion yet."""


class RefusedError(SpanishGasError):
    """A control call that is not allowed."""


class NoModelError(SpanishGasError):
    """Another model, or another version of it, than the one that is served."""


class InputError(SpanishGasError):
    """A tensor of a V2 request is not what the model takes."""


# Kind -> status and code.
STATUS: dict[type[SpanishGasError], tuple[int, str]] = {
    UnknownCustomerError: (404, "unknown_customer"),
    NoFeaturesError: (404, "no_features"),
    NoModelError: (404, "no_such_model"),
    TooManyError: (422, "too_many"),
    InputError: (422, "invalid_request"),
    NotReadyError: (503, "no_champion"),
    RefusedError: (403, "refused"),
}


def problem(status: int, code: str, message: str, *, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """An error's answer; for V2 clients ``error`` is a text."""
    body = {"error": message, "code": code, **{key: value for key, value in more.items() if value is not None}}
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def answer_known(request: Request, error: Exception) -> Response:
    """Errors of ours that a caller can act on; others are faults."""
    for kind, (status, code) in STATUS.items():
        if isinstance(error, kind):
            request.scope[KIND] = code
            retry = {"retry-after": "5"} if status == 503 else None
            return problem(status, code, str(error), headers=retry, nearest=getattr(error, "nearest", None))
    raise error


def answer_invalid(request: Request, error: Exception) -> Response:
    """Requests that are not as the schema says: where and what, never the input."""
    assert isinstance(error, RequestValidationError)
    if any(fault.get("type") == "json_invalid" for fault in error.errors()):
        return no_json(request)
    request.scope[KIND] = "invalid_request"
    return problem(422, "invalid_request", "the request is not valid", details=where(error.errors()))


def no_json(request: Request) -> Response:
    """Bodies that are no JSON, or nested without end."""
    request.scope[KIND] = "invalid_json"
    return problem(400, "invalid_json", "the body is no JSON, or is nested too deeply")


def where(faults: Sequence[Any]) -> list[str]:
    """``place: what is wrong`` of validation errors."""
    told = []
    for fault in faults[:SHOWN]:
        # A field that the schema does not have was named by the caller; so was the key of a broken body.
        is_named_by_us = fault.get("type") not in ("extra_forbidden", "json_invalid")
        place = ".".join(str(part) for part in fault.get("loc", ()) if part != "body") if is_named_by_us else ""
        told.append(f"{place[:64] or 'body'}: {fault.get('msg', 'not valid')[:200]}")
    if len(faults) > SHOWN:
        told.append(f"and {len(faults) - SHOWN} more")
    return told


def answer_http(request: Request, error: Exception) -> Response:
    """What the framework says: no such path, wrong method with those that are allowed, a body that cannot be read."""
    assert isinstance(error, HTTPException)
    if error.status_code == 400:
        return no_json(request)
    codes = {404: "no_such_path", 405: "wrong_method"}
    headers = dict(error.headers or {})
    return problem(error.status_code, codes.get(error.status_code, "http"), str(error.detail), headers=headers)


def answer_fault(request: Request, _: Exception) -> Response:
    """Any other error: a fault of ours, told without its text; the gate logs it."""
    return problem(500, "internal", GENERIC, request_id=request.scope.get(REQUEST_ID))


def answer_mlserver(request: Request, error: Exception) -> Response:
    """MLServer's own errors; a model that is not ready is unavailable, not a mistake of the caller."""
    assert isinstance(error, MLServerError)
    if isinstance(error, ModelNotReady):
        return answer_known(request, NotReadyError("there is no champion yet", todo="Run `promote`"))
    return problem(error.status_code, "mlserver", str(error))
