"""A real S3 server on this machine, for tests: moto behind one lock.

moto looks at the condition of a write and writes in two steps; one request at a time makes that one step, as it is in a
real store. Run as a program it serves until it is stopped, and prints its address.
"""

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch
from urllib.request import Request, urlopen

ACCESS = {
    "AWS_ACCESS_KEY_ID": "reader",
    "AWS_SECRET_ACCESS_KEY": "a-secret-of-tests",
    "AWS_REGION": "eu-south-2",
}
BUCKET = "tables"


def _application() -> object:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    inner, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def one_at_a_time(environ: dict[str, object], start: object) -> Iterable[bytes]:
        with lock:
            return [b"".join(inner(environ, start))]

    return one_at_a_time


@contextmanager
def serving() -> Iterator[str]:
    """Serves in a thread; gives the address."""
    import logging

    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, _application(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        urlopen(Request(f"{address}/{BUCKET}", method="PUT"), timeout=10).close()
        yield address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def reached(address: str, cache: Path) -> Iterator[None]:
    """The environment in which the server is found, with a folder for local copies."""
    with patch.dict(os.environ, {**ACCESS, "AWS_ENDPOINT_URL": address, "SPANISHGAS_CACHE": str(cache)}):
        yield


if __name__ == "__main__":
    with serving() as told:
        print(told, flush=True)
        sys.stdin.read()
