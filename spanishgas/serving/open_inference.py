"""Open Inference Protocol: requests are checked here, over REST and gRPC alike, before MLServer sees them."""

import struct
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import orjson
from fastapi import FastAPI
from mlserver.handlers import DataPlane
from mlserver.raw import unpack
from mlserver.types import (
    Datatype,
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    RepositoryIndexRequest,
    RepositoryIndexResponse,
    RequestInput,
    RequestOutput,
)
from pydantic import BeforeValidator, Field, StrictBool, ValidationError
from starlette.responses import Response

from spanishgas.serving.errors import InputError, NoModelError, where
from spanishgas.serving.schema import Problem

MODEL = "churn"
LONGEST_NAME = 256
MOST_TENSORS = 4096
MOST_DIMENSIONS = 8
# Where gRPC carries the values of a type; those of FP16 come as raw contents only.
CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
VALUES: Any = [{"type": one} for one in ("number", "string", "boolean", "null", "array")]
RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is no JSON."},
    401: {"model": Problem, "description": "A bearer token is needed."},
    404: {"model": Problem, "description": "No such model, version or customer, or no features of that date."},
    413: {"model": Problem, "description": "The body is too large."},
    415: {"model": Problem, "description": "The body is compressed."},
    422: {"model": Problem, "description": "The request is not valid; the text says where."},
    429: {"model": Problem, "description": "Too many requests with this token; `retry-after` says when to try again."},
    503: {
        "model": Problem,
        "description": "There is no champion yet, or too much to do; try again after `retry-after`.",
    },
}


def _whole(value: object) -> object:
    """Whole numbers as JSON has them: 1 and 1.0, but neither ``true`` nor ``"1"``."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number is needed")
    return value


Dimension = Annotated[int, Field(ge=1), BeforeValidator(_whole)]


class Tensor(RequestInput):  # type: ignore[misc]
    """An input: one value per row, flat or nested as its shape says."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME)
    shape: list[Dimension] = Field(min_length=1, max_length=MOST_DIMENSIONS, description="[rows], or [rows, 1].")
    data: list[Any] = Field(
        description="Values of the datatype, null where missing.", json_schema_extra={"items": {"anyOf": VALUES}}
    )


class InferRequest(InferenceRequest):  # type: ignore[misc]
    """A request for an inference, by customer or by feature row. Parameters are taken and change nothing."""

    inputs: list[Tensor] = Field(min_length=1, max_length=MOST_TENSORS)
    outputs: list[RequestOutput] | None = Field(default=None, description="Outputs that are wanted; all by default.")


class IndexRequest(RepositoryIndexRequest):  # type: ignore[misc]
    """Which models are to be listed."""

    ready: StrictBool | None = None


class Inference:
    """The one model behind the protocol, by name and version.

    Args:
        data_plane: What answers.
        served: Tells the version that answers at the moment; None without a champion.
    """

    def __init__(self, data_plane: DataPlane, served: Callable[[], str | None]) -> None:
        self.data_plane, self._served = data_plane, served

    def check(self, name: str, version: str | None) -> None:
        """Refuses other models and versions.

        Raises:
            NoModelError: It is not the one that is served.
        """
        served = self._served()
        if name != MODEL or (version and served is not None and version != served):
            raise NoModelError(f"there is one model, {MODEL}, in version {served or 'none yet'}")

    async def infer(self, request: InferRequest, name: str, version: str | None) -> InferenceResponse:
        """Answers a request whose shape has been checked.

        Raises:
            NoModelError: The model, or the version, is not served.
        """
        self.check(name, version)
        response = await self.data_plane.infer(request, MODEL)
        if version and response.model_version != version:  # the champion moved in between
            self.check(name, version)
        response.parameters.headers = None
        return response

    async def ready(self, name: str, version: str | None) -> bool:
        """Whether the model can answer."""
        self.check(name, version)
        return bool(await self.data_plane.model_ready(MODEL))

    async def metadata(self, name: str, version: str | None) -> MetadataModelResponse:
        """What the model takes and gives."""
        self.check(name, version)
        return await self.data_plane.model_metadata(MODEL)


def add_routes(app: FastAPI, inference: Inference, index: Callable[[Any], Awaitable[Any]]) -> None:
    """Adds the protocol's paths that name the model, with and without its version.

    Args:
        app: Where to.
        inference: What answers.
        index: Lists the models.
    """

    async def infer(request: InferRequest, model_name: str, model_version: str | None = None) -> InferenceResponse:
        return await inference.infer(request, model_name, model_version)

    async def ready(model_name: str, model_version: str | None = None) -> Response:
        is_ready = await inference.ready(model_name, model_version)
        told = orjson.dumps({"name": MODEL, "ready": is_ready})
        return Response(told, 200 if is_ready else 503, media_type="application/json")

    async def metadata(model_name: str, model_version: str | None = None) -> MetadataModelResponse:
        return await inference.metadata(model_name, model_version)

    async def listed(request: IndexRequest) -> RepositoryIndexResponse:
        return await index(request)

    told: dict[str, Any] = {"response_model_exclude_unset": True, "response_model_exclude_none": True}
    few: dict[int | str, dict[str, Any]] = {code: RESPONSES[code] for code in (401, 404, 429, 503)}
    for start in ("/v2/models/{model_name}", "/v2/models/{model_name}/versions/{model_version}"):
        app.add_api_route(f"{start}/infer", infer, methods=["POST"], responses=RESPONSES, summary="Infer", **told)
        app.add_api_route(f"{start}/ready", ready, methods=["GET"], responses=few, summary="Is the model ready?")
        app.add_api_route(start, metadata, methods=["GET"], responses=few, summary="What the model takes", **told)
    few |= {code: RESPONSES[code] for code in (400, 422)}
    app.add_api_route("/v2/repository/index", listed, methods=["POST"], responses=few, summary="List models", **told)


def request_of(message: Any) -> InferRequest:
    """A request as gRPC carries it.

    Args:
        message: ``ModelInferRequest``.

    Raises:
        InputError: Contents do not fit their types and shapes, or stand in two places.
    """
    raw = list(message.raw_input_contents)
    if raw and len(raw) != len(message.inputs):
        raise InputError("raw_input_contents has one entry for each input", where="inputs")
    inputs = [
        {
            "name": one.name,
            "datatype": one.datatype,
            "shape": list(one.shape),
            "data": _values(one, raw[place] if raw else None),
        }
        for place, one in enumerate(message.inputs)
    ]
    outputs = [{"name": one.name} for one in message.outputs] or None
    try:
        found: InferRequest = InferRequest.model_validate(
            {"id": message.id or None, "inputs": inputs, "outputs": outputs}
        )
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        raise InputError("the request is not valid: " + "; ".join(where(faults)), where="inputs") from error
    return found


def _values(tensor: Any, raw: bytes | None) -> list[Any]:
    filled = [field.name for field, _ in tensor.contents.ListFields()]
    if raw is not None:
        if filled:
            raise InputError("a tensor has its values in contents or in raw_input_contents", where="inputs")
        return _unpacked(tensor, raw)
    if set(filled) - {CONTENTS.get(tensor.datatype)}:
        raise InputError("a tensor has its values where its datatype wants them", where="inputs")
    return list(getattr(tensor.contents, filled[0])) if filled else []


def _unpacked(tensor: Any, raw: bytes) -> list[Any]:
    if tensor.datatype not in Datatype.__members__:
        raise InputError("a tensor has a datatype that nobody knows", where="inputs")
    try:
        return list(unpack(tensor, raw))
    except (struct.error, ValueError, OverflowError) as error:
        raise InputError("raw contents do not fill their tensor's shape", where="inputs") from error
