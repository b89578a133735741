"""``python -m spanishgas.serving.health``: 0 where the server on this machine is ready; for a container's check."""

import os
import sys
import urllib.request

from spanishgas.serving.settings import PREFIX


def main() -> int:
    """Asks the server that the environment describes."""
    port = os.environ.get(f"{PREFIX}HTTP_PORT", "8080")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=2) as answer:  # nosec B310
            return int(answer.status != 200)
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
