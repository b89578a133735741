"""What the dashboard shows, and where it listens: from the environment, because no pipeline starts it."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from spanishgas.config import TrackingSettings
from spanishgas.config.addresses import is_loopback
from spanishgas.config.base import SettingsModel
from spanishgas.config.places import DataPlace, Place, below
from spanishgas.errors import ConfigError

# Setting -> variable.
VARIABLES = {
    "data_root": "SPANISHGAS_DATA_ROOT",
    "data": "SPANISHGAS_DATA",
    "language": "SPANISHGAS_LANGUAGE",
    "tracking_uri": "MLFLOW_TRACKING_URI",
    "artifacts": "SPANISHGAS_ARTIFACTS",
    "address": "SPANISHGAS_DASHBOARD_ADDRESS",
    "token": "SPANISHGAS_DASHBOARD_TOKEN",
    "insecure": "SPANISHGAS_DASHBOARD_INSECURE",
    "port": "PORT",
}
DEFAULT_DATA = "demo"
LANGUAGES = ("en", "es")


class DashboardSettings(SettingsModel):
    """Settings of one dashboard.

    Attributes:
        data_root: Where all tables are published: a folder, or an address in an object store.
        data: Name of the data set; the default one lies in ``data_root`` itself, others below it.
        language: ``en``, ``es``, or empty for the browser's.
        tracking_uri: Tracking store with the model registry.
        artifacts: Artifact folder of a local store.
        address: Where to listen; this machine only by default. Other than that only with a token, or with ``insecure``.
        token: What callers must know; None lets everybody in.
        insecure: Listen on other addresses without a token, as behind a proxy with a log-in.
        port: Port.
    """

    data_root: DataPlace = Path("data")
    data: str = Field(default=DEFAULT_DATA, pattern=r"^[A-Za-z0-9_-]+$")
    language: str = ""
    tracking_uri: str = Field(default="sqlite:///mlflow.db", min_length=1)
    artifacts: Path = Path("mlruns")
    address: str = Field(default="127.0.0.1", min_length=1)
    token: SecretStr | None = Field(default=None, min_length=8)
    insecure: bool = False
    port: int = Field(default=8501, ge=1, le=65535)

    @field_validator("language")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value and value not in LANGUAGES:
            raise ValueError(f"one of {', '.join(LANGUAGES)}, or nothing for the browser's")
        return value

    @model_validator(mode="after")
    def _safe(self) -> "DashboardSettings":
        if self.token is None and not self.insecure and not is_loopback(self.address):
            raise ValueError(
                f"{VARIABLES['address']} is {self.address}, which others can reach: set {VARIABLES['token']}, or "
                f"{VARIABLES['insecure']}=true where a proxy in front asks who they are"
            )
        return self

    @property
    def root(self) -> Place:
        """Where the data set's tables are published."""
        return self.data_root if self.data == DEFAULT_DATA else below(self.data_root, self.data)

    @property
    def option(self) -> str:
        """What a command needs to work on this data set, with a space before it; empty for the default."""
        return "" if self.data == DEFAULT_DATA else f" data={self.data}"

    @property
    def tracking(self) -> TrackingSettings:
        """The tracking store, as the registry takes it."""
        return TrackingSettings(uri=self.tracking_uri, artifacts=self.artifacts, experiment="spanishgas")


def settings_from(environment: Mapping[str, str] = os.environ) -> DashboardSettings:
    """Reads the settings.

    Args:
        environment: Variables; those that are not set or empty leave the default.

    Raises:
        ConfigError: A value is not allowed; all of them are told.
    """
    told = {name: environment[variable] for name, variable in VARIABLES.items() if environment.get(variable)}
    try:
        return DashboardSettings.model_validate(told)
    except ValidationError as error:
        faults = [
            f"{VARIABLES[str(fault['loc'][0])]}: {fault['msg']}" if fault["loc"] else str(fault["msg"])
            for fault in error.errors()
        ]
        raise ConfigError(
            "a value is not allowed",
            where="environment",
            count=len(faults),
            examples=faults,
            todo="See docs/dashboard.md for what is allowed",
        ) from error
