"""MLServer with its REST and gRPC servers behind our gate."""

import asyncio
import os
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import orjson
import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from grpc import aio
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.errors import MLServerError
from mlserver.grpc.dataplane_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from mlserver.grpc.servicers import InferenceServicer
from mlserver.handlers import DataPlane, ModelRepositoryHandlers, get_custom_handlers
from mlserver.rest import RESTServer
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from spanishgas.errors import SpanishGasError
from spanishgas.serving.docs_page import page
from spanishgas.serving.errors import (
    STATUS,
    answer_fault,
    answer_http,
    answer_invalid,
    answer_known,
    answer_mlserver,
)
from spanishgas.serving.gate import Gate
from spanishgas.serving.holder import BundleHolder
from spanishgas.serving.observability import Observer
from spanishgas.serving.runtime import MODEL, ChurnRuntime
from spanishgas.serving.schema import ManyAnswers, Problem, ScoreAnswer
from spanishgas.serving.settings import ServingSettings

GRPC_GRACE_SECONDS = 5.0
UNUSED = re.compile(r"/generate|/infer_stream|/docs|\{model_version\}")
RESPONSES: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "A bearer token is needed."},
    404: {"model": Problem, "description": "The customer is not known, or has no features of that date."},
    413: {"model": Problem, "description": "The body is too large."},
    415: {"model": Problem, "description": "The body is compressed."},
    422: {"model": Problem, "description": "The request is not valid; the details say where."},
    503: {"model": Problem, "description": "There is no champion yet."},
}


def own_settings(settings: ServingSettings) -> Settings:
    """MLServer's settings: what it would take from its defaults or the environment, said outright."""
    return Settings(
        debug=False,
        parallel_workers=0,
        host=settings.host,
        http_port=settings.http_port,
        grpc_port=settings.grpc_port,
        grpc_max_message_length=settings.max_body_bytes,
        metrics_endpoint=None,
        gzip_enabled=False,
        cors_settings=None,
        tracing_server=None,
        kafka_enabled=False,
        cache_enabled=False,
        load_models_at_startup=False,
        model_repository_root=os.devnull,
        server_name="spanishgas",
    )


class NoRepository(ModelRepositoryHandlers):  # type: ignore[misc]
    """MLServer's repository calls, turned off: its reload loses requests, and bundles are swapped by other means."""

    async def load(self, name: str) -> bool:  # noqa: ARG002
        """Refuses."""
        raise MLServerError("models are not loaded this way; POST /admin/refresh looks at the registry", 403)

    async def unload(self, name: str) -> bool:  # noqa: ARG002
        """Refuses."""
        raise MLServerError("models are not unloaded this way", 403)


class Rest(RESTServer):  # type: ignore[misc]
    """MLServer's REST server with our routes, errors and gate, on a socket that is open already."""

    def __init__(
        self,
        settings: Settings,
        data_plane: DataPlane,
        repository: ModelRepositoryHandlers,
        serving: ServingSettings,
        observer: Observer,
        ask_refresh: "Refresh",
    ) -> None:
        super().__init__(settings, data_plane, repository)
        self.socket: socket.socket | None = None
        self._serving = serving
        app: FastAPI = self._app
        app.title, app.version = "SpanishGas", "1"
        app.description = "Churn score, segment, recommendation and reasons of a customer."
        # No text is generated here, there is one version at a time, and MLServer's pages load scripts from elsewhere.
        app.router.routes[:] = [route for route in app.routes if not UNUSED.search(getattr(route, "path", ""))]
        # Ours comes first: MLServer's says 400 where there is no model yet.
        _add_first(app, "/v2/health/ready", _ready(data_plane))
        _add_first(app, "/docs", _docs(app))
        app.add_api_route("/admin/refresh", ask_refresh.ask, methods=["POST"], include_in_schema=False)
        handlers: dict[Any, Any] = {
            SpanishGasError: answer_known,
            RequestValidationError: answer_invalid,
            HTTPException: answer_http,
            MLServerError: answer_mlserver,
            Exception: answer_fault,
        }
        for kind, handler in handlers.items():
            app.add_exception_handler(kind, handler)
        self.application = Gate(app, serving, observer)

    async def add_custom_handlers(self, model: MLModel) -> MLModel:
        """Adds a model's own routes, described as they are."""
        for handler, method in get_custom_handlers(model):
            self._app.add_api_route(
                handler.rest_path,
                method,
                methods=[handler.rest_method],
                response_model=ScoreAnswer | ManyAnswers,
                responses=RESPONSES,
                summary="Score customers",
                response_model_exclude_none=False,
                response_model_exclude_unset=False,
            )
        return model

    async def start(self) -> None:
        """Serves until told to stop; requests that are open then are answered."""
        config = uvicorn.Config(
            self.application,
            host=self._serving.host,
            port=self._serving.http_port,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=max(int(self._serving.drain_seconds), 1),
            timeout_keep_alive=30,
            backlog=2048,
        )
        self._server = _Uvicorn(config)
        await self._server.serve(None if self.socket is None else [self.socket])


class _Uvicorn(uvicorn.Server):
    """Signals are MLServer's to handle."""

    def install_signal_handlers(self) -> None:
        """Installs none."""

    def capture_signals(self) -> Any:
        """Captures none."""
        from contextlib import nullcontext

        return nullcontext()


class Refresh:
    """Asks whoever publishes to look at the registry now.

    Args:
        pipe: File descriptor that the publisher listens on; None where there is none.
    """

    def __init__(self, pipe: int | None, holder: BundleHolder) -> None:
        self._pipe, self._holder = pipe, holder

    async def ask(self) -> Response:
        """Asks, and says what is served at the moment."""
        if self._pipe is not None:
            os.write(self._pipe, b"!")
        bundle = self._holder.bundle
        told = {"asked": self._pipe is not None, "bundle": None if bundle is None else bundle.id}
        return Response(orjson.dumps(told), 202, media_type="application/json")


class Grpc:
    """MLServer's gRPC service behind the same token.

    Args:
        settings: MLServer's settings.
        data_plane: What answers.
        repository: Repository calls.
        serving: Tokens and limits.
    """

    def __init__(
        self, settings: Settings, data_plane: DataPlane, repository: ModelRepositoryHandlers, serving: ServingSettings
    ) -> None:
        self._settings, self._serving = settings, serving
        self._servicer = InferenceServicer(data_plane, repository)
        self._server: aio.Server | None = None

    async def start(self) -> None:
        """Serves until stopped."""
        most = self._serving.max_body_bytes
        options = [
            ("grpc.max_send_message_length", most * 4),
            ("grpc.max_receive_message_length", most),
            ("grpc.so_reuseport", 1),
        ]
        self._server = aio.server(
            ThreadPoolExecutor(max_workers=2), interceptors=[_Token(self._serving), _Faults()], options=options
        )
        add_GRPCInferenceServiceServicer_to_server(self._servicer, self._server)
        if self._server.add_insecure_port(f"{self._settings.host}:{self._settings.grpc_port}") == 0:
            raise OSError(f"port {self._settings.grpc_port} is taken")
        await self._server.start()
        await self._server.wait_for_termination()

    async def stop(self, sig: int | None = None) -> None:  # noqa: ARG002
        """Answers what is open, for some seconds at most."""
        if self._server is not None:
            await self._server.stop(grace=min(self._serving.drain_seconds, GRPC_GRACE_SECONDS))


class _Token(aio.ServerInterceptor):  # type: ignore[misc]
    """Calls without the token end before anything looks at them."""

    def __init__(self, serving: ServingSettings) -> None:
        token = serving.token
        self._wanted = None if token is None else f"Bearer {token.get_secret_value()}"

        async def refuse(_: Any, context: Any) -> None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "a bearer token is needed")

        self._refuse = grpc.unary_unary_rpc_method_handler(refuse)

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Lets a call pass, or refuses it."""
        import hmac

        if self._wanted is not None and not details.method.endswith(("/ServerLive", "/ServerReady")):
            given = dict(details.invocation_metadata).get("authorization", "")
            if not hmac.compare_digest(str(given).encode(), self._wanted.encode()):
                return self._refuse
        return await continuation(details)


class _Faults(aio.ServerInterceptor):  # type: ignore[misc]
    """Errors of ours as gRPC says them; any other as a fault without its text."""

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Wraps unary calls."""
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler
        call = handler.unary_unary

        async def guarded(request: Any, context: Any) -> Any:
            try:
                return await call(request, context)
            except SpanishGasError as error:
                status = next((code for kind, (code, _) in STATUS.items() if isinstance(error, kind)), 500)
                await context.abort(_GRPC.get(status, grpc.StatusCode.INTERNAL), str(error) if status < 504 else "")

        return grpc.unary_unary_rpc_method_handler(guarded, handler.request_deserializer, handler.response_serializer)


_GRPC = {
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    503: grpc.StatusCode.UNAVAILABLE,
}


class ChurnServer(MLServer):  # type: ignore[misc]
    """One worker: MLServer without parallel workers of its own, answering from a holder's bundle.

    Args:
        serving: The server's settings.
        holder: What answers.
        observer: What is told of requests.
        refresh_pipe: File descriptor that asks for a look at the registry; None where nobody listens.
    """

    def __init__(
        self, serving: ServingSettings, holder: BundleHolder, observer: Observer, refresh_pipe: int | None = None
    ) -> None:
        self._serving, self._holder, self._observer, self._pipe = serving, holder, observer, refresh_pipe
        super().__init__(own_settings(serving))

    def _configure_logger(self) -> None:
        """Logging is set up by whoever starts the process."""

    def _create_servers(self) -> None:
        repository = NoRepository(repository=self._model_repository, model_registry=self._model_registry)
        self.rest = Rest(
            self._settings,
            self._data_plane,
            repository,
            self._serving,
            self._observer,
            Refresh(self._pipe, self._holder),
        )
        self._rest_server = self.rest
        self._grpc_server = None
        if self._serving.grpc_port:
            self._grpc_server = Grpc(self._settings, self._data_plane, repository, self._serving)
        self._kafka_server = None

    async def load(self) -> None:
        """Registers the one model."""
        runtime = ChurnRuntime.of(self._holder, self._observer, self._serving)
        settings = ModelSettings(name=MODEL, implementation=ChurnRuntime)
        model = runtime(settings)
        self._model_registry._model_initialiser = lambda _: model
        await self._model_registry.load(settings)

    async def serve(self, sock: socket.socket | None = None) -> None:
        """Serves until a signal says stop.

        Args:
            sock: The socket to accept from; None opens one of its own.
        """
        self.rest.socket = sock
        await self.load()
        servers: Sequence[Any] = [self.rest.start(), *([self._grpc_server.start()] if self._grpc_server else [])]
        await asyncio.gather(*servers)


def _add_first(app: FastAPI, path: str, endpoint: Any) -> None:
    app.add_api_route(path, endpoint, methods=["GET"], include_in_schema=False)
    app.router.routes.insert(0, app.router.routes.pop())


def _ready(data_plane: DataPlane) -> Any:
    async def ready(_: Request) -> Response:
        return Response(status_code=200 if await data_plane.ready() else 503)

    return ready


def _docs(app: FastAPI) -> Any:
    async def docs(_: Request) -> HTMLResponse:
        return HTMLResponse(page(app.openapi()))

    return docs
