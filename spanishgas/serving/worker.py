"""One worker process: follows the descriptor, and answers on the socket that it was given."""

import argparse
import asyncio
import os
import socket
import sys

from spanishgas.serving.settings import ServingSettings


def main(arguments: list[str]) -> int:
    """Serves until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="file descriptor of the listening socket")
    parser.add_argument("--refresh", type=int, required=True, help="file descriptor that asks for a look")
    parser.add_argument("--descriptor", required=True, help="what is served")
    given = parser.parse_args(arguments)
    settings = ServingSettings.read()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, str(settings.threads))
    # After the threads are set: the libraries read them as they are loaded.
    from pathlib import Path

    import uvloop

    from spanishgas.serving.holder import BundleHolder
    from spanishgas.serving.observability import Observer, set_up_logging
    from spanishgas.serving.server import ChurnServer

    set_up_logging()
    observer = Observer(settings.request_log, settings.log_share)
    holder = BundleHolder(Path(given.descriptor), observer)
    holder.look()

    async def serve() -> None:
        server = ChurnServer(settings, holder, observer, given.refresh)
        holder.follow()
        await server.serve(socket.socket(fileno=given.socket))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    holder.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
