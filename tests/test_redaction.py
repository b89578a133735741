"""No secret gets into a text that somebody reads."""

import pytest

from spanishgas.errors import PublishError
from spanishgas.failures import traceback_of
from spanishgas.redaction import masked, redacted, without_secrets


def test_passwords_are_masked_wherever_they_stand() -> None:
    assert masked("http://mlflow.internal:5000") == "http://mlflow.internal:5000"
    assert masked("postgresql://ana:pw@db:5432/mlflow") == "postgresql://ana:***@db:5432/mlflow"
    assert masked("postgresql://db/mlflow?user=ana&password=p%40w") == "postgresql://db/mlflow?user=ana&password=***"
    address = "http://ana:p%40w@host"
    assert without_secrets("no route to http://ana:p@w@host/api", address) == "no route to http://ana:***@host/api"


@pytest.mark.parametrize(
    "text",
    [
        "no route to postgresql+psycopg://ana:c4nary-Ñ@db.internal:5432/mlflow, giving up",
        "GET http://ana:c4nary@x@host:5000/api failed",
        "('http://ana:c4nary%40@host')",
        "http://host/?user=ana&sslpassword=c4nary#top",
    ],
)
def test_a_password_in_any_address_is_blotted_out(text: str) -> None:
    told = redacted(text)
    assert "c4nary" not in told
    assert "***" in told


def test_what_is_no_password_stays() -> None:
    for text in ("http://host:5000/a@b", "sqlite:////data/mlflow.db", "mail to ana@host, 12:30", "s3://bucket/a:b"):
        assert redacted(text) == text


def test_secrets_of_the_environment_are_known_by_their_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "c4nary/pass")
    monkeypatch.setenv("RETAILER_DB", "postgresql://ana:an0ther%2Fone@db/x")
    monkeypatch.setenv("TOKEN_FILE", "/run/secrets/token")
    text = "refused: c4nary/pass, c4nary%2Fpass, an0ther/one; see /run/secrets/token"
    assert redacted(text) == "refused: ***, ***, ***; see /run/secrets/token"


@pytest.mark.parametrize(
    "name", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_CLIENT_SECRET",
             "AZURE_STORAGE_SAS_KEY", "GOOGLE_SERVICE_ACCOUNT_KEY", "SPANISHGAS_ERASURE_KEY", "SPANISHGAS_EXPORT_KEY",
             "SPANISHGAS_SERVE_TOKEN"],
)  # fmt: skip
def test_keys_of_stores_of_erasures_and_of_exports_are_secrets(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "c4nary/of+it==")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader-of-tables")
    assert redacted("refused c4nary/of+it== to reader-of-tables") == "refused *** to reader-of-tables"


def test_errors_and_tracebacks_tell_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "c4nary-token")
    error = PublishError("cannot reach http://ana:c4nary@host", examples=["c4nary-token"], todo="Ask c4nary-token")
    assert "c4nary" not in str(error)
    told = traceback_of(ValueError("http://ana:c4nary@host said c4nary-token"))
    assert "http://ana:***@host said ***" in told
