"""A page drawn by Streamlit's own driver, without server and browser: at the start, in tests, in measurements."""

from streamlit.testing.v1 import AppTest


def page(name: str, *, timeout: float) -> AppTest:
    """A page that is drawn when it is run.

    Args:
        name: Name of the page, as in ``views.VIEWS``.
        timeout: Seconds after which drawing it raises RuntimeError.
    """
    return AppTest.from_string(f"from spanishgas.dashboard.app import run\nrun({name!r})", default_timeout=timeout)
