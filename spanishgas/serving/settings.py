"""Settings of the server, from the environment: ``SPANISHGAS_SERVE_<NAME>``."""

from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from spanishgas.config.addresses import is_loopback
from spanishgas.config.places import DataPlace, ObjectAddress, Place
from spanishgas.engine.storage import default_cache
from spanishgas.errors import ConfigError

PREFIX = "SPANISHGAS_SERVE_"
DEFAULT_DATA = "demo"


class ServingSettings(BaseSettings):
    """What a server is told at its start.

    Attributes:
        data: Name of the data set; the model is ``churn`` for the default one, else ``churn-<name>``.
        data_root: Its published tables; None takes ``data`` for the default one, else ``data/<name>``.
        cache: Where tables are kept as the server reads them; None takes a folder below the data root.
        tracking_uri: Store of the registry; ``MLFLOW_TRACKING_URI`` wins over it.
        host: Address to listen on. Other than this machine's own only with a token, or with ``insecure``.
        http_port: Port of REST.
        grpc_port: Port of gRPC; 0 leaves gRPC out.
        metrics_port: Port of the Prometheus metrics; 0 leaves them out.
        workers: Processes that answer.
        threads: Threads of a worker for batches of more than a few customers.
        token: Bearer token that callers must give, or several with commas between them; None asks for none.
        admin_token: Bearer token of control calls; without it there are none.
        insecure: Listen on other addresses without a token, as behind a gateway that authenticates.
        max_body_bytes: Largest body of a request.
        max_batch: Most customers, or feature rows, of one request.
        max_head_bytes: Largest head of a request: its line and headers.
        max_connections: Most open connections of a worker.
        max_waiting: Most requests of a worker that wait for their answer; more are told to come again.
        head_seconds: Time for a head to arrive whole.
        body_seconds: Time for a body to arrive whole.
        idle_seconds: Time that a connection without a request, or with an answer that nobody reads, is kept.
        deadline_seconds: Time for an answer, from the whole body on.
        rate_per_second: Requests a second that a worker answers to one token, or to one address without tokens; 0 for
            no limit.
        dates: Newest dates of features that are served, beside those that a served run decided on.
        runs: Newest runs whose decisions are served.
        poll_seconds: Time between two looks at the registry and the published tables.
        today: Day of the question; None takes the clock's.
        log_share: Share of answers that go into the request log.
        log_folder: Folder of the request log; None takes a folder below the data root.
        drain_seconds: Time that open requests are given at the end.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    data: str = Field(default=DEFAULT_DATA, pattern=r"^[a-z0-9_]+$")
    data_root: DataPlace | None = None
    cache: Path | None = None
    tracking_uri: str = "sqlite:///mlflow.db"
    host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65535)
    grpc_port: int = Field(default=8081, ge=0, le=65535)
    metrics_port: int = Field(default=8082, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=256)
    threads: int = Field(default=1, ge=1)
    token: SecretStr | None = None
    admin_token: SecretStr | None = None
    insecure: bool = False
    max_body_bytes: int = Field(default=1 << 20, ge=1024)
    max_batch: int = Field(default=500, ge=1)
    max_head_bytes: int = Field(default=1 << 15, ge=1024)
    max_connections: int = Field(default=4096, ge=1)
    max_waiting: int = Field(default=64, ge=1)
    head_seconds: float = Field(default=10.0, gt=0)
    body_seconds: float = Field(default=15.0, gt=0)
    idle_seconds: float = Field(default=30.0, gt=0)
    deadline_seconds: float = Field(default=10.0, gt=0)
    rate_per_second: float = Field(default=0.0, ge=0)
    dates: int = Field(default=3, ge=1)
    runs: int = Field(default=3, ge=1)
    poll_seconds: float = Field(default=5.0, gt=0)
    today: date | None = None
    log_share: float = Field(default=0.0, ge=0, le=1)
    log_folder: Path | None = None
    drain_seconds: float = Field(default=10.0, ge=0)

    @classmethod
    def read(cls, **given: object) -> "ServingSettings":
        """Reads the environment.

        Args:
            given: Settings that win over it.

        Raises:
            ConfigError: A setting is wrong; the message names the variable.
        """
        try:
            return cls(**given)  # type: ignore[arg-type]
        except ValidationError as error:
            told = [
                f"{PREFIX}{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}" if one["loc"] else str(one["msg"])
                for one in error.errors(include_input=False, include_url=False)
            ]
            raise ConfigError("; ".join(told), where="environment", todo="See docs/serving.md") from error

    @model_validator(mode="after")
    def _safe(self) -> "ServingSettings":
        if self.token is not None and not self.tokens:
            raise ValueError(f"{PREFIX}TOKEN holds no token")
        if not self.tokens and not self.insecure and not is_loopback(self.host):
            raise ValueError(
                f"{PREFIX}HOST is {self.host}, which others can reach: set {PREFIX}TOKEN, or {PREFIX}INSECURE=true "
                "where a gateway in front authenticates"
            )
        return self

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens of callers, none where none is asked for."""
        told = "" if self.token is None else self.token.get_secret_value()
        return tuple(one.strip() for one in told.split(",") if one.strip())

    @property
    def root(self) -> Place:
        """Data root of the data set."""
        if self.data_root is not None:
            return self.data_root
        return Path("data") if self.data == DEFAULT_DATA else Path("data") / self.data

    @property
    def cache_folder(self) -> Path:
        """Where tables are kept as the server reads them."""
        return self.cache or self._here / "serving"

    @property
    def _here(self) -> Path:
        """Folder of local files: the data root, or the cache of an object store."""
        return default_cache(self.root) if isinstance(self.root, ObjectAddress) else self.root

    @property
    def request_log(self) -> Path:
        """Folder of the request log."""
        return self.log_folder or self._here / "request_log"

    @property
    def model_name(self) -> str:
        """Registered model of the data set."""
        return "churn" if self.data == DEFAULT_DATA else f"churn-{self.data}"

    @property
    def day(self) -> date:
        """Day of the question."""
        return self.today or datetime.now(tz=UTC).date()
