"""A machine whose clock was set back: what asks for the time is told an earlier one; files keep theirs."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, tzinfo
from typing import Any
from unittest.mock import patch


@contextmanager
def set_back(days: float) -> Iterator[None]:
    """Lets this process, and the libraries that ask Python for the time, live some days ago."""
    shift, now = timedelta(days=days), time.time

    class Kind(type):
        def __instancecheck__(cls, one: Any) -> bool:
            return isinstance(one, datetime)

    class Earlier(datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) - shift

    with ExitStack() as stack:
        stack.enter_context(patch("time.time", lambda: now() - shift.total_seconds()))
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in ("spanishgas", "pipelines") and vars(module).get("datetime") is datetime:
                stack.enter_context(patch.object(module, "datetime", Earlier))
        yield
