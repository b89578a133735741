"""``python -m spanishgas.serving``: the server."""

import sys

from spanishgas.serving.launcher import main

if __name__ == "__main__":
    sys.exit(main())
