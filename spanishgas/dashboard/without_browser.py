"""A page drawn by Streamlit's own driver, without server and browser: at the start, in tests, in measurements."""

from functools import cache

from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest


def page(name: str, *, timeout: float) -> AppTest:
    """A page that is drawn when it is run.

    Args:
        name: Name of the page, as in ``views.VIEWS``.
        timeout: Seconds after which drawing it raises RuntimeError.
    """
    _look_for_components_once()
    return AppTest.from_string(f"from spanishgas.dashboard.app import run\nrun({name!r})", default_timeout=timeout)


@cache
def _look_for_components_once() -> None:
    """Keeps what Streamlit found among the installed packages.

    Its driver reads the metadata of all of them for every page, which takes longer than most pages.
    """
    manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
