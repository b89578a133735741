"""MLServer with its REST and gRPC servers behind our gate."""

import asyncio
import os
import re
import socket
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.errors import MLServerError
from mlserver.handlers import DataPlane, ModelRepositoryHandlers, get_custom_handlers
from mlserver.rest import RESTServer
from mlserver.types import RepositoryIndexRequest, RepositoryIndexResponse, RepositoryIndexResponseItem, State
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from spanishgas.errors import SpanishGasError
from spanishgas.serving.admission import Admission
from spanishgas.serving.connections import Limits, Uvicorn, limited
from spanishgas.serving.docs_page import page
from spanishgas.serving.errors import (
    RefusedError,
    answer_fault,
    answer_http,
    answer_invalid,
    answer_known,
    answer_mlserver,
)
from spanishgas.serving.gate import Gate
from spanishgas.serving.holder import BundleHolder
from spanishgas.serving.observability import Observer
from spanishgas.serving.open_inference import MODEL, RESPONSES, Inference, add_routes
from spanishgas.serving.remote_calls import Grpc, Servicer
from spanishgas.serving.runtime import ChurnRuntime
from spanishgas.serving.schema import ManyAnswers, ScoreAnswer, described
from spanishgas.serving.settings import ServingSettings

# No text is generated here, MLServer's pages load scripts from elsewhere, and what names the model is ours.
UNUSED = re.compile(r"/generate|/infer_stream|/docs|^/v2/models/|^/v2/repository/index")
# Browsers shall make nothing of an answer but what it is.
SECURITY_HEADERS = [
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
]


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
    """MLServer's repository calls: one model, which is neither loaded nor unloaded by callers.

    MLServer's reload loses requests; bundles are swapped by other means.

    Args:
        served: Tells the version that answers at the moment; None without a champion.
        given: What MLServer gives its own.
    """

    def __init__(self, served: Callable[[], str | None], **given: Any) -> None:
        super().__init__(**given)
        self._served = served

    async def index(self, payload: RepositoryIndexRequest) -> RepositoryIndexResponse:
        """The model with its version."""
        version = self._served()
        state, reason = (State.READY, "") if version else (State.UNAVAILABLE, "there is no champion yet")
        item = RepositoryIndexResponseItem(name=MODEL, version=version or "", state=state, reason=reason)
        return RepositoryIndexResponse(root=[] if payload.ready and not version else [item])

    async def load(self, name: str) -> bool:  # noqa: ARG002
        """Refuses."""
        raise RefusedError("models are not loaded this way; POST /admin/refresh looks at the registry")

    async def unload(self, name: str) -> bool:  # noqa: ARG002
        """Refuses."""
        raise RefusedError("models are not unloaded this way")


class Rest(RESTServer):  # type: ignore[misc]
    """MLServer's REST server with our routes, errors and gate, on a socket that is open already."""

    def __init__(
        self,
        settings: Settings,
        data_plane: DataPlane,
        repository: ModelRepositoryHandlers,
        serving: ServingSettings,
        observer: Observer,
        admission: Admission,
        inference: Inference,
        ask_refresh: "Refresh",
    ) -> None:
        super().__init__(settings, data_plane, repository)
        self.socket: socket.socket | None = None
        self._serving, self._observer, self._admission = serving, observer, admission
        app: FastAPI = self._app
        app.title, app.version = "SpanishGas", "1"
        app.description = "Churn score, segment, recommendation and reasons of a customer."
        app.router.routes[:] = [route for route in app.routes if not UNUSED.search(getattr(route, "path", ""))]
        # Ours come first: MLServer's have no bodies, and say 400 where there is no model yet.
        _add_first(app, "/v2/health/live", _health(data_plane, needs_model=False))
        _add_first(app, "/v2/health/ready", _health(data_plane, needs_model=True))
        _add_first(app, "/docs", _docs(app))
        add_routes(app, inference, repository.index)
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
        app.openapi = _described(app, serving)  # type: ignore[method-assign]
        self.application = Gate(app, serving, observer, admission)

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
            # Routes are tried in their order, and this one is asked for most.
            self._app.router.routes.insert(0, self._app.router.routes.pop())
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
            headers=SECURITY_HEADERS,
            http=limited(Limits(self._serving, self._observer, self._admission)),
            ws="none",
            timeout_graceful_shutdown=max(int(self._serving.drain_seconds), 1),
            timeout_keep_alive=max(int(self._serving.idle_seconds), 1),
            backlog=2048,
        )
        self._server = Uvicorn(config)
        await self._server.serve(None if self.socket is None else [self.socket])


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
        repository = NoRepository(self._version, repository=self._model_repository, model_registry=self._model_registry)
        admission = Admission(self._serving)
        inference = Inference(self._data_plane, self._version)
        self.rest = Rest(
            self._settings,
            self._data_plane,
            repository,
            self._serving,
            self._observer,
            admission,
            inference,
            Refresh(self._pipe, self._holder),
        )
        self._rest_server = self.rest
        self._grpc_server = None
        if self._serving.grpc_port:
            servicer = Servicer(inference, repository)
            self._grpc_server = Grpc(servicer, self._serving, self._observer, admission)
        self._kafka_server = None

    def _version(self) -> str | None:
        bundle = self._holder.bundle
        return None if bundle is None else bundle.recommender.version

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


def _health(data_plane: DataPlane, *, needs_model: bool) -> Any:
    async def health(_: Request) -> Response:
        is_ready = bool(await data_plane.ready())
        told = orjson.dumps({"live": True, "ready": is_ready})
        return Response(told, 200 if is_ready or not needs_model else 503, media_type="application/json")

    return health


def _docs(app: FastAPI) -> Any:
    async def docs(_: Request) -> HTMLResponse:
        return HTMLResponse(page(app.openapi()))

    return docs


def _described(app: FastAPI, serving: ServingSettings) -> Callable[[], dict[str, Any]]:
    """The description, made when it is first asked for, with the limits of this server."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            described(plain(), serving)
        return app.openapi_schema or {}

    return openapi
