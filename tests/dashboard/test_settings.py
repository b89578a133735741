"""What the dashboard takes from the environment, and what it tells the server."""

from pathlib import Path

import pytest

from spanishgas.dashboard.__main__ import options_of
from spanishgas.dashboard.settings import settings_from
from spanishgas.errors import ConfigError


def test_nothing_set_is_the_demo_on_this_machine() -> None:
    found = settings_from({})
    assert (found.root, found.option, found.address, found.port) == (Path("data"), "", "127.0.0.1", 8501)
    assert found.tracking.uri == "sqlite:///mlflow.db"


def test_another_data_set_lies_below_the_root() -> None:
    found = settings_from({"SPANISHGAS_DATA": "powerco", "SPANISHGAS_DATA_ROOT": "/srv/tables", "PORT": "9000"})
    assert (found.root, found.option, found.port) == (Path("/srv/tables/powerco"), " data=powerco", 9000)


def test_all_values_that_are_not_allowed_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match="2 affected") as caught:
        settings_from({"PORT": "nine", "SPANISHGAS_LANGUAGE": "fr"})
    assert "PORT: " in str(caught.value)
    assert "SPANISHGAS_LANGUAGE: " in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_data_set_is_a_name_and_no_path() -> None:
    with pytest.raises(ConfigError, match="SPANISHGAS_DATA"):
        settings_from({"SPANISHGAS_DATA": "../elsewhere"})


def test_others_are_let_in_with_a_token_only() -> None:
    with pytest.raises(ConfigError, match="SPANISHGAS_DASHBOARD_TOKEN"):
        settings_from({"SPANISHGAS_DASHBOARD_ADDRESS": "0.0.0.0"})
    told = {"SPANISHGAS_DASHBOARD_ADDRESS": "0.0.0.0", "SPANISHGAS_DASHBOARD_TOKEN": "a long secret"}
    found = settings_from(told)
    assert "a long secret" not in repr(found)
    with pytest.raises(ConfigError, match="SPANISHGAS_DASHBOARD_TOKEN") as caught:
        settings_from(told | {"SPANISHGAS_DASHBOARD_TOKEN": "short"})
    assert "short" not in str(caught.value).replace("too_short", "")
    assert settings_from({"SPANISHGAS_DASHBOARD_ADDRESS": "0.0.0.0", "SPANISHGAS_DASHBOARD_INSECURE": "true"}).insecure


def test_the_server_stays_on_this_machine_and_reports_nothing() -> None:
    from streamlit import config

    options = options_of(settings_from({"PORT": "8777"}))
    assert options["server.address"] == options["browser.serverAddress"] == "127.0.0.1"
    assert options["server.port"] == 8777
    assert options["browser.gatherUsageStats"] is False
    assert options["server.headless"] is True
    known = set(config.get_config_options())
    assert set(options) <= known, set(options) - known
