"""One retailer with published tables and a registry, made once; tests that change it work on a copy."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from spanishgas.dashboard import without_browser
from tests.dashboard import worlds
from tests.once import Once, hand_out
from tests.support import without_tracking_variables

TIMEOUT = 120


@pytest.fixture(scope="session")
def shop(once: Once, empty_store: Path) -> Path:
    """Folder with ``data``, ``mlflow.db`` and ``mlruns``."""
    return once("dashboard", lambda folder: worlds.make_shop(folder, empty_store))


@pytest.fixture
def copied(shop: Path, tmp_path: Path) -> Path:
    """A data root of the test's own."""
    return hand_out(shop / "data", tmp_path / "data")


Opened = Callable[..., AppTest]


@pytest.fixture
def opened(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """Opens a page as a browser would; ``root`` and ``store`` stand for other tables and another registry."""
    with without_tracking_variables():

        def open_page(
            page: str, *, language: str = "en", root: Path | None = None, store: str = "", **query: str
        ) -> AppTest:
            monkeypatch.setenv("SPANISHGAS_DATA_ROOT", str(root or shop / "data"))
            monkeypatch.setenv("MLFLOW_TRACKING_URI", store or f"sqlite:///{shop / 'mlflow.db'}")
            test = without_browser.page(page, timeout=TIMEOUT)
            test.query_params["lang"] = language
            for name, value in query.items():
                test.query_params[name] = value
            return test.run()

        yield open_page


def told(test: AppTest) -> str:
    """Everything that a page says in words, in order."""
    kinds = ("title", "subheader", "markdown", "caption", "code", "info", "warning", "success", "error")
    parts = [str(one.value) for kind in kinds for one in getattr(test, kind)]
    parts += [f"{one.label} {one.value} {one.delta}" for one in test.metric]
    return "\n".join(parts)


def sound(test: AppTest) -> None:
    """Nothing went wrong on a page."""
    assert not test.exception, [one.message for one in test.exception]
    assert not test.error, [one.value for one in test.error]
