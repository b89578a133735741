"""The protocol over gRPC: MLServer's service with our checks, behind the same tokens and limits as REST."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.message import DecodeError
from grpc import aio
from mlserver.errors import MLServerError, ModelNotReady
from mlserver.grpc.converters import ModelInferResponseConverter, ModelMetadataResponseConverter
from mlserver.grpc.dataplane_pb2 import (
    ModelInferResponse,
    ModelMetadataResponse,
    ModelReadyResponse,
    RepositoryModelLoadResponse,
    RepositoryModelUnloadResponse,
)
from mlserver.grpc.dataplane_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from mlserver.grpc.servicers import InferenceServicer
from mlserver.handlers import ModelRepositoryHandlers
from mlserver.types import TensorData

from spanishgas.errors import SpanishGasError
from spanishgas.serving.admission import Admission
from spanishgas.serving.errors import GENERIC, STATUS
from spanishgas.serving.observability import Observer
from spanishgas.serving.open_inference import Inference, request_of
from spanishgas.serving.settings import ServingSettings

GRACE_SECONDS = 5.0
OPTIONS = {
    # Callers that have gone, or never say a word, are found out.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.max_connection_idle_ms": 300_000,
    "grpc.server_handshake_timeout_ms": 10_000,
    "grpc.max_concurrent_streams": 128,
    "grpc.max_metadata_size": 8192,
}
HEALTH = ("/ServerLive", "/ServerReady")
CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    503: grpc.StatusCode.UNAVAILABLE,
}
log = logging.getLogger("spanishgas.serving")


class Servicer(InferenceServicer):  # type: ignore[misc]
    """MLServer's service; what names a model is checked first. Errors are left to whoever calls.

    Args:
        inference: What answers.
        repository: Repository calls.
    """

    def __init__(self, inference: Inference, repository: ModelRepositoryHandlers) -> None:
        super().__init__(inference.data_plane, repository)
        self._inference, self._repository = inference, repository

    async def ModelReady(self, request: Any, _: Any) -> ModelReadyResponse:  # noqa: N802
        """Whether the model can answer."""
        return ModelReadyResponse(ready=await self._inference.ready(request.name, request.version))

    async def ModelMetadata(self, request: Any, _: Any) -> ModelMetadataResponse:  # noqa: N802
        """What the model takes and gives."""
        return ModelMetadataResponseConverter.from_types(await self._inference.metadata(request.name, request.version))

    async def ModelInfer(self, request: Any, _: Any) -> ModelInferResponse:  # noqa: N802
        """An inference; outputs are raw where inputs were."""
        found = await self._inference.infer(request_of(request), request.model_name, request.model_version)
        for one in found.outputs:
            if one.datatype == "BYTES":
                one.data = TensorData(root=[text.encode() for text in one.data])
        return ModelInferResponseConverter.from_types(found, use_raw=bool(request.raw_input_contents))

    async def RepositoryModelLoad(self, request: Any, _: Any) -> RepositoryModelLoadResponse:  # noqa: N802
        """Refuses."""
        await self._repository.load(request.model_name)

    async def RepositoryModelUnload(self, request: Any, _: Any) -> RepositoryModelUnloadResponse:  # noqa: N802
        """Refuses."""
        await self._repository.unload(request.model_name)


class Grpc:
    """The service on its port.

    Args:
        servicer: The service.
        serving: Limits.
        observer: Told of every call.
        admission: Tokens, rates and room.
    """

    def __init__(self, servicer: Servicer, serving: ServingSettings, observer: Observer, admission: Admission) -> None:
        self._servicer, self._serving = servicer, serving
        self._guard = _Guard(serving, observer, admission)
        self._server: aio.Server | None = None

    async def start(self) -> None:
        """Serves until stopped."""
        most = self._serving.max_body_bytes
        options = {
            **OPTIONS,
            "grpc.max_send_message_length": most * 4,
            "grpc.max_receive_message_length": most,
            "grpc.so_reuseport": 1,
        }
        self._server = aio.server(
            ThreadPoolExecutor(max_workers=2),
            interceptors=[self._guard],
            options=list(options.items()),
            maximum_concurrent_rpcs=2 * self._serving.max_waiting,
        )
        add_GRPCInferenceServiceServicer_to_server(self._servicer, self._server)
        if self._server.add_insecure_port(f"{self._serving.host}:{self._serving.grpc_port}") == 0:
            raise OSError(f"port {self._serving.grpc_port} is taken")
        await self._server.start()
        await self._server.wait_for_termination()

    async def stop(self, sig: int | None = None) -> None:  # noqa: ARG002
        """Answers what is open, for some seconds at most."""
        if self._server is not None:
            await self._server.stop(grace=min(self._serving.drain_seconds, GRACE_SECONDS))


class _Guard(aio.ServerInterceptor):  # type: ignore[misc]
    """Token, rate, room and deadline of every call, and its errors as gRPC says them: faults without their text."""

    def __init__(self, serving: ServingSettings, observer: Observer, admission: Admission) -> None:
        self._serving, self._observer, self._admission = serving, observer, admission

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Wraps a call."""
        handler = await continuation(details)
        if handler is None:
            return None
        method = details.method.rpartition("/")[2]
        given = str(dict(details.invocation_metadata).get("authorization", "")).encode()
        is_health = details.method.endswith(HEALTH)

        async def guarded(request: Any, context: Any) -> Any:
            started, code = time.perf_counter(), grpc.StatusCode.INTERNAL
            request_id, is_inside = uuid4().hex, False
            try:
                caller = "" if is_health else self._admission.caller(given, context.peer().rpartition(":")[0])
                if caller is None:
                    code = grpc.StatusCode.UNAUTHENTICATED
                    await context.abort(code, "a bearer token is needed")
                if handler.unary_unary is None:
                    code = grpc.StatusCode.UNIMPLEMENTED
                    await context.abort(code, "streams are not answered here")
                if not is_health:
                    is_inside = self._admission.rate.takes(caller or "") and self._admission.enter()
                    if not is_inside:
                        code = grpc.StatusCode.RESOURCE_EXHAUSTED
                        await context.abort(code, "too many requests; come again later")
                    await asyncio.sleep(0)
                if request is None:
                    code = grpc.StatusCode.INVALID_ARGUMENT
                    await context.abort(code, "the message cannot be read")
                code, answer, text = await self._called(handler.unary_unary, request, context, request_id)
                if code is not grpc.StatusCode.OK:
                    await context.abort(code, text)
                return answer
            finally:
                if is_inside:
                    self._admission.leave()
                taken = time.perf_counter() - started
                kind = "" if code is grpc.StatusCode.OK else f"grpc_{code.name.lower()}"
                self._observer.request(f"grpc/{method}", code.value[0], taken, request_id, kind)

        if handler.request_streaming or handler.response_streaming:
            return _streaming(handler, guarded)
        parse = _parsing(handler.request_deserializer)
        return grpc.unary_unary_rpc_method_handler(guarded, parse, handler.response_serializer)

    async def _called(
        self, call: Callable[[Any, Any], Awaitable[Any]], request: Any, context: Any, request_id: str
    ) -> tuple[grpc.StatusCode, Any, str]:
        seconds = self._serving.deadline_seconds
        clock = asyncio.timeout(seconds)
        try:
            async with clock:
                return grpc.StatusCode.OK, await call(request, context), ""
        except Exception as error:
            told = _told(error)
            if isinstance(error, TimeoutError) and clock.expired():
                told = grpc.StatusCode.DEADLINE_EXCEEDED, f"there was no answer within {seconds:g} s"
            if told is None:
                log.exception("a call failed", extra={"facts": {"request_id": request_id}})
                told = grpc.StatusCode.INTERNAL, f"{GENERIC}: {request_id}"
            return told[0], None, told[1]


def _told(error: Exception) -> tuple[grpc.StatusCode, str] | None:
    """Code and text of an error that a caller can act on; None for a fault of ours."""
    if isinstance(error, ModelNotReady):
        return grpc.StatusCode.UNAVAILABLE, "there is no champion yet. Run `promote`"
    if isinstance(error, SpanishGasError):
        status = next((code for kind, (code, _) in STATUS.items() if isinstance(error, kind)), 500)
    elif isinstance(error, MLServerError):
        status = error.status_code
    else:
        return None
    return (CODES[status], str(error)) if status in CODES else None


def _parsing(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Reads a message; None of what is none, for which the library would say that it is at fault."""

    def parsed(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError:
            return None

    return parsed


def _streaming(handler: Any, guarded: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    """A stream, which is refused as any call is."""

    async def refused(requests: Any, context: Any) -> Any:
        await guarded(requests, context)

    return grpc.stream_unary_rpc_method_handler(refused, handler.request_deserializer, handler.response_serializer)
